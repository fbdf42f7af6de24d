"""Exact tails of what many P-values give: how many are small, how evenly they lie, how small the smallest is.

A few cells with few counts have no fine lattice, and there the chi-square distribution is no approximation to rest on.
So the sum of squares, a whole number, is followed step by step (`tail_of`): counts are multinomial, which is to say
independent Poisson counts given their sum, and a Fourier sum over all values of both gives the chances to 1e-14.
"""

import math
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import special

Key = TypeVar("Key", bound=Hashable)

ALPHA: Final = 0.01
"""Level at which a sequence or block passes one test (SP 800-22 1.1.5)."""
BINS: Final = 10
"""Bins of the histogram of P-values (SP 800-22 4.2.2)."""
LEAST_FOR_UNIFORMITY: Final = 55
"""Fewest sequences or blocks whose P-values can be tested for uniformity (SP 800-22 4.2.2)."""
LARGEST_EXACT: Final = 1024
"""Most draws for which the tail is summed, half a second's work; beyond, `chi_square_bound`."""
_MARGIN: Final = 1e-12
"""Added to every tail: more than what rounding and `_FARTHEST` take from it, so that none is too small."""
_FARTHEST: Final = 130.0
"""Chi-square up to which sums are told apart; with ten cells more has a chance under 1e-13, however few the draws."""
_CHUNK: Final = 2**21
"""Complex numbers that are worked on at once."""


def binomial_p(successes: int, n: int, share: float) -> float:
    """Return the exact two-sided P-value of a binomial count: twice the smaller tail, at most 1."""
    at_most = float(special.bdtr(successes, n, share)) if n else 1.0
    return min(1.0, 2.0 * min(at_most, at_least(successes, n, share)))


def at_least(successes: int, n: int, share: float) -> float:
    """Return the probability of `successes` or more."""
    return float(special.bdtrc(successes - 1, n, share)) if successes else 1.0


def extreme_p(smallest: float, n: int) -> float:
    """Return the chance that the smallest of `n` independent P-values is `smallest` or less."""
    return float(-np.expm1(n * np.log1p(-min(smallest, 1.0 - 1e-16))))


def uniformity_p(p_values: NDArray[np.float64]) -> float:
    """Return the P-value of the chi-square over 10 bins of P-values (SP 800-22 4.2.2).

    By the exact distribution of the bins: with 64 blocks that of the standard gives one in a million where seven are.
    """
    return uneven_p(int((histogram(p_values) ** 2).sum()), len(p_values), BINS)


def histogram(p_values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the number of P-values in each tenth of (0, 1)."""
    return np.bincount(np.minimum((p_values * BINS).astype(np.int64), BINS - 1), minlength=BINS)


def holm(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """Return P-values corrected for their number by Holm's step-down method."""
    corrected: dict[Key, float] = {}
    largest = 0.0
    for rank, key in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[key]))
        corrected[key] = largest
    return corrected


def uneven_p(squares: int, draws: int, cells: int) -> float:
    """Return the chance that counts are as uneven or more: that their squares add up to `squares` or more.

    Parameters
    ----------
    squares
        Sum of the squared counts. Pearson's chi-square is ``cells / draws`` times this, less `draws`.
    draws
        Sum of the counts.
    cells
        Number of cells, all equally likely.

    Returns
    -------
    float
        At most 2e-12 above the exact chance and never below it, up to `LARGEST_EXACT` draws; else `chi_square_bound`.
    """
    if draws > LARGEST_EXACT:
        return chi_square_bound(squares, draws, cells)
    tail, offset = tail_of(draws, cells)
    step = squares - offset
    return float(tail[max(0, step)]) if step < len(tail) else _MARGIN


def chi_square_bound(squares: int, draws: int, cells: int) -> float:
    """Return the tail of the chi-square distribution, raised by what the exact one is above it with so many draws.

    With ten cells and from 1000 draws on, the exact tail is 1 + 260 / draws times that of the chi-square at 1e-7, where
    batches are decided, and at most 1 + 640 / draws times down to 1e-9. The factor here is the larger one.
    """
    chi_square = squares * cells / draws - draws
    return min(1.0, (1.0 + 640.0 / draws) * float(special.gammaincc((cells - 1) / 2.0, max(0.0, chi_square) / 2.0)))


@lru_cache(maxsize=32)
def tail_of(draws: int, cells: int) -> tuple[NDArray[np.float64], int]:
    """Return the chances of `uneven_p` for sums of squares from an offset on, and that offset.

    ``sum (n_i - c)**2`` with a whole number ``c`` is the sum of squares less the offset, and small. Its distribution,
    given the total, follows from that of one Poisson count, by sums over all frequencies of a whole number.
    """
    centre = round(draws / cells)
    counts, probability = poisson_window(draws / cells)
    squares = ((counts - centre) ** 2).astype(np.int64)
    period = 2 * math.ceil((_FARTHEST * draws / cells + cells * cells) / 2.0)
    points = 2 * int(9.0 * math.sqrt(draws) + 40.0)
    theta = 2.0 * np.pi / points * np.arange(points)
    shifted = probability[:, None] * np.exp(1j * np.outer(counts - draws / cells, theta))
    frequencies = np.arange(period // 2 + 1)
    joint = np.concatenate(
        [
            ((np.exp(-2j * np.pi / period * (np.outer(some, squares) % period)) @ shifted) ** cells).sum(axis=1)
            for some in np.array_split(frequencies, 1 + len(frequencies) * points // _CHUNK)
        ]
    )
    chances = np.fft.irfft(joint / joint[0].real, period)
    tail = np.minimum(1.0, np.cumsum(chances[::-1])[::-1] + _MARGIN)
    tail.setflags(write=False)
    return tail, 2 * centre * draws - cells * centre * centre


def poisson_window(mean: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the counts that a Poisson variable can take at all, to 1e-30, and their probabilities."""
    reach = 14.0 * math.sqrt(mean) + 40.0
    counts = np.arange(max(0, int(mean - reach)), int(mean + reach) + 1, dtype=np.float64)
    probability = np.exp(special.xlogy(counts, mean) - mean - special.gammaln(counts + 1.0))
    return counts, probability / probability.sum()
