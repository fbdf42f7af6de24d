"""What is done to the pixels of a frame is done to its whitened fold: half of one is the whitened fold of the half."""

import numpy as np

from entropy_assets.core.credit.elsewhere.whitened import RMS, kept_frequencies, refolded, response, whitened


def laplacian(pixels: np.ndarray) -> np.ndarray:
    beside = sum(np.roll(pixels, by, axis) for by in (-1, 1) for axis in (0, 1))
    return 4 * pixels - beside


def test_the_pixels_under_a_laplacian_come_back_but_for_what_is_left_out() -> None:
    pixels = np.random.default_rng(1).normal(0, 40, (128, 128))
    kept = kept_frequencies(128, 128)
    back = whitened(np.rint(laplacian(pixels)).astype(np.int64), kept)
    expected = np.fft.ifft2(np.fft.fft2(pixels) * kept).real
    assert np.corrcoef(back.ravel(), expected.ravel())[0, 1] > 0.999
    assert abs(back.std() / RMS - 1) < 0.01


def test_the_response_is_that_of_the_laplacian() -> None:
    point = np.zeros((64, 128))
    point[0, 0] = 1
    assert np.allclose(np.fft.fft2(laplacian(point)), response(64, 128))


def test_frequencies_of_scenes_and_of_lines_are_left_out() -> None:
    """Whatever is left out of a fold is left out of one with half of its rows, where it has the same frequency."""
    whole, half = kept_frequencies(128, 128), kept_frequencies(64, 128)
    assert not whole[:, 0].any()
    assert not whole[64].any()
    assert not whole[3, -5]
    assert whole[12, 12]
    assert half.shape == (64, 128)
    assert not half[3, -5]
    assert 0.9 < whole.mean() < 0.95


def test_one_wave_does_not_decide() -> None:
    rows = np.arange(128)
    noise = np.random.default_rng(2).normal(0, 40, (128, 128))
    wave = 400 * np.cos(2 * np.pi * (20 * rows[:, np.newaxis] + 31 * rows) / 128)
    kept = kept_frequencies(128, 128)
    without, under = (whitened(np.rint(laplacian(each)).astype(np.int64), kept) for each in (noise, noise + wave))
    assert np.corrcoef(without.ravel(), under.ravel())[0, 1] > 0.9


def test_a_fold_is_folded_again() -> None:
    fold = np.arange(16).reshape(4, 4)
    assert refolded(fold, 2, 4).tolist() == [[8, 10, 12, 14], [16, 18, 20, 22]]
