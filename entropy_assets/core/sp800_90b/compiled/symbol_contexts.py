"""Which samples contexts of 1 to 16 samples predict rightly: MultiMMC of SP 800-90B 6.3.9.

The shortest contexts have a table. From then on samples with the same context stand together, in order. Those of them
that are alike are a context of the next depth, of the samples after them: so groups are only ever parted.
"""

from typing import Any, Final

import numpy as np
from numba import types
from numba.extending import intrinsic

from entropy_assets.core.compiling import kernel

MOST_CELLS: Final = 1 << 16
"""Pairs of context and symbol up to which a depth of MultiMMC has a table: it stays near at hand."""
APART: Final = 80
"""Numbers by which two tables are moved, since they would lie a multiple of 4096 bytes apart: see `sorting.APART`."""


def _count_ones(_context: Any, _word: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


_ones: Final[Any] = intrinsic(_count_ones)
"""Returns how many bits of a word are 1."""


@kernel
def multi_mmc_hits(symbols: Any, alphabet: int, depths: int, entries: int) -> Any:
    """Return ``uint64[depths, words]``: which samples each depth of MultiMMC predicts rightly.

    Parameters
    ----------
    depths
        The longest context, samples.
    entries
        Pairs of context and symbol that one depth may hold.
    """
    n, words = len(symbols), (len(symbols) + 63) // 64
    hits = np.zeros((depths, words), dtype=np.uint64)
    predicted, shorter, again = np.zeros((3, words), dtype=np.uint64)
    shorter[:] = ~np.uint64(0)
    depth, contexts = 1, alphabet
    while depth < depths and contexts * alphabet <= min(MOST_CELLS, entries):
        predicted[:] = 0
        _guess_by_table(symbols, alphabet, depth, contexts, shorter, predicted, hits[depth - 1])
        shorter, predicted = predicted, shorter
        depth, contexts = depth + 1, contexts * alphabet
    times, further = np.empty(n, dtype=np.int32), np.empty(n + APART, dtype=np.int32)[APART:]
    owns, further_owns = np.empty(n, dtype=np.uint8), np.empty(n + 4 * APART, dtype=np.uint8)[4 * APART :]
    bounds, further_bounds = np.empty((n // 2 + 1, 2), dtype=np.int32), np.empty((n // 2 + APART, 2), dtype=np.int32)
    counts, places = np.zeros(alphabet, dtype=np.int32), np.zeros(alphabet, dtype=np.int32)
    parts = np.empty(n // 2 + 1, dtype=np.bool_)
    groups = _grouped(symbols, alphabet, depth, contexts, times, owns, bounds)
    while depth <= depths and groups:
        again[:], predicted[:] = 0, 0
        found = _parted(
            symbols, times, owns, bounds[:groups], further, further_owns, further_bounds, parts, again, counts, places
        )
        full = _full_at(again, depth, n, entries) if n > entries else n
        _guess(times, owns, bounds[:groups], parts, full, shorter, predicted, hits[depth - 1], counts)
        depth, groups = depth + 1, found
        times, further, owns, further_owns = further, times, further_owns, owns
        bounds, further_bounds, shorter, predicted = further_bounds, bounds, predicted, shorter
    return hits


@kernel
def _guess_by_table(
    symbols: Any, alphabet: int, depth: int, contexts: int, shorter: Any, predicted: Any, hits: Any
) -> None:
    """Do what `_guess` does of a depth with a table of all `contexts`, that has room for each pair."""
    counts = np.zeros(contexts * alphabet, dtype=np.int32)
    bests = np.zeros(contexts, dtype=np.int64)  # how often the most frequent follower was seen, and below that which
    context, many = np.uint64(0), np.uint64(contexts)
    for i in range(depth):
        context = context * np.uint64(alphabet) + np.uint64(symbols[i])
    for word in range(len(hits)):
        right, told = np.uint64(0), np.uint64(0)
        for i in range(max(depth, 64 * word), min(len(symbols), 64 * word + 64)):
            own, bit = np.uint64(symbols[i]), np.uint64(i & 63)
            best = bests[context]
            told |= np.uint64(best > 0) << bit
            right |= np.uint64(np.uint64(best & 255) == own) << bit
            pair = context * np.uint64(alphabet) + own
            count = counts[pair] + np.int32(1)
            counts[pair] = count
            bests[context] = max(best, np.int64(count) << 8 | np.int64(own))
            context = pair - np.uint64(symbols[i - depth]) * many
        told &= shorter[word]
        predicted[word], hits[word] = told, told & right


@kernel
def _grouped(symbols: Any, alphabet: int, depth: int, contexts: int, times: Any, owns: Any, bounds: Any) -> int:
    """Fill in the samples with a context that is repeated, by context; return how many of these there are.

    Parameters
    ----------
    contexts
        How many there could be.
    times, owns
        ``int32[n]`` and ``uint8[n]``: the samples of each group, ascending, and their symbols.
    bounds
        ``int32[groups, 2]``: where each group begins and ends.
    """
    places = np.zeros(contexts, dtype=np.int32)
    first, letters, many = np.uint64(0), np.uint64(alphabet), np.uint64(contexts)
    for i in range(depth):
        first = first * letters + np.uint64(symbols[i])
    context = first
    for i in range(depth, len(symbols)):
        places[context] += 1
        context = context * letters + np.uint64(symbols[i]) - np.uint64(symbols[i - depth]) * many
    found, end = 0, np.int32(0)
    for cell in range(contexts):
        count = places[cell]
        places[cell] = end if count > 1 else -1
        if count > 1:
            bounds[found, 0], bounds[found, 1] = end, end + count
            end += count
            found += 1
    context = first
    for i in range(depth, len(symbols)):
        own, place = symbols[i], places[context]
        if place >= 0:
            times[place], owns[place] = i, own
            places[context] = place + 1
        context = context * letters + np.uint64(own) - np.uint64(symbols[i - depth]) * many
    return found


@kernel
def _parted(
    symbols: Any,
    times: Any,
    owns: Any,
    bounds: Any,
    further: Any,
    further_owns: Any,
    further_bounds: Any,
    parts: Any,
    again: Any,
    counts: Any,
    places: Any,
) -> int:
    """Fill in the samples after equal ones of a group, as `_grouped` does; return how many groups these make.

    Parameters
    ----------
    parts
        ``bool[groups]``: whether there are equal ones in each group is left here.
    again
        ``uint64[words]``, all 0: the samples are left here that one in the same group is equal to before.
    counts, places
        ``int32[alphabet]`` to work in; `counts` is 0 and left so.
    """
    n, found, end = len(symbols), 0, 0
    for group in range(len(bounds)):
        start, stop = bounds[group]
        equal = 0
        for place in range(start, stop):
            equal += counts[owns[place]]
            counts[owns[place]] += 1
        parts[group] = equal > 0
        if equal:
            for place in range(start, stop):
                own, after = owns[place], times[place] + 1
                if counts[own] == 1:
                    continue
                if counts[own] > 0:
                    places[own] = found
                    further_bounds[found, 0] = further_bounds[found, 1] = end
                    end += counts[own]
                    counts[own] = -1
                    found += 1
                else:
                    again[(after - 1) >> 6] |= np.uint64(1) << np.uint64((after - 1) & 63)
                if after < n:
                    to = further_bounds[places[own], 1]
                    further[to], further_owns[to] = after, symbols[after]
                    further_bounds[places[own], 1] = to + 1
        for place in range(start, stop):
            counts[owns[place]] = 0
    return found


@kernel
def _full_at(again: Any, depth: int, n: int, entries: int) -> int:
    """Return the last sample at which a new pair has room, or `n` if all have: what is not there again is new."""
    place = 0
    new: Any = -depth
    while place < len(again) and new + 64 - np.int64(_ones(again[place])) < entries:
        new += 64 - np.int64(_ones(again[place]))
        place += 1
    for i in range(64 * place, n):
        if not (again[i >> 6] >> np.uint64(i & 63)) & np.uint64(1):
            new += 1
            if new == entries:
                return i
    return n


@kernel
def _guess(
    times: Any, owns: Any, bounds: Any, parts: Any, full: int, shorter: Any, predicted: Any, hits: Any, counts: Any
) -> None:
    """Enter into `hits` what the contexts of one depth predict rightly.

    Parameters
    ----------
    parts
        Which groups hold equal symbols: in the others nothing is predicted rightly.
    full
        Pairs that are new after this sample have no room.
    shorter
        ``uint64[words]``: which samples the context that is shorter by one predicts; the others are not predicted.
    predicted
        The same of this depth, all 0 at first.
    counts
        ``int32[alphabet]`` to work in; 0 and left so.
    """
    for group in range(len(bounds)):
        start, stop = bounds[group]
        if not parts[group]:
            for place in range(start + 1, stop if times[start] <= full else start):
                word, bit = np.uint64(times[place]) >> np.uint64(6), np.uint64(times[place] & 63)
                predicted[word] |= shorter[word] & (np.uint64(1) << bit)
            continue
        most, guess = np.int32(0), np.uint8(0)
        for place in range(start, stop):
            time, own = times[place], owns[place]
            word, bit = np.uint64(time) >> np.uint64(6), np.uint64(1) << np.uint64(time & 63)
            if most > 0 and shorter[word] & bit:
                predicted[word] |= bit
                if guess == own:
                    hits[word] |= bit
            seen = counts[own]
            if seen < 0 or (seen == 0 and time > full):
                counts[own] = -1
                continue
            seen += np.int32(1)
            counts[own] = seen
            if seen > most or (seen == most and own > guess):
                most, guess = seen, own
        for place in range(start, stop):
            counts[owns[place]] = 0
