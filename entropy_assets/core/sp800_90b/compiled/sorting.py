"""The windows of a sequence in ascending order, for the tuples of SP 800-90B 6.3.5 and 6.3.6: a radix sort."""

from typing import Any, Final

import numpy as np

from entropy_assets.core.compiling import kernel

FEW: Final = 24
"""Windows that are sorted by insertion."""
WIDEST_DIGIT: Final = 11
"""Bits that windows are parted by at once, at most: so many places to write to are near at hand."""


@kernel
def leading(symbols: Any, bits: int, widest: int, digits: int) -> Any:
    """Return ``int64[2**digits]``: how many windows begin with each number of so many bits."""
    counts = np.zeros(1 << digits, dtype=np.int64)
    width, own = np.uint64(bits), np.uint64(0)
    left, down = np.uint64(64 - widest * bits), np.uint64(64 - digits)
    for i in range(widest - 1):
        own = (own << width) | np.uint64(symbols[i])
    for i in range(widest - 1, len(symbols)):
        own = (own << width) | np.uint64(symbols[i])
        counts[(own << left) >> down] += 1
    return counts


@kernel
def ascending(symbols: Any, bits: int, widest: int, digits: int, counts: Any, first: int, last: int) -> Any:
    """Return the windows that begin with ``first .. last``, ascending, ``uint64[n]``.

    Parameters
    ----------
    symbols
        ``uint8[n]``, each of `bits` bits; a window has `widest` of them, left-aligned.
    digits, counts
        As `leading` has them.
    """
    places = np.empty(last - first, dtype=np.int64)
    total = 0
    for digit in range(first, last):
        places[digit - first] = total
        total += counts[digit]
    spare, words = np.empty(total, dtype=np.uint64), np.empty(total, dtype=np.uint64)
    width, own = np.uint64(bits), np.uint64(0)
    left, down = np.uint64(64 - widest * bits), np.uint64(64 - digits)
    for i in range(widest - 1):
        own = (own << width) | np.uint64(symbols[i])
    for i in range(widest - 1, len(symbols)):
        own = (own << width) | np.uint64(symbols[i])
        aligned = own << left
        bucket = np.int64(aligned >> down) - first
        if bucket >= 0 and bucket < last - first:
            spare[places[bucket]] = aligned
            places[bucket] += 1
    stack = np.empty((counts[first:last].max() // FEW + 1, 4), dtype=np.int64)
    inner = np.empty(1 << WIDEST_DIGIT, dtype=np.int64)
    start: Any = 0
    for digit in range(first, last):
        stop = start + counts[digit]
        if stop - start <= FEW:
            _insert(spare, words, start, stop)
        else:
            _sorted_into(words, spare, start, stop, 64 - digits, stack, inner)
        start = stop
    return words


@kernel
def _sorted_into(words: Any, spare: Any, start: int, stop: int, below: int, stack: Any, inner: Any) -> None:
    """Sort ``spare[start:stop]``, alike but for their lowest `below` bits, into the same places of `words`.

    Parameters
    ----------
    stack
        ``int64[rows, 4]`` to work in, a row for each `FEW` windows: start, stop, bits that differ, whether in `words`.
    inner
        ``int64[2**WIDEST_DIGIT]`` to work in.
    """
    held = 1
    stack[0, 0], stack[0, 1], stack[0, 2], stack[0, 3] = start, stop, below, 0
    while held:
        held -= 1
        begin, end, rest, there = stack[held, 0], stack[held, 1], stack[held, 2], stack[held, 3]
        source, goal = (words, spare) if there else (spare, words)
        digits = 3
        while digits < WIDEST_DIGIT and (8 << digits) < end - begin:
            digits += 1
        digits = min(digits, rest)
        rest -= digits
        if _parted(source, goal, begin, end, rest, digits, inner):
            place = begin
            for digit in range(1 << digits):
                if inner[digit] - place <= FEW or not rest:
                    _insert(goal, words, place, inner[digit])
                else:
                    stack[held, 0], stack[held, 1], stack[held, 2], stack[held, 3] = (
                        place,
                        inner[digit],
                        rest,
                        1 - there,
                    )
                    held += 1
                place = inner[digit]
        elif rest:
            stack[held, 0], stack[held, 1], stack[held, 2], stack[held, 3] = begin, end, rest, there
            held += 1
        elif not there:
            words[begin:end] = spare[begin:end]


@kernel
def _parted(source: Any, goal: Any, begin: int, end: int, shift: int, digits: int, inner: Any) -> bool:
    """Move ``source[begin:end]`` to the same places of `goal`, parted by a digit, whose ends are left in `inner`.

    Nothing is moved, and False returned, where all have the same one.
    """
    down, mask = np.uint64(shift), np.uint64((1 << digits) - 1)
    inner[: 1 << digits] = 0
    for i in range(begin, end):
        inner[(source[i] >> down) & mask] += 1
    if inner[(source[begin] >> down) & mask] == end - begin:
        return False
    place = begin
    for digit in range(1 << digits):
        count = inner[digit]
        inner[digit] = place
        place += count
    for i in range(begin, end):
        digit = (source[i] >> down) & mask
        goal[inner[digit]] = source[i]
        inner[digit] += 1
    return True


@kernel
def _insert(source: Any, goal: Any, start: int, stop: int) -> None:
    """Sort ``source[start:stop]`` into the same places of `goal`, which may be `source`."""
    for i in range(start, stop):
        own, place = source[i], i
        while place > start and goal[place - 1] > own:
            goal[place] = goal[place - 1]
            place -= 1
        goal[place] = own
