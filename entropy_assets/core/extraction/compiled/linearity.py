"""Linear complexity and rank over GF(2), 64 bits at a time."""

from typing import Any, Final

import numpy as np

from entropy_assets.core.compiling import kernel
from entropy_assets.errors import brought_by

with brought_by("sp800"):
    from numba import types
    from numba.extending import intrinsic


def _count_ones(_context: Any, _word: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


_ones: Final[Any] = intrinsic(_count_ones)
"""Returns how many bits of a word are 1."""


@kernel
def complexity(bits: Any) -> int:
    """Return the linear complexity of ``uint8[n]`` of 0 and 1 (SP 800-22 2.10; Massey 1969).

    Bits are kept with the last one lowest, so that those before a place begin with it and need no shifting: bit i of a
    polynomial meets the bit i places ago.
    """
    count = len(bits)
    words = count // 64 + 2
    turned = np.zeros(words + 1, dtype=np.uint64)
    for place in range(count):
        turned[(count - 1 - place) >> 6] |= np.uint64(bits[place]) << np.uint64((count - 1 - place) & 63)
    current, earlier = np.zeros(words, dtype=np.uint64), np.zeros(words, dtype=np.uint64)
    kept = np.zeros(words, dtype=np.uint64)
    current[0] = earlier[0] = np.uint64(1)
    length, delay = 0, 0
    for place in range(count):
        delay += 1
        if not _discrepancy(current, turned, count - 1 - place, length // 64 + 1):
            continue
        grows = 2 * length <= place
        if grows:
            for word in range(words):
                kept[word] = current[word]
        _add_delayed(current, earlier, delay, min(words, (place + 1) // 64 + 1))
        if grows:
            earlier, kept = kept, earlier
            length, delay = place + 1 - length, 0
    return length


@kernel
def _discrepancy(polynomial: Any, turned: Any, start: int, words: int) -> Any:
    """Return the parity of the first `words` of a polynomial and the bits from `start` on."""
    first, shift = start >> 6, np.uint64(start & 63)
    found = np.uint64(0)
    for word in range(words):
        seen = turned[first + word] >> shift
        if shift:
            seen |= turned[first + word + 1] << (np.uint64(64) - shift)
        found ^= polynomial[word] & seen
    for half in (32, 16, 8, 4, 2, 1):
        found ^= found >> np.uint64(half)
    return found & np.uint64(1)


@kernel
def _add_delayed(polynomial: Any, earlier: Any, delay: int, words: int) -> None:
    """Add to the first `words` of a polynomial an earlier one, its orders raised by `delay`."""
    whole, part = delay >> 6, np.uint64(delay & 63)
    for word in range(whole, words):
        moved = earlier[word - whole] << part
        if part and word > whole:
            moved |= earlier[word - whole - 1] >> (np.uint64(64) - part)
        polynomial[word] ^= moved


@kernel
def window_rank(steps: Any, tops: Any, lefts: Any, height: int, width: int, first: int, planes: int) -> int:
    """Return the rank over GF(2) of windows of bits, one a row (SP 800-22 2.5).

    Parameters
    ----------
    steps
        ``[ny, nx]``, ADC steps.
    tops, lefts
        ``int64[n]``, where each of the windows begins.
    height, width
        Of a window, pixels.
    first, planes
        The lowest bit of a pixel that is looked at, and how many from there on.
    """
    bits = height * width * planes
    words = (bits + 63) // 64
    pivots, taken = np.zeros((bits, words), dtype=np.uint64), np.zeros(bits, dtype=np.bool_)
    row = np.empty(words, dtype=np.uint64)
    rank = 0
    mask, shift = np.uint64((1 << planes) - 1), np.uint64(first)
    for window in range(len(tops)):
        row[:] = 0
        word, own, place = 0, np.uint64(0), 0
        for y in range(tops[window], tops[window] + height):
            for x in range(lefts[window], lefts[window] + width):
                pixel = (np.uint64(steps[y, x]) >> shift) & mask
                own |= pixel << np.uint64(place)
                place += planes
                if place >= 64:
                    place -= 64
                    row[word], word, own = own, word + 1, pixel >> np.uint64(planes - place)
        if place:
            row[word] = own
        rank += _is_independent(row, pivots, taken)
    return rank


@kernel
def _is_independent(row: Any, pivots: Any, taken: Any) -> int:
    """Return 1 if no sum of earlier rows is `row`, and keep what is left of it by its first bit; else 0."""
    for first in range(len(row)):
        while row[first]:
            lowest = row[first] & (~row[first] + np.uint64(1))
            bit = 64 * first + np.int64(_ones(lowest - np.uint64(1)))
            if not taken[bit]:
                taken[bit] = True
                pivots[bit] = row
                return 1
            for word in range(first, len(row)):
                row[word] ^= pivots[bit, word]
    return 0
