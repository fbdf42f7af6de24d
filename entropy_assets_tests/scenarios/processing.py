"""What software makes of frames: stacks, bins, tables, wider integers. Every rule counts as known, dither too.

Each function returns a `Scenario` from a seeded generator and the side of its frames, pixels.
"""

import dataclasses

import numpy as np

from entropy_assets_tests.scenarios.laws import (
    Codes,
    Gaussian,
    Law,
    MedianOf,
    difference_bits,
    masses_at,
    mean_of,
    pixel_bits,
    through_table,
)
from entropy_assets_tests.scenarios.scenario import Scenario, Truth, constant, only_held, single, truth_of
from entropy_assets_tests.scenarios.sensors import LEVEL, flat


def mean(rng: np.random.Generator, side: int, sigma: float, count: int) -> Scenario:
    """The mean of `count` exposures, rounded half up; none of them is known."""
    total = sum(Gaussian(sigma).draw(rng, flat(side)) for _ in range(count))
    codes = (2 * total + count) // (2 * count)
    return single(codes, truth_of(mean_of(sigma, count), flat(side, LEVEL + 0.5 / count)))


def median(rng: np.random.Generator, side: int, sigma: float, count: int) -> Scenario:
    """The median of `count` exposures; none of them is known."""
    law = MedianOf(Gaussian(sigma), count)
    return single(law.draw(rng, flat(side)), truth_of(law, flat(side)))


def binned(rng: np.random.Generator, side: int, sigma: float) -> Scenario:
    """The mean of 2 x 2 pixels, rounded half up."""
    fine = Gaussian(sigma).draw(rng, flat(2 * side)).reshape(side, 2, side, 2)
    codes = (fine.sum(axis=(1, 3)) + 2) // 4
    return single(codes, truth_of(mean_of(sigma, 4), flat(side, LEVEL + 0.125)))


def enlarged(rng: np.random.Generator, side: int, sigma: float, order: int) -> Scenario:
    """Twice as many rows and columns, by copies (`order` 0) or bilinear (1); the header says that it is a mosaic.

    Each phase by itself is white noise.
    """
    half = Gaussian(sigma).draw(rng, flat(side // 2))
    fine = half.repeat(2, axis=0).repeat(2, axis=1)
    if order:
        for axis in (0, 1):
            beside = np.moveaxis(fine, axis, 0)
            beside[1::2] = (beside[1::2] + np.roll(beside[::2], -1, axis=0) + 1) // 2
    bits = half.size * float(pixel_bits(Gaussian(sigma), LEVEL))
    return single(fine, only_held((side, side)), holds=bits, BAYERPAT="'RGGB'")


def between_rows(rng: np.random.Generator, side: int, sigma: float) -> Scenario:
    """Every second row is the mean of those beside it, raised to the same noise, and the header tells of a mosaic."""
    codes = Gaussian(sigma).draw(rng, flat(side))
    means = (codes[::2] + np.roll(codes[::2], -1, axis=0)) / 2 - LEVEL
    codes[1::2] = np.rint(LEVEL + 2**0.5 * means)
    bits = codes.size // 2 * float(pixel_bits(Gaussian(sigma), LEVEL))
    return single(codes, only_held((side, side)), holds=bits, BAYERPAT="'RGGB'")


def one_colour_of_a_mosaic(rng: np.random.Generator, side: int, sigma: float) -> Scenario:
    """The green of a Bayer mosaic, its gaps filled by the mean of four neighbours, and the header still there."""
    codes = Gaussian(sigma).draw(rng, flat(side))
    gaps = np.indices((side, side)).sum(axis=0) % 2 == 0
    around = sum(np.roll(codes, by, axis) for by in (-1, 1) for axis in (0, 1))
    bits = codes.size // 2 * float(pixel_bits(Gaussian(sigma), LEVEL))
    filled = np.where(gaps, (around + 2) // 4, codes)
    return single(filled, only_held((side, side)), holds=bits, BAYERPAT="'GRBG'")


def master_dark(rng: np.random.Generator, side: int, sigma: float, count: int, width: float) -> Scenario:
    """The mean of `count` darks over a pattern that stays, known from other darks of the sensor; the header says so."""
    law = mean_of(sigma, count)
    levels = LEVEL + rng.normal(0, width, (side, side)) + 0.5 / count
    cards = {"IMAGETYP": "'MASTER DARK'", "NCOMBINE": count, "STACKCNT": count}
    return single(law.draw(rng, levels), truth_of(law, levels), **cards)


def tabled(rng: np.random.Generator, side: int, sigma: float, table: Codes, level: float = LEVEL) -> Scenario:
    """Codes that went through a table, ``int64[code]``: gamma, stretch, gain. Codes that it merges add up."""
    law = Gaussian(sigma)
    return single(table[law.draw(rng, flat(side, level))], tabled_truth(law, side, level, table))


def tabled_truth(law: Law, side: int, level: float, table: Codes) -> Truth:
    """Return the truth of pixels of one level behind `table`."""
    masses = through_table(*masses_at(law, level), table)
    return constant((side, side), float(-np.log2(masses.max())), difference_bits(masses, masses))


def banded_rows(rng: np.random.Generator, side: int, sigma: float, width: float, *, doubled: bool) -> Scenario:
    """Every second row is the one above (`doubled`), or the mean of both beside it raised to their noise; each row has
    an offset of its own, which scatters by `width`. Offsets count as known, so only every second row holds something.
    """
    codes = Gaussian(sigma).draw(rng, flat(side))
    fresh = codes[::2].astype(np.float64)
    codes[1::2] = fresh if doubled else np.rint(LEVEL + (fresh + np.roll(fresh, -1, axis=0) - 2 * LEVEL) / 2**0.5)
    bits = codes.size // 2 * float(pixel_bits(Gaussian(sigma), LEVEL))
    banded = np.rint(codes + rng.normal(0, width, (side, 1))).astype(np.int64)
    return single(banded, only_held((side, side)), holds=bits)


def gamma_8_of_12() -> Codes:
    """Return the table from 12 bits to 8 of a display, gamma 2.2."""
    return np.rint(255 * (np.arange(4096) / 4095) ** (1 / 2.2)).astype(np.int64)


def stretch_16_of_12() -> Codes:
    """Return the table from 12 bits to 16 that stretches by a square root."""
    return np.rint(65_535 * (np.arange(4096) / 4095) ** 0.5).astype(np.int64)


def gain(factor: float) -> Codes:
    """Return the table of a digital gain: above 1 it leaves gaps (a comb), below it merges codes."""
    return np.floor(np.arange(4096) * factor + 0.5).astype(np.int64)


def dithered(rng: np.random.Generator, side: int, factor: int, sigma: float) -> Scenario:
    """8 bits made 16: codes times `factor`, plus one step of random dither, whose generator and seed are known.

    The 8-bit level is that of a code's middle.
    """
    law = Gaussian(sigma)
    codes = law.draw(rng, flat(side, 100.0)) * factor + rng.integers(0, factor, (side, side))
    return single(codes, truth_of(law, flat(side, 100.0)))


def dithered_twice(rng: np.random.Generator, side: int, factor: int, sigma: float) -> Scenario:
    """The same with triangular dither: the sum of two even numbers, one step to either side, rounded half up."""
    law = Gaussian(sigma)
    dither = rng.random((side, side)) + rng.random((side, side)) - 1
    codes = np.floor((law.draw(rng, flat(side, 100.0)) + dither) * factor + 0.5).astype(np.int64)
    return single(codes, truth_of(law, flat(side, 100.0)))


def dithered_after_another(rng: np.random.Generator, side: int, factor: int, sigma: float) -> Scenario:
    """Even dither over codes with a noise of their own, of a camera that sent such a frame before."""
    earlier, frame = (dithered(rng, side, factor, sigma) for _ in range(2))
    return dataclasses.replace(frame, earlier=tuple(exposure.data for exposure in earlier.exposures))
