"""The fifteen tests bit by bit as sections 2.1 to 2.15 of SP 800-22 rev 1a describe them, for short sequences.

Nothing here is fast, and nothing is taken from the package but what a parameter is called.
"""

import cmath
import math
from itertools import accumulate, groupby, product
from typing import Any

from scipy.special import gammaincc

Bits = list[int]


def igamc(a: float, x: float) -> float:
    """The standard's incomplete gamma function; nothing to be uneven gives 1."""
    return float(gammaincc(a, x)) if a else float(x <= 0)


def erfc_of(deviate: float) -> float:
    return math.erfc(abs(deviate) / math.sqrt(2))


def blocks_of(bits: Bits, m: int) -> list[Bits]:
    return [bits[i : i + m] for i in range(0, len(bits) - m + 1, m)]


def classes(values: list[int], least: int, most: int) -> list[int]:
    clipped = [min(max(value, least), most) for value in values]
    return [clipped.count(value) for value in range(least, most + 1)]


def frequency(bits: Bits) -> list[float]:
    return [erfc_of(sum(2 * b - 1 for b in bits) / math.sqrt(len(bits)))]


def block_frequency(bits: Bits, m: int) -> list[float]:
    blocks = blocks_of(bits, m)
    return [igamc(len(blocks) / 2, 2 * m * sum((sum(block) / m - 0.5) ** 2 for block in blocks))]


def runs(bits: Bits) -> list[float]:
    n, share = len(bits), sum(bits) / len(bits)
    if abs(share - 0.5) > 2 / math.sqrt(n) or share in (0, 1):
        return [0.0]
    v = 1 + sum(bits[k] != bits[k + 1] for k in range(n - 1))
    return [math.erfc(abs(v - 2 * n * share * (1 - share)) / (2 * math.sqrt(2 * n) * share * (1 - share)))]


def longest_run_classes(bits: Bits, m: int, least: int, most: int) -> list[int]:
    longest = [max((len(list(g)) for b, g in groupby(block) if b), default=0) for block in blocks_of(bits, m)]
    return classes(longest, least, most)


def rank_of(rows: list[int]) -> int:
    rank = 0
    for bit in range(32):
        pivot = next((row for row in rows if row >> bit & 1), None)
        if pivot is not None:
            rank += 1
            rows.remove(pivot)
            rows = [row ^ pivot if row >> bit & 1 else row for row in rows]
    return rank


def ranks(bits: Bits) -> list[int]:
    matrices = [[int("".join(map(str, row)), 2) for row in blocks_of(block, 32)] for block in blocks_of(bits, 1024)]
    found = [rank_of(rows) for rows in matrices]
    return [found.count(32), found.count(31), sum(r < 31 for r in found)]


def peaks_below(bits: Bits, limit: float) -> int:
    n = len(bits)
    peaks = [
        abs(sum((2 * b - 1) * cmath.exp(-2j * cmath.pi * (j * k % n) / n) for j, b in enumerate(bits)))
        for k in range(n // 2)
    ]
    return sum(peak < limit for peak in peaks)


def aperiodic_templates(m: int) -> list[Bits]:
    return [list(t) for t in product((0, 1), repeat=m) if not any(t[k:] == t[: m - k] for k in range(1, m))]


def occurrences(block: Bits, template: Bits) -> int:
    """Search on behind each occurrence, as 2.7.4 step 2 says."""
    found = place = 0
    while place <= len(block) - len(template):
        hit = block[place : place + len(template)] == template
        found, place = found + hit, place + (len(template) if hit else 1)
    return found


def non_overlapping(bits: Bits, m: int, n_blocks: int) -> list[float]:
    length = len(bits) // n_blocks
    blocks = blocks_of(bits, length)[:n_blocks]
    mean = (length - m + 1) / 2**m
    variance = length * (1 / 2**m - (2 * m - 1) / 2 ** (2 * m))
    found = [[occurrences(block, template) for block in blocks] for template in aperiodic_templates(m)]
    return [igamc(n_blocks / 2, sum((w - mean) ** 2 for w in row) / variance / 2) for row in found]


def overlapping_classes(bits: Bits, m: int, length: int) -> list[int]:
    hits = [sum(all(block[i : i + m]) for i in range(length - m + 1)) for block in blocks_of(bits, length)]
    return classes(hits, 0, 5)


def universal_sum(bits: Bits, length: int, first: int) -> tuple[float, int]:
    blocks = [tuple(block) for block in blocks_of(bits, length)]
    latest: dict[Any, int] = {}
    total = 0.0
    for place, block in enumerate(blocks, 1):
        if place > first:
            total += math.log2(place - latest.get(block, 0))
        latest[block] = place
    return total, len(blocks) - first


def complexity_classes(complexities: list[int], m: int) -> list[int]:
    """T of 2.10.4 as it is written, with its limits."""
    mean = m / 2 + (9 + (-1) ** (m + 1)) / 36 - (m / 3 + 2 / 9) / 2**m
    ts = [(-1) ** m * (length - mean) + 2 / 9 for length in complexities]
    limits = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]
    places = [sum(t > limit for limit in limits) for t in ts]
    return [places.count(k) for k in range(7)]


def ring_counts(bits: Bits, m: int) -> dict[tuple[int, ...], int]:
    ring = bits * (m // len(bits) + 2)
    found: dict[tuple[int, ...], int] = {}
    for i in range(len(bits)):
        pattern = tuple(ring[i : i + m])
        found[pattern] = found.get(pattern, 0) + 1
    return found


def serial(bits: Bits, m: int) -> list[float]:
    n = len(bits)
    squares = [sum(v * v for v in ring_counts(bits, k).values()) for k in (m, m - 1, m - 2)]
    psi = [2**k / n * square - n if k > 0 else 0.0 for k, square in zip((m, m - 1, m - 2), squares, strict=True)]
    return [igamc(2 ** (m - 2), (psi[0] - psi[1]) / 2), igamc(2.0 ** (m - 3), (psi[0] - 2 * psi[1] + psi[2]) / 2)]


def approximate_entropy(bits: Bits, m: int) -> list[float]:
    n = len(bits)
    phi = [sum(v / n * math.log(v / n) for v in ring_counts(bits, k).values()) for k in (m, m + 1)]
    return [igamc(2.0 ** (m - 1), max(0.0, n * (math.log(2) - (phi[0] - phi[1]))))]


def farthest(bits: Bits) -> list[int]:
    return [max(map(abs, accumulate(2 * b - 1 for b in order))) for order in (bits, bits[::-1])]


def cycles(bits: Bits) -> list[list[int]]:
    """Return the sums between one zero and the next, the last cycle closed by a zero of its own (2.14.4 step 3)."""
    found: list[list[int]] = [[]]
    for s in accumulate(2 * b - 1 for b in bits):
        found[-1].append(s)
        if s == 0:
            found.append([])
    return found if found[-1] else found[:-1]
