"""How coarse P-values are: with few bits they take few values, and then they can't be uniform.

Each test counts something, so its P-values lie on a grid. Most grids are finer than any number of sequences would show.
For the others this module gives the largest chance of a single P-value, by the normal law at its peak, from what was
settled before the sequence was looked at: what doesn't depend on the data can't hide a defect of the data.
"""

import math
from typing import Final

from entropy_assets.core.sp800_22.findings import Finding
from entropy_assets.core.sp800_22.linear import rank_chances
from entropy_assets.core.sp800_22.ones import LONGEST_RUN_CLASSES, longest_run_chances
from entropy_assets.core.sp800_22.spectral import divisor

EXPECTED_FOR_SHARES: Final = 16.0
"""Occurrences of a template in a block from which on 1 % of good P-values of 2.7 are below 0.01, or up to 1.15 %."""
EXPECTED_FOR_TAILS: Final = 60.0
"""Those from which on 5e-6 of them are below 5e-6, or up to twice as many: see `heavy_tail`."""
_PEAK: Final = 1 / math.sqrt(2 * math.pi)
"""Of the normal density."""


def grain(finding: Finding, n: int) -> float:
    """Return about the largest chance that a good sequence of `n` bits has for any single P-value of a test.

    1 where the law behind the P-value is no approximation: templates that are expected less than 16 times in a block.
    0 where the grid is too fine to matter: also where the number of cycles differs from sequence to sequence, so
    that the grids of many lie between each other.
    """
    parameters = finding.parameters
    if not finding.applicable or n < 1:
        return 0.0
    if finding.name == "frequency":  # S_n in steps of 2, either sign
        return 4 * _PEAK / math.sqrt(n)
    if finding.name == "cumulative_sums":  # whole numbers; the density of their limit law peaks at 1
        return 1 / math.sqrt(n)
    if finding.name == "spectral":  # a whole number on either side of its mean
        return 2 * _PEAK / math.sqrt(n * 0.95 * 0.05 / divisor())
    if finding.name == "block_frequency":  # chi-square in steps of 4 / M, with 2 N as its variance
        return 4 / parameters["M"] * _PEAK / math.sqrt(2 * parameters["N"])
    if finding.name == "rank":
        return _of_classes(rank_chances(), parameters["N"])
    if finding.name == "longest_run":
        m = parameters["M"]
        return _of_classes(longest_run_chances(m, LONGEST_RUN_CLASSES[m]), parameters["N"])
    if finding.name == "non_overlapping_template":
        return float(finding.statistics["expected"] < EXPECTED_FOR_SHARES)
    return 0.0


def heavy_tail(finding: Finding) -> bool:
    """Tell whether small P-values of a test are several times as frequent as they say: the smallest means little then.

    A template that is expected 8 times in each of 8 blocks, as in 32,768 bits, has P-values below 5e-6 nine times as
    often; of 64 times it is 1.8, and in a million bits 1.2. The counts are skewed; a test convolves their exact law.
    """
    return (
        finding.applicable
        and finding.name == "non_overlapping_template"
        and finding.statistics["expected"] < EXPECTED_FOR_TAILS
    )


def _of_classes(chances: tuple[float, ...], draws: int) -> float:
    """Return the chance of the likeliest counts of classes."""
    spread = (2 * math.pi * draws) ** (len(chances) - 1) * math.prod(chances)
    return min(1.0, 1 / math.sqrt(spread))


def too_coarse(grain_of_p: float, sequences: int) -> bool:
    """Tell whether so many sequences would show the grid of a test itself as a lack of uniformity.

    The nine limits between the bins of 4.2.2 lie anywhere in a step of the grid. Together this adds 15 K a**2 to the
    expectation of 9 that the chi-square of K sequences has, where `a` is the grain; up to 1 is let pass.
    """
    return 15.0 * sequences * grain_of_p**2 > 1.0
