"""Which samples the dictionary of contexts of 1 to 16 samples predicts rightly: LZ78Y of SP 800-90B 6.3.10.

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
