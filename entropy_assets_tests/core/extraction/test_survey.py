"""The survey finds each kind of dead area, says which kind it is, and leaves white noise alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import median_filter, zoom

from entropy_assets.core.extraction.noise import NoiseExtractor
from entropy_assets.core.extraction.squares import Verdict
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.recipe import STANDARD, recipe_named
from entropy_assets_tests.core.frames import frame, survey, white


def test_white_noise_is_live_everywhere() -> None:
    """Noise of 7 steps is live, its sigma is found within 5 %, and its residual correlates at -0.40 in both axes."""
    found = survey(white((256, 256)))
    assert found.live_fraction == 1
    assert found.median_sigma == pytest.approx(7.0, rel=0.05)
    assert found.correlation_x.mean() == pytest.approx(-0.4, abs=0.01)
    assert found.correlation_y.mean() == pytest.approx(-0.4, abs=0.01)


def test_missing_pixels_mask_their_square() -> None:
    """A square with a pixel that the container calls blank is not sampled."""
    usable = np.ones((96, 96), dtype=np.bool_)
    usable[40, 70] = False
    assert survey(white((96, 96)), usable).verdict[1, 2] == Verdict.MISSING


def test_every_channel_must_be_live() -> None:
    """A square that is dead in blue alone is dead."""
    pixels = np.stack([white((64, 64), seed=s) for s in (1, 2, 3)])
    pixels[2, :32, :32] = 1000
    assert survey(pixels).verdict.tolist() == [[Verdict.CONSTANT, 0], [0, 0]]


def test_a_live_corner_of_a_dead_frame_is_judged_by_itself() -> None:
    """Dead surroundings don't make noise look compressed."""
    pixels = np.add.outer(np.arange(640), np.arange(640))
    pixels[:96, :96] = white((96, 96))
    assert survey(pixels).counts == {"live": 9, "quantised": 391}


@pytest.mark.parametrize(
    "processed",
    [
        lambda p: np.rint(zoom(p[:128, :128].astype(float), 4, order=3)).astype(np.int64),
        lambda p: np.rint(zoom(p[:256, :256].astype(float), 2, order=1)).astype(np.int64),
        lambda p: p.repeat(2, axis=0).repeat(2, axis=1),
        lambda p: median_filter(p, 3),
        lambda p: (p + np.roll(p, 1, 0) + np.roll(p, 1, 1) + np.roll(p, (1, 1), (0, 1))) // 4,
        lambda p: np.add.outer(np.arange(512), np.arange(512)) // 3,
        lambda p: np.cumsum(p - 1000, axis=1),
    ],
    ids=["bicubic", "bilinear", "nearest", "median", "boxed", "ramp", "random walk"],
)
def test_processed_pictures_are_rejected(processed: object) -> None:
    """Interpolation, repetition, denoising, averaging and no noise at all: not accepted, with a reason."""
    pixels = processed(white((512, 512)))  # type: ignore[operator]
    with pytest.raises(ImageRejected) as rejection:
        NoiseExtractor().extract(frame(pixels), bytes(32))
    assert rejection.value.data["live_fraction"] < STANDARD.min_live_share


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (1, 4096), (4096, 31)])
def test_too_small_for_one_square(shape: tuple[int, int]) -> None:
    """Less than one square is a rejection, not an exception from an empty slice."""
    with pytest.raises(ImageRejected) as rejection:
        survey(white(shape))
    assert rejection.value.reason is RejectionReason.TOO_SMALL


@given(st.integers(0, 2**32), st.sampled_from(["transpose", "flip", "turn"]))
@settings(max_examples=20, deadline=None)
def test_liveness_follows_the_picture(seed: int, change: str) -> None:
    """A transposed, flipped or turned frame has its live map transposed, flipped or turned: sums are exact."""
    rng = np.random.default_rng(seed)
    pixels = white((128, 128), sigma=1.2, seed=seed) + (rng.random((128, 128)) > 0.99) * 300
    pixels[:, :40] = np.rint(pixels[:, :40] * 0.5 + pixels[:, 1:41] * 0.5)
    turned = {"transpose": np.transpose, "flip": np.flipud, "turn": np.rot90}[change]
    before, after = survey(pixels), survey(np.ascontiguousarray(turned(pixels)))
    assert (turned(before.verdict) == after.verdict).all()


def clipped(floor: int = 0, ceiling: int = 65_535, level: float = 4.0) -> np.ndarray:
    """Return a dark of sigma 4 around `level`, clipped at both limits."""
    noise = np.random.default_rng(3).normal(level, 4, (256, 256))
    return np.clip(np.rint(noise), floor, ceiling).astype(np.int64)


def test_a_dark_clipped_at_black_is_told_to_raise_the_offset() -> None:
    """Which squares are live is the same by every recipe; only the newest tell black from white."""
    with pytest.raises(ImageRejected) as rejection:
        NoiseExtractor().extract(frame(clipped()), bytes(32))
    assert rejection.value.reason is RejectionReason.CLIPPED_AT_BLACK
    assert rejection.value.message.endswith("; clipped at black: raise the offset of the camera")
    earlier = NoiseExtractor(recipe_named("ea-2026-1"))
    with pytest.raises(ImageRejected) as before:
        earlier.extract(frame(clipped()), bytes(32))
    assert before.value.reason is RejectionReason.SATURATED
    assert (earlier.survey(frame(clipped())).verdict == survey(clipped()).verdict).all()


@pytest.mark.parametrize("level", [65_531.0, 30_000.0])
def test_what_is_clipped_at_white_is_saturated(level: float) -> None:
    """At the limit of the container, at the ADC's own, and at both ends."""
    both = np.where(np.random.default_rng(1).random((96, 96)) < 0.1, 65_535, clipped()[:96, :96])
    for pixels in (clipped(ceiling=round(level) + 4, level=level), both):
        with pytest.raises(ImageRejected) as rejection:
            NoiseExtractor().extract(frame(pixels), bytes(32))
        assert rejection.value.reason is RejectionReason.SATURATED
        assert "offset" not in rejection.value.message


def test_hot_pixels_at_white_do_not_hide_black() -> None:
    """One in a thousand is full in a long dark."""
    hot = np.where(np.random.default_rng(2).random((256, 256)) < 1e-3, 65_535, clipped())
    assert survey(hot).dominant_reason is RejectionReason.CLIPPED_AT_BLACK


def test_each_square_is_told_by_the_channel_that_masks_it() -> None:
    """Green is black, red is live: red's own unclipped end says nothing."""
    pixels = np.stack([white((256, 256)), clipped(), white((256, 256), seed=2)])
    assert survey(pixels).dominant_reason is RejectionReason.CLIPPED_AT_BLACK


def test_black_squares_among_others_do_not_decide() -> None:
    """The reason is that of most squares: advice on the offset would not help a frame that is flat."""
    pixels = white((256, 256))
    pixels[5::32] = 1000
    pixels[:64] = clipped()[:64]
    found = survey(pixels)
    assert found.clipped_at_black
    assert (found.dominant_reason, found.advice) == (RejectionReason.CONSTANT, "")


def test_counts_and_names_add_up() -> None:
    """The map's counts by name add up to its squares, for the picture and the table in the UI."""
    pixels = white((96, 96))
    pixels[:32] = 1000
    found = survey(pixels)
    assert found.counts == {"live": 6, "constant": 3}
    assert sum(found.counts.values()) == found.verdict.size
    assert found.dominant_reason is RejectionReason.CONSTANT


def test_one_channel_with_made_noise_is_enough() -> None:
    """Green from a generator beside two honest channels: nothing of the frame is live."""
    pixels = np.stack([white((256, 256), sigma=20, seed=seed) for seed in (1, 2, 3)])
    pixels[1] = 1028 + np.random.default_rng(4).integers(0, 64, (256, 256))
    assert survey(pixels).live_fraction == 0
    assert survey(pixels).dominant_reason is RejectionReason.DITHERED
