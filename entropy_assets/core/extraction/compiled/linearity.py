"""Linear complexity and rank over GF(2), 64 bits at a time."""

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from entropy_assets.core.compiling import kernel


def _count_ones(_context: Any, _word: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


_ones: Any = intrinsic(_count_ones)
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
        first = (count - 1 - place) >> 6
        shift = np.uint64((count - 1 - place) & 63)
        found = np.uint64(0)
        for word in range(length // 64 + 1):
            seen = turned[first + word] >> shift
            if shift:
                seen |= turned[first + word + 1] << (np.uint64(64) - shift)
            found ^= current[word] & seen
        if not _ones(found) & np.uint64(1):
            continue
        grows = 2 * length <= place
        if grows:
            for word in range(words):
                kept[word] = current[word]
        whole, part = delay >> 6, np.uint64(delay & 63)
        for word in range(min(words - 1, (place + 1) >> 6), whole - 1, -1):
            moved = earlier[word - whole] << part
            if part and word > whole:
                moved |= earlier[word - whole - 1] >> (np.uint64(64) - part)
            current[word] ^= moved
        if grows:
            earlier, kept = kept, earlier
            length, delay = place + 1 - length, 0
    return length


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
    words = (height * width * planes + 63) // 64
    pivots = np.zeros((64 * words, words), dtype=np.uint64)
    taken = np.zeros(64 * words, dtype=np.bool_)
    row = np.empty(words, dtype=np.uint64)
    rank = 0
    for window in range(len(tops)):
        for word in range(words):
            row[word] = np.uint64(0)
        place = 0
        for y in range(tops[window], tops[window] + height):
            for x in range(lefts[window], lefts[window] + width):
                for plane in range(first, first + planes):
                    row[place >> 6] |= np.uint64((steps[y, x] >> plane) & 1) << np.uint64(place & 63)
                    place += 1
        for bit in range(place):
            if not (row[bit >> 6] >> np.uint64(bit & 63)) & np.uint64(1):
                continue
            if not taken[bit]:
                taken[bit] = True
                for word in range(words):
                    pivots[bit, word] = row[word]
                rank += 1
                break
            for word in range(bit >> 6, words):
                row[word] ^= pivots[bit, word]
    return rank
