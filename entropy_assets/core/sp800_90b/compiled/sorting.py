"""How often tuples occur (SP 800-90B 6.3.5 and 6.3.6): windows parted by what they begin with, or sorted.

Most cells that windows are parted into hold a few of them. Those are held against each other as they stand.
"""

from typing import Any, Final

import numpy as np
from numba import types
from numba.extending import intrinsic

from entropy_assets.core.compiling import kernel

FEW: Final = 24
"""Windows that are sorted by insertion."""
WIDEST_DIGIT: Final = 11
"""Bits that windows are parted by at once, at most: so many places to write to are near at hand."""
APART: Final = 80
"""Numbers between two tables. Where one lies a multiple of 4096 bytes behind the other, processors hold back what is
read of it until what was just written to the same place of the other is known to be elsewhere."""
NARROW_SUM: Final = 46340
"""Largest whole number whose square fits int32."""
MOST_IN_CELL: Final = 34
"""Windows that are compared pair by pair: no tuple of theirs occurs often enough to be estimated from."""


def _count_leading_zeros(_context: Any, _word: Any) -> Any:
    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], context.get_constant(types.boolean, False))

    return types.uint64(types.uint64), generate


_leading_zeros: Final[Any] = intrinsic(_count_leading_zeros)
"""Returns how many bits of a word before the first 1 are 0; of no bits at all, 64."""


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
    spare = _led(symbols, bits, widest, digits, counts, first, last)
    words = np.empty(len(spare), dtype=np.uint64)
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
def _led(symbols: Any, bits: int, widest: int, digits: int, counts: Any, first: int, last: int) -> Any:
    """Return the same windows parted by what they begin with, in order; of those that begin alike, as they come."""
    places, total = np.empty(last - first, dtype=np.int64), 0
    for digit in range(first, last):
        places[digit - first] = total
        total += counts[digit]
    led, width, own = np.empty(total, dtype=np.uint64), np.uint64(bits), np.uint64(0)
    left, down = np.uint64(64 - widest * bits), np.uint64(64 - digits)
    for i in range(widest - 1):
        own = (own << width) | np.uint64(symbols[i])
    for i in range(widest - 1, len(symbols)):
        own = (own << width) | np.uint64(symbols[i])
        aligned = own << left
        bucket = np.int64(aligned >> down) - first
        if bucket >= 0 and bucket < last - first:
            led[places[bucket]] = aligned
            places[bucket] += 1
    return led


@kernel
def repeats(
    symbols: Any,
    bits: int,
    outer: int,
    inner: int,
    widest: int,
    counts: Any,
    first: int,
    last: int,
    ends: Any,
    lengths: Any,
    alike: Any,
    most: Any,
    pairs: Any,
) -> None:
    """Count the tuples of more than `outer` symbols in the windows that begin with ``first .. last``.

    Parameters
    ----------
    symbols
        ``uint8[n]``, each of `bits` bits; a window has `widest` of them, left-aligned.
    outer, inner
        Symbols by which windows are parted first, and further.
    counts
        As `leading` has them, of so many bits as `outer` symbols take.
    ends
        ``uint64[e]``, what begins too late for a whole window, ascending, among equals the shorter first.
    lengths
        ``int64[e]``, their symbols.
    alike
        ``int64[65]``, whole symbols in so many bits.
    most, pairs
        ``int64[1 + widest]``, as `fold` has them.
    """
    spare, down = _led(symbols, bits, widest, outer * bits, counts, first, last), np.uint64(64 - outer * bits)
    largest = counts[first:last].max()
    words, stack = np.empty(largest, dtype=np.uint64), np.empty((largest // FEW + 1, 4), dtype=np.int64)
    spare_digits, open_ = np.empty(1 << WIDEST_DIGIT, dtype=np.int64), np.empty((2, widest + 1), dtype=np.int64)
    room = np.empty((2, (1 << inner * bits) + APART), dtype=np.int32)
    cells, beyond = room[0, : 1 << inner * bits], room[1, : 1 << inner * bits]
    shared = np.zeros((3, 65), dtype=np.int64)
    start, late = 0, 0
    for digit in range(first, last):
        while late < len(ends) and np.int64(ends[late] >> down) < digit:
            late += 1
        later = late
        while later < len(ends) and np.int64(ends[later] >> down) == digit:
            later += 1
        of_digit, own_ends, own_lengths = spare[start : start + counts[digit]], ends[late:later], lengths[late:later]
        if _counted(of_digit, bits, outer + inner, cells) + len(own_ends) <= MOST_IN_CELL:
            _compare(of_digit, bits, outer + inner, cells, beyond, words, shared)
            _compare_ends(own_ends, own_lengths, bits, outer + inner, cells, beyond, words, alike, pairs)
            fold(cells, beyond, own_ends, own_lengths, bits, outer, outer + inner, most, pairs)
        else:
            _sorted_into(words, of_digit, 0, counts[digit], 64 - outer * bits, stack, spare_digits)
            _runs(words[: counts[digit]], own_ends, own_lengths, outer, alike, open_, most, pairs)
        start += counts[digit]
        late = later
    for same in range((outer + inner) * bits, 65):
        pairs[alike[same]] += shared[:, same].sum()
        pairs[outer + inner] -= shared[:, same].sum()


@kernel
def _counted(windows: Any, bits: int, wide: int, cells: Any) -> Any:
    """Count in `cells` the windows by the last of their first `wide` symbols; return the largest count."""
    cells[:] = 0
    down, mask = np.uint64(64 - wide * bits), np.uint64(len(cells) - 1)
    for window in windows:
        cells[(window >> down) & mask] += 1
    return cells.max()


@kernel
def _compare(windows: Any, bits: int, wide: int, cells: Any, beyond: Any, parted: Any, shared: Any) -> None:
    """Count pairs of windows by the bits that they share; some of those with less than `wide` symbols are missing.

    Most windows have at most two others after them in their cell: two are compared without asking whose they are.
    The windows are left in `parted`, cell by cell, and in `beyond` where each cell ends there.

    Parameters
    ----------
    cells, beyond
        ``int32[c]``; the former as `_counted` leaves them.
    shared
        ``int64[3, 65]``, pairs by bits; what is counted is their sum.
    """
    down, mask, least, place = np.uint64(64 - wide * bits), np.uint64(len(cells) - 1), wide * bits, np.int32(0)
    for cell in range(len(cells)):
        beyond[cell] = place
        place += cells[cell]
    for window in windows:
        cell = (window >> down) & mask
        parted[beyond[cell]] = window
        beyond[cell] += 1
    count = len(windows)
    for i in range(count - 3):
        own = parted[i]
        shared[0, _leading_zeros(own ^ parted[i + 1])] += 1
        shared[1, _leading_zeros(own ^ parted[i + 2])] += 1
        same: Any = np.int64(_leading_zeros(own ^ parted[i + 3]))
        other = i + 3
        while same >= least:
            shared[2, same] += 1
            other += 1
            same = np.int64(_leading_zeros(own ^ parted[other])) if other < count else -1
    for i in range(max(0, count - 3), count):
        for other in range(i + 1, count):
            shared[2, _leading_zeros(parted[i] ^ parted[other])] += 1


@kernel
def _compare_ends(
    ends: Any, lengths: Any, bits: int, wide: int, cells: Any, beyond: Any, parted: Any, alike: Any, pairs: Any
) -> None:
    """Enter into `pairs` the pairs of an end with a window, and of two ends, that share more than `wide` symbols."""
    down, mask = np.uint64(64 - wide * bits), np.uint64(len(cells) - 1)
    for end in range(len(ends)):
        if lengths[end] <= wide:
            continue
        cell = (ends[end] >> down) & mask
        for other in range(beyond[cell] - cells[cell], beyond[cell]):
            pairs[min(alike[_leading_zeros(ends[end] ^ parted[other])], lengths[end])] += 1
            pairs[wide] -= 1
        for before in range(end):
            if lengths[before] > wide and (ends[before] >> down) & mask == cell:
                both = alike[_leading_zeros(ends[end] ^ ends[before])]
                pairs[min(both, lengths[end], lengths[before])] += 1
                pairs[wide] -= 1


@kernel
def fold(
    cells: Any, spare: Any, ends: Any, lengths: Any, bits: int, narrow: int, wide: int, most: Any, pairs: Any
) -> None:
    """Enter what the counts of tuples of `wide` symbols tell of those of more than `narrow` symbols.

    Parameters
    ----------
    cells
        How often each tuple occurs that begins with some `narrow` symbols, but for those in ends; overwritten.
    spare
        As long, to work in.
    ends, lengths
        What begins too late for a whole window with those symbols, as `repeats` has them.
    most, pairs
        ``int64[1 + widest]``: of tuples of that width, the occurrences of the most frequent one less one, or 0 where
        they are few; and pairs of equal tuples: what `pairs` gets at a width it loses at the next smaller one that it
        does not hold for, so sums from the top on are the pairs.
    """
    size = 1 << (wide - narrow) * bits
    for width in range(wide, narrow, -1):
        down, mask = np.uint64(64 - width * bits), np.uint64(size - 1)
        for end in range(len(ends)):
            if lengths[end] == width or (width == wide and lengths[end] > wide):
                cells[(ends[end] >> down) & mask] += 1
        largest, equal = _equals(cells, size)
        for _ in range(bits):
            size >>= 1
            _halved(cells, spare, size)
            cells, spare = spare, cells
        most[width] = max(most[width], largest - 1)
        pairs[width] += equal >> 1
        pairs[width - 1] -= equal >> 1


@kernel
def _equals(cells: Any, size: int) -> Any:
    """Return the largest of the first `size` counts, and twice the pairs that they make."""
    largest, total, narrow, squares = cells[0], np.int64(0), np.int32(0), np.int64(0)
    for cell in range(size):
        largest, total = max(largest, cells[cell]), total + np.int64(cells[cell])
        narrow = np.int32(narrow + np.int32(cells[cell]) * np.int32(cells[cell]))
    if total <= NARROW_SUM:
        return np.int64(largest), np.int64(narrow) - total
    for cell in range(size):
        squares += np.int64(cells[cell]) * np.int64(cells[cell])
    return np.int64(largest), squares - total


@kernel
def _halved(cells: Any, halves: Any, size: int) -> None:
    """Fill in the sums of the first `size` pairs of counts."""
    for cell in range(size):
        halves[cell] = cells[2 * cell] + cells[2 * cell + 1]


@kernel
def _runs(ordered: Any, ends: Any, lengths: Any, narrow: int, alike: Any, open_: Any, most: Any, pairs: Any) -> None:
    """Count runs of neighbours that share more than `narrow` symbols; widths that have the same run are counted as one.

    Parameters
    ----------
    ordered
        ``uint64[n]``, whole windows, ascending.
    ends, lengths, alike
        As `repeats` has them. An end comes before a whole window that is equal.
    open_
        ``int64[2, 1 + widest]`` to work in: the width of each open run, ascending, and the second window of each.
    most, pairs
        ``int64[1 + widest]``, as `fold` has them; `most` is of runs that are that wide and no wider.
    """
    place, at, taken, before, held, widest = 0, 0, 0, np.uint64(0), 0, len(most) - 1
    length: Any = 0
    while True:
        width = narrow
        while at < len(ends) and lengths[at] <= narrow:
            at += 1
        if at < len(ends) and (taken == len(ordered) or ends[at] <= ordered[taken]):
            if place:
                width = min(alike[np.int64(_leading_zeros(ends[at] ^ before))], lengths[at], length)
            before, length = ends[at], lengths[at]
            at += 1
        elif taken < len(ordered):
            if place:
                width = min(alike[np.int64(_leading_zeros(ordered[taken] ^ before))], length)
            before, length = ordered[taken], widest
            taken += 1
        elif held == 0:
            break
        begun = place
        while held and open_[0, held - 1] > width:
            held -= 1
            begun, many = open_[1, held], place - open_[1, held]
            most[open_[0, held]] = max(most[open_[0, held]], many)
            pairs[open_[0, held]] += many * (many + 1) // 2
            pairs[max(width, open_[0, held - 1] if held else 0)] -= many * (many + 1) // 2
        if width > narrow and (held == 0 or open_[0, held - 1] < width):
            open_[0, held], open_[1, held] = width, begun
            held += 1
        place += 1


@kernel
def _sorted_into(words: Any, spare: Any, start: int, stop: int, below: int, stack: Any, inner: Any) -> None:
    """Sort ``spare[start:stop]``, alike but for their lowest `below` bits, into the same places of `words`.

    Both others are to work in: ``int64[rows, 4]``, a row for each `FEW` windows with start, stop, bits that differ and
    whether they are in `words`, and ``int64[2**WIDEST_DIGIT]``.
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
                    row = stack[held]
                    row[0], row[1], row[2], row[3] = place, inner[digit], rest, 1 - there
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
