"""Noise in a few frequencies is found at any size, and no honest spectrum is taken for it, however steep or lined."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.extraction.made.spectrum import empty_spectrum_share
from entropy_assets.core.extraction.noise import NoiseExtractor
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.recipe import STANDARD, recipe_named
from entropy_assets_tests.core.frames import frame, survey, white

SHAPE = (256, 320)


def waves(share: float, sigma: float, shape: tuple[int, int] = SHAPE, seed: int = 1) -> npt.NDArray[np.int64]:
    """Give noise of `sigma` steps that consists of a random `share` of all frequencies."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(rng.standard_normal(shape))
    spectrum *= rng.random(spectrum.shape) < share
    noise = np.fft.irfft2(spectrum, s=shape)
    return np.rint(1000 + sigma * noise / noise.std()).astype(np.int64)


@pytest.mark.parametrize("share", [0.03, 0.1, 0.5])
@pytest.mark.parametrize("sigma", [3, 8, 50])
def test_noise_in_a_few_frequencies_is_found(share: float, sigma: float) -> None:
    """The empty share is that of the frequencies left out, but for what rounding to whole steps puts there."""
    found = empty_spectrum_share(waves(share, sigma), sigma)
    assert found == pytest.approx(1 - share, abs=0.03 if sigma > 3 else 0.4)
    assert found > 10 * STANDARD.max_empty_spectrum


@pytest.mark.parametrize("share", [0.03, 0.1])
def test_it_is_found_under_rounding_that_is_half_the_noise(share: float) -> None:
    """At 0.6 steps, the quietest noise that is live, rounding fills every frequency; still there is too little."""
    assert empty_spectrum_share(waves(share, 0.6), 0.6) > 1.3 * STANDARD.max_empty_spectrum


@pytest.mark.parametrize("shape", [(96, 96), (1021, 300), (1500, 1100), (2048, 1536), (1201, 1034)])
def test_every_size_is_folded_without_leaks(shape: tuple[int, int]) -> None:
    """Sides that divide are folded, others stay whole: a frequency of the frame stays one frequency."""
    assert empty_spectrum_share(waves(0.1, 8, shape), 8) > 0.85


def test_stars_and_hot_pixels_do_not_fill_the_empty_frequencies() -> None:
    """Twenty saturated pixels in a frame: without the clip they have more power at each frequency than the noise."""
    pixels = waves(0.1, 8)
    pixels.ravel()[np.random.default_rng(2).integers(0, pixels.size, 20)] = 65_535
    assert empty_spectrum_share(pixels, 8) > 10 * STANDARD.max_empty_spectrum


def test_the_frame_is_refused_with_its_reason() -> None:
    """No credit, and the message says which search spoke and what to send."""
    with pytest.raises(ImageRejected, match=r"generator.*frequencies are empty.*send a frame") as rejection:
        NoiseExtractor().extract(frame(waves(0.03, 8)), bytes(32))
    assert rejection.value.reason is RejectionReason.SYNTHETIC_NOISE
    assert survey(waves(0.1, 8)).counts == {"synthetic": 80}


def honest(kind: str, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Give a frame of honest noise whose spectrum is anything but flat."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    stars = np.zeros(SHAPE)
    for top, left, light in zip(rng.random(60) * 256, rng.random(60) * 320, rng.exponential(3000, 60), strict=True):
        stars += light * np.exp(-((y - top) ** 2 + (x - left) ** 2) / 6)
    kinds: dict[str, Callable[[], npt.NDArray[np.float64]]] = {
        "gradient": lambda: rng.poisson(2000 + 60.0 * x + 40 * y).astype(float),
        "stars": lambda: rng.poisson(300 + stars) + rng.normal(0, 3, SHAPE),
        "stars over quiet noise": lambda: 300 + stars + rng.normal(0, 0.8, SHAPE),
        "vignetting": lambda: rng.poisson(20_000 - 0.3 * ((x - 160) ** 2 + (y - 128) ** 2)).astype(float),
        "banding": lambda: rng.normal(1000, 4, SHAPE) + rng.normal(0, 20, (SHAPE[0], 1)),
        "fixed pattern": lambda: rng.normal(1000, 20, SHAPE) + rng.normal(0, 1, SHAPE),
        "columns": lambda: rng.normal(1000, 2, SHAPE) + rng.normal(0, 9, (1, SHAPE[1])),
        "mosaic": lambda: rng.poisson(800 + 200 * (x % 2) + 200 * (y % 2)).astype(float),
        "stacked rows": lambda: rng.normal(1000, 4, (16, SHAPE[1])).repeat(16, axis=0) + rng.normal(0, 3, SHAPE),
        "interference": lambda: rng.normal(1000, 4, SHAPE) + 30 * np.sin(0.31 * x + 0.17 * y) + 9 * np.sin(0.9 * x),
        "slow noise": lambda: rng.normal(1000, 3, SHAPE) + np.cumsum(rng.normal(0, 2, SHAPE), axis=1),
        "a patch": lambda: np.where((y < 96) & (x < 96), rng.normal(1000, 5, SHAPE), 500),
        "hot pixels": lambda: rng.normal(1000, 4, SHAPE) + (rng.random(SHAPE) < 0.01) * rng.exponential(900, SHAPE),
    }
    return kinds[kind]()


KINDS = ["gradient", "stars", "stars over quiet noise", "vignetting", "banding", "fixed pattern", "columns", "mosaic"]
KINDS += ["stacked rows", "interference", "slow noise", "a patch", "hot pixels"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_honest_spectrum_is_called_empty(kind: str) -> None:
    """Strong slow parts, lines, waves, point sources and dead areas: the median cell has one in a hundred."""
    pixels = np.rint(honest(kind, np.random.default_rng(5))).astype(np.int64)
    assert 0.003 < empty_spectrum_share(pixels, max(0.6, survey(pixels).median_sigma)) < 0.02


@given(st.floats(0.6, 60), st.integers(96, 400), st.integers(96, 400), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_white_noise_has_one_in_a_hundred(sigma: float, height: int, width: int, seed: int) -> None:
    """At any width and size; small frames have few cells, hence the upper bound."""
    assert empty_spectrum_share(white((height, width), sigma, seed), sigma) < 0.8 * STANDARD.max_empty_spectrum


def test_both_widths_of_pixels_give_the_same() -> None:
    """Steps come as int16 where their Laplacian fits, and wider elsewhere; the residual is the same."""
    pixels = waves(0.3, 8)
    narrow = empty_spectrum_share((pixels - pixels.min()).astype(np.int16), 8)
    assert narrow == empty_spectrum_share(pixels - pixels.min(), 8)


def test_a_small_frame_has_no_say() -> None:
    """In 64x64 pixels there are eight cells; chance would speak."""
    assert empty_spectrum_share(waves(0.03, 8, (64, 64)), 8) == 0


def test_earlier_recipes_do_not_look_at_the_spectrum() -> None:
    """Their blocks were made without this search, and must come out again."""
    found = survey_frame(frame(waves(0.1, 8)), recipe_named("ea-2026-1"))
    assert (found.empty_spectrum, found.advice, found.live_fraction) == (0.0, "", 1.0)
