"""Dithered codes are found whatever their step, offset and own noise, and no sensor's noise is taken for them."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.extraction.made.dither import dithered_share
from entropy_assets.core.extraction.noise import NoiseExtractor
from entropy_assets.core.extraction.squares import Verdict, as_squares
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.recipe import STANDARD, recipe_named
from entropy_assets_tests.core.frames import frame, survey, white

SIDE = 256
CHANCE = 0.2
"""What the noise of a sensor may reach: two of 16 squares by chance, far below the limit of the recipe."""


def dithered(
    step: float, noise: float = 0.0, *, signed: bool = False, level: float = 10.3, seed: int = 1
) -> np.ndarray:
    """Give codes with `noise` of their own, raised by `step`, plus a random number below it or to either side."""
    rng = np.random.default_rng(seed)
    codes = np.rint(level + noise * rng.standard_normal((SIDE, SIDE)))
    spread = np.floor(rng.random((SIDE, SIDE)) * step) - (step // 2 if signed else 0)
    return np.rint(codes * step + spread).astype(np.int64)


def share(pixels: npt.NDArray[np.int64]) -> float:
    return dithered_share(as_squares(pixels, 32))


@pytest.mark.parametrize("step", [3, 4, 5, 7, 16, 33, 64.0625, 100, 257, 4097])
@pytest.mark.parametrize("noise", [0, 0.1, 0.3, 0.6])
@pytest.mark.parametrize("signed", [False, True])
def test_dither_is_found_without_being_told_its_step(step: float, noise: float, signed: bool) -> None:
    """Any step from 3 codes up, whole or not, dither above or to either side, on codes as quiet as a dead square's."""
    assert share(dithered(step, noise, signed=signed)) > STANDARD.max_dithered_share


@given(st.integers(3, 400), st.floats(0, 0.5), st.floats(5, 200), st.booleans(), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_every_dithered_frame_is_refused(step: int, noise: float, level: float, signed: bool, seed: int) -> None:
    """Level and noise of the codes don't matter: at half a code between two of them both boxes are even."""
    assert share(dithered(step, noise, signed=signed, level=level, seed=seed)) > STANDARD.max_dithered_share


def test_a_dithered_frame_is_refused_with_its_reason() -> None:
    """8 bits raised to 16: no credit, and the message says which search spoke and what to send."""
    with pytest.raises(ImageRejected, match=r"boxes of codes.*send the file from before that") as rejection:
        NoiseExtractor().extract(frame(dithered(257, 0.1)), bytes(32))
    assert rejection.value.reason is RejectionReason.DITHERED
    assert survey(dithered(16)).counts == {"dithered": 64}


def test_a_slope_of_the_picture_does_not_hide_dither() -> None:
    """A picture with a sky that brightens by a code in 30 pixels; a busy picture is found by its sky alone."""
    slope = np.rint(np.linspace(10, 18, SIDE) + 0.1 * white((SIDE, SIDE), sigma=1) - 100).astype(np.int64)
    rng = np.random.default_rng(2)
    assert share(slope * 257 + rng.integers(0, 257, slope.shape)) > STANDARD.max_dithered_share
    slope[:160] += np.arange(160)[:, np.newaxis] * 3
    assert share(slope * 257 + rng.integers(0, 257, slope.shape)) > STANDARD.max_dithered_share


def sensor(kind: str, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Give a frame of one kind of honest noise."""
    y, x = np.mgrid[:SIDE, :SIDE]
    shape = (SIDE, SIDE)
    kinds: dict[str, Callable[[], npt.NDArray[np.float64]]] = {
        "gradient": lambda: rng.poisson(200 + 12 * x) + rng.normal(0, 3, shape),
        "vignetting": lambda: rng.poisson(20_000 - 0.5 * ((x - 128) ** 2 + (y - 128) ** 2)).astype(float),
        "banding": lambda: rng.normal(1000, 4, shape) + rng.normal(0, 20, (SIDE, 1)),
        "fixed pattern": lambda: rng.normal(1000, 20, shape) + rng.normal(0, 1, shape),
        "few photons": lambda: rng.poisson(2, shape) + 10.0,
        "few photons, high gain": lambda: rng.poisson(1, shape) * 20 + rng.normal(100, 2.5, shape),
        "stack of rows": lambda: rng.normal(1000, 4, (SIDE // 16, SIDE)).repeat(16, axis=0) + rng.normal(0, 3, shape),
        "mean of four": lambda: np.rint(rng.normal(1000, 8, (4, *shape))).mean(axis=0),
        "telegraph noise": lambda: rng.normal(1000, 4, shape) + 12 * (rng.random(shape) < 0.2),
        "electron multiplier": lambda: 1000 + 20 * rng.standard_gamma(rng.poisson(2, shape) + 1e-9),
        "exponential": lambda: 1000 + rng.exponential(20, shape),
        "Laplace": lambda: rng.laplace(1000, 4, shape),
        "uneven codes": lambda: 2.0 * (rng.normal(500, 12, shape) // 1) + (rng.random(shape) < 0.42),
    }
    return kinds[kind]()


KINDS = ["gradient", "vignetting", "banding", "fixed pattern", "few photons", "few photons, high gain", "stack of rows"]
KINDS += ["mean of four", "telegraph noise", "electron multiplier", "exponential", "Laplace", "uneven codes"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_noise_of_a_sensor_is_taken_for_dither(kind: str) -> None:
    """Smooth histograms, spiky ones, combs and slopes: none is even inside boxes and uneven across their edges."""
    assert share(np.rint(sensor(kind, np.random.default_rng(3))).astype(np.int64)) < CHANCE


@given(st.floats(0.6, 60), st.floats(0, 0.6), st.floats(0, 1), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_no_gaussian_noise_is_taken_for_dither(sigma: float, slope: float, level: float, seed: int) -> None:
    """At any width, on any level between two codes, on any slope; a steep slope has a flat histogram by itself."""
    background = 1000 + level + slope * sigma * np.arange(SIDE)
    assert share(np.rint(background + white((SIDE, SIDE), sigma, seed) - 1000).astype(np.int64)) < CHANCE


def test_few_squares_have_no_say() -> None:
    """In a frame of 64x64 pixels there are four squares; chance would speak."""
    assert share(dithered(257)[:64, :64]) == 0


def test_quiet_noise_between_two_codes_is_not_taken_for_dither_of_two() -> None:
    """Of 0.4 codes of noise midway between two of them both are as frequent, and hardly any other occurs."""
    assert (
        share(np.rint(1000.5 + 0.4 * np.random.default_rng(4).standard_normal((SIDE, SIDE))).astype(np.int64)) < CHANCE
    )


def test_earlier_recipes_do_not_look_for_dither() -> None:
    """Their blocks were made without this search, and must come out again."""
    found = survey_frame(frame(dithered(257, 0.1)), recipe_named("ea-2026-1"))
    assert (found.dithered_share, found.advice, found.live_fraction) == (0.0, "", 1.0)
    assert Verdict.DITHERED not in found.verdict
