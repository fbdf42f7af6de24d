"""Linear dependence among the bits: ranks of matrices and linear complexities (SP 800-22 2.5 and 2.10)."""

import math
from functools import cache
from typing import Final

import numpy as np

from entropy_assets.core.sp800_22.findings import Asked, Finding, PValue, chi_square_of, chi_square_tail, too_short
from entropy_assets.core.sp800_22.kernels import counting
from entropy_assets.core.sp800_22.packed import PackedBits

SIDE: Final = 32
"""M = Q of 2.5, rows and columns of a matrix."""
FEWEST_MATRICES: Final = 38
"""N that 2.5.7 asks for."""
COMPLEXITY_CHANCES: Final = (1 / 96, 1 / 32, 1 / 8, 1 / 2, 1 / 4, 1 / 16, 1 / 48)
"""Chances of T <= -2.5, ... T > 2.5 (3.10), up to 2**-M. The first: sum of 2**-(2 k + 1) over k from 3 on."""
STS_COMPLEXITY_CHANCES: Final = (0.01047, 0.03125, 0.12500, 0.50000, 0.25000, 0.06250, 0.020833)
"""The same in sts-2.1.2; the first is off by 0.5 %."""
COMPLEXITY_BLOCKS: Final = 200
"""N that 2.10.7 asks for."""


def rank(bits: PackedBits, asked: Asked) -> Finding:
    """Return the binary matrix rank test (2.5)."""
    matrices = bits.n // SIDE**2
    parameters = {"M": SIDE, "Q": SIDE, "N": matrices}
    finding = Finding(name="rank", section="2.5", parameters=parameters)
    if reason := too_short(asked, bits.n, FEWEST_MATRICES * SIDE**2, "2.5.7"):
        return finding.refused(reason)
    if not matrices:
        return finding.refused(f"there is no whole matrix of {SIDE**2:,} bits")
    found = counting().linear.ranks(bits, matrices).tolist()
    counts = [found[SIDE], found[SIDE - 1], sum(found[: SIDE - 1])]
    chi_square = chi_square_of(counts, rank_chances())
    return Finding(
        name=finding.name,
        section=finding.section,
        parameters=parameters,
        counts={"full": counts[0], "one_less": counts[1], "lower": counts[2]},
        p_values=(PValue("", math.exp(-chi_square / 2), chi_square),),
    )


@cache
def rank_chances() -> tuple[float, float, float]:
    """Return the chances of rank 32, 31 and less of 32 x 32 random bits (3.5)."""

    def of(r: int) -> float:
        product = math.prod((1 - 2.0 ** (i - SIDE)) ** 2 / (1 - 2.0 ** (i - r)) for i in range(r))
        return float(2.0 ** (r * (2 * SIDE - r) - SIDE**2) * product)

    return of(SIDE), of(SIDE - 1), 1 - of(SIDE) - of(SIDE - 1)


def linear_complexity_test(bits: PackedBits, asked: Asked) -> Finding:
    """Return the linear complexity test (2.10)."""
    m = asked.parameters.linear_complexity
    blocks = bits.n // m
    parameters = {"M": m, "N": blocks}
    finding = Finding(name="linear_complexity", section="2.10", parameters=parameters)
    if reason := too_short(asked, bits.n, 1_000_000, "2.10.7"):
        return finding.refused(reason)
    if asked.sizes and (not 500 <= m <= 5000 or blocks < COMPLEXITY_BLOCKS):
        return finding.refused(f"M = {m:,}, N = {blocks:,}; 2.10.7 asks for M of 500 to 5,000 and N >= 200")
    if not blocks:
        return finding.refused(f"there is no whole block of {m:,} bits")
    counts = complexity_classes(counting().linear.complexities(bits, blocks, m), m)
    chi_square = chi_square_of(counts, COMPLEXITY_CHANCES if asked.strict else STS_COMPLEXITY_CHANCES)
    return Finding(
        name=finding.name,
        section=finding.section,
        parameters=parameters,
        counts={"classes": counts},
        p_values=(PValue("", chi_square_tail(chi_square, 6), chi_square),),
    )


def complexity_classes(complexities: np.ndarray, m: int) -> list[int]:
    """Return how many blocks have T <= -2.5, -2.5 < T <= -1.5, ... T > 2.5 (2.10.4 steps 3 to 5).

    T = (-1)**M (L - mu) + 2/9 is a whole number up to (M / 3 + 2 / 9) / 2**M, which never reaches a limit of a class:
    L - M / 2 for even M, (M + 1) / 2 - L for odd M.
    """
    t = complexities - m // 2 if m % 2 == 0 else (m + 1) // 2 - complexities
    counts: list[int] = np.bincount(np.clip(t, -3, 3) + 3, minlength=7).tolist()
    return counts
