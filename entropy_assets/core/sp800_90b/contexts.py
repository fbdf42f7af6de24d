"""What followed each context before: the predictors MultiMMC and LZ78Y of SP 800-90B 6.3.9 and 6.3.10.

A dictionary's state after each sample is a running maximum, so its whole course is a sort, a count and a cumulative
maximum. Contexts that occur once predict nothing and are dropped, and with them all longer ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.sp800_90b.kernels import kernels
from entropy_assets.core.sp800_90b.scoreboard import Flags, Words, flags_of, follow_all, packed

Symbols = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]

DEPTHS: Final = 16
"""D of the MultiMMC predictor and B of LZ78Y (6.3.9 and 6.3.10 step 1)."""
MMC_ENTRIES: Final = 100_000
"""Pairs of context and symbol that one depth of MultiMMC may hold (6.3.9 step 1)."""
LZ78Y_ENTRIES: Final = 65_536
"""Contexts that the dictionary of LZ78Y may hold (6.3.10 step 1)."""


@dataclass(frozen=True, slots=True, eq=False)
class Contexts:
    """The contexts of one length that occur twice or more; the others predict nothing.

    Attributes
    ----------
    depth
        Length of a context, samples.
    times
        Samples that have such a context before them, ascending.
    groups
        Which context each of them has, from 0.
    """

    depth: int
    times: Indices
    groups: Indices


def _contexts(symbols: Symbols, alphabet: int) -> Iterator[Contexts]:
    """Yield the contexts of length 1 to `DEPTHS`. A longer one is repeated only where its end is."""
    times, groups = np.arange(len(symbols)), np.zeros(len(symbols), dtype=np.int64)
    for depth in range(1, DEPTHS + 1):
        reached = np.flatnonzero(times >= depth)
        times, groups = times[reached], groups[reached]
        codes = _numbered(groups * alphabet + symbols[times - depth])
        counts = np.bincount(codes)
        kept = np.flatnonzero(counts[codes] > 1)
        times, groups = times[kept], (np.cumsum(counts > 1) - 1)[codes[kept]]
        yield Contexts(depth, times, groups)


def _is_first(groups: Indices) -> Flags:
    """Tell whether each entry is the first of its group."""
    seen_at = np.full(int(groups.max(initial=-1)) + 1, len(groups))
    seen_at[groups[::-1]] = np.arange(len(groups))[::-1]
    first = np.zeros(len(groups), dtype=np.bool_)
    first[seen_at[seen_at < len(groups)]] = True
    return first


def _order(keys: Indices) -> Indices:
    """Return the stable order of `keys`, by a plain sort: that is several times faster than a stable argsort."""
    n = len(keys)
    return np.sort(keys * n + np.arange(n)) % max(n, 1)


def _numbered(codes: Indices) -> Indices:
    """Return `codes` renumbered from 0 without gaps, in their order."""
    if not len(codes):
        return codes
    order = _order(codes)
    ordered = codes[order]
    numbers = np.empty(len(codes), dtype=np.int64)
    numbers[order] = np.cumsum(np.concatenate(([False], ordered[1:] != ordered[:-1])))
    return numbers


def _guesses(symbols: Symbols, contexts: Contexts, alphabet: int, allowed: Flags) -> tuple[Indices, Indices]:
    """Return for each of the contexts' times the symbol that followed most often so far, and how often.

    Where none did, -1 and 0. Among equals the larger symbol counts, as in NIST's tool. Since a count only grows, the
    most frequent symbol is the running maximum of (count, symbol).

    Parameters
    ----------
    allowed
        Which transitions are entered at all: dictionaries have limits.
    """
    times, groups = contexts.times, contexts.groups
    n = len(times)
    if not n:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    pairs = groups * alphabet + symbols[times]
    by_pair = _order(pairs)
    rank = np.empty(n, dtype=np.int64)
    rank[by_pair] = np.arange(n) - _starts(pairs[by_pair])
    scores = np.where(allowed, (rank + 1) * alphabet + symbols[times], 0)
    by_group = _order(groups)
    base = groups[by_group] * ((n + 1) * alphabet)
    best = np.maximum.accumulate(base + scores[by_group]) - base
    before = np.zeros(n, dtype=np.int64)
    before[1:] = np.where(groups[by_group][1:] == groups[by_group][:-1], best[:-1], 0)
    value = np.empty(n, dtype=np.int64)
    value[by_group] = before
    return np.where(value > 0, value % alphabet, -1), value // alphabet


def _starts(ordered: Indices) -> Indices:
    """Return for each entry of an ordered array where its run of equals begins."""
    first = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    return np.maximum.accumulate(np.where(first, np.arange(len(ordered)), 0))


def multi_mmc_hits(symbols: Symbols, alphabet: int) -> Flags:
    """Return for each sample whether MultiMMC was right; its first two samples are not predicted."""
    n = len(symbols)
    if compiled := kernels():
        if alphabet == 2:
            return follow_all(compiled.bit_contexts.multi_mmc_bit_hits(symbols, DEPTHS, MMC_ENTRIES).T, n)
        return follow_all(compiled.symbol_contexts.multi_mmc_hits(symbols, alphabet, DEPTHS, MMC_ENTRIES), n)
    hits: list[Words] = []
    if alphabet == 2:
        hits.extend(_bit_hits(symbols))
    else:
        guessed = np.ones(n, dtype=np.bool_)
        for contexts in _contexts(symbols, alphabet):
            guess = _guess_at(symbols, contexts, alphabet)
            guess[~guessed] = -1
            guessed = guess >= 0
            hits.append(packed(guess == symbols))
            if not guessed.any():
                break
    return follow_all(np.stack(hits), n)


def _guess_at(symbols: Symbols, contexts: Contexts, alphabet: int) -> Indices:
    guess = np.full(len(symbols), -1, dtype=np.int64)
    allowed = _within_entries(symbols, contexts, alphabet)
    guess[contexts.times] = _guesses(symbols, contexts, alphabet, allowed)[0]
    return guess


def _bit_hits(bits: Symbols) -> Iterator[Words]:
    """Yield for each depth which bits MultiMMC predicted rightly.

    The samples stay sorted by context, and by time where that is equal; a depth more is one bit more to part them by.
    """
    order, codes = np.arange(len(bits), dtype=np.int32), np.zeros(len(bits), dtype=np.int32)
    guessed = np.ones(len(bits), dtype=np.bool_)
    for depth in range(1, DEPTHS + 1):
        reached = np.flatnonzero(order >= depth)
        ones = bits[order[reached] - depth] == 1
        parted = reached[np.concatenate((np.flatnonzero(~ones), np.flatnonzero(ones)))]
        order, codes = order[parted], codes[parted]
        codes[np.count_nonzero(~ones) :] |= np.int32(1 << (depth - 1))
        if 2 << depth > MMC_ENTRIES and len(bits) > MMC_ENTRIES:
            times = np.sort(order).astype(np.int64)
            groups = np.empty(len(bits), dtype=np.int64)
            groups[order] = codes
            guess = _guess_at(bits, Contexts(depth, times, groups[times]), 2)
            guess[~guessed] = -1
            guessed = guess >= 0
            yield packed(guess == bits)
            continue
        hits = np.zeros(len(bits), dtype=np.bool_)
        hits[order] = _majority_was_right(bits[order], codes)
        yield packed(hits)


def _majority_was_right(followers: Symbols, groups: npt.NDArray[np.int32]) -> Flags:
    """Tell of each follower, a bit, whether most before it in its group were the same; among equals 1 counts."""
    n = len(followers)
    first = np.flatnonzero(np.concatenate((np.ones(min(n, 1), dtype=np.bool_), groups[1:] != groups[:-1])))
    lead = np.cumsum(2 * followers.astype(np.int32) - 1, dtype=np.int32)
    before = np.concatenate((np.zeros(1, dtype=np.int32), lead[:-1]))[:n]
    lengths = np.diff(np.append(first, n))
    right: Flags = (before >= np.repeat(before[first], lengths)) == (followers == 1)
    right[first] = False
    return right


def _within_entries(symbols: Symbols, contexts: Contexts, alphabet: int) -> Flags:
    """Tell whether each transition fits: its pair of context and symbol was among the first `MMC_ENTRIES`."""
    n = len(symbols)
    if n <= MMC_ENTRIES:
        return np.ones(len(contexts.times), dtype=np.bool_)
    pairs = _numbered(contexts.groups * alphabet + symbols[contexts.times])
    new = np.ones(n, dtype=np.bool_)
    new[: contexts.depth] = False
    first = _is_first(pairs)
    new[contexts.times] = first
    number = np.cumsum(new)[contexts.times]
    fits = np.zeros(int(pairs.max(initial=-1)) + 1, dtype=np.bool_)
    fits[pairs[first]] = number[first] <= MMC_ENTRIES
    return fits[pairs]


def lz78y_hits(symbols: Symbols, alphabet: int) -> Flags:
    """Return for each sample whether LZ78Y was right; its first 17 samples are not predicted.

    A longer context was followed by a symbol at most as often as its last sample was. So once the most frequent
    follower of every symbol came after different contexts, the longer ones never win again.
    """
    if compiled := kernels():
        words, last = compiled.contexts.lz78y_first_order(symbols, alphabet, DEPTHS, LZ78Y_ENTRIES)
        hits = flags_of(words, len(symbols))
        begun = symbols[: last + 1]
        hits[: last + 1] = compiled.contexts.lz78y_all_orders(begun, alphabet, DEPTHS, LZ78Y_ENTRIES)
        return hits
    hits, last = _first_order(symbols, alphabet)
    hits[: last + 1] = _all_orders(symbols[: last + 1], alphabet)
    return hits


def _first_order(symbols: Symbols, alphabet: int) -> tuple[Flags, int]:
    """Return what LZ78Y gets right by contexts of one sample, and the last sample where longer ones may count."""
    n = len(symbols)
    times = np.arange(DEPTHS, n)
    contexts = Contexts(1, times, symbols[times - 1].astype(np.int64))
    guess, most = _guesses(symbols, contexts, alphabet, np.ones(len(times), dtype=np.bool_))
    hits = np.zeros(n, dtype=np.bool_)
    hits[DEPTHS + 1 :] = guess[1:] == symbols[DEPTHS + 1 :]
    return hits, _last_tie(symbols, contexts, alphabet, most)


def _last_tie(symbols: Symbols, contexts: Contexts, alphabet: int, most: Indices) -> int:
    """Return the last sample at which a context of two samples may have a follower as frequent as one of one sample.

    It may while the most frequent follower of a symbol always had the same sample before that symbol. It also may if
    a symbol came so late that the dictionary could be full.
    """
    times, groups = contexts.times, contexts.groups
    n = len(times)
    late = times[_is_first(groups)].max(initial=0)
    if (late - DEPTHS + 1) * DEPTHS > LZ78Y_ENTRIES:
        return len(symbols) - 1
    pairs = groups * alphabet + symbols[times]
    by_pair = _order(pairs)
    starts = _starts(pairs[by_pair])
    second = symbols[times - 2][by_pair]
    other = np.cumsum(second != second[starts])
    rank = np.empty(n, dtype=np.int64)
    rank[by_pair] = np.arange(n) - starts + 1
    alike = np.empty(n, dtype=np.bool_)
    alike[by_pair] = other == other[starts]
    last = 0
    for group in np.unique(groups):
        inside = np.flatnonzero(groups == group)
        tied = np.flatnonzero(alike[inside] & (rank[inside] >= most[inside]))
        if len(tied):
            raised = inside[tied[-1] + 1 :]
            raised = raised[rank[raised] > most[raised]]
            last = max(last, int(times[raised[0]]) if len(raised) else len(symbols) - 1)
    return last


def _all_orders(symbols: Symbols, alphabet: int) -> Flags:
    """Return what LZ78Y gets right, by contexts of every length."""
    n = len(symbols)
    depths = [
        Contexts(contexts.depth, contexts.times[late], contexts.groups[late])
        for contexts in _contexts(symbols, alphabet)
        for late in [contexts.times >= DEPTHS]
    ]
    new = np.zeros((n, DEPTHS), dtype=np.bool_)
    new[DEPTHS:] = True
    firsts = [_is_first(contexts.groups) for contexts in depths]
    for contexts, first in zip(depths, firsts, strict=True):
        new[contexts.times, DEPTHS - contexts.depth] = first
    number = np.cumsum(new.ravel()).reshape(n, DEPTHS)
    most, guess = np.zeros(n, dtype=np.int64), np.full(n, -1, dtype=np.int64)
    for contexts, first in reversed(list(zip(depths, firsts, strict=True))):
        fits = np.zeros(int(contexts.groups.max(initial=-1)) + 1, dtype=np.bool_)
        fits[contexts.groups[first]] = number[contexts.times, DEPTHS - contexts.depth][first] <= LZ78Y_ENTRIES
        symbol, count = _guesses(symbols, contexts, alphabet, fits[contexts.groups])
        better = count > most[contexts.times]
        most[contexts.times[better]] = count[better]
        guess[contexts.times[better]] = symbol[better]
    hits: Flags = guess == symbols
    hits[: DEPTHS + 1] = False
    return hits
