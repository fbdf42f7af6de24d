"""The survey finds each kind of dead area, says which kind it is, and leaves white noise alone."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import median_filter, zoom

from entropy_assets.core.extraction.artefacts import blocking, comb_share, repeat_correlation, repeated_share
from entropy_assets.core.extraction.noise import NoiseExtractor
from entropy_assets.core.extraction.squares import Verdict, as_squares, bit_entropy
from entropy_assets.core.extraction.survey import Survey
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.core.frames import frame, white


def survey(pixels: np.ndarray, usable: np.ndarray | None = None, **known: object) -> Survey:
    return NoiseExtractor().survey(frame(pixels, usable, **known))


def test_white_noise_is_live_everywhere() -> None:
    """Noise of 7 steps is live, its sigma is found within 5 %, and its residual correlates at -0.40 in both axes."""
    found = survey(white((256, 256)))
    assert found.live_fraction == 1
    assert found.median_sigma == pytest.approx(7.0, rel=0.05)
    assert found.correlation_x.mean() == pytest.approx(-0.4, abs=0.01)
    assert found.correlation_y.mean() == pytest.approx(-0.4, abs=0.01)


def test_most_blocks_of_white_noise_survive_at_any_strength() -> None:
    """From 1 step upwards the limits lose few honest blocks."""
    for sigma in (1.0, 2.0, 7.0, 100.0, 1e5, 1e9):
        assert survey(white((256, 256), sigma)).live_fraction > 0.9, sigma


@pytest.mark.parametrize(
    "damage, verdict",
    [
        (lambda p: p.__setitem__(np.s_[:], 1000), Verdict.CONSTANT),
        (lambda p: p.__setitem__(np.s_[10, :], 1000), Verdict.CONSTANT),
        (lambda p: p.__setitem__(np.s_[:, 10], 1000), Verdict.CONSTANT),
        (lambda p: p.__setitem__(np.s_[10, :], p[9, :]), Verdict.CONSTANT),
        (lambda p: p.__setitem__(np.s_[:, 10], p[:, 9]), Verdict.CONSTANT),
        (lambda p: p.__setitem__(np.s_[:], p // 7 * 7), Verdict.BIASED_LSB),
        (lambda p: p.__setitem__(np.s_[:], np.rint(1000 + (p - 1000) / 16)), Verdict.QUANTISED),
        (lambda p: p.__setitem__(np.s_[:, 1:], (p[:, 1:] + p[:, :-1]) // 2), Verdict.CORRELATED),
        (lambda p: p.__setitem__(np.s_[1:], (p[1:] + p[:-1]) // 2), Verdict.CORRELATED),
        (lambda p: p.__setitem__(np.s_[:], p & ~(p % 3 == 0).astype(int)), Verdict.BIASED_LSB),
    ],
    ids=[
        "flat", "lost row", "lost column", "copied row", "copied column", "coarse step", "quiet", "smoothed in x",
        "smoothed in y", "uneven codes",
    ],
)  # fmt: skip
def test_each_kind_of_dead_square_is_named(damage: object, verdict: Verdict) -> None:
    """One square of live noise is spoiled in one way: exactly that square is masked, for that reason."""
    pixels = white((96, 96))
    damage(pixels[32:64, 32:64])  # type: ignore[operator]
    if verdict is Verdict.BIASED_LSB:
        pixels[32:64, 32:64] &= ~1
    expected = np.zeros((3, 3), dtype=np.uint8)
    expected[1, 1] = verdict
    assert survey(pixels).verdict.tolist() == expected.tolist()


def test_saturation_is_found_at_the_container_and_at_the_adc() -> None:
    """Pixels cut at 65,535, or at any code where they pile up, mask their square; a bright star does not."""
    pixels = white((96, 96))
    pixels[:, :32] = np.minimum(pixels[:, :32] + 64_530, 65_535)
    assert (survey(pixels).verdict[:, 0] == Verdict.SATURATED).all()
    clipped = np.minimum(white((96, 96)), 1004)
    assert (survey(clipped).verdict == Verdict.SATURATED).all()
    star = white((96, 96))
    star[50, 50] = 65_535
    assert survey(star).verdict.tolist() != np.full((3, 3), Verdict.SATURATED).tolist()
    assert np.count_nonzero(survey(star).live) >= 8


def test_a_picture_clipped_at_both_ends_is_saturated() -> None:
    """Mostly black with white spots: the rarer end is a limit too, since it is the container's own."""
    pixels = np.where(np.random.default_rng(1).random((96, 96)) < 0.1, 255, 0)
    pixels[:, 5] = 0
    assert (survey(pixels, bit_depth=8).verdict == Verdict.SATURATED).all()


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


def _decompressed(pixels: np.ndarray, quality: int) -> np.ndarray:
    eight_bits = np.clip(pixels - 900, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(eight_bits).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer)).astype(np.int64)


@pytest.mark.parametrize("quality", [5, 30, 50, 75, 85, 90, 95])
def test_a_jpeg_saved_without_loss_is_not_accepted(quality: int) -> None:
    """Decoded JPEG noise in a lossless container is not accepted.

    From quality 96 on the quantisers are finer than the noise, and the JPEG holds more than would be credited.
    """
    pixels = _decompressed(white((512, 512), sigma=6), quality)
    with pytest.raises(ImageRejected):
        NoiseExtractor().extract(frame(pixels, bit_depth=8, container="png"), bytes(32))


def test_the_grid_of_jpeg_shows_wherever_it_starts() -> None:
    """A crop moves the borders; they are found at every offset. Noise has none, and stripes in one axis are no grid."""
    pixels = _decompressed(white((512, 512), sigma=6), 50)
    for offset in (0, 3, 7):
        assert blocking(as_squares(pixels[offset:, offset:], 32)) > STANDARD.max_blocking
    assert blocking(as_squares(white((512, 512)), 32)) < 0.1
    stripes = white((512, 512))
    stripes[:, ::8] += 30
    assert blocking(as_squares(stripes, 32)) < 0.1


def test_quiet_jpeg_shows_its_grid() -> None:
    """Where quantisers exceed the noise of the few live squares, no comb is left, but the borders stand out."""
    pixels = _decompressed(white((512, 512), sigma=6), 80)
    assert (survey(pixels, bit_depth=8).verdict == Verdict.COMPRESSED).any()


@pytest.mark.parametrize("offset", [(0, 0), (3, 5), (7, 1)])
def test_the_comb_of_jpeg_shows_wherever_it_starts(offset: tuple[int, int]) -> None:
    """At quality 90 no border shows in noise, but the coefficients are multiples of their quantisers."""
    pixels = _decompressed(white((512, 512), sigma=6), 90)[offset[0] :, offset[1] :]
    assert comb_share(as_squares(pixels, 32)) > 0.9
    assert comb_share(as_squares(white((512, 512), sigma=6), 32)) == 0


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_mixed_frames_have_no_comb(seed: int) -> None:
    """Quiet squares beside busy ones, stars of one brightness, and coarse codes are no JPEG."""
    rng = np.random.default_rng(seed)
    pixels = white((256, 256), sigma=1.2, seed=seed) + (rng.random((256, 256)) > 0.99) * 300
    pixels[:, 128:] += white((256, 128), sigma=20, seed=seed + 1)
    assert comb_share(as_squares(pixels, 32)) < 0.1
    assert blocking(as_squares(pixels, 32)) < 0.1


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


def test_counts_and_names_add_up() -> None:
    """The map's counts by name add up to its squares, for the picture and the table in the UI."""
    pixels = white((96, 96))
    pixels[:32] = 1000
    found = survey(pixels)
    assert found.counts == {"live": 6, "constant": 3}
    assert sum(found.counts.values()) == found.verdict.size
    assert found.dominant_reason is RejectionReason.CONSTANT


def test_bit_entropy_at_its_corners() -> None:
    """0 and 1 bit, without a logarithm of zero."""
    assert bit_entropy(np.array([0.0, 0.5, 1.0])).tolist() == pytest.approx([0, 1, 0], abs=1e-9)
