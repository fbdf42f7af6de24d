"""How often patterns come again: Maurer's universal test, the serial test and approximate entropy (2.9, 2.11, 2.12)."""

import math
from functools import cache
from typing import Final

import numpy as np

from entropy_assets.core.sp800_22.findings import Asked, Finding, PValue, chi_square_tail, normal_tails
from entropy_assets.core.sp800_22.kernels import counting
from entropy_assets.core.sp800_22.packed import PackedBits

UNIVERSAL_FROM: Final = (
    387_840, 904_960, 2_068_480, 4_654_080, 10_342_400, 22_753_280, 49_643_520, 107_560_960, 231_669_760, 496_435_200,
    1_059_061_760,
)  # fmt: skip
"""Bits from which on L is 6, 7, ... 16 (2.9.7)."""
STS_UNIVERSAL: Final = {
    6: (5.2177052, 2.954), 7: (6.1962507, 3.125), 8: (7.1836656, 3.238), 9: (8.1764248, 3.311),
    10: (9.1723243, 3.356), 11: (10.170032, 3.384), 12: (11.168765, 3.401), 13: (12.168070, 3.410),
    14: (13.167693, 3.416), 15: (14.167488, 3.419), 16: (15.167379, 3.421),
}  # fmt: skip
"""Mean and variance of log2 of a distance for each L, as 2.9.4 prints them (exact: `distance_moments`)."""
SPAN: Final = 48
"""Distances up to so many times the alphabet are summed: longer ones have a chance of exp(-48)."""
SERIAL_LABELS: Final = ("del1", "del2")
PSI_LABELS: Final = ("m", "m-1", "m-2")


def universal(bits: PackedBits, asked: Asked) -> Finding:
    """Return Maurer's universal statistical test (2.9)."""
    given = asked.parameters
    length = given.universal or max((bits_of for bits_of, n in enumerate(UNIVERSAL_FROM, 6) if bits.n >= n), default=0)
    finding = Finding(name="universal", section="2.9")
    if not length:
        return finding.refused(f"{bits.n:,} bits; 2.9.7 asks for {UNIVERSAL_FROM[0]:,} or more")
    first = given.universal_first or 10 << length
    tested = bits.n // length - first
    parameters = {"L": length, "Q": first, "K": tested}
    finding = Finding(name="universal", section="2.9", parameters=parameters)
    if tested < 1:
        return finding.refused(f"no block of {length} bits is left behind the first {first:,}")
    if asked.sizes and tested < 1000 << length:
        return finding.refused(f"K = {tested:,}; 2.9.7 asks for about 1000 * 2**L, {1000 << length:,}")
    if not asked.strict and length not in STS_UNIVERSAL:
        return finding.refused(f"L = {length}; the table of 2.9.4 has 6 to 16")
    short, long = counting().histograms.distances(bits, length, first, tested)
    seen = np.flatnonzero(short)
    total = float(short[seen] @ np.log2(seen)) + float(np.log2(long).sum())
    if asked.strict:
        expected, sigma = distance_moments(length)[0], universal_sigma(length, tested)
    else:
        expected, variance = STS_UNIVERSAL[length]
        c = 0.7 - 0.8 / length + (4 + 32 / length) * tested ** (-3 / length) / 15
        sigma = c * math.sqrt(variance / tested)
    deviate = (total / tested - expected) / sigma
    return Finding(
        name=finding.name,
        section=finding.section,
        parameters=parameters,
        statistics={"sum": total, "expected": expected, "sigma": sigma},
        p_values=(PValue("", normal_tails(deviate), deviate),),
    )


@cache
def distance_moments(length: int) -> tuple[float, float]:
    """Return the mean and the variance of log2 of the distance to the same block of `length` bits (2.9.4, 3.9)."""
    chance = 2.0**-length
    distances = np.arange(1, SPAN << length)
    weights = chance * np.exp((distances - 1) * math.log1p(-chance))
    logs = np.log2(distances)
    mean = float(weights @ logs)
    return mean, float(weights @ logs**2) - mean**2


@cache
def universal_sigma(length: int, tested: int) -> float:
    """Return the standard deviation of the mean of `tested` logarithms, with the covariance of every two of them.

    The standard has Maurer's approximation of it; Coron and Naccache (SAC 1998) sum the covariances, as is done here.
    Let a block's distance be i, and that of the block k places later j + k, so that its like lies before the first
    one too; other distances are independent. With p = 2**-L both happen, where i and j differ, with the chance
    p**2 (1 - p)**k (1 - 2 p)**(min(i, j) - 1) (1 - p)**(abs(i - j) - 1).
    """
    p = 2.0**-length
    span = SPAN << length
    mean, variance = distance_moments(length)
    i = np.arange(1, span + 1)
    logs = np.log2(np.arange(1, 2 * span + 1))
    own = logs[:span]
    neither, one = (1 - 2 * p) ** (i - 1.0), (1 - p) ** (i - 1.0)
    # sums over the first distance, where it is the shorter one and where it is the longer one
    shorter = np.concatenate(([0.0], np.cumsum(own * neither / one)[:-1])) * one / (1 - p)
    longer = np.concatenate((np.cumsum((own * one)[::-1])[::-1][1:], [0.0])) / one / (1 - p)
    excess = shorter + neither * longer - one * (mean / p)
    k = np.arange(min(tested, span))
    weights = (tested - k) * (1 - p) ** k
    weights[0] = 0.0  # k is 1 at least
    size = 2 * span
    joined = np.fft.irfft(np.fft.rfft(excess, size) * np.fft.rfft(weights, size), size)
    covariances = p * p * float(joined @ logs)
    return math.sqrt(tested * variance + 2 * covariances) / tested


def serial(bits: PackedBits, asked: Asked) -> Finding:
    """Return the serial test, with its two P-values (2.11)."""
    m, n = asked.parameters.serial, bits.n
    parameters = {"m": m}
    finding = Finding(name="serial", section="2.11", parameters=parameters)
    if reason := _too_long(asked, m, n, 2, "2.11.7"):
        return finding.refused(reason, SERIAL_LABELS)
    # 2**m times the sum of squares, a whole number; psi**2 of m is 1 / n of it, less n
    squares = [_square_sum(window_counts(bits, k)) << k if k > 0 else n * n for k in (m, m - 1, m - 2)]
    first = (squares[0] - squares[1]) / n
    second = (squares[0] - 2 * squares[1] + squares[2]) / n
    tails = chi_square_tail(first, 1 << (m - 1)), chi_square_tail(second, 1 << (m - 2))
    return Finding(
        name=finding.name,
        section=finding.section,
        parameters=parameters,
        statistics={f"psi_square_{k}": square / n - n for k, square in zip(PSI_LABELS, squares, strict=True)},
        p_values=tuple(map(PValue, SERIAL_LABELS, tails, (first, second))),
    )


def approximate_entropy(bits: PackedBits, asked: Asked) -> Finding:
    """Return the approximate entropy test (2.12)."""
    m, n = asked.parameters.approximate_entropy, bits.n
    parameters = {"m": m}
    finding = Finding(name="approximate_entropy", section="2.12", parameters=parameters)
    if reason := _too_long(asked, m, n, 5, "2.12.7"):
        return finding.refused(reason)
    longer, shorter = window_counts(bits, m + 1), window_counts(bits, m)
    if asked.strict:
        # n (m ln 2 + phi) for both lengths: what their entropy lacks, in which nothing large cancels
        chi_square = 2.0 * (_lack(longer, n) - _lack(shorter, n))
    else:
        chi_square = 2.0 * n * (math.log(2.0) - (_sts_phi(shorter, n) - _sts_phi(longer, n)))
    return Finding(
        name=finding.name,
        section=finding.section,
        parameters=parameters,
        statistics={"approximate_entropy": math.log(2.0) - chi_square / (2.0 * n)},
        p_values=(PValue("", chi_square_tail(chi_square, 1 << m), chi_square),),
    )


def window_counts(bits: PackedBits, m: int) -> np.ndarray:
    """Return how often each pattern of `m` bits stands in the sequence closed to a ring.

    Longer patterns that were counted before are summed over their last bits: whoever needs several lengths asks for
    the longest first.
    """
    known: dict[int, np.ndarray] = bits.once("window_counts", dict)
    if m not in known:
        longer = min((k for k in known if k > m), default=0)
        known[m] = (
            known[longer].reshape(-1, 1 << (longer - m)).sum(axis=1)
            if longer
            else counting().histograms.cyclic_windows(bits, m)
        )
    return known[m]


def _square_sum(counts: np.ndarray) -> int:
    """Return the sum of squares, which 64 bits hold: it is at most n squared."""
    return int(counts @ counts)


def _lack(counts: np.ndarray, n: int) -> float:
    """Return the sum of counts times the logarithm of what they are to the expected count."""
    seen = counts[counts > 0]
    return float(seen @ np.log(seen * (len(counts) / n)))


def _sts_phi(counts: np.ndarray, n: int) -> float:
    """Return phi as sts-2.1.2 sums it, term by term: what is lost by that is seen in the 9th digit of P-values."""
    seen = counts[counts > 0]
    return float(np.cumsum(seen * np.log(seen / n))[-1]) / n


def _too_long(asked: Asked, m: int, n: int, less: int, section: str) -> str:
    """Return the reason why patterns of `m` bits are too long for a sequence."""
    if not n:
        return "there are no bits"
    most = n.bit_length() - 1 - less
    return f"m = {m}, {n:,} bits; {section} asks for m < {most}" if asked.sizes and m >= most else ""
