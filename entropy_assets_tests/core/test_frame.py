"""Frame: the ADC step and the pixel digest see through the container."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from entropy_assets.core.digests import pixel_digest
from entropy_assets.core.frame import PIXEL_LIMIT, Frame, adc_step
from entropy_assets.errors import ImageRejected, RejectionReason


def build(pixels: Any, usable: Any = None, **changes: Any) -> Frame:
    """Return a frame of `pixels` with stock facts."""
    facts = {"data": b"file", "bit_depth": 16, "container": "fits", "lossy": False, "source": "drop"} | changes
    return Frame.build(np.asarray(pixels), usable, **facts)


@pytest.fixture
def codes() -> Any:
    """Give 12-bit sensor noise, ADC codes."""
    return np.random.default_rng(1).normal(900, 12, (200, 200)).astype(np.int32)


def everywhere(pixels: Any) -> Any:
    """Return a mask under which every pixel is usable."""
    return np.ones(pixels.shape[1:], dtype=np.bool_)


@pytest.mark.parametrize(
    "stretch, step",
    [
        (lambda c: c, 1),
        (lambda c: c + 32768, 1),
        (lambda c: -c, 1),
        (lambda c: c * 16, 16),
        (lambda c: c * 16 + 1, 16),
        (lambda c: (c & 255) * 257, 257),
        (lambda c: c * 10, 10),
        (lambda c: (c << 4) | (c >> 8), 16),
        (lambda c: (c.astype(np.int64) * 65535 // 4095).astype(np.int32), 16),
    ],
    ids=["plain", "offset", "negative", "left-justified", "DN+1", "x257", "x10", "bit-replicated", "rescaled"],
)
def test_step_of_the_adc_is_found_whatever_the_stretch(codes: Any, stretch: Any, step: int) -> None:
    """The step is that of the ADC, not that of the container."""
    pixels = stretch(codes)[np.newaxis]
    assert adc_step(pixels, everywhere(pixels)) == step


@pytest.mark.parametrize("clipped", [1, 50, 4000])
def test_step_survives_saturation_off_the_grid(codes: Any, clipped: int) -> None:
    """Left-justified pixels clipped to 65535 and filled with -1, both off the grid, don't hide step 16."""
    pixels = codes * 16
    pixels.ravel()[:clipped] = 65535
    pixels.ravel()[-clipped:] = -1
    assert adc_step(pixels[np.newaxis], everywhere(pixels[np.newaxis])) == 16


def test_step_survives_a_crowd_at_both_ends(codes: Any) -> None:
    """The last code of the grid and the clipped one above it are both populous: their distance is no step."""
    pixels = codes * 16
    pixels[:20], pixels[20:45], pixels[45:70], pixels[70:90] = 65535, 65520, 0, -1
    assert adc_step(pixels[np.newaxis], everywhere(pixels[np.newaxis])) == 16


def test_step_survives_a_few_repaired_pixels(codes: Any) -> None:
    """A handful of interpolated pixels between the codes don't hide step 16."""
    pixels = codes * 16
    pixels[3, 4:9] += np.array([3, 5, 7, 9, 11], dtype=np.int32)
    assert adc_step(pixels[np.newaxis], everywhere(pixels[np.newaxis])) == 16


def test_step_of_wide_sparse_integers_is_one() -> None:
    """Values so wide that hardly any repeats show no grid: their chance gaps are not taken for a step."""
    pixels = np.random.default_rng(2).integers(0, 1 << 40, (1, 64, 64))
    assert adc_step(pixels, everywhere(pixels)) == 1


def test_step_of_a_constant_is_one_and_of_two_values_their_distance() -> None:
    """Nothing varies: 1. Two codes: their distance is the smallest step that can be argued."""
    constant = np.full((1, 8, 8), 7, dtype=np.int32)
    two = constant.copy()
    two[0, 0, 0] = 27
    assert adc_step(constant, everywhere(constant)) == 1
    assert adc_step(two, everywhere(two)) == 20


def test_step_ignores_masked_pixels(codes: Any) -> None:
    """What the container calls blank has no say in the step."""
    pixels, usable = codes[np.newaxis] * 16, np.ones(codes.shape, dtype=np.bool_)
    pixels[0, ::3] += 5
    usable[::3] = False
    assert adc_step(pixels, usable) == 16


@settings(max_examples=60, deadline=None)
@given(
    codes=hnp.arrays(np.int64, (1, 12, 12), elements=st.integers(0, 40)),
    step=st.integers(1, 300),
    offset=st.integers(-70000, 70000),
)
def test_true_step_divides_the_found_one(codes: Any, step: int, offset: int) -> None:
    """On an exact grid the answer is a multiple of the true step: never finer than the ADC."""
    pixels = codes * step + offset
    found = adc_step(pixels, everywhere(pixels))
    assert found % step == 0 or len(np.unique(codes)) == 1


@pytest.mark.parametrize(
    "disguise",
    [
        lambda c: c + 32768,
        lambda c: c * 16,
        lambda c: c.astype(np.uint16),
        lambda c: c.astype(np.int64) * 1000 - 5,
        lambda c: np.stack([c, c, c]),
        np.asfortranarray,
    ],
    ids=["offset", "left-justified", "unsigned", "stretched", "three equal channels", "column order"],
)
def test_replay_in_another_container_has_the_same_digest(codes: Any, disguise: Any) -> None:
    """Offset, step, type and a tripled channel don't make a new exposure."""
    assert build(disguise(codes)).pixel_sha256 == build(codes).pixel_sha256


def test_digest_tells_one_changed_pixel_and_another_shape(codes: Any) -> None:
    """Any change of what was measured changes the digest."""
    changed = codes.copy()
    changed[100, 100] += 1
    others = [changed, codes.reshape(100, 400), codes.reshape(400, 100)]
    assert len({build(pixels).pixel_sha256 for pixels in (codes, *others)}) == 4


def test_value_under_the_mask_does_not_enter(codes: Any) -> None:
    """A blank pixel may hold anything: digest, step and range stay."""
    usable = np.ones(codes.shape, dtype=np.bool_)
    usable[5, 6] = False
    low, high = codes.copy(), codes.copy().astype(np.int64)
    low[5, 6], high[5, 6] = -32767, 1 << 60
    assert pixel_digest(low[np.newaxis], usable, 1) == pixel_digest(high[np.newaxis], usable, 1)
    first, second = build(low, usable), build(high, usable)
    assert first.pixel_sha256 == second.pixel_sha256
    assert second.pixels.dtype == np.int16
    assert not second.usable[5, 6]


@pytest.mark.parametrize(
    "highest, dtype",
    [
        (4095, np.int16),
        (4096, np.int32),
        (1 << 26, np.int32),
        ((1 << 26) + 1, np.int64),
        (PIXEL_LIMIT, np.int64),
    ],
)
def test_type_leaves_room_for_residuals(highest: int, dtype: Any) -> None:
    """int16 only below 2**12, int32 only up to 2**26: a 3x3 Laplacian of the extremes is then exact in it."""
    frame = build(np.array([[highest, -highest], [0, 1]], dtype=np.int64))
    assert frame.pixels.dtype == dtype
    assert int(np.sum(np.abs(frame.pixels), dtype=frame.pixels.dtype)) * 4 <= np.iinfo(dtype).max


@pytest.mark.parametrize("value", [PIXEL_LIMIT + 1, -PIXEL_LIMIT - 1, (1 << 63) - 1, -(1 << 63)])
def test_pixels_beyond_exact_arithmetic_are_refused(value: int) -> None:
    """64-bit extremes are refused, not overflowed."""
    with pytest.raises(ImageRejected) as caught:
        build(np.array([[value, 0]], dtype=np.int64))
    assert caught.value.reason is RejectionReason.UNSUPPORTED_PIXELS


def test_frame_without_a_usable_pixel_is_refused() -> None:
    """Nothing measured, nothing to build."""
    with pytest.raises(ImageRejected) as caught:
        build(np.ones((2, 2), dtype=np.int32), np.zeros((2, 2), dtype=np.bool_))
    assert caught.value.reason is RejectionReason.NOT_FINITE


def test_frame_is_its_own_and_read_only(codes: Any) -> None:
    """Neither the caller nor a reader can change a frame afterwards."""
    mask = np.ones(codes.shape, dtype=np.bool_)
    frame = build(codes, mask)
    before = frame.pixels.copy()
    codes[:] = 0
    mask[:] = False
    assert np.array_equal(frame.pixels, before)
    assert frame.usable.all()
    for array in (frame.pixels, frame.usable):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
