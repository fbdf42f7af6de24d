"""Decoded pictures are found whatever coder made them, and no sensor's noise keeps to the steps of one."""

import io
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features
from scipy import fft

from entropy_assets.core.extraction import lattices
from entropy_assets.core.extraction.lattices import EIGHTHS, lattice_rise
from entropy_assets.core.extraction.noise import NoiseExtractor
from entropy_assets.core.extraction.squares import as_squares
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images.decode import decode
from entropy_assets.recipe import STANDARD, recipe_named
from entropy_assets_tests.core.frames import frame, survey, white

LIMIT = STANDARD.max_lattice_rise


def rise(pixels: npt.NDArray[np.integer]) -> float:
    return lattice_rise(EIGHTHS * as_squares(pixels.astype(np.int64), 32))


def noisy(side: int = 512, sigma: float = 8.0) -> npt.NDArray[np.int64]:
    """Give 8-bit noise on a slope."""
    slope = np.add.outer(np.linspace(0, 50, side), np.linspace(-30, 0, side))
    return np.clip(white((side, side), sigma) - 900 + np.rint(slope).astype(np.int64), 0, 255)


@cache
def stored(coder: str, **options: object) -> npt.NDArray[np.int64]:
    """Give a noisy picture after `coder`; with a ``mode`` of RGB the noise of the channels differs."""
    settings_ = dict(options)
    mode = settings_.pop("mode", "L")
    planes = [noisy(), noisy(sigma=7.0), noisy(sigma=9.0)]
    pixels = planes[0] if mode == "L" else np.stack(planes, axis=-1)
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, coder, **settings_)
    with Image.open(buffer) as image:
        return np.asarray(image.convert(mode)).astype(np.int64)


WAVELETS = {"quality_mode": "rates"}
CODED = {
    **{f"WebP {q}": ("WEBP", {"quality": q}) for q in (60, 70, 80, 90, 95)},
    **{f"AVIF {q}": ("AVIF", {"quality": q}) for q in (65, 80, 90, 95)},
    **{f"JPEG {q}": ("JPEG", {"quality": q}) for q in (60, 80, 90, 95)},
    **{
        f"JPEG 2000, 9/7, 1:{r}": ("JPEG2000", {"irreversible": True, "quality_layers": (r,), **WAVELETS})
        for r in (4, 6, 8, 12)
    },
    **{
        f"JPEG 2000, 5/3, 1:{r}": ("JPEG2000", {"irreversible": False, "quality_layers": (r,), **WAVELETS})
        for r in (4, 6, 8)
    },
}
THERE = {
    name: coded
    for name, coded in CODED.items()
    if coded[0].lower() not in ("webp", "avif") or features.check(coded[0].lower())
}


@pytest.mark.parametrize("name", THERE)
def test_decoded_pictures_are_found(name: str) -> None:
    coder, options = THERE[name]
    assert rise(stored(coder, **options)) > LIMIT


@pytest.mark.parametrize("name", ["WebP 90", "JPEG 90", "JPEG 2000, 9/7, 1:6"])
@pytest.mark.parametrize("crop", [(1, 0), (3, 5), (7, 2)])
def test_cropped_pictures_are_found(name: str, crop: tuple[int, int]) -> None:
    """The grid may begin anywhere: of blocks of 4 and 8, and of the wavelets, which have only even and odd."""
    if name in THERE:
        coder, options = THERE[name]
        assert rise(stored(coder, **options)[crop[0] :, crop[1] :]) > LIMIT


def predicted(pixels: npt.NDArray[np.int64], block: int, step: float) -> npt.NDArray[np.int64]:
    """Code `pixels` in blocks as video coders do: predict from decoded neighbours, transform, round to steps.

    The prediction is the row above, the column to the left, or the mean of both, as the place has it.
    """
    decoded = pixels.astype(np.float64)
    for top in range(0, len(pixels) - block + 1, block):
        for left in range(0, pixels.shape[1] - block + 1, block):
            here = np.s_[top : top + block, left : left + block]
            above = decoded[max(0, top - 1), left : left + block]
            beside = decoded[top : top + block, max(0, left - 1)][:, np.newaxis]
            way = (top // block + 2 * (left // block)) % 3
            guess = np.broadcast_to((above, beside, above.mean())[way], (block, block))
            rounded = step * np.rint(fft.dctn(pixels[here] - guess, norm="ortho") / step)
            decoded[here] = np.clip(np.rint(guess + fft.idctn(rounded, norm="ortho")), 0, 255)
    return decoded.astype(np.int64)


@pytest.mark.parametrize("block, step", [(4, 3.0), (4, 11.3), (8, 5.1), (8, 20.2), (16, 6.35), (16, 16.0), (32, 10.0)])
def test_predicted_blocks_of_any_size_are_found(block: int, step: float) -> None:
    """No block is a multiple of anything as a whole, since each prediction is another; its inner orders still are."""
    assert rise(predicted(noisy(256), block, step)) > LIMIT


def test_a_tenth_of_the_blocks_is_enough() -> None:
    pixels = noisy(256)
    pixels[:, :32] = predicted(pixels, 8, 8.0)[:, :32]
    assert rise(pixels) > LIMIT


@pytest.mark.skipif(not features.check("webp"), reason="this Pillow was built without WebP")
def test_the_luma_of_colours_is_searched() -> None:
    """Red, green and blue keep to no steps; their sum by the weights of a coder does."""
    pixels = stored("WEBP", quality=90, mode="RGB").transpose(2, 0, 1)
    assert survey(pixels, bit_depth=8, container="png").lattice_rise > LIMIT


@given(st.floats(0.6, 300), st.sampled_from([64, 128, 256]), st.floats(0, 1), st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_noise_keeps_to_no_step(sigma: float, side: int, level: float, seed: int) -> None:
    """Whatever its width and level: 80 grids of 200 frequencies reach 4.5 in one frame of 200, and never 5.8."""
    pixels = np.rint(np.random.default_rng(seed).normal(1000 + level, sigma, (side, side))).astype(np.int64)
    assert rise(pixels) < 0.9 * LIMIT


ODD = {
    "few electrons": lambda rng, noise: rng.poisson(3, noise.shape),
    "hot pixels": lambda rng, noise: noise + 160 * (rng.random(noise.shape) < 0.02),
    "hot pixels of one brightness": lambda rng, noise: noise // 7 + 300 * (rng.random(noise.shape) < 0.01),
    "two levels": lambda rng, noise: noise + 30 * (rng.random(noise.shape) < 0.3),
    "quiet beside busy": lambda rng, noise: np.where(np.arange(256) < 128, noise, 1000 + 5 * (noise - 1000)),
    "rows and columns": lambda rng, noise: noise + rng.integers(0, 90, (256, 1)) + rng.integers(0, 90, 256),
    "waves": lambda rng, noise: noise + np.rint(8 * np.sin(np.add.outer(np.arange(256), np.arange(256)) * 0.8)),
    "pattern of 16 pixels": lambda rng, noise: noise + np.tile(np.rint(rng.normal(0, 7, (16, 16))), (16, 16)),
    "pattern of 4 pixels": lambda rng, noise: noise + np.tile(rng.integers(-9, 10, (4, 4)), (64, 64)),
    "pattern of 8 pixels": lambda rng, noise: noise + np.tile(24 * rng.integers(0, 2, (8, 8)), (32, 32)),
    "rows of two levels": lambda rng, noise: noise + 90 * rng.integers(0, 2, (256, 1)),
    "digital gain 1.37": lambda rng, noise: np.floor(noise * 1.37 + 0.5),
    "digital gain 2.6": lambda rng, noise: np.floor(noise * 2.6 + 0.5),
    "uneven codes": lambda rng, noise: 2 * (noise // 2) + (rng.random(noise.shape) < 0.42),
    "edges": lambda rng, noise: noise + 60 * np.add.outer(np.arange(256) // 13, np.arange(256) // 29) % 120,
}


@pytest.mark.parametrize("name", ODD)
def test_what_sensors_do_is_no_lattice(name: str) -> None:
    rng = np.random.default_rng(7)
    assert rise(ODD[name](rng, white((256, 256), 8)).astype(np.int64)) < 0.7 * LIMIT


def test_few_squares_say_nothing() -> None:
    assert lattice_rise(EIGHTHS * as_squares(predicted(noisy(64), 4, 9.0), 32)[:2]) == 0


def test_sums_are_exact() -> None:
    """The largest coefficient is a whole number below 2**53, so no order of adding changes it."""
    for transform in (*(lattices._cosines(block, 32, 0) for block in lattices.BLOCKS), lattices._wavelet(32)):
        rows = np.abs(transform.matrices(32)).reshape(-1, 32)
        assert np.array_equal(rows, np.rint(rows))
        assert (1 << lattices.SPAN_BITS) * rows.sum(axis=1).max() ** 2 < 1 << 53


def test_the_frame_is_refused_with_its_reason() -> None:
    with pytest.raises(ImageRejected) as caught:
        NoiseExtractor().extract(frame(predicted(noisy(256), 4, 11.3)), bytes(32))
    assert caught.value.reason is RejectionReason.COMPRESSION_ARTEFACTS


def test_a_container_that_says_it_is_lossy_is_not_searched() -> None:
    """Its credit is capped by its stream instead."""
    found = survey(predicted(noisy(256), 4, 11.3), lossy=True, bit_depth=8)
    assert found.lattice_rise == 0
    assert found.live.any()


def test_reference_frames_are_far_from_it(shared_data: Path) -> None:
    data = (shared_data / "sample" / "saao_1m_ccd_raw16.fits").read_bytes()
    assert survey_frame(decode(data, source="drop"), STANDARD).lattice_rise < 0.6 * LIMIT


def test_earlier_recipes_do_not_look_for_lattices() -> None:
    found = survey_frame(frame(predicted(noisy(256), 4, 11.3)), recipe_named("ea-2026-1"))
    assert (found.lattice_rise, found.live_fraction > 0.5) == (0.0, True)
