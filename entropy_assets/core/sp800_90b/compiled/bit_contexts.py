"""Which bits contexts of 1 to 16 bits predict rightly: MultiMMC of SP 800-90B 6.3.9.

The contexts of bits index a table: it is small, and none of them has to be left out.
"""

from typing import Any

import numpy as np

from entropy_assets.core.compiling import kernel


@kernel
def multi_mmc_bit_hits(bits: Any, depths: int, entries: int) -> Any:
    """Return ``uint64[words, depths]``: which bits each depth of MultiMMC predicts rightly.

    Parameters
    ----------
    bits
        ``uint8[n]``.
    depths
        The longest context, bits.
    entries
        Pairs of context and bit that one depth may hold.
    """
    n = len(bits)
    words, one = (n + 63) // 64, np.uint64(1)
    hits = np.zeros((words, depths), dtype=np.uint64)
    leads = np.zeros(2 << depths, dtype=np.int32)
    unseen = np.array([2 << row for row in range(depths)])
    free = 0  # depths that always have room for all of their pairs
    while free < depths and (n <= entries or 4 << free <= entries):
        free += 1
    counts = np.zeros(2 << depths if free < depths else 0, dtype=np.uint64)
    pairs = np.zeros(depths, dtype=np.int64)
    before = np.uint64(0)
    for place in range(words):
        start, stop = 64 * place, min(n, 64 * place + 64)
        word, shorter = np.uint64(0), ~np.uint64(0)
        for i in range(start, stop):
            word = (word << one) | np.uint64(bits[i])
        ahead = word << np.uint64(64 - (stop - start))
        for row in range(free):
            if unseen[row]:
                right, shorter = _first_of_depth(ahead, row, start, stop, before, shorter, leads, unseen)
            else:
                right = _of_depth(ahead, row, stop - start, before, leads)
            hits[place, row] = right & shorter
        for row in range(free, depths):
            hits[place, row], shorter = _limited(bits, row, start, stop, before, shorter, counts, pairs, entries)
        before = word
    return hits


@kernel
def _of_depth(ahead: Any, row: int, count: int, past: Any, leads: Any) -> Any:
    """Return which bits of a word a depth predicts rightly all of whose contexts have been seen.

    Parameters
    ----------
    ahead
        The bits of the word, the first one highest.
    row
        The depth less one.
    count
        How many bits there are.
    past
        The bits before, the last one lowest.
    leads
        ``int32[2 << depths]``: 0 for a context that has not been seen, else twice how much oftener 1 followed than 0,
        and one.
    """
    one, last, sign = np.uint64(1), np.uint64(63), np.uint64(31)
    top = one << np.uint64(row + 1)
    word = np.uint64(0)
    for _ in range(count):
        own = ahead >> last
        ahead <<= one
        cell = top | (past & (top - one))
        past = (past << one) | own
        lead = leads[cell]
        leads[cell] = lead + 4 * np.int32(own) - 2
        word = (word >> one) | ((own ^ (np.uint64(np.uint32(lead)) >> sign)) << last)
    return word >> np.uint64(64 - count)


@kernel
def _first_of_depth(
    ahead: Any, row: int, start: int, stop: int, past: Any, shorter: Any, leads: Any, unseen: Any
) -> Any:
    """Return the same of a depth with contexts yet to be seen, and for which bits it and all below it predict.

    Parameters
    ----------
    start, stop
        Which bits of the sequence these are; the first ones have no context of this depth.
    shorter
        For which bits all depths below predict.
    unseen
        ``int64[depths]``, contexts that have not been seen.
    """
    one, last = np.uint64(1), np.uint64(63)
    top = one << np.uint64(row + 1)
    word, known, left = np.uint64(0), np.uint64(0), unseen[row]
    for i in range(start, stop):
        own = ahead >> last
        ahead <<= one
        cell = top | (past & (top - one))
        past = (past << one) | own
        word, known = word >> one, known >> one
        if i > row:
            lead = leads[cell]
            new = np.int32(lead == 0)
            left -= new
            leads[cell] = lead + new + 4 * np.int32(own) - 2
            word |= (own ^ np.uint64(lead < 0)) << last
            known |= np.uint64(1 - new) << last
    unseen[row] = left
    rest = np.uint64(64 - (stop - start))
    return word >> rest, shorter & (known >> rest)


@kernel
def _limited(
    bits: Any, row: int, start: int, stop: int, past: Any, shorter: Any, counts: Any, pairs: Any, entries: int
) -> Any:
    """Return which bits of a word a depth predicts rightly that may hold only so many pairs, and what it predicts.

    Parameters
    ----------
    past
        The bits before, the last one lowest.
    shorter
        What the depth below predicts.
    counts
        ``uint64[2 << depths]``: how often 1 followed each context above, how often 0 below.
    pairs
        ``int64[depths]``, pairs that each depth holds.
    """
    one, half = np.uint64(1), np.uint64(32)
    top = one << np.uint64(row + 1)
    word, known, held = np.uint64(0), np.uint64(0), pairs[row]
    for i in range(start, stop):
        own, shift = np.uint64(bits[i]), np.uint64(i - start)
        cell = top | (past & (top - one))
        past = (past << one) | own
        if i <= row:
            continue
        both = counts[cell]
        zeros, ones = both & np.uint64(0xFFFFFFFF), both >> half
        known |= np.uint64(both != 0) << shift
        word |= (np.uint64(ones < zeros) ^ own) << shift
        if (ones if own else zeros) == 0:
            if held >= entries:
                continue
            held += 1
        counts[cell] = both + (one << (half * own))
    pairs[row] = held
    return word & shorter & known, shorter & known
