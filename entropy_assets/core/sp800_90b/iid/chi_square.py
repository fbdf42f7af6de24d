"""The chi-square tests of SP 800-90B 5.2.1 to 5.2.4: independence of neighbours, and the same law everywhere.

Sums go in the order in which NIST's tool adds, so that its bins come out, and its digits.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincc

from entropy_assets.core.sp800_90b.alphabets import Symbols
from entropy_assets.core.sp800_90b.arrays.counts import SAMPLES_AT_ONCE

LEAST_EXPECTED: Final = 5.0
"""Occurrences that a bin must expect (5.2.1 step 4)."""
PARTS: Final = 10
"""Parts of the sequence that goodness of fit compares (5.2.2)."""
LONGEST_TUPLE: Final = 11
"""m of the bits that independence looks at together, at most (5.2.3 step 2)."""
ALPHA: Final = 0.001
"""P-value below which the IID assumption is rejected (5.2.1 step 8)."""

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """One test.

    Attributes
    ----------
    statistic, degrees_of_freedom
        T, and how many values of it are free.
    p_value
        Probability of T or more under the IID assumption; None where there are too few samples for any bin.
    """

    statistic: float
    degrees_of_freedom: int
    p_value: float | None

    @property
    def passed(self) -> bool:
        """Whether the IID assumption stands; it does where nothing could be tested."""
        return self.p_value is None or self.p_value >= ALPHA


def independence(symbols: Symbols, alphabet: int) -> ChiSquare:
    """Return the test of the independence of neighbours: 5.2.1, of bits 5.2.3.

    Parameters
    ----------
    symbols
        ``uint8[n]``, each below `alphabet`.
    alphabet
        How many different symbols occur, 2 at least.
    """
    return _independence_of_bits(symbols) if alphabet == 2 else _independence_of_pairs(symbols, alphabet)


def goodness_of_fit(symbols: Symbols, alphabet: int) -> ChiSquare:
    """Return the test that ten parts of the sequence have the same law: 5.2.2, of bits 5.2.4; parameters as above.

    Expected are the shares in the whole sequence times the length of a part, as in NIST's tool: the standard divides
    the counts by ten, though up to nine samples are in no part.
    """
    length = len(symbols) // PARTS
    of_bits: Floats = np.bincount(symbols, minlength=2) / len(symbols)
    expected = length * (of_bits if alphabet == 2 else shares(symbols, alphabet))
    bins: Indices = np.arange(2) if alphabet == 2 else _bins_of(expected)
    parts = symbols[: PARTS * length].reshape(PARTS, length)
    seen: Indices = np.stack([np.bincount(bins[part], minlength=int(bins.max()) + 1) for part in parts])
    return _tested(np.tile(_summed(expected, bins), PARTS), seen.reshape(-1), (PARTS - 1) * int(bins.max()))


def shares(symbols: Symbols, alphabet: int) -> Floats:
    """Return the share of each symbol in a sequence, added up sample by sample as NIST's tool does.

    Which bins are made of symbols that occur equally often depends on the last digits of these sums.
    """
    counts, step = np.bincount(symbols, minlength=alphabet), 1.0 / len(symbols)
    share, held = np.zeros(alphabet), 0.0
    for start in range(0, int(counts.max()), SAMPLES_AT_ONCE):
        sums = np.add.accumulate(np.concatenate(([held], np.full(SAMPLES_AT_ONCE, step))))
        here = np.flatnonzero((counts > start) & (counts <= start + SAMPLES_AT_ONCE))
        share[here], held = sums[counts[here] - start], float(sums[-1])
    return share


def _independence_of_pairs(symbols: Symbols, alphabet: int) -> ChiSquare:
    """Return the test of 5.2.1. Where pairs share bins, as of few samples of many symbols, it rejects IID ones too."""
    pairs = len(symbols) // 2
    share = shares(symbols, alphabet)
    expected = (np.outer(share, share) * pairs).reshape(-1)
    first, second = symbols[: 2 * pairs].reshape(pairs, 2).T.astype(np.int64)
    seen = np.bincount(first * alphabet + second, minlength=len(expected))
    bins = _bins_of(expected)
    return _tested(_summed(expected, bins), _summed(seen, bins), int(bins.max()) + 1 - alphabet)


def _independence_of_bits(bits: Symbols) -> ChiSquare:
    p = np.count_nonzero(bits) / len(bits)
    rarer = min(p, 1 - p)
    m = LONGEST_TUPLE
    while m > 1 and rarer**m * (len(bits) // m) < LEAST_EXPECTED:
        m -= 1
    if m < 2:
        return ChiSquare(0.0, 0, None)
    blocks = len(bits) // m
    codes = bits[: blocks * m].reshape(blocks, m) @ (1 << np.arange(m)[::-1])
    ones = np.bitwise_count(np.arange(1 << m, dtype=np.uint16)).astype(np.float64)
    expected = p**ones * (1 - p) ** (m - ones) * blocks
    return _tested(expected, np.bincount(codes, minlength=1 << m), (1 << m) - 2)


def _bins_of(expected: Floats) -> Indices:
    """Return the bin of each value: from the rarest on, as many in one as expect 5 together (5.2.1 step 4).

    What is left at the end and expects less joins the last bin.
    """
    order = np.argsort(expected, kind="stable")
    bins = np.empty(len(expected), dtype=np.int64)
    current, held = 0, 0.0
    for place, value in zip(order.tolist(), expected[order].tolist(), strict=True):
        if held >= LEAST_EXPECTED:
            current, held = current + 1, 0.0
        bins[place] = current
        held += value
    if held < LEAST_EXPECTED and current:
        bins[bins == current] = current - 1
    return bins


def _summed(values: Floats | Indices, bins: Indices) -> Floats:
    return np.asarray(np.bincount(bins, weights=values), dtype=np.float64)


def _tested(expected: Floats, seen: Floats | Indices, degrees_of_freedom: int) -> ChiSquare:
    if degrees_of_freedom < 1:
        return ChiSquare(0.0, 0, None)
    statistic = float(np.add.accumulate((seen - expected) ** 2 / expected)[-1])
    return ChiSquare(statistic, degrees_of_freedom, float(gammaincc(degrees_of_freedom / 2, statistic / 2)))
