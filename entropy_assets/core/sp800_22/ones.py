"""How many ones there are, and how long their runs (SP 800-22 2.1 to 2.4)."""

import math
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np

from entropy_assets.core.sp800_22.findings import (
    RUNS_LENGTHS,
    Asked,
    Finding,
    PValue,
    chi_square_of,
    chi_square_tail,
    normal_tails,
    too_short,
)
from entropy_assets.core.sp800_22.packed import Ones, PackedBits, ahead

SHORTEST: Final = 100
"""Bits that 2.1.7, 2.2.7 and 2.3.7 ask for."""
LONGEST_RUN_FROM: Final = dict(zip((128, 6272, 750_000), RUNS_LENGTHS, strict=True))
"""Bits from which on the longest run is looked for in blocks of 8, 128 and 10,000 (2.4.2 as sts-2.1.2 has it)."""
LONGEST_RUN_CLASSES: Final = dict(zip(RUNS_LENGTHS, (range(1, 5), range(4, 10), range(10, 17)), strict=True))
"""Longest runs that are told apart; the first class takes those below it too, the last those above (2.4.4)."""
STS_LONGEST_RUN: Final = dict(
    zip(
        RUNS_LENGTHS,
        (
            (0.21484375, 0.3671875, 0.23046875, 0.1875),
            (0.1174035788, 0.242955959, 0.249363483, 0.17517706, 0.102701071, 0.112398847),
            (0.0882, 0.2092, 0.2483, 0.1933, 0.1208, 0.0675, 0.0727),
        ),
        strict=True,
    )
)
"""Chances of the classes in sts-2.1.2; the last ones are off by up to 2 % (exact: `longest_run_chances`)."""


def frequency(bits: PackedBits, asked: Asked) -> Finding:
    """Return the frequency (monobit) test: as many ones as zeros (2.1)."""
    finding = Finding(name="frequency", section="2.1")
    if reason := too_short(asked, bits.n, SHORTEST, "2.1.7") or too_short(asked, bits.n, 1, "2.1") or _empty(bits):
        return finding.refused(reason)
    deviate = bits.sum / math.sqrt(bits.n)
    return Finding(
        name=finding.name,
        section=finding.section,
        counts={"sum": bits.sum},
        p_values=(PValue("", normal_tails(deviate), deviate),),
    )


def block_frequency(bits: PackedBits, asked: Asked) -> Finding:
    """Return the frequency test within blocks of M bits (2.2)."""
    m = asked.parameters.block_frequency
    blocks = bits.n // m
    parameters = {"M": m, "N": blocks}
    finding = Finding(name="block_frequency", section="2.2", parameters=parameters)
    if reason := too_short(asked, bits.n, SHORTEST, "2.2.7") or _no_block(blocks, m):
        return finding.refused(reason)
    if asked.sizes and m < 20:
        return finding.refused(f"M = {m}; 2.2.7 asks for 20 or more")
    # sum of 4 M (ones / M - 1/2)**2, from whole numbers
    off = 2 * bits.ones.in_blocks(blocks, m) - m
    chi_square = float(off @ off) / m
    return Finding(
        name=finding.name,
        section=finding.section,
        parameters=parameters,
        p_values=(PValue("", chi_square_tail(chi_square, blocks), chi_square),),
    )


def runs(bits: PackedBits, asked: Asked) -> Finding:
    """Return the runs test: as many changes as there should be (2.3).

    It presumes that the share of ones is less than four standard deviations from 1/2. Where it is not, sts-2.1.2 gives
    0, and so does ``compat="sts"``. ``strict`` has no P-value then: 0 once in 16,000 good sequences would be none.
    """
    n = bits.n
    finding = Finding(name="runs", section="2.3")
    if reason := too_short(asked, n, SHORTEST, "2.3.7") or _empty(bits):
        return finding.refused(reason)
    ones = bits.ones.total
    changes = Ones(_changes(bits)).total
    counts = {"ones": ones, "runs": changes + 1}
    failed = "the share of ones is 2 / sqrt(n) or more from 1/2, which the frequency test tells (2.3.4 step 2)"
    share = ones / n
    # The program rounds here, and goes on at the limit itself.
    uneven = (2 * ones - n) ** 2 >= 16 * n if asked.strict else abs(share - 0.5) > 2.0 / math.sqrt(n)
    if uneven or ones in (0, n):
        if asked.strict:
            return Finding(name="runs", section="2.3", counts=counts).refused(failed)
        return Finding(name="runs", section="2.3", counts=counts, p_values=(PValue("", 0.0, None),), note=failed)
    spread = share * (1.0 - share)
    deviate = (changes + 1 - 2.0 * n * spread) / (2.0 * math.sqrt(n) * spread)
    return Finding(name="runs", section="2.3", counts=counts, p_values=(PValue("", normal_tails(deviate), deviate),))


def longest_run(bits: PackedBits, asked: Asked) -> Finding:
    """Return the test for the longest run of ones in a block (2.4)."""
    shortest = min(LONGEST_RUN_FROM)
    m = asked.parameters.longest_run or max((m for least, m in LONGEST_RUN_FROM.items() if bits.n >= least), default=8)
    whole = bits.n // m
    blocks = min(whole, asked.parameters.longest_run_blocks or whole)
    parameters = {"M": m, "N": blocks}
    finding = Finding(name="longest_run", section="2.4", parameters=parameters)
    if reason := too_short(asked, bits.n, shortest, "2.4.2") or _no_block(blocks, m):
        return finding.refused(reason)
    classes = LONGEST_RUN_CLASSES[m]
    counts = longest_run_counts(bits, m, blocks)
    chances = longest_run_chances(m, classes) if asked.strict else STS_LONGEST_RUN[m]
    chi_square = chi_square_of(counts, chances)
    return Finding(
        name=finding.name,
        section=finding.section,
        parameters=parameters,
        counts={"classes": counts},
        p_values=(PValue("", chi_square_tail(chi_square, len(classes) - 1), chi_square),),
    )


def longest_run_counts(bits: PackedBits, m: int, blocks: int) -> list[int]:
    """Return how many of the first blocks of `m` bits have a longest run of ones in each class."""
    classes = LONGEST_RUN_CLASSES[m]
    reached = [np.full(blocks, True)]
    found = bits.words
    for length in range(2, classes[-1] + 1):
        found = found & ahead(bits.words, length - 1)
        if length > classes[0]:
            reached.append(Ones(found).in_blocks(blocks, m, length) > 0)
    at_least = [int(row.sum()) for row in reached] + [0]
    return [more - fewer for more, fewer in pairwise(at_least)]


@cache
def longest_run_chances(m: int, classes: range) -> tuple[float, ...]:
    """Return the chances that the longest run of ones among `m` bits falls into each class.

    With P_k(m) the chance that no run is longer than k: the first run that is longer ends, at place m, with a zero and
    k + 1 ones, before which there is none, so P_k(m) = P_k(m - 1) - 2**-(k + 2) * P_k(m - k - 2).
    """
    below = []
    for k in classes[:-1]:
        chances = [1.0] * (k + 1) + [1.0 - 0.5 ** (k + 1)]
        for _ in range(m - k - 1):
            chances.append(chances[-1] - 0.5 ** (k + 2) * chances[-k - 2])
        below.append(chances[m])
    return tuple(np.diff([0.0, *below, 1.0]).tolist())


def _changes(bits: PackedBits) -> np.ndarray:
    """Return words that have a 1 where a bit differs from the next one."""
    found = bits.words ^ ahead(bits.words, 1)
    last = bits.n - 1
    found[last >> 6] &= ~(np.uint64(1) << np.uint64(63 - (last & 63)))
    return np.asarray(found)


def _empty(bits: PackedBits) -> str:
    return "" if bits.n else "there are no bits"


def _no_block(blocks: int, m: int) -> str:
    return "" if blocks else f"there is no whole block of {m:,} bits"
