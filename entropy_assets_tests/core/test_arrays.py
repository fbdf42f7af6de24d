"""Wherever the arrays of a frame lie, survey and samples are the same, to the digest.

``array_api_strict`` has nothing but the array API standard, and refuses NumPy's arrays beside its own: what goes
through it needs nothing else of an accelerator's namespace, and moves nothing without saying so.
"""

import importlib.util
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.arrays import (
    HOST,
    Arrays,
    beside,
    card,
    clip,
    full_lines,
    in_pieces,
    leading_zeros,
    low_bytes,
    namespace_of,
    occurrences,
    on_host,
    row_products,
    square_products,
    upper_middles,
    windows_at,
)
from entropy_assets.core.extraction.agreement import frame_digest, known_frames
from entropy_assets.core.frame import Frame
from entropy_assets.errors import ExtraMissing, StartFailed
from entropy_assets.images.decode import decode
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.core.frames import frame
from entropy_assets_tests.core.random_frames import random_frame

STRICT = Arrays("array-api-strict", array_api_strict, array_api_strict.__version__, "cpu")
SAMPLES = (
    "apogee_ccd_raw16_tiny.fits",
    "cassini_iss_lab_flat_raw8.fits.fz",
    "saao_1m_ccd_raw16_a.fits",
    "sdo_hmi_continuum_512.jp2",
    "startracker_imx265_alt40_azi45.tif",
)


def assert_same(known: Frame) -> None:
    placed = STRICT.placed(known)
    assert not isinstance(placed.pixels, np.ndarray)
    assert frame_digest(placed, STANDARD) == frame_digest(known, STANDARD)


@pytest.mark.parametrize("name", SAMPLES)
def test_real_images_have_the_same_digest_by_the_standard_alone(samples: Path, name: str) -> None:
    assert_same(decode((samples / name).read_bytes(), source="drop", reading=STANDARD.reading))


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_random_frames_have_the_same_digest_by_the_standard_alone(seed: int) -> None:
    """Of all shapes and types: grey, colour and mosaics, of 8 to 50 bits, with tiles, stripes, stars and lost lines."""
    assert_same(random_frame(seed))


def test_a_digest_tells_one_step_of_one_pixel() -> None:
    """The tests above can fail: of two frames that differ by one step in one pixel the digests differ."""
    known = random_frame(1)
    pixels = known.pixels.copy()
    pixels[0, 40, 40] += known.adc_step
    assert frame_digest(frame(pixels), STANDARD) != frame_digest(frame(known.pixels), STANDARD)


def test_no_clip_waits_for_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package of the standard asks a card for the places that it clips."""
    monkeypatch.delattr(array_api_strict, "clip")
    for _, known in known_frames():
        assert_same(known)


def numbers(dtype: str, shape: tuple[int, ...], most: int) -> np.ndarray:
    return np.random.default_rng(most).integers(-most, most, shape).astype(dtype)


WORDS: dict[str, Callable[[Any], Any]] = {
    "low_bytes": low_bytes,
    "clip": lambda values: clip(values, -70_000, 5),
    "upper_middles": upper_middles,
    "row_products": lambda values: row_products(exact(values), exact(values)),
    "square_products": lambda values: square_products(exact(values)[:, 1:, :], exact(values)[:, :-1, :]),
    "full_lines": lambda values: full_lines(values > 0),
    "windows_at": lambda values: windows_at(values[0, :, :], np.array([0, 3, 9]), np.array([5, 0, 8]), 7, 4),
}


def exact(values: Any) -> Any:
    xp = namespace_of(values)
    return xp.astype(values, xp.float64)


@pytest.mark.parametrize("dtype, most", [("int16", 3), ("int16", 30_000), ("int32", 1 << 20), ("int64", 1 << 24)])
@pytest.mark.parametrize("word", WORDS)
def test_a_word_that_the_standard_lacks_means_the_same(word: str, dtype: str, most: int) -> None:
    """What is done by NumPy's own functions there is done in the standard's words elsewhere, with equal digits."""
    if (word, dtype, most) == ("upper_middles", "int16", 30_000):
        most = 16_000  # a range that its own type holds, as every residual's does
    values = numbers(dtype, (5, 17, 24), most)
    if word == "full_lines":
        values[2:, :3] = 1
    expected, found = WORDS[word](values), WORDS[word](array_api_strict.asarray(values))
    assert not isinstance(found, np.ndarray)
    assert on_host(found).dtype == expected.dtype
    assert np.array_equal(on_host(found), expected)


@pytest.mark.parametrize("dtype", ["uint8", "int64"])
@pytest.mark.parametrize("kinds", [1, 3, 256])
def test_numbers_are_counted_alike(dtype: str, kinds: int) -> None:
    """The counts are in memory, wherever the numbers are, and of those that don't occur they are 0."""
    values = np.random.default_rng(kinds).integers(0, 1 + kinds // 2, 999).astype(dtype)
    for found in (occurrences(values, kinds), occurrences(array_api_strict.asarray(values), kinds)):
        assert (found.dtype, found.tolist()) == (np.int64, [int((values == kind).sum()) for kind in range(kinds)])


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 63).map(lambda bit: 1 << bit), min_size=1))
@settings(max_examples=60, deadline=None)
def test_zeros_before_the_first_one_are_counted_alike(words: list[int]) -> None:
    """Of words just below a power of two as well, which a float would round up to it."""
    values = np.array([near for word in words for near in (word, word - (word > 0))], dtype=np.uint64)
    for found in (leading_zeros(values), on_host(leading_zeros(array_api_strict.asarray(values)))):
        assert (found.dtype, found.tolist()) == (np.uint8, [64 - int(word).bit_length() for word in values])


def test_places_may_lie_on_either_side() -> None:
    plane = numbers("int32", (20, 30), 99)
    place = np.array([2, 7])
    strict = array_api_strict.asarray(plane)
    expected = windows_at(plane, place, place, 4, 4)
    for top in (place, array_api_strict.asarray(place)):
        assert np.array_equal(on_host(windows_at(strict, top, top, 4, 4)), expected)


def test_an_array_is_moved_only_to_another_side() -> None:
    values = numbers("int16", (3, 4), 9)
    assert on_host(values) is values
    assert beside(values, values) is values
    moved = beside(values, array_api_strict.ones(1))
    assert np.array_equal(on_host(moved), values)


def test_a_frame_in_memory_is_placed_without_a_copy() -> None:
    known = random_frame(1)
    assert HOST.placed(known) is known
    assert HOST.by_what(known) == f"numpy {np.__version__}, cpu"
    assert STRICT.by_what(STRICT.placed(known)) == f"array-api-strict {array_api_strict.__version__}, cpu"


def test_a_frame_that_does_not_fit_is_computed_in_memory_and_it_is_told() -> None:
    def full(values: Any) -> Any:
        raise MemoryError

    small = Arrays("small", types.SimpleNamespace(asarray=full), "1", "a card")
    known = random_frame(1)
    assert small.placed(known) is known
    assert small.by_what(known) == str(HOST)


def test_what_a_frame_needs_beside_itself_may_not_fit_either() -> None:
    """Then it is begun again in memory; and where memory is too small for it, that is an error."""
    known = random_frame(1)

    def look(placed: Frame) -> str:
        if placed is known:
            return "seen"
        raise MemoryError

    def never(placed: Frame) -> str:
        raise MemoryError

    assert STRICT.computed(known, look) == ("seen", str(HOST))
    assert STRICT.computed(known, lambda placed: "seen") == ("seen", str(STRICT))
    for arrays in (STRICT, HOST):
        with pytest.raises(MemoryError):
            arrays.computed(known, never)


@pytest.mark.parametrize("fits", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("whole", [False, True])
def test_what_does_not_fit_in_memory_is_done_in_smaller_pieces(fits: int, whole: bool) -> None:
    """All of it, each place once and in order, whatever fits."""

    def work(part: slice) -> list[int]:
        if part.stop - part.start > fits:
            raise MemoryError
        return list(range(part.start, part.stop))

    found = in_pieces(work, 23, 5, whole=whole)
    assert [place for piece in found for place in piece] == list(range(23))


def test_pieces_have_an_end() -> None:
    def work(part: slice) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        in_pieces(work, 23, 5)
    assert in_pieces(work, 0, 5) == []


def test_without_a_card_the_error_says_what_to_do() -> None:
    """Of the extra, where CuPy is not installed; else of the driver and of the setting."""
    if importlib.util.find_spec("cupy") is None:
        with pytest.raises(ExtraMissing, match=r"pip install 'entropy-assets\[gpu\]'"):
            card()
        return
    try:
        assert card().name == "cupy"
    except StartFailed as error:
        assert "ENTROPY_ARRAYS=numpy" in error.message  # noqa: PT017 - either outcome is right
