"""How often templates occur (SP 800-22 2.7 and 2.8)."""

import math
from functools import cache
from typing import Final

import numpy as np

from entropy_assets.core.sp800_22.findings import Asked, Finding, PValue, chi_square_of, chi_square_tail, too_short
from entropy_assets.core.sp800_22.kernels import counting
from entropy_assets.core.sp800_22.packed import Ones, PackedBits, all_ones

CLASSES: Final = 6
"""Blocks with 0, 1, ... 4, and 5 or more occurrences of the template of ones (2.8.4 step 2)."""
STS_TEMPLATES: Final = 148
"""Templates of one length at most in sts-2.1.2."""
MOST_BLOCKS: Final = 100
"""N at most (2.7.7)."""


def non_overlapping_template(bits: PackedBits, asked: Asked) -> Finding:
    """Return the non-overlapping template matching test, one P-value for each aperiodic template of m bits (2.7).

    A template that overlaps itself nowhere can't begin inside of its own occurrence, so the search that goes on behind
    each occurrence finds all windows that equal it.
    """
    m, blocks = asked.parameters.template, asked.parameters.template_blocks
    length = bits.n // blocks
    parameters = {"m": m, "M": length, "N": blocks}
    finding = Finding(name="non_overlapping_template", section="2.7", parameters=parameters)
    templates = aperiodic(m)
    if not asked.strict:  # sts-2.1.2 has room for 148, and takes every second, third, ... one where there are more
        templates = templates[:: max(1, len(templates) // STS_TEMPLATES)][:STS_TEMPLATES]
    labels = tuple(f"{template:0{m}b}" for template in templates.tolist())
    if asked.sizes and (blocks > MOST_BLOCKS or length <= 0.01 * bits.n or bits.n < 100):
        return finding.refused(f"N = {blocks}, M = {length:,}; 2.7.7 asks for N <= 100 and M > 0.01 n", labels)
    expected = (length - m + 1) / 2**m
    variance = length * (1 / 2**m - (2 * m - 1) / 2 ** (2 * m))
    if expected <= 0:
        return finding.refused(f"a block of {length} bits holds no template of {m}", labels)
    counts = counting().histograms.block_windows(bits, m, blocks, length)[:, templates]
    chi_squares = ((counts - expected) ** 2).sum(axis=0) / variance
    from scipy.special import gammaincc

    tails = gammaincc(blocks / 2, chi_squares / 2)
    return Finding(
        name=finding.name,
        section=finding.section,
        parameters=parameters,
        counts={"occurrences": counts.T.tolist()},
        statistics={"expected": expected, "variance": variance},
        p_values=tuple(map(PValue, labels, tails.tolist(), chi_squares.tolist())),
    )


@cache
def aperiodic(m: int) -> np.ndarray:
    """Return the templates of `m` bits that don't overlap themselves, as numbers, ascending: 148 of 9 bits (2.7.2)."""
    numbers = np.arange(1 << m)
    kept = np.full(len(numbers), True)
    for shift in range(1, m):
        kept &= numbers >> shift != numbers & ((1 << (m - shift)) - 1)
    return np.flatnonzero(kept)


def overlapping_template(bits: PackedBits, asked: Asked) -> Finding:
    """Return the overlapping template matching test, for the template of `m` ones (2.8)."""
    m, length = asked.parameters.overlapping_template, asked.parameters.overlapping_block
    blocks = bits.n // length
    parameters = {"m": m, "M": length, "N": blocks}
    finding = Finding(name="overlapping_template", section="2.8", parameters=parameters)
    if reason := too_short(asked, bits.n, 1_000_000, "2.8.7"):
        return finding.refused(reason)
    if not blocks or length < m:
        return finding.refused(f"there is no whole block of {length:,} bits that holds {m}")
    chances = overlapping_chances(m, length) if asked.strict else sts_overlapping_chances(m, length)
    if min(chances) <= 0:
        return finding.refused(f"M = {length}: a block can't hold the template of {m} ones {CLASSES - 1} times")
    if asked.sizes and blocks * min(chances) <= 5:
        return finding.refused(f"N = {blocks:,}; 2.8.7 asks for more than 5 blocks expected in each class")
    found = Ones(all_ones(bits.words, m)).in_blocks(blocks, length, m)
    counts = np.bincount(np.minimum(found, CLASSES - 1), minlength=CLASSES).tolist()
    chi_square = chi_square_of(counts, chances)
    return Finding(
        name=finding.name,
        section=finding.section,
        parameters=parameters,
        counts={"classes": counts},
        p_values=(PValue("", chi_square_tail(chi_square, CLASSES - 1), chi_square),),
    )


@cache
def overlapping_chances(m: int, length: int) -> tuple[float, ...]:
    """Return the exact chances of 0, 1, ... 4, and 5 or more occurrences of `m` ones among `length` bits.

    Step by step over the bits, with the number of occurrences and the ones that stand last as the state. For m = 9
    and M = 1032 these are the values of Hamano and Kaneko (2007), which sts-2.1.2 holds and then overwrites.
    """
    chances = np.zeros((CLASSES, m + 1))
    chances[0, 0] = 1.0
    for _ in range(length):
        after = np.zeros_like(chances)
        after[:, 0] = chances.sum(axis=1)
        after[:, 1:m] = chances[:, : m - 1]
        full = chances[:, m - 1] + chances[:, m]
        after[1:, m] = full[:-1]
        after[-1, m] += full[-1]
        chances = after / 2
    return tuple(chances.sum(axis=1).tolist())


@cache
def sts_overlapping_chances(m: int, length: int) -> tuple[float, ...]:
    """Return what sts-2.1.2 computes instead: the compound Poisson law of 3.8 with eta = lambda / 2."""
    eta = (length - m + 1) / 2 ** (m + 1)

    def of(u: int) -> float:
        if not u:
            return math.exp(-eta)
        return sum(
            math.exp(-eta - u * math.log(2) + k * math.log(eta) - math.lgamma(k + 1)) * math.comb(u - 1, k - 1)
            for k in range(1, u + 1)
        )

    chances = [of(u) for u in range(CLASSES - 1)]
    return (*chances, 1.0 - sum(chances))
