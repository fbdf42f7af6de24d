"""Which samples contexts of 1 to 16 samples predict rightly: MultiMMC and LZ78Y of SP 800-90B 6.3.9 and 6.3.10.

Depth by depth, only those samples are looked at whose context is repeated.
"""

from typing import Any

import numpy as np

from entropy_assets.core.compiling import kernel


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
    """Return ``uint64[words, depths]``: which samples each depth of MultiMMC predicts rightly.

    Parameters
    ----------
    depths
        The longest context, samples.
    entries
        Pairs of context and symbol that one depth may hold.
    """
    n = len(symbols)
    hits = np.zeros(((n + 63) // 64, depths), dtype=np.uint64)
    times, groups = np.arange(1, n).astype(np.int32), symbols[: n - 1].astype(np.int32)
    shorter = np.ones(n, dtype=np.bool_)
    count, contexts, guessed = n - 1, alphabet, True
    for depth in range(1, depths + 1):
        if guessed:
            of_depth = times[:count], groups[:count]
            guessed, count, contexts = _follow(symbols, alphabet, depth, *of_depth, contexts, entries, shorter, hits)
    return hits


@kernel
def _follow(
    symbols: Any,
    alphabet: int,
    depth: int,
    times: Any,
    groups: Any,
    contexts: int,
    entries: int,
    shorter: Any,
    hits: Any,
) -> Any:
    """Enter into `hits` what the contexts of `depth` predict rightly; return whether they predict anything.

    A context and its follower are the context of the next sample that is longer by one: those that are repeated are
    left in `times` and `groups`. How many these are and how many contexts they have is returned too.

    Parameters
    ----------
    shorter
        Whether the context that is shorter by one predicted each sample: else this one doesn't either. Overwritten.
    """
    names, counts = _table(len(times), contexts * alphabet)
    most, guess = np.zeros(contexts, dtype=np.int32), np.zeros(contexts, dtype=np.int32)
    predicted, cells = np.zeros(len(times), dtype=np.bool_), np.empty(len(times), dtype=np.int32)
    pairs, guessed = 0, False
    for place in range(len(times)):
        time, group = times[place], groups[place]
        own = np.int32(symbols[time])
        if most[group] > 0 and shorter[time]:
            predicted[place] = guessed = True
            if guess[group] == own:
                hits[time >> 6, depth - 1] |= np.uint64(1) << np.uint64(time & 63)
        cell = _cell(names, np.int64(group) * alphabet + np.int64(own))
        cells[place] = cell
        seen = counts[cell]
        refused = False
        if seen == 0:
            refused = time - depth - place + pairs >= entries
            pairs += 1
        if refused or seen < 0:
            counts[cell] = seen - 1
            continue
        counts[cell] = seen + 1
        if seen + 1 > most[group] or (seen + 1 == most[group] and own > guess[group]):
            most[group], guess[group] = seen + 1, own
    shorter[:] = False
    for place in range(len(times)):
        shorter[times[place]] = predicted[place]
    left, found = _repeated_pairs(times, groups, cells, counts, len(symbols))
    return guessed, left, found


@kernel
def _repeated_pairs(times: Any, groups: Any, cells: Any, counts: Any, n: int) -> Any:
    """Leave in `times` the samples after repeated pairs, in `groups` which pair; return how many of each there are."""
    found = 0
    for cell in range(len(counts)):
        if abs(counts[cell]) > 1:
            counts[cell] = found
            found += 1
        else:
            counts[cell] = -1
    left = 0
    for place in range(len(times)):
        number = counts[cells[place]]
        if number >= 0 and times[place] + 1 < n:
            times[left], groups[left] = times[place] + 1, number
            left += 1
    return left, found


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
    last = 0
    for i in range(depths, n):
        group, own, further = np.int64(symbols[i - 1]), np.int64(symbols[i]), np.int16(symbols[i - 2])
        if most[group] == 0 and (i - depths + 1) * depths > entries:
            return hits, n - 1
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
    return hits, n - 1 if tied.any() else last


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
