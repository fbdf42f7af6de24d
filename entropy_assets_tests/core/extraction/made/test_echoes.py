"""Triangular dither, and even dither over codes with noise, is found; no noise of a sensor is taken for it."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from entropy_assets.core.extraction.made.dither import dithered_share
from entropy_assets.core.extraction.made.echoes import shows_codes_beneath
from entropy_assets.core.extraction.squares import as_squares
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.recipe import STANDARD, recipe_named
from entropy_assets_tests.core.frames import frame, survey

SIDE = 512
Codes = npt.NDArray[np.int64]


def rounded(values: npt.NDArray[np.float64]) -> Codes:
    return np.floor(values + 0.5).astype(np.int64)


def dithered(step: float, noise: float, order: int, slope: float = 0.0, seed: int = 1) -> Codes:
    """Give codes with so much noise, `slope` codes brighter at the right, times `step`, with so many even numbers."""
    rng = np.random.default_rng(seed)
    levels = 100 + slope * np.linspace(0, 1, SIDE)
    codes = rounded(levels + noise * rng.standard_normal((SIDE, SIDE)))
    return rounded(step * (codes + rng.random((order, SIDE, SIDE)).sum(axis=0)))


def found(pixels: Codes) -> bool:
    """Look as a survey does: first in every second square, and at what shows there in all of them."""
    squares = as_squares(pixels, 32)
    return shows_codes_beneath(squares[::2], float(survey(pixels).median_sigma), lambda: squares)


@pytest.mark.parametrize("step", [16, *(pytest.param(step, marks=pytest.mark.slow) for step in (8, 64.0625, 257))])
@pytest.mark.parametrize("noise", [0.1, 0.3])
@pytest.mark.parametrize("slope", [0, 10])
def test_triangular_dither_is_found_without_being_told_its_step(step: float, noise: float, slope: float) -> None:
    """On codes as quiet as a dead square's, flat or on a slope, though no histogram is even anywhere."""
    pixels = dithered(step, noise, order=2, slope=slope)
    assert dithered_share(as_squares(pixels, 32)[::2]) < STANDARD.max_dithered_share
    assert found(pixels)


@pytest.mark.parametrize("noise", [0.9, 1.0])
def test_even_dither_is_found_over_noise_of_a_code(noise: float) -> None:
    """Boxes are smooth by then; the side lobes of their characteristic function are not."""
    assert found(dithered(257, noise, order=1))


def test_a_frame_under_triangular_dither_is_refused_with_its_reason() -> None:
    """The reason and the share are those of even dither, and the message says what to send; `ea-2026-1` never looks."""
    seen = survey(dithered(16, 0.3, order=2))
    assert (seen.counts, seen.dithered_share) == ({"dithered": 256}, 1)
    assert "send the file from before that" in seen.advice
    assert survey_frame(frame(dithered(16, 0.3, order=2)), recipe_named("ea-2026-1")).dithered_share == 0


def waves(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """Give the sum of waves of one strength, as interference leaves them."""
    y, x = np.mgrid[:SIDE, :SIDE]
    along, across, phase = rng.uniform(0.05, 0.5, (3, count))
    return np.sum(
        [np.sin(2 * np.pi * (a * x + b * y + c)) for a, b, c in zip(along, across, phase, strict=True)], axis=0
    )


SENSORS: dict[str, Callable[[np.random.Generator], npt.NDArray[np.float64]]] = {
    "Gaussian": lambda rng: rng.normal(0, 3, (SIDE, SIDE)),
    "few photons, high gain": lambda rng: 20 * rng.poisson(1, (SIDE, SIDE)) + rng.normal(0, 8, (SIDE, SIDE)),
    "electron multiplier": lambda rng: 20 * rng.standard_gamma(rng.poisson(2, (SIDE, SIDE)) + 1e-9),
    "exponential": lambda rng: rng.exponential(9, (SIDE, SIDE)),
    "Laplace": lambda rng: rng.laplace(0, 6, (SIDE, SIDE)),
    "three levels of telegraph noise": lambda rng: (
        34 * rng.binomial(2, 0.5, (SIDE, SIDE)) + rng.normal(0, 7.7, (SIDE, SIDE))
    ),
    "two waves": lambda rng: 19 * waves(rng, 2) + rng.normal(0, 8, (SIDE, SIDE)),
    "a digital gain": lambda rng: 1.37 * np.rint(rng.normal(0, 3, (SIDE, SIDE))),
    "uneven codes": lambda rng: 2.0 * (rng.normal(0, 12, (SIDE, SIDE)) // 1) + (rng.random((SIDE, SIDE)) < 0.42),
}


@pytest.mark.parametrize("kind", SENSORS)
def test_no_noise_of_a_sensor_is_taken_for_dither(kind: str) -> None:
    """Where characteristic functions go on, or vanish once, they have not all the lobes of dither."""
    assert not found(rounded(1000.3 + SENSORS[kind](np.random.default_rng(5))))


def test_few_squares_have_no_say() -> None:
    """Three squares are twelve quarters, and chance would speak; a frame without live squares has none."""
    squares = as_squares(dithered(16, 0.3, order=1), 32)
    assert not shows_codes_beneath(squares[:3], 6.5, lambda: squares)
    assert not shows_codes_beneath(squares[:0], 6.5, lambda: squares)
