"""Copies of noise and traces of JPEG are found wherever they stand, and not in noise itself."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from entropy_assets.core.extraction.artefacts import blocking, comb_share, repeat_correlation, repeated_share
from entropy_assets.core.extraction.noise import NoiseExtractor
from entropy_assets.core.extraction.squares import Verdict, as_squares
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.recipe import STANDARD, recipe_named
from entropy_assets_tests.core.frames import frame, survey, white


def test_a_tile_is_credited_once() -> None:
    """Of a 40x40 tile laid out side by side nothing is live: the frame is periodic."""
    found = survey(np.tile(white((40, 40)), (8, 8)))
    assert found.repeat_correlation > 0.9
    assert found.dominant_reason is RejectionReason.TILED


@given(st.integers(0, 150), st.integers(0, 150), st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_a_cloned_patch_is_masked_wherever_it_stands(top: int, left: int, seed: int) -> None:
    """A 96x96 patch copied to any place, with another offset, leaves one copy live and masks squares of the other."""
    pixels = white((512, 256), seed=seed)
    pixels[256 + top : 352 + top, left : left + 96] = pixels[:96, 100:196] + 5
    found = survey(pixels)
    inside = (found.verdict == Verdict.REPEATED)[8:]
    assert inside.sum() >= 4
    assert not (found.verdict == Verdict.REPEATED)[:3].any()
    assert inside.sum() <= 16


def test_noise_is_no_copy_of_itself() -> None:
    """Quiet noise, with few codes, still never repeats a window."""
    steps = white((512, 512), sigma=0.7).astype(np.int32)
    assert repeated_share(steps, np.ones((16, 16), dtype=np.bool_), 32).max() == 0


def test_periods_of_any_length_are_seen() -> None:
    """Tiles from 5 to 300 pixels, in either axis alone."""
    for period in (5, 17, 64, 300):
        rows = np.tile(white((200, period)), (1, 1200 // period))
        assert repeat_correlation(rows) > 0.9, period
        assert repeat_correlation(rows.T) > 0.9, period
    assert repeat_correlation(white((200, 1200))) < 0.2


def decompressed(pixels: np.ndarray, quality: int) -> np.ndarray:
    eight_bits = np.clip(pixels - 900, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(eight_bits).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer)).astype(np.int64)


@pytest.mark.parametrize("quality", [5, 30, 50, 75, 85, 90, 95])
def test_a_jpeg_saved_without_loss_is_not_accepted(quality: int) -> None:
    """Decoded JPEG noise in a lossless container is not accepted.

    From quality 96 on the quantisers are finer than the noise, and the JPEG holds more than would be credited.
    """
    pixels = decompressed(white((512, 512), sigma=6), quality)
    with pytest.raises(ImageRejected):
        NoiseExtractor().extract(frame(pixels, bit_depth=8, container="png"), bytes(32))


def test_the_grid_of_jpeg_shows_wherever_it_starts() -> None:
    """A crop moves the borders; they are found at every offset. Noise has none, and stripes in one axis are no grid."""
    pixels = decompressed(white((512, 512), sigma=6), 50)
    for offset in (0, 3, 7):
        assert blocking(as_squares(pixels[offset:, offset:], 32)) > STANDARD.max_blocking
    assert blocking(as_squares(white((512, 512)), 32)) < 0.1
    stripes = white((512, 512))
    stripes[:, ::8] += 30
    assert blocking(as_squares(stripes, 32)) < 0.1


def test_quiet_jpeg_shows_its_grid() -> None:
    """Where quantisers exceed the noise of the few live squares, no comb is left, but the borders stand out."""
    pixels = decompressed(white((512, 512), sigma=6), 80)
    assert (survey(pixels, bit_depth=8).verdict == Verdict.COMPRESSED).any()


@pytest.mark.parametrize("offset", [(0, 0), (3, 5), (7, 1)])
def test_the_comb_of_jpeg_shows_wherever_it_starts(offset: tuple[int, int]) -> None:
    """At quality 90 no border shows in noise, but the coefficients are multiples of their quantisers."""
    pixels = decompressed(white((512, 512), sigma=6), 90)[offset[0] :, offset[1] :]
    assert comb_share(as_squares(pixels, 32)) > 0.9
    assert comb_share(as_squares(white((512, 512), sigma=6), 32)) == 0


def mixed(seed: int) -> npt.NDArray[np.int64]:
    """Return a frame of quiet squares beside busy ones, with stars of one brightness."""
    rng = np.random.default_rng(seed)
    pixels = white((256, 256), sigma=1.2, seed=seed) + (rng.random((256, 256)) > 0.99) * 300
    pixels[:, 128:] += white((256, 128), sigma=20, seed=seed + 1)
    return pixels


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_mixed_frames_are_not_taken_for_decompressed_ones(seed: int) -> None:
    """Quiet squares beside busy ones, stars of one brightness, and coarse codes are no JPEG."""
    squares = as_squares(mixed(seed), 32)
    assert comb_share(squares) < STANDARD.max_comb_share
    assert blocking(squares) < STANDARD.max_blocking / 2


def test_what_comb_mixed_frames_show_is_chance() -> None:
    """Of the 14 coefficients one keeps to a step in an eighth of such frames, two in 6 of 1,000; 4 make a comb."""
    shares = np.array([comb_share(as_squares(mixed(seed), 32)) for seed in range(200)])
    assert np.count_nonzero(shares) < 200 / 5
    assert shares.max() < 3 / 14


def test_borders_of_amplifiers_side_by_side_are_no_tiles() -> None:
    """Eight amplifiers of one frame with offsets of their own: their borders lie at equal distances."""
    levels = np.repeat([0, 480, -90, 210, 130, 300, 10, 390], 64)
    pixels = white((256, 512)) + levels
    assert survey(pixels).live_fraction > 0.9
    assert survey_frame(frame(pixels), recipe_named("ea-2026-1")).live_fraction == 0
    assert survey(np.tile(white((256, 64)), (1, 8))).live_fraction == 0
