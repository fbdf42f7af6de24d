"""The walk of sums of +1 and -1: how far it goes and what it visits (SP 800-22 2.13 to 2.15)."""

import math
from typing import Final

from entropy_assets.core.sp800_22.findings import Asked, Finding, PValue, chi_square_of, chi_square_tail, too_short
from entropy_assets.core.sp800_22.kernels import counting
from entropy_assets.core.sp800_22.packed import PackedBits

DIRECTIONS: Final = ("forward", "backward")
NEAR_STATES: Final = (-4, -3, -2, -1, 1, 2, 3, 4)
FAR_STATES: Final = (*range(-9, 0), *range(1, 10))
FEWEST_CYCLES: Final = 500
"""J that 2.14.7 asks for, or 0.005 sqrt(n) if that is more."""
STS_VISIT_CHANCES: Final = {
    1: (0.5, 0.25, 0.125, 0.0625, 0.03125, 0.03125),
    2: (0.75, 0.0625, 0.046875, 0.03515625, 0.0263671875, 0.0791015625),
    3: (0.8333333333, 0.02777777778, 0.02314814815, 0.01929012346, 0.01607510288, 0.0803755143),
    4: (0.875, 0.015625, 0.013671875, 0.01196289063, 0.0104675293, 0.0732727051),
}
"""Chances of 0, 1, ... 4, and 5 or more visits to a state in one cycle, rounded as in sts-2.1.2."""


def cumulative_sums(bits: PackedBits, asked: Asked) -> Finding:
    """Return the cumulative sums test, from the first bit and from the last (2.13)."""
    finding = Finding(name="cumulative_sums", section="2.13")
    if reason := too_short(asked, bits.n, 100, "2.13.7") or ("" if bits.n else "there are no bits"):
        return finding.refused(reason, DIRECTIONS)
    last, largest, smallest, _ = _walk(bits)[0]
    farthest = max(largest, -smallest), max(largest - last, last - smallest)
    tail = walk_tail if asked.strict else sts_walk_tail
    return Finding(
        name=finding.name,
        section=finding.section,
        counts={"farthest": list(farthest)},
        p_values=tuple(
            PValue(label, tail(z, bits.n), z / math.sqrt(bits.n)) for label, z in zip(DIRECTIONS, farthest, strict=True)
        ),
    )


def walk_tail(z: int, n: int) -> float:
    """Return the chance that a walk of many steps goes `z` or more from zero: the limit law of 3.13, as a tail.

    One less the sums of 2.13.4 step 4 over all whole k is 4 (Q(a) - Q(3 a) + Q(5 a) - ...), where a = z / sqrt(n) and
    Q is the upper tail of the normal distribution. Nothing is taken from 1 there, so small P-values keep their digits.
    For a below 0.5 the same law is a series of exponentials, which then is the short one.
    """
    a = z / math.sqrt(n)
    if a < 0.5:
        terms = [(-1) ** k / (2 * k + 1) * math.exp(-(((2 * k + 1) * math.pi / a) ** 2) / 8) for k in range(3)]
        return 1.0 - 4 / math.pi * math.fsum(terms)
    terms = [(-1) ** k * math.erfc((2 * k + 1) * a / math.sqrt(2.0)) for k in range(16)]
    return min(1.0, 2.0 * math.fsum(terms))


def sts_walk_tail(z: int, n: int) -> float:
    """Return what sts-2.1.2 computes: the sums between limits that whole-number division cuts toward zero."""

    def cut(numerator: int, denominator: int) -> int:
        quotient = abs(numerator) // denominator
        return quotient if numerator >= 0 else -quotient

    def normal(place: int) -> float:
        return 0.5 * math.erfc(-place * z / math.sqrt(2.0 * n))

    if 2500 * z * z < n:
        return 1.0
    # Terms beyond ten standard deviations are 0 in 16 digits.
    far = int(3 * math.sqrt(n) / z) + 2
    last = min(far, cut(cut(n, z) - 1, 4))
    first = max(-far, cut(cut(-n, z) + 1, 4)), max(-far, cut(cut(-n, z) - 3, 4))
    inner = sum(normal(4 * k + 1) - normal(4 * k - 1) for k in range(first[0], last + 1))
    outer = sum(normal(4 * k + 3) - normal(4 * k + 1) for k in range(first[1], last + 1))
    return min(1.0, max(0.0, 1.0 - inner + outer))


def random_excursions(bits: PackedBits, asked: Asked) -> Finding:
    """Return the random excursions test: how often cycles visit the states near zero (2.14)."""
    labels = tuple(f"x={state:+d}" for state in NEAR_STATES)
    finding, cycles, reason = _cycles("random_excursions", "2.14", bits, asked)
    if reason:
        return finding.refused(reason, labels)
    room = max(1000, bits.n // 100)
    if not asked.strict and cycles - (bits.sum != 0) > room:
        return finding.refused(f"J = {cycles:,} cycles; sts-2.1.2 has room for {room:,} of this length", labels)
    counts = _walk(bits)[1]
    values = []
    for state, label in zip(NEAR_STATES, labels, strict=True):
        chances = visit_chances(state) if asked.strict else STS_VISIT_CHANCES[abs(state)]
        chi_square = chi_square_of(counts[state + 4], chances)
        values.append(PValue(label, chi_square_tail(chi_square, 5), chi_square))
    return Finding(
        name=finding.name,
        section=finding.section,
        counts={"cycles": cycles, "classes": [counts[state + 4] for state in NEAR_STATES]},
        p_values=tuple(values),
    )


def visit_chances(state: int) -> tuple[float, ...]:
    """Return the chances of 0, 1, ... 4, and 5 or more visits to a state in one cycle (3.14)."""
    away = 1 / (2 * abs(state))
    return (1 - away, *(away**2 * (1 - away) ** k for k in range(4)), away * (1 - away) ** 4)


def random_excursions_variant(bits: PackedBits, asked: Asked) -> Finding:
    """Return the random excursions variant test: how often the states are visited in all (2.15)."""
    labels = tuple(f"x={state:+d}" for state in FAR_STATES)
    finding, cycles, reason = _cycles("random_excursions_variant", "2.15", bits, asked)
    if reason:
        return finding.refused(reason, labels)
    visits = [_walk(bits)[2][state + 9] for state in FAR_STATES]
    values = []
    for state, label, seen in zip(FAR_STATES, labels, visits, strict=True):
        deviate = (seen - cycles) / math.sqrt(cycles * (4 * abs(state) - 2))
        values.append(PValue(label, math.erfc(abs(deviate) / math.sqrt(2.0)), deviate))
    return Finding(
        name=finding.name,
        section=finding.section,
        counts={"cycles": cycles, "visits": visits},
        p_values=tuple(values),
    )


def _walk(bits: PackedBits) -> tuple[list[int], list[list[int]], list[int]]:
    """Return what the walk does, counted once for the tests of this file."""

    def count() -> tuple[list[int], list[list[int]], list[int]]:
        ends, cycles, visits = counting().walks.walk(bits)
        return ends.tolist(), cycles.tolist(), visits.tolist()

    return bits.once("walk", count)


def _cycles(name: str, section: str, bits: PackedBits, asked: Asked) -> tuple[Finding, int, str]:
    """Return the finding to begin with, J, and why there is no P-value; sts-2.1.2 prints 0 then."""
    reason = too_short(asked, bits.n, 1_000_000, f"{section}.7")
    cycles = 0 if reason else _walk(bits)[0][3]
    finding = Finding(name=name, section=section, counts={} if reason else {"cycles": cycles})
    fewest = max(FEWEST_CYCLES, 0.005 * math.sqrt(bits.n))
    if not reason and cycles < fewest:
        reason = f"J = {cycles:,} cycles; {section}.7 asks for {math.ceil(fewest):,} or more"
    return finding, cycles, reason
