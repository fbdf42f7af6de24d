"""Counts behind the collision, compression, t-tuple and LRS estimates of SP 800-90B 6.3.2 and 6.3.4 to 6.3.6."""

from typing import Any, Final

import numpy as np
from numba import types
from numba.extending import intrinsic

from entropy_assets.core.compiling import kernel


def _count_leading_zeros(_context: Any, _word: Any) -> Any:
    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], context.get_constant(types.boolean, False))

    return types.uint64(types.uint64), generate


_leading_zeros: Final[Any] = intrinsic(_count_leading_zeros)
"""Returns how many bits of a word before the first 1 are 0; of no bits at all, 64."""


@kernel
def collisions(bits: Any) -> Any:
    """Return how many searches end after 2 bits and after 3 (6.3.2 step 2)."""
    twos, threes, place, n = 0, 0, 0, len(bits)
    while place + 1 < n:
        if bits[place] == bits[place + 1]:
            twos += 1
            place += 2
        else:
            threes += place + 2 < n
            place += 3
    return twos, threes


@kernel
def distances(bits: Any, count: int, skipped: int) -> Any:
    """Return how often each distance between equal words of 6 bits occurs, ``int64[largest + 1]``.

    The distance is how far back the same word stands, and the 1-based position of the word if nowhere.

    Parameters
    ----------
    count
        Number of words.
    skipped
        Words at the beginning whose distance is not counted.
    """
    seen, largest = np.zeros(1024, dtype=np.int64), 0
    latest = np.full(64, -1, dtype=np.int64)
    for place in range(count):
        word = np.int64(0)
        for i in range(6 * place, 6 * place + 6):
            word = (word << 1) | np.int64(bits[i])
        distance = place - latest[word]
        latest[word] = place
        if place < skipped:
            continue
        if distance >= len(seen):
            longer = np.zeros(2 * distance, dtype=np.int64)
            longer[: len(seen)] = seen
            seen = longer
        seen[distance] += 1
        largest = max(largest, distance)
    return seen[: largest + 1]


@kernel
def runs(
    ordered: Any, ends: Any, lengths: Any, last: bool, alike: Any, state: Any, open_: Any, most: Any, pairs: Any
) -> None:
    """Count runs of neighbours that share a tuple, for every width at once; more follow unless this is the `last` part.

    A run of some width lies in one of each smaller width. Widths that have the same run are counted as one: what
    `pairs` gets at the largest of them it loses below the smallest, and sums from the top on are the counts.

    Parameters
    ----------
    ordered
        ``uint64[n]``, whole windows, ascending: one part of them, after those of the parts before.
    ends
        ``uint64[e]``, what begins too late for a whole window, ascending, among equals the shorter first. It comes
        before a whole window that is equal.
    lengths
        ``int64[e]``, their symbols.
    alike
        ``int64[65]``, whole symbols in so many bits.
    state
        ``int64[5]``, all 0 at first: windows so far, ends so far, the last window and its length, and open runs.
    open_
        ``int64[2, 1 + widest]``: the width of each open run, ascending, and the second window of each.
    most, pairs
        ``int64[1 + widest]``: of runs that are that wide and no wider, the length of the longest less one, and the
        pairs of equal tuples, as said above.
    """
    place, at, before, length, held = state[0], state[1], np.uint64(state[2]), state[3], state[4]
    widest, taken = len(most) - 1, 0
    while taken < len(ordered) or (last and (at < len(ends) or held)):
        width = 0
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
        begun = place
        while held and open_[0, held - 1] > width:
            held -= 1
            begun, many = open_[1, held], place - open_[1, held]
            most[open_[0, held]] = max(most[open_[0, held]], many)
            pairs[open_[0, held]] += many * (many + 1) // 2
            pairs[max(width, open_[0, held - 1] if held else 0)] -= many * (many + 1) // 2
        if width and (held == 0 or open_[0, held - 1] < width):
            open_[0, held], open_[1, held] = width, begun
            held += 1
        place += 1
    state[0], state[1], state[2], state[3], state[4] = place, at, np.int64(before), length, held


@kernel
def shared_ahead(symbols: Any, ordered: Any, least: int) -> Any:
    """Return how many symbols follow alike from each of `ordered` and from the one before it; 0 if less than `least`.

    Parameters
    ----------
    symbols
        ``uint8[n]``.
    ordered
        ``int64[m]``, positions, ascending by what begins there.
    """
    n = len(symbols)
    before: Any = 0
    known: Any = -2
    shared = np.zeros(len(ordered), dtype=np.int64)
    by_position = np.argsort(ordered)
    for place in by_position:
        own: Any = ordered[place]
        alike: Any = before - 1 if own == known + 1 and before > least else 0
        before, known = 0, own
        if place > 0:
            other: Any = ordered[place - 1]
            while own + alike < n and other + alike < n and symbols[own + alike] == symbols[other + alike]:
                alike += 1
            before = alike
            if alike >= least:
                shared[place] = alike
    return shared


@kernel
def runs_of_any_width(shared: Any) -> Any:
    """Return `most` and `pairs` as `runs` has them, of neighbours that share so many symbols.

    Parameters
    ----------
    shared
        ``int64[m]``, the first 0.
    """
    most, pairs = np.zeros(shared.max() + 1, dtype=np.int64), np.zeros(shared.max() + 1, dtype=np.int64)
    open_, held = np.empty((2, len(shared) + 1), dtype=np.int64), 0
    for place in range(len(shared) + 1):
        width = shared[place] if place < len(shared) else 0
        begun = place
        while held and open_[0, held - 1] > width:
            held -= 1
            wider, begun = open_[0, held], open_[1, held]
            many = place - begun
            most[wider] = max(most[wider], many)
            pairs[wider] += many * (many + 1) // 2
            pairs[max(width, open_[0, held - 1] if held else 0)] -= many * (many + 1) // 2
        if width and (held == 0 or open_[0, held - 1] < width):
            open_[0, held], open_[1, held] = width, begun
            held += 1
    return most, pairs
