"""Exact null distributions of the counts of the 256 byte values of a block.

Under the hypothesis of uniform independent bytes the counts ``n_i`` of a block of ``N`` bytes are multinomial: they are
256 independent Poisson counts of mean ``N / 256``, given that they add up to ``N``. So the characteristic function of
``sum f(n_i)`` is that of one Poisson count to the power of 256, restricted to the right total by one more Fourier sum:

    E exp(i t S) ~ sum over theta of (sum over n of pois(n) exp(i theta (n - N/256) + i t h(n)))**256

where ``h`` is ``f`` less its regression on ``n``, which moves the sum by a constant since the total is fixed. The
distribution function follows by one Fourier series. No simulation, no fitted shape, no limit theorem, some 10 ms per
block length. Absolute error about 1e-14, so the smallest P-value that is told apart is `SMALLEST_P`.
"""

import math
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from entropy_assets.core.sp800_22.second_level.tails import poisson_window

CELLS: Final = 256
"""Number of byte values."""

SMALLEST_P: Final = 1e-13
"""P-values below this are reported as this: the series can't tell them apart."""

SHORTEST: Final = 128
"""Fewest bytes for which the series is exact: below, pairs of equal bytes are too few for a fine lattice."""

_SPAN: Final = 44.0
"""Period of the Fourier series, asymptotic standard deviations."""
_BAND: Final = 15.0
"""Highest frequency of the series, in units of one over the standard deviation."""
_GRID: Final = 4096
"""Points at which the distribution function is tabulated."""


class Statistic(Enum):
    """A sum over the byte counts of a block."""

    PAIRS = "pairs"
    """Pairs of equal bytes, ``sum n (n - 1) / 2``: chi-square is ``512 / N`` times this, plus a constant."""
    LOG_LIKELIHOOD = "log-likelihood"
    """``sum n ln n``: the Shannon entropy in nats is ``ln N`` less one ``N``-th of this."""

    def of_counts(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the term of each count."""
        if self is Statistic.PAIRS:
            return counts * (counts - 1.0) / 2.0
        terms: NDArray[np.float64] = special.xlogy(counts, counts)
        return terms

    def scale(self, n_bytes: int) -> float:
        """Return the asymptotic standard deviation of the sum at this block length."""
        chi_square_sd = math.sqrt(2.0 * (CELLS - 1))
        return chi_square_sd * (n_bytes / (2.0 * CELLS) if self is Statistic.PAIRS else 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class Null:
    """Tabulated distribution function of a statistic.

    Attributes
    ----------
    at
        Increasing values of the statistic.
    less, more
        Probability of less, and of more.
    mean, sd
        Moments of the statistic.
    """

    at: NDArray[np.float64]
    less: NDArray[np.float64]
    more: NDArray[np.float64]
    mean: float
    sd: float

    def lower(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of less than each of `values`."""
        return np.interp(values, self.at, self.less)

    def upper(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of more than each of `values`."""
        return np.interp(values, self.at, self.more)


@lru_cache(maxsize=32)
def null_of(statistic: Statistic, n_bytes: int) -> Null:
    """Return the null distribution of `statistic` for blocks of `n_bytes` bytes.

    For `Statistic.PAIRS`, a whole number, it is the distribution of the sum plus a uniform number from -1/2 to 1/2:
    what makes P-values exactly uniform. It is tabulated between the whole numbers, where it is that of the sum itself.
    """
    mean = n_bytes / CELLS
    counts, probability = poisson_window(mean)
    terms = statistic.of_counts(counts)
    centre = float(probability @ terms)
    slope = float(probability @ ((terms - centre) * (counts - mean))) / mean
    residual = terms - centre - slope * (counts - mean)
    period = _SPAN * statistic.scale(n_bytes)
    frequency = 2.0 * np.pi / period * np.arange(1.0, 1 + int(_BAND * _SPAN / (2.0 * np.pi)))
    series = _conditional_cf(n_bytes, counts, probability, residual, frequency)
    at = np.linspace(-period / 2.0, period / 2.0, _GRID)
    if statistic is Statistic.PAIRS:
        stride = max(1, round(period / _GRID))
        at = np.unique(stride * np.round(at / stride)) + (0.5 - CELLS * centre) % 1.0
        series = series / np.sinc(frequency / (2.0 * np.pi))
    return _tabulate(at, _distribution(series, frequency, at, period), CELLS * centre)


def _conditional_cf(
    n_bytes: int,
    counts: NDArray[np.float64],
    probability: NDArray[np.float64],
    residual: NDArray[np.float64],
    frequency: NDArray[np.float64],
) -> NDArray[np.complex128]:
    """Return the characteristic function of the sum of 256 residuals, given that the counts add up to `n_bytes`.

    The frequency 0 is worked out beside the others, since the value there is the probability of that total.
    """
    points = 2 * int(14.0 * math.sqrt(n_bytes) + 40.0)
    reach = int(min(points / 2 - 1, points * _BAND / math.sqrt(n_bytes) / (2.0 * np.pi)))
    theta = 2.0 * np.pi / points * np.arange(-reach, reach + 1)
    one = np.exp(1j * np.outer(theta, counts - n_bytes / CELLS)) @ (
        probability[:, None] * np.exp(1j * np.outer(residual, np.append(0.0, frequency)))
    )
    joint = (one**CELLS).sum(axis=0)
    return np.asarray(joint[1:] / joint[0].real)


def _distribution(
    series: NDArray[np.complex128], frequency: NDArray[np.float64], at: NDArray[np.float64], period: float
) -> NDArray[np.float64]:
    """Return the integral up to each of `at` of the density that has these Fourier coefficients."""
    weights = series / (-1j * frequency)
    waves = np.exp(-1j * np.outer(np.append(at, -period / 2.0), frequency)) @ weights
    integral: NDArray[np.float64] = ((at + period / 2.0) + 2.0 * (waves[:-1] - waves[-1]).real) / period
    return integral


def _tabulate(at: NDArray[np.float64], lower: NDArray[np.float64], shift: float) -> Null:
    """Return the table of both tails, without the noise below `SMALLEST_P`."""
    middle = (at[1:] + at[:-1]) / 2.0
    mass = np.diff(lower)
    mean = float(mass @ middle)
    sd = float(np.sqrt(mass @ (middle - mean) ** 2))
    rising = np.maximum.accumulate(np.clip(lower, SMALLEST_P, 1.0))
    falling = np.maximum.accumulate(np.clip(1.0 - lower, SMALLEST_P, 1.0)[::-1])[::-1]
    return Null(at + shift, rising, falling, mean + shift, sd)


def chi_square_of_pairs(pairs: NDArray[np.float64], n_bytes: int) -> NDArray[np.float64]:
    """Return Pearson's chi-square over 256 equally likely cells from the number of pairs of equal bytes."""
    return (2.0 * pairs + n_bytes) * CELLS / n_bytes - n_bytes


def shannon_of_log_likelihood(log_likelihood: NDArray[np.float64], n_bytes: int) -> NDArray[np.float64]:
    """Return the plug-in Shannon entropy, bits per byte, from ``sum n ln n``."""
    return np.asarray((np.log(n_bytes) - log_likelihood / n_bytes) / np.log(2.0))


SHANNON_FLOOR_BITS: Final = 7.8
"""Shannon entropy that a block must exceed where the length allows it, bits per byte (the project's mission)."""

SHANNON_FLOOR_LOSS: Final = 1e-6
"""Share of good blocks that the floor may refuse; it applies to the lengths that keep this."""


@lru_cache(maxsize=32)
def shannon_floor_applies(n_bytes: int) -> bool:
    """Tell whether fewer than one good block in a million of this length lies below the floor."""
    at_floor = n_bytes * (np.log(n_bytes) - SHANNON_FLOOR_BITS * np.log(2.0))
    loss = null_of(Statistic.LOG_LIKELIHOOD, n_bytes).upper(np.array([at_floor]))
    return bool(loss[0] < SHANNON_FLOOR_LOSS)
