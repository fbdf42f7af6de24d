"""Which samples contexts of 1 to 16 samples predict rightly: MultiMMC and LZ78Y of SP 800-90B 6.3.9 and 6.3.10.

Depth by depth, only those samples are looked at whose context is repeated.
"""

from typing import Any, Final

import numpy as np
from numba import types
from numba.extending import intrinsic

from entropy_assets.core.compiling import kernel


def _count_ones(_context: Any, _word: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


_ones: Final[Any] = intrinsic(_count_ones)
"""Returns how many bits of a word are 1."""

MOST_CELLS: Final = 1 << 16
"""Pairs of context and symbol up to which a depth of MultiMMC has a table: it stays near at hand."""


@kernel
def _table(keys: int, most: int) -> Any:
    """Return an empty table for numbers below `most`, of which at most `keys` occur; if that is few, hashed."""
    size = most
    if most > 4 * keys + 1024:
        size = 16
        while size < 2 * keys:
            size *= 2
    return np.full(size if size < most else 0, -1, dtype=np.int64), np.zeros(size, dtype=np.int32)


@kernel
def _cell(names: Any, key: Any) -> Any:
    """Return where `key` stands in a table; it takes its place if it is new."""
    if len(names) == 0:
        return key
    mask = np.uint64(len(names) - 1)
    at = ((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
    while names[at] != key:
        if names[at] < 0:
            names[at] = key
            break
        at = (at + np.uint64(1)) & mask
    return np.int64(at)


@kernel
def _repeated(symbols: Any, alphabet: int, depth: int, times: Any, groups: Any, count: int, most: int) -> Any:
    """Keep those samples whose context of `depth` is repeated; return how many they are and how many contexts.

    Parameters
    ----------
    times, groups
        The samples, ascending, and which context of ``depth - 1`` each has: both are overwritten.
    count
        How many of them there are.
    most
        Contexts of ``depth - 1``.
    """
    names, numbers = _table(count, most * alphabet)
    cells = np.empty(count, dtype=np.int32)
    kept = 0
    for place in range(count):
        if times[place] >= depth:
            cells[kept] = _cell(names, np.int64(groups[place]) * alphabet + np.int64(symbols[times[place] - depth]))
            numbers[cells[kept]] += 1
            times[kept] = times[place]
            kept += 1
    found = 0
    for cell in range(len(numbers)):
        if numbers[cell] > 1:
            numbers[cell] = found
            found += 1
        else:
            numbers[cell] = -1
    left = 0
    for place in range(kept):
        number = numbers[cells[place]]
        if number >= 0:
            times[left], groups[left] = times[place], number
            left += 1
    return left, found


@kernel
def multi_mmc_hits(symbols: Any, alphabet: int, depths: int, entries: int) -> Any:
    """Return ``uint64[depths, words]``: which samples each depth of MultiMMC predicts rightly.

    The shortest contexts have a table. From then on samples with the same context stand together, in order. Those of
    them that are alike are a context of the next depth, of the samples after them: so groups are only ever parted, each
    by itself.

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
    times, further = np.empty((2, n), dtype=np.int32)
    owns, further_owns = np.empty((2, n), dtype=np.uint8)
    bounds, further_bounds = np.empty((2, n // 2 + 1, 2), dtype=np.int32)
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
    new, place = -depth, 0
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


@kernel
def lz78y_first_order(symbols: Any, alphabet: int, depths: int, entries: int) -> Any:
    """Return what LZ78Y gets right by contexts of one sample, ``uint64[words]``, and where longer ones last may count.

    Parameters
    ----------
    depths
        The longest context, samples.
    entries
        Contexts that the dictionary may hold.
    """
    n = len(symbols)
    hits = np.zeros((n + 63) // 64, dtype=np.uint64)
    counts = np.zeros((alphabet, alphabet), dtype=np.int32)
    second = np.full((alphabet, alphabet), -1, dtype=np.int16)
    most, guess = np.zeros(alphabet, dtype=np.int32), np.zeros(alphabet, dtype=np.int64)
    tied = np.zeros(alphabet, dtype=np.bool_)
    start, last, full = depths, 0, n
    while start < n and full == n:
        if alphabet == 2 and start & 63 == 0 and (second == -2).all() and not tied.any():
            _settled_bits(symbols, start >> 6, counts, hits)
            break
        stop = min(n, start - start % 64 + 64) if alphabet == 2 else n
        last, full = _first_order(symbols, start, stop, depths, entries, counts, second, most, guess, tied, last, hits)
        start = stop
    return hits, n - 1 if full < n or tied.any() else last


@kernel
def _first_order(
    symbols: Any,
    start: int,
    stop: int,
    depths: int,
    entries: int,
    counts: Any,
    second: Any,
    most: Any,
    guess: Any,
    tied: Any,
    last: int,
    hits: Any,
) -> Any:
    """Go on from `start` to `stop`; return `last`, and the sample whose context may have no room, or the length.

    Parameters
    ----------
    counts
        ``int32[symbol, symbol]``, how often one followed the other.
    second
        ``int16[symbol, symbol]``: what was before both whenever they occurred; -1 if they did not, -2 if it differed.
    most, guess
        ``[symbol]``: how often its most frequent follower followed, and which it is; of equals the largest.
    tied
        ``bool[symbol]``: whether a context of two samples may have a follower as frequent.
    last
        The last sample at which one was not tied any more.
    """
    n = len(symbols)
    for i in range(start, stop):
        group, own, further = np.int64(symbols[i - 1]), np.int64(symbols[i]), np.int16(symbols[i - 2])
        if most[group] == 0 and (i - depths + 1) * depths > entries:
            return last, i
        if i > depths and most[group] > 0 and guess[group] == own:
            hits[i >> 6] |= np.uint64(1) << np.uint64(i & 63)
        count = counts[group, own] + 1
        counts[group, own] = count
        if count == 1:
            second[group, own] = further
        elif second[group, own] != further:
            second[group, own] = -2
        alike = second[group, own] != -2
        if count > most[group] and tied[group] and not alike:
            last, tied[group] = i, False
        if alike and count >= most[group]:
            tied[group] = True
        if count > most[group] or (count == most[group] and own > guess[group]):
            most[group], guess[group] = count, own
    return last, n


@kernel
def _settled_bits(bits: Any, begun: int, counts: Any, hits: Any) -> None:
    """Enter into `hits`, from word `begun` on, what the bit before each bit predicts rightly; of equals 1 is predicted.

    Parameters
    ----------
    counts
        ``int32[2, 2]``, how often each bit followed each before.
    """
    leads = counts[:, 1] - counts[:, 0]
    before, one = np.uint64(bits[64 * begun - 1]), np.uint64(1)
    for place in range(begun, len(hits)):
        start, stop = 64 * place, min(len(bits), 64 * place + 64)
        word, right = np.uint64(0), np.uint64(0)
        for i in range(start, stop):
            word |= np.uint64(bits[i]) << np.uint64(i - start)
        after_one = (word << one) | before
        whole = ~np.uint64(0) >> np.uint64(64 - (stop - start))
        for group in range(2):
            here = whole & (after_one if group else ~after_one)
            count, ones, lead = np.int64(_ones(here)), np.int64(_ones(here & word)), leads[group]
            if abs(lead) > count:  # whoever leads does so to the end of the word
                right |= here & (word if lead > 0 else ~word)
                leads[group] = lead + 2 * ones - count
                continue
            while here:
                lowest = here & (~here + one)
                here ^= lowest
                own = word & lowest != 0
                right |= lowest if own == (lead >= 0) else np.uint64(0)
                lead += 1 if own else -1
            leads[group] = lead
        hits[place], before = right, word >> np.uint64(63)


@kernel
def lz78y_all_orders(symbols: Any, alphabet: int, depths: int, entries: int) -> Any:
    """Return what LZ78Y gets right by contexts of every length, ``bool[n]``."""
    n = len(symbols)
    full, left = _full(symbols, alphabet, depths, entries) if (n - depths) * depths > entries else (n, 0)
    times, groups = np.arange(depths, n).astype(np.int32), np.zeros(max(0, n - depths), dtype=np.int32)
    count, contexts = len(times), 1
    most, guess = np.zeros(n, dtype=np.int32), np.full(n, -1, dtype=np.int32)
    for depth in range(1, depths + 1):
        count, contexts = _repeated(symbols, alphabet, depth, times, groups, count, contexts)
        if not count:
            break
        names, counts = _table(count, contexts * alphabet)
        largest, symbol = np.zeros(contexts, dtype=np.int32), np.zeros(contexts, dtype=np.int32)
        for place in range(count):
            time, group = times[place], groups[place]
            own = np.int32(symbols[time])
            if largest[group] < 0:
                continue
            if largest[group] == 0 and (time > full or (time == full and depths - depth >= left)):
                largest[group] = -1
                continue
            if largest[group] > 0 and largest[group] >= most[time]:
                most[time], guess[time] = largest[group], symbol[group]
            cell = _cell(names, np.int64(group) * alphabet + np.int64(own))
            counts[cell] += 1
            if counts[cell] > largest[group] or (counts[cell] == largest[group] and own > symbol[group]):
                largest[group], symbol[group] = counts[cell], own
    hits = np.zeros(n, dtype=np.bool_)
    for i in range(depths + 1, n):
        hits[i] = guess[i] == np.int32(symbols[i])
    return hits


@kernel
def _full(symbols: Any, alphabet: int, depths: int, entries: int) -> Any:
    """Return the sample at which the dictionary of LZ78Y is full, and how many contexts fit there still."""
    n = len(symbols)
    known = np.zeros(n, dtype=np.int8)
    times, groups = np.arange(depths, n).astype(np.int32), np.zeros(n - depths, dtype=np.int32)
    count, contexts = len(times), 1
    for depth in range(1, depths + 1):
        count, contexts = _repeated(symbols, alphabet, depth, times, groups, count, contexts)
        seen = np.zeros(contexts, dtype=np.bool_)
        for place in range(count):
            if seen[groups[place]]:
                known[times[place]] = depth
            seen[groups[place]] = True
    held = 0
    for i in range(depths, n):
        if held + depths - known[i] >= entries:
            return i, entries - held
        held += depths - known[i]
    return n, 0
