"""Min-entropy estimators of NIST SP 800-90B 6.3 (non-IID track) that count, in section order.

Each function takes a sequence of symbols, which are counted where they lie, and returns an `Estimate`, or None where
the sequence is too short for the estimator. Names of variables are those of the standard; numbers agree with NIST's
own tool to 1e-10.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from entropy_assets.core.sp800_90b.arrays.counts import WORD, most_frequent, ones_and_pairs
from entropy_assets.core.sp800_90b.kernels import counts_for

Symbols = npt.NDArray[np.uint8]

Z: Final = float(ndtri(0.995))
"""Quantile of the normal distribution for a one-sided 99.5 % bound, 2.5758 (6.3)."""
MARKOV_LENGTH: Final = 128
"""Length of the sequence whose likeliest course is looked for, bits (6.3.3)."""
DICTIONARY: Final = 1000
"""d, words that fill the dictionary of the compression estimate (6.3.4 step 2)."""
SPREAD: Final = 0.5907
"""c, correction of the spread of the compression statistic (6.3.4 step 5)."""
NEGLIGIBLE: Final = math.log(1e-22)
"""Terms of a geometric series below this, as a logarithm, are left out."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one estimator says.

    Attributes
    ----------
    min_entropy
        Bits per symbol.
    values
        What it follows from, by the standard's names; those that end in ``_bound`` have a prime there.
    """

    min_entropy: float
    values: dict[str, float]


def bits_of(p: float) -> float:
    """Return -log2 of a probability, never -0."""
    return -math.log2(p) + 0.0


def upper_bound(p: float, n: int) -> float:
    """Return the 99.5 % upper bound of a probability estimated as `p` from `n` observations (6.3.1 step 2)."""
    return min(1.0, p + Z * math.sqrt(p * (1 - p) / (n - 1)))


def most_common_value(symbols: Symbols) -> Estimate | None:
    """Return the estimate of 6.3.1, from the most frequent symbol."""
    n = symbols.shape[0]
    if n < 2:
        return None
    mode = most_frequent(symbols)
    p_u = upper_bound(mode / n, n)
    return Estimate(bits_of(p_u), {"mode_count": mode, "p_hat": mode / n, "p_u": p_u})


def collision(bits: Symbols) -> Estimate | None:
    """Return the estimate of 6.3.2, from the distance between equal bits; bits only.

    A collision takes 2 bits (equal neighbours) or 3. The equation of step 7 has a closed form for bits, as in NIST's
    tool.
    """
    if bits.shape[0] < 4:
        return None
    twos, threes = counts_for(bits).collisions(bits)
    v = twos + threes
    if v < 2:
        return None
    mean = float(2 * twos + 3 * threes) / v
    variance = max(0.0, (float(4 * twos + 9 * threes) - v * mean * mean) / (v - 1))
    bound = mean - Z * math.sqrt(variance / v)
    p = 0.5 if bound >= 2.5 else min(1.0, 0.5 + math.sqrt(max(0.0, 1.25 - 0.5 * bound)))
    values = {"v": v, "sum_t": 2 * twos + 3 * threes, "x_bar": mean, "sigma_hat": math.sqrt(variance)}
    return Estimate(bits_of(p), values | {"x_bar_bound": bound, "p": p})


def markov(bits: Symbols) -> Estimate | None:
    """Return the estimate of 6.3.3, from the likeliest course of a first-order chain over 128 bits; bits only."""
    n = bits.shape[0]
    if n < 2:
        return None
    ones, both = ones_and_pairs(bits)
    up, down = ones - int(bits[0]) - both, ones - int(bits[-1]) - both
    codes = ((n - 1 - both - up - down, up), (down, both))
    start_1 = ones / n
    start = (1 - start_1, start_1)
    move = [[count / max(1, sum(counts)) for count in counts] for counts in codes]
    half = MARKOV_LENGTH // 2
    courses = (
        (start[0], (move[0][0], MARKOV_LENGTH - 1)),
        (start[0], (move[0][1], half), (move[1][0], half - 1)),
        (start[0], (move[0][1], 1), (move[1][1], MARKOV_LENGTH - 2)),
        (start[1], (move[1][0], 1), (move[0][0], MARKOV_LENGTH - 2)),
        (start[1], (move[1][0], half), (move[0][1], half - 1)),
        (start[1], (move[1][1], MARKOV_LENGTH - 1)),
    )
    surprises = [_surprise(first) + sum(times * _surprise(p) for p, times in moves) for first, *moves in courses]
    values = {"p_0": start[0], "p_1": start_1, "p_00": move[0][0], "p_01": move[0][1]}
    values |= {"p_10": move[1][0], "p_11": move[1][1], "p_max": 2.0 ** -min(surprises)}
    return Estimate(min(1.0, min(surprises) / MARKOV_LENGTH), values)


def _surprise(p: float) -> float:
    return bits_of(p) if p > 0 else math.inf


def compression(bits: Symbols) -> Estimate | None:
    """Return the estimate of 6.3.4, from the distance between equal words of 6 bits; bits only."""
    count = bits.shape[0] // WORD
    v = count - DICTIONARY
    if v < 2:
        return None
    seen = counts_for(bits).distances(bits, count, DICTIONARY)
    logs = np.log2(np.arange(1, len(seen)))
    mean = float((seen[1:] * logs).sum()) / v
    spread = SPREAD * math.sqrt(max(0.0, float((seen[1:] * logs * logs).sum()) / (v - 1) - mean * mean))
    bound = mean - Z * spread / math.sqrt(v)
    p = _most_likely_word(bound, count)
    values = {"x_bar": mean, "sigma_hat": spread, "x_bar_bound": bound, "p": p}
    return Estimate(bits_of(p) / WORD, values)


def _most_likely_word(bound: float, count: int) -> float:
    """Return p of 6.3.4 step 7, with which the mean of the logarithms is `bound`; 1/64 or 1 where none is so."""
    others = (1 << WORD) - 1
    weights = _Weights(count)

    def excess(p: float) -> float:
        return weights.expected_log(p) + others * weights.expected_log((1 - p) / others) - bound

    low = 1 / (1 << WORD)
    if excess(low) <= 0:
        return low
    # The nearer `p` is to 1, the more terms the sum has: so it is looked for from below.
    for high in (2 * low, 4 * low, 8 * low, 0.5, 0.75, 0.875, 0.96875, 0.998, 1 - 1e-6, 1 - 1e-12):
        if excess(high) < 0:
            from scipy.optimize import brentq  # half a second to import, which every process would pay

            return float(brentq(excess, low, high, xtol=1e-15, rtol=8.9e-16))
        low = high
    return 1.0


class _Weights:
    """What 6.3.4 step 7 weighs the powers of ``1 - z`` with, for a sequence of `count` words."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._powers = np.empty(0)
        self._inside = self._last = np.empty(0)

    def expected_log(self, z: float) -> float:
        """Return G(z): the mean of log2 of the distance to a word of probability `z`.

        The double sum over t and u is one sum over u: distance u < t occurs for every t above u.
        """
        if z <= 0:
            return 0.0
        decay = math.log1p(-z)
        terms = min(self._count, int(NEGLIGIBLE / decay) + 2)
        if terms > len(self._powers):
            self._reach(terms)
        powers = np.exp(self._powers[:terms] * decay)
        inside = z * z * float((self._inside[:terms] * powers).sum())
        last = z * float((self._last[DICTIONARY:terms] * powers[DICTIONARY:]).sum())
        return (inside + last) / (self._count - DICTIONARY)

    def _reach(self, terms: int) -> None:
        """Have weights for at least so many powers: a little more, since the next `z` may be a little smaller."""
        u = np.arange(1, min(self._count, terms + terms // 8) + 1)
        self._powers, self._last = (u - 1).astype(np.float64), np.log2(u)
        self._inside = self._last * (self._count - np.maximum(u, DICTIONARY))
