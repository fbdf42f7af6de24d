"""Compiled loops and arrays find the same numbers, to the last bit, in whatever frame."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.extraction import (
    artefacts,
    compiled,
    lattices,
    phases,
    slopes,
    squares,
    templates,
)
from entropy_assets.core.extraction.made import dither, linearity, spectrum
from entropy_assets.core.extraction.noise import NoiseExtractor
from entropy_assets.core.extraction.survey import Survey, survey_frame
from entropy_assets.core.frame import Frame
from entropy_assets.recipe import STANDARD, recipe_named
from entropy_assets_tests.core.frames import frame

Steps = npt.NDArray[np.signedinteger]
Kind = Callable[[np.random.Generator, tuple[int, int]], npt.NDArray[np.number]]

KINDS: dict[str, Kind] = {
    "noise": lambda rng, shape: rng.normal(300, 5, shape),
    "quiet noise": lambda rng, shape: rng.normal(20, 0.6, shape),
    "all codes": lambda rng, shape: rng.integers(0, 8192, shape),
    "clipped noise": lambda rng, shape: np.clip(rng.normal(0, 9, shape), 0, 12),
    "stars": lambda rng, shape: rng.normal(300, 5, shape) + 7000 * (rng.random(shape) < 0.02),
    "constant lines": lambda rng, shape: np.where(rng.random((shape[0], 1)) < 0.1, 7, rng.normal(300, 5, shape)),
    "copied columns": lambda rng, shape: rng.normal(300, 5, shape)[:, np.arange(shape[1]) // 2],
    "a tile": lambda rng, shape: np.tile(rng.normal(300, 5, (13, 17)), (40, 40))[: shape[0], : shape[1]],
    "dithered codes": lambda rng, shape: 9 * np.rint(rng.normal(30, 0.3, shape)) + rng.integers(0, 9, shape),
    "dither beside noise": lambda rng, shape: np.where(
        np.arange(shape[1]) < shape[1] // 2,
        9 * rng.integers(3, 5, shape) + rng.integers(0, 9, shape),
        rng.normal(40, 3, shape),
    ),
    "blocks": lambda rng, shape: rng.normal(300, 2, shape) + 9 * (np.add.outer(*map(np.arange, shape)) // 8 % 2),
    "a constant": lambda rng, shape: np.full(shape, 3),
}
WIDTHS = {"int16": (np.int16, 1), "int32": (np.int32, 8), "beyond sums in float64": (np.int32, 15_000)}
# Surveys where numba can't be imported.
WITHOUT_NUMBA = """
import json, sys
sys.modules["numba"] = None
import numpy as np
from entropy_assets.core.extraction.compiled import loops
from entropy_assets_tests.core.frames import survey
pixels = np.random.default_rng(1).normal(1000, 5, (96, 96)).astype(np.int64)
print(json.dumps([loops() is None, survey(pixels).lattice_rise]))
"""


@contextmanager
def by_arrays() -> Iterator[None]:
    """Leave the compiled loops out."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (compiled, dither, lattices, linearity, spectrum, templates):
            patch.setattr(module, "loops", lambda: None)
        yield


@st.composite
def planes(draw: st.DrawFn) -> Steps:
    """Give steps of one channel, from a little over one square to some, whose last ones may be incomplete."""
    width, gain = WIDTHS[draw(st.sampled_from(sorted(WIDTHS)))]
    shape = draw(st.sampled_from([32, 40, 64, 128])), draw(st.sampled_from([32, 64, 77, 160]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = np.rint(KINDS[draw(st.sampled_from(sorted(KINDS)))](rng, shape)).astype(np.int64)
    return np.ascontiguousarray(gain * (np.clip(values, 0, 8191)), dtype=width)


def live_in(steps: Steps) -> npt.NDArray[np.bool_]:
    """Return some squares of a plane, at least one."""
    live = np.random.default_rng(steps.size).random([side // 32 for side in steps.shape]) < 0.8
    live[0, 0] = True
    return live


def statistics_of(steps: Steps) -> list[npt.NDArray[np.generic]]:
    found = squares.square_statistics(steps, (0, int(steps.max())), 32)
    return [getattr(found, field.name) for field in fields(found)]


def strongest_in(steps: Steps) -> tuple[npt.NDArray[np.intp], ...]:
    rows, columns = np.nonzero(live_in(steps))
    return tuple(
        place
        for parts in (1, 2, 4)
        for place in templates._middles(steps, rows, columns, np.ones(len(rows)), 32, parts)
    )


def windows_in(steps: Steps) -> tuple[npt.NDArray[np.generic], ...]:
    """Return the residuals of windows at the strongest pixels and elsewhere, and how they are described."""
    _, y, x = strongest_in(steps)[:3]
    tops, lefts = (np.concatenate((places - templates.REACH, places % 20)) for places in (y, x))
    residuals = templates._residuals(steps, tops, lefts)
    return residuals, templates._described(residuals)


def planes_taken_off(steps: Steps) -> list[object]:
    """Return what is left of a mosaic of period 2 and of one of period 6, for the sketch and for the survey."""
    laid = [phases.laid_out(np.tile(steps, (period, period)), period, 32) for period in (2, 6)]
    return [
        (slopes.without_slopes(each, period), *(slopes.flattened(each, period, sigma) for sigma in (9.0, 9000.0)))
        for each, period in zip(laid, (2, 6), strict=True)
    ]


LONG = ("planes of colours",)

TWINS: dict[str, Callable[[Steps], object]] = {
    "statistics of squares": statistics_of,
    "planes of colours": planes_taken_off,
    "copies": lambda steps: artefacts.repeated_share(steps, live_in(steps), 32),
    "borders of blocks": lambda steps: artefacts.blocking(np.tile(squares.as_squares(steps, 32), (4, 1, 1))),
    "boxes of codes": lambda steps: dither.dithered_share(np.tile(squares.as_squares(steps, 32), (9, 1, 1))),
    "steps of coders": lambda steps: lattices.lattice_rise(np.tile(squares.as_squares(8 * steps, 32), (9, 1, 1))),
    "empty frequencies": lambda steps: spectrum.empty_spectrum_share(np.tile(steps, (9, 5)), 5.0),
    "linear bits": lambda steps: linearity.relative_complexity(steps, live_in(steps), 32, float(steps.std())),
    "strongest pixels": strongest_in,
    "windows of noise": windows_in,
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in TWINS])
def test_arrays_and_loops_agree(name: str) -> None:
    """Every float too: what follows from the whole numbers is computed in one place."""
    pytest.importorskip("numba")
    twin = TWINS[name]

    @given(planes())
    @settings(max_examples=30, deadline=None)
    def agree(steps: Steps) -> None:
        by_loops = twin(steps)
        with by_arrays():
            np.testing.assert_equal(by_loops, twin(steps))

    agree()


@given(st.lists(st.booleans(), max_size=20), st.integers(0, 400), st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_both_find_the_same_complexity(start: list[bool], length: int, seed: int) -> None:
    """Of nothing, of zeros, of bits that a register repeats, and of such a register that is disturbed at one place."""
    pytest.importorskip("numba")
    taps = np.random.default_rng(seed).integers(0, 2, len(start))
    bits = [int(bit) for bit in start]
    while start and len(bits) < length:
        bits.append(int(taps @ bits[-len(start) :]) & 1)
    if bits and seed % 3 == 0:
        bits[seed % len(bits)] ^= 1
    found = linearity._complexity(np.array(bits, dtype=np.int64))
    with by_arrays():
        assert linearity._complexity(np.array(bits, dtype=np.int64)) == found


@pytest.mark.parametrize("length", [1, 63, 64, 65, 127, 128, 129, 500, 2048])
def test_both_find_the_same_complexity_of_noise(length: int) -> None:
    """Around the ends of words, and as long as what is looked at."""
    pytest.importorskip("numba")
    for bits in np.random.default_rng(length).integers(0, 2, (20, length)):
        found = linearity._complexity(bits)
        with by_arrays():
            assert linearity._complexity(bits) == found


@given(st.integers(1, 400), st.sampled_from([1, 7, 10**6, 2**52]), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_both_find_the_same_middle(count: int, widest: int, seed: int) -> None:
    """Of few values and many, all alike or all different, of either sign."""
    pytest.importorskip("numba")
    from entropy_assets.core.extraction.compiled.lattices import middles

    values = np.random.default_rng(seed).integers(-widest, widest, (2, 3, count)).astype(np.float64)
    assert np.array_equal(middles(values), np.sort(values, axis=2)[:, :, count // 2])


def surveyed(image: Frame, recipe: str) -> list[object]:
    found = survey_frame(image, recipe_named(recipe))
    told = [getattr(found, field.name) for field in fields(Survey)]
    if found.live_fraction < 0.1:
        return told
    return [*told, NoiseExtractor(recipe_named(recipe)).extract(image, bytes(32), found).samples]


@pytest.mark.parametrize("recipe", ["ea-2026-1", "ea-2026-2"])
@pytest.mark.parametrize("channels, mosaic", [(1, 1), (3, 1), (1, 2)])
def test_a_frame_gives_the_same_map_and_the_same_samples(recipe: str, channels: int, mosaic: int) -> None:
    """Of 8 bits and of 16, with columns that are left over, in grey and in colour: every verdict, measure and byte."""
    pytest.importorskip("numba")
    rng = np.random.default_rng(channels + mosaic)
    for scale in (1, 40):
        pixels = np.rint(rng.normal(30, 4, (channels, 256, 300))).astype(np.int64).clip(0) * 3 // 2
        image = frame(scale * pixels + rng.integers(0, scale, pixels.shape), mosaic=mosaic)
        by_loops = surveyed(image, recipe)
        with by_arrays():
            np.testing.assert_equal(by_loops, surveyed(image, recipe))


def test_regions_are_drawn_from_any_offset_and_height() -> None:
    """Regions far above the corner of the frame, and pixels beyond the span of the filter, which are clipped."""
    pytest.importorskip("numba")
    rng = np.random.default_rng(8)
    pixels = rng.integers(0, 1 << 20, (1, 64, 96))
    regions = np.array([(y, x) for y in range(0, 57, 3) for x in range(0, 89, 5)], dtype=np.int32)
    both = []
    for way in (by_arrays, pytest.MonkeyPatch.context):
        samples = np.empty((len(regions), 1, 132), dtype=np.uint8)
        with way():
            NoiseExtractor(STANDARD)._view(pixels[0].astype(np.int32), regions // 8 * 8, samples, 0)
        both.append(samples)
    assert np.array_equal(*both)


def test_without_numba_the_arrays_do_it() -> None:
    """The same measure, and no error."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_NUMBA], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    pixels = np.random.default_rng(1).normal(1000, 5, (96, 96)).astype(np.int64)
    assert json.loads(done.stdout) == [True, survey_frame(frame(pixels), STANDARD).lattice_rise]
