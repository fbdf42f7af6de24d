"""How pixels scatter about what is known of them, and what that is worth: exact min-entropies, no estimates.

The truth
---------
The adversary knows all but the fresh noise: the level of every pixel to any fraction of a code, earlier frames, the
codec, every rule. To them a pixel takes the code k with probability ``F(k + 1/2) - F(k - 1/2)``, F being the cumulative
distribution about the level that they know; an ideal ADC rounds half up. Their best guess is the code of greatest
probability p, so the pixel holds ``-log2 p`` bits. Fresh noise is independent from pixel to pixel, so the bits of
pixels add up: their sum is exactly the min-entropy of all of them together, given what is known. The level's place
between two codes matters where noise is narrow: at sigma 0.2 a pixel in the middle of a code holds 0.02 bits, and one
between two codes a whole bit. So the truth is told for each pixel.

A credited difference is that of two pixels. Its distribution is the correlation of theirs; its bits follow alike.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, ndtr, pdtr
from scipy.stats import poisson

Reals = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

REACH: Final = 9.0
"""Codes further than this many standard deviations from the level are left out: less than 1e-18 of a Gaussian."""
PAIRS_SEEN: Final = 64
"""Pairs of pixels, evenly spread over a frame of many levels, whose differences stand for all of them."""


class Law(Protocol):
    """How one pixel scatters about its level.

    Attributes
    ----------
    sigma
        Standard deviation, codes; it only decides how far masses are looked at.
    """

    @property
    def sigma(self) -> float: ...

    def below(self, boundary: Reals, level: Reals) -> Reals:
        """Return the probability that the value before rounding lies below `boundary`, codes."""
        ...

    def draw(self, rng: np.random.Generator, level: Reals) -> Codes:
        """Return one fresh code for each level."""
        ...


def rounded(values: Reals) -> Codes:
    """Return `values` rounded half up, as an ideal ADC does; half to even would make even codes wider."""
    return np.floor(values + 0.5).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Gaussian:
    """Read noise of `sigma` codes."""

    sigma: float

    def below(self, boundary: Reals, level: Reals) -> Reals:
        return ndtr((boundary - level) / self.sigma)

    def draw(self, rng: np.random.Generator, level: Reals) -> Codes:
        return rounded(level + rng.normal(0, self.sigma, np.shape(level)))


@dataclass(frozen=True, slots=True)
class Electrons:
    """Shot noise of a Poisson number of electrons, and Gaussian read noise; levels are codes above the bias.

    Attributes
    ----------
    gain
        Electrons per code.
    read_noise
        Standard deviation, electrons; 0 for a flat, where shot noise is all.
    sigma
        Of the brightest level, codes.
    """

    gain: float
    read_noise: float
    sigma: float

    def below(self, boundary: Reals, level: Reals) -> Reals:
        mean, edge = np.broadcast_arrays(np.asarray(level) * self.gain, np.asarray(boundary) * self.gain)
        if self.read_noise == 0:
            return pdtr(np.maximum(np.ceil(edge) - 1, 0), mean) * (np.ceil(edge) > 0)
        total = np.zeros(edge.shape)
        for one in np.unique(mean):
            place = mean == one
            numbers = np.arange(0, int(one + REACH * np.sqrt(one) + 40))
            shares = poisson.pmf(numbers, one)
            total[place] = ndtr((edge[place][:, np.newaxis] - numbers) / self.read_noise) @ shares
        return total

    def draw(self, rng: np.random.Generator, level: Reals) -> Codes:
        mean = np.asarray(level) * self.gain
        return rounded((rng.poisson(mean) + rng.normal(0, 1, mean.shape) * self.read_noise) / self.gain)


@dataclass(frozen=True, slots=True)
class MedianOf:
    """The median of `count` (odd) exposures: below b if more than half of them are (order statistics)."""

    one: Law
    count: int

    @property
    def sigma(self) -> float:
        return self.one.sigma

    def below(self, boundary: Reals, level: Reals) -> Reals:
        half = (self.count + 1) / 2
        return betainc(half, half, self.one.below(boundary, level))

    def draw(self, rng: np.random.Generator, level: Reals) -> Codes:
        return np.median([self.one.draw(rng, level) for _ in range(self.count)], axis=0).astype(np.int64)


@dataclass(frozen=True, slots=True)
class UnevenCodes:
    """An ADC whose even codes are wider than one code, by `excess`, and whose odd ones are as much narrower."""

    sigma: float
    excess: float

    def below(self, boundary: Reals, level: Reals) -> Reals:
        above_even = np.mod(np.floor(boundary), 2) == 0
        return ndtr((boundary + np.where(above_even, 0.5, -0.5) * self.excess - level) / self.sigma)

    def draw(self, rng: np.random.Generator, level: Reals) -> Codes:
        values = level + rng.normal(0, self.sigma, np.shape(level))
        even = 2 * np.floor(values / 2 + 0.5)
        return (even + np.where(np.abs(values - even) <= (1 + self.excess) / 2, 0, np.sign(values - even))).astype(int)


def mean_of(sigma: float, count: int) -> Gaussian:
    """Return the law of the rounded mean of `count` exposures of Gaussian noise, each rounded before.

    The sum of n rounded values has the variance n (sigma**2 + 1/12); as the rounding of a Gaussian again (Sheppard) it
    is one of variance n (sigma**2 + 1/12) - 1/12. From sigma 2 on what is left out is below 1e-30. The mean is rounded
    half up, so its codes lie half a step of the sum lower: its level is that of one exposure, plus 1 / (2 n).
    """
    return Gaussian(float(np.sqrt(count * (sigma**2 + 1 / 12) - 1 / 12)) / count)


def pixel_bits(law: Law, level: Reals | float) -> Reals:
    """Return the min-entropy of a pixel about each level, bits: the mode lies at the level's code or beside it."""
    known, place = np.unique(np.asarray(level, dtype=np.float64), return_inverse=True)
    nearest = np.floor(known + 0.5)
    masses = [law.below(nearest + n + 0.5, known) - law.below(nearest + n - 0.5, known) for n in (-1, 0, 1)]
    return -np.log2(np.max(masses, axis=0))[place].reshape(np.shape(level))


def masses_at(law: Law, level: float) -> tuple[Codes, Reals]:
    """Return the codes that a pixel of this level may take, ascending, and the probability of each."""
    reach = int(np.ceil(REACH * law.sigma)) + 2
    codes = np.arange(-reach, reach + 1) + int(np.floor(level + 0.5))
    edges = np.append(codes, codes[-1] + 1) - 0.5
    return codes, np.diff(law.below(edges, np.full(edges.shape, level)))


def through_table(codes: Codes, masses: Reals, table: Codes) -> Reals:
    """Return the probabilities of the values that ``table[code]`` takes, in the values' order, zeros between them."""
    values = table[np.clip(codes, 0, len(table) - 1)]
    return np.bincount(values - values.min(), weights=masses)


def difference_bits(left: Reals, right: Reals) -> float:
    """Return the min-entropy of the difference of two independent pixels, bits, from the masses of each."""
    return float(-np.log2(np.correlate(left, right, "full").max()))


def pair_bits(law: Law, level: Reals | float) -> float:
    """Return the mean min-entropy of the differences of pixel pairs, bits; of a frame of many levels, of some pairs."""
    if np.ndim(level) == 0:
        masses = masses_at(law, float(level))[1]
        return difference_bits(masses, masses)
    left, right = np.asarray(level)[:, ::2].ravel(), np.asarray(level)[:, 1::2].ravel()
    seen = np.linspace(0, len(left) - 1, PAIRS_SEEN).astype(np.int64)
    return float(np.mean([difference_bits(masses_at(law, left[n])[1], masses_at(law, right[n])[1]) for n in seen]))
