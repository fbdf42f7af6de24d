"""What sensors deliver: white noise, shot noise, patterns that stay, mosaics, banding, odd ADCs.

Each function returns a `Scenario` from a seeded generator and the side of its frames, pixels.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np

from entropy_assets_tests.scenarios.laws import (
    Electrons,
    Gaussian,
    Reals,
    UnevenCodes,
    difference_bits,
    masses_at,
    rounded,
    through_table,
)
from entropy_assets_tests.scenarios.scenario import Exposure, Scenario, constant, fits_file, single, truth_of

LEVEL = 1000.0
"""Level of a frame, codes."""


def flat(side: int, level: float = LEVEL) -> Reals:
    """Return the same level everywhere."""
    return np.full((side, side), level)


def clean(rng: np.random.Generator, side: int, sigma: float, scale: float = 1.0) -> Scenario:
    """White noise on a constant level; each code is stored `scale` times as high, as some drivers do."""
    codes = Gaussian(sigma).draw(rng, flat(side))
    return single(np.rint(codes * scale).astype(np.int64), truth_of(Gaussian(sigma), flat(side)))


def second_frame(rng: np.random.Generator, side: int, sigma: float) -> Scenario:
    """The same where the sensor gave a frame before: its memory knows that there is no pattern."""
    law, levels = Gaussian(sigma), flat(side)
    before = fits_file(law.draw(rng, levels))
    return Scenario((Exposure(fits_file(law.draw(rng, levels)), truth_of(law, levels)),), earlier=(before,))


def slope(rng: np.random.Generator, side: int, sigma: float) -> Scenario:
    """White noise on a level that rises by ten codes, so that pixels lie everywhere between two codes."""
    levels = LEVEL + np.add.outer(np.linspace(0, 7, side), np.linspace(0, 3, side))
    return single(Gaussian(sigma).draw(rng, levels), truth_of(Gaussian(sigma), levels))


def sky(rng: np.random.Generator, side: int, electrons: float, read_noise: float, gain: float) -> Scenario:
    """A sky of `electrons` a pixel: shot noise and read noise, over a bias of `LEVEL`."""
    law = Electrons(gain, read_noise, float(np.sqrt(electrons + read_noise**2)) / gain)
    levels = flat(side, electrons / gain)
    return single(law.draw(rng, levels) + int(LEVEL), truth_of(law, levels))


def pattern(rng: np.random.Generator, side: int, multiple: float, sigma: float, spent: int = 0) -> Scenario:
    """A known pattern that stays, `multiple` times as wide as the noise of `sigma`; `spent` frames came before."""
    levels = LEVEL + rng.normal(0, multiple * sigma, (side, side))
    law = Gaussian(sigma)
    earlier = tuple(fits_file(law.draw(rng, levels)) for _ in range(spent))
    return Scenario((Exposure(fits_file(law.draw(rng, levels)), truth_of(law, levels)),), earlier)


def pattern_in_one_batch(rng: np.random.Generator, side: int, multiple: float, sigma: float, count: int) -> Scenario:
    """The same pattern in `count` frames of one batch."""
    levels = LEVEL + rng.normal(0, multiple * sigma, (side, side))
    truth = truth_of(Gaussian(sigma), levels)
    return Scenario(tuple(Exposure(fits_file(Gaussian(sigma).draw(rng, levels)), truth) for _ in range(count)))


def wide_steps(rng: np.random.Generator, side: int, step: int, sigma: float, width: float, spent: int = 0) -> Scenario:
    """Codes of a coarse ADC times `step`, less a known master dark of `width`; `sigma` is in steps of the ADC.

    The dark fills the codes between two steps, and yet all that is fresh are whole steps. `spent` frames came before.
    """
    law, dark = Gaussian(sigma), rng.normal(0, width, (side, side))
    levels = np.broadcast_to(100 + np.linspace(0, 6, side), (side, side))
    files = [fits_file(rounded(law.draw(rng, levels) * step - dark)) for _ in range(spent + 1)]
    return Scenario((Exposure(files[-1], truth_of(law, levels)),), tuple(files[:-1]))


def flat_fielded(
    rng: np.random.Generator, side: int, step: int, sigma: float, share: float, spent: int = 0
) -> Scenario:
    """The same, divided by a known flat of `share` in place of the dark."""
    law, response = Gaussian(sigma), rng.normal(1, share, (side, side))
    levels = np.broadcast_to(100 + np.linspace(0, 6, side), (side, side))
    files = [fits_file(rounded(law.draw(rng, levels) * step / response)) for _ in range(spent + 1)]
    return Scenario((Exposure(files[-1], truth_of(law, levels)),), tuple(files[:-1]))


def photon_counter(rng: np.random.Generator, side: int, photons: float, width: float, spent: int = 0) -> Scenario:
    """A Poisson number of `photons` a pixel, 37.3 codes each, over a known pattern; `photons` is below 1."""
    levels = LEVEL + rng.normal(0, width, (side, side))
    files = [fits_file(rounded(levels + 37.3 * rng.poisson(photons, levels.shape))) for _ in range(spent + 1)]
    # None is the likeliest number.
    return Scenario((Exposure(files[-1], constant(levels.shape, photons / math.log(2), None)),), tuple(files[:-1]))


def uneven_pixels(rng: np.random.Generator, side: int, share: float, gain: float, **cards: object) -> Scenario:
    """A flat of 15,000 electrons a pixel whose sensitivity varies by `share` (PRNU), `gain` electrons per code."""
    levels = np.maximum(15_000 / gain * (1 + rng.normal(0, share, (side, side))), 0.0)
    law = Electrons(gain, 0.0, np.sqrt(16_000) / gain)
    return single(law.draw(rng, levels), truth_of(law, levels), **cards)


def lit_unevenly(
    rng: np.random.Generator, side: int, share: float, gain: float, ratio: float, strangers: int = 0
) -> Scenario:
    """The same on a slope of light up to 15,000 electrons; `strangers` are frames of another sensor, spent before."""
    light = np.broadcast_to(np.linspace(15_000 / ratio, 15_000, side), (side, side)) / gain
    levels = np.maximum(light * (1 + rng.normal(0, share, (side, side))), 0.0)
    law = Electrons(gain, 0.0, np.sqrt(16_000) / gain)
    earlier = tuple(fits_file(Gaussian(2.0).draw(rng, flat(side))) for _ in range(strangers))
    return Scenario((Exposure(fits_file(law.draw(rng, levels)), truth_of(law, levels)),), earlier)


def on_an_earlier_frame(rng: np.random.Generator, side: int, sigma: float) -> Scenario:
    """An exposure that was spent before, and fresh noise of `sigma` over it: the codes of the earlier one are known."""
    before = Gaussian(8.0).draw(rng, flat(side))
    law = Gaussian(sigma)
    codes = law.draw(rng, before.astype(np.float64))
    truth = truth_of(law, flat(side))
    return Scenario((Exposure(fits_file(codes), truth),), earlier=(fits_file(before),))


ELECTRONS = {"R": 800.0, "G": 1200.0, "B": 900.0, "W": 2000.0}
"""A sky through the filters of a colour camera, electrons."""
X_TRANS = "GGRGGBGGBGGRBRGRBGGGBGGRGGRGGBRBGBRG"
QUAD_BAYER = "RRGGRRGGGGBBGGBB"
RGBW = "WGWRGWRWWBWGBWGW"


def mosaic(rng: np.random.Generator, side: int, pattern: str, **cards: object) -> Scenario:
    """A sky through the filter array `pattern`, its rows one after the other; one electron per code."""
    levels = through_filters(side, pattern)
    law = Electrons(1.0, 3.0, 36.0)
    return single(law.draw(rng, levels), truth_of(law, levels), **cards)


def mosaic_again(rng: np.random.Generator, side: int, pattern: str, ratio: float, **cards: object) -> Scenario:
    """The second frame of a mosaic on a slope of light, whose end is `ratio` times as bright as where it begins."""
    levels = through_filters(side, pattern) * np.linspace(2 / (1 + ratio), 2 * ratio / (1 + ratio), side)
    law = Electrons(1.0, 0.0, 50.0)
    before = fits_file(law.draw(rng, levels), **cards)
    return Scenario((Exposure(fits_file(law.draw(rng, levels), **cards), truth_of(law, levels)),), (before,))


def rising(side: int, ratio: float) -> Reals:
    """Return light that rises from left to right, to 1, and is `ratio` times as bright there as where it begins."""
    return np.broadcast_to(np.linspace(1 / ratio, 1, side), (side, side))


def vignetted(side: int, ratio: float) -> Reals:
    """Return light that falls from 1 in the middle with the square of the distance; in the corners to 1 / `ratio`."""
    square = np.linspace(-1, 1, side) ** 2
    return np.asarray(1 - (1 - 1 / ratio) * np.add.outer(square, square) / 2)


def mosaic_in_light(
    rng: np.random.Generator, side: int, pattern: str, light: Callable[[int], Reals], brightest: float, sigma: float = 0
) -> Scenario:
    """A mosaic under uneven `light`, green of `brightest` electrons, one a code; or with noise of `sigma` codes."""
    levels = through_filters(side, pattern) / ELECTRONS["G"] * brightest * light(side)
    law = Gaussian(sigma) if sigma else Electrons(1.0, 0.0, math.sqrt(brightest))
    return single(law.draw(rng, levels), truth_of(law, levels))


def amplifiers_of_columns(rng: np.random.Generator, side: int, count: int) -> Scenario:
    """A sky of 900 electrons, one a code, that `count` amplifiers read, column by column, whose gains differ."""
    gains = 1 + np.linspace(-0.1, 0.1, count)[np.random.default_rng(count).permutation(count)]
    levels = np.broadcast_to(900 * gains[np.arange(side) % count], (side, side))
    law = Electrons(1.0, 0.0, 32.0)
    return single(law.draw(rng, levels), truth_of(law, levels))


def spent_mosaic_with_bright_pixels(rng: np.random.Generator, side: int, every: int) -> Scenario:
    """A mosaic that was spent before, and a bright pixel in each `every` x `every` of a colour: nothing is fresh."""
    codes = Electrons(1.0, 3.0, 36.0).draw(rng, through_filters(side, "RGGB"))
    again = codes.copy()
    for row, column in np.ndindex(2, 2):
        again[row :: 2 * every, column :: 2 * every] += rng.integers(0, 60_000)
    return Scenario((Exposure(fits_file(again), constant((side, side), 0.0, 0.0)),), (fits_file(codes),))


def through_filters(side: int, pattern: str) -> Reals:
    """Return the level of each pixel behind the filter array `pattern`."""
    period = round(len(pattern) ** 0.5)
    array = np.array([ELECTRONS[letter] for letter in pattern]).reshape(period, period)
    return np.tile(array, (side // period + 1, side // period + 1))[:side, :side]


def called_a_mosaic(rng: np.random.Generator, side: int, sigma: float) -> Scenario:
    """A grey frame whose header says that it is a mosaic."""
    return single(Gaussian(sigma).draw(rng, flat(side)), truth_of(Gaussian(sigma), flat(side)), BAYERPAT="'RGGB'")


def banding(rng: np.random.Generator, side: int, width: float, sigma: float) -> Scenario:
    """Rows whose offsets scatter by `width`. To be safe the offsets count as known."""
    levels = np.repeat(LEVEL + rng.normal(0, width, (side, 1)), side, axis=1)
    return single(Gaussian(sigma).draw(rng, levels), truth_of(Gaussian(sigma), levels))


def banding_in_waves(rng: np.random.Generator, side: int, height: float, period: int, sigma: float) -> Scenario:
    """Rows whose offsets swing by `height` every `period` rows, as the supply of a readout does."""
    wave = height * np.sin(2 * np.pi * np.arange(side) / period)
    levels = np.repeat(LEVEL + wave[:, np.newaxis], side, axis=1)
    return single(Gaussian(sigma).draw(rng, levels), truth_of(Gaussian(sigma), levels))


def column_banding(rng: np.random.Generator, side: int, width: float, sigma: float) -> Scenario:
    """Columns whose offsets scatter by `width`: pair differences hold them, and they stay from frame to frame."""
    levels = np.repeat(LEVEL + rng.normal(0, width, (1, side)), side, axis=0)
    return single(Gaussian(sigma).draw(rng, levels), truth_of(Gaussian(sigma), levels))


def drifting_columns(rng: np.random.Generator, side: int, multiple: float, drift: float, sigma: float) -> Scenario:
    """The second frame of a known pattern, `multiple` times as wide as the noise, whose columns drift from frame to
    frame by `drift` times the noise. Each column has one new offset for all its pixels, so to be safe that is known.
    """
    law, pattern = Gaussian(sigma), LEVEL + rng.normal(0, multiple * sigma, (side, side))
    levels = [pattern + rng.normal(0, drift * sigma, (1, side)) for _ in range(2)]
    before, codes = (fits_file(law.draw(rng, each)) for each in levels)
    return Scenario((Exposure(codes, truth_of(law, levels[1])),), (before,))


def clipped_dark(rng: np.random.Generator, side: int, level: float, sigma: float) -> Scenario:
    """A dark without offset: codes below zero are stored as zero, which becomes the likeliest one."""
    law = Gaussian(sigma)
    codes, masses = masses_at(law, level)
    left = through_table(codes, masses, np.arange(codes[-1] + 1))
    truth = constant((side, side), float(-np.log2(left.max())), difference_bits(left, left))
    return single(np.maximum(law.draw(rng, flat(side, level)), 0), truth)


def uneven_adc(rng: np.random.Generator, side: int, sigma: float, odd_share: float) -> Scenario:
    """An ADC that gives odd codes in only `odd_share` of cases."""
    law = UnevenCodes(sigma, 1 - 2 * odd_share)
    return single(law.draw(rng, flat(side)), truth_of(law, flat(side)))


MOSAICS: Final = {
    "Bayer mosaic under a vignette of 3 : 1, 40,000 e-": partial(
        mosaic_in_light, pattern="RGGB", light=partial(vignetted, ratio=3), brightest=40_000
    ),
    "Bayer mosaic on a slope of 3 : 1, 40,000 e-": partial(
        mosaic_in_light, pattern="RGGB", light=partial(rising, ratio=3), brightest=40_000
    ),
    "Bayer mosaic on a slope of 1.3 : 1, sigma 0.6": partial(
        mosaic_in_light, pattern="RGGB", light=partial(rising, ratio=1.3), brightest=1000, sigma=0.6
    ),
    "Bayer mosaic under a vignette of 1.3 : 1, sigma 1": partial(
        mosaic_in_light, pattern="RGGB", light=partial(vignetted, ratio=1.3), brightest=1000, sigma=1.0
    ),
    "X-Trans mosaic under a vignette of 2 : 1, 40,000 e-": partial(
        mosaic_in_light, pattern=X_TRANS, light=partial(vignetted, ratio=2), brightest=40_000
    ),
    "Quad Bayer mosaic": partial(mosaic, pattern=QUAD_BAYER),
    "RGBW mosaic under a vignette of 2 : 1, 4,000 e-": partial(
        mosaic_in_light, pattern=RGBW, light=partial(vignetted, ratio=2), brightest=4000
    ),
    **{f"columns of {n} amplifiers": partial(amplifiers_of_columns, count=n) for n in (4, 5, 7)},
}
"""Mosaics under light that changes more within a few squares than their noise is wide, and of other periods."""
COARSE: Final = {
    "8 bits x 257 over a known flat of 1%, sigma 0.2, the second": partial(
        flat_fielded, step=257, sigma=0.2, share=0.01, spent=1
    ),
    "8 bits x 257 less a known dark of 60, sigma 0.3, the second": partial(
        wide_steps, step=257, sigma=0.3, width=60.0, spent=1
    ),
    "8 bits x 257 less a known dark of 20, sigma 0.4, the second": partial(
        wide_steps, step=257, sigma=0.4, width=20.0, spent=1
    ),
    "10 bits x 64 less a known dark of 90, sigma 0.3, the third": partial(
        wide_steps, step=64, sigma=0.3, width=90.0, spent=2
    ),
    "photon counter, 0.1 a pixel, known pattern 8, the second": partial(
        photon_counter, photons=0.1, width=8.0, spent=1
    ),
    "8 bits x 257 over a known flat of 1%, sigma 0.3": partial(flat_fielded, step=257, sigma=0.3, share=0.01),
    "photon counter, 0.1 a pixel, known pattern 8": partial(photon_counter, photons=0.1, width=8.0),
}
"""Fresh noise that takes a few values, in steps that a known pattern fills."""
HIDDEN: Final = {
    "8 bits x 257 over a known flat of 1%, sigma 0.8": partial(flat_fielded, step=257, sigma=0.8, share=0.01)
}
"""The same where a first frame shows nothing of it: its pixels follow the law of wide noise to one part in 10**8."""
