"""How often tuples occur: the t-tuple and the longest-repeated-substring estimate of SP 800-90B 6.3.5 and 6.3.6.

Windows of up to 64 bits are counted wherever the symbols lie. The few positions that share all of a window are put in
order by what follows, in memory, for twice as many symbols each time.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.arrays import WORD_BITS, on_host
from entropy_assets.core.sp800_90b.alphabets import bitstring
from entropy_assets.core.sp800_90b.arrays.sorting import Windows, ranges, repeated, runs
from entropy_assets.core.sp800_90b.estimators import Estimate, Symbols, bits_of, upper_bound
from entropy_assets.core.sp800_90b.kernels import Kernels, kernels, kernels_for

Indices = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

LEAST_TUPLE_COUNT: Final = 35
"""Occurrences that a tuple must reach to be estimated from (6.3.5 step 1)."""
OUTER_BITS: Final = 9
"""Bits that compiled loops part windows by first, if a symbol has no more."""
INNER_BITS: Final = 11
"""Bits that they part them by further, at most."""
CELL_BITS: Final = 1
"""Bits less than the number of windows has: one or two windows fall into each cell then."""


def tuples_and_repeats(
    symbols: Symbols, alphabet: int, longest: int | None = None
) -> tuple[Estimate | None, Estimate | None]:
    """Return the t-tuple estimate (6.3.5) and that of the longest repeated substring (6.3.6).

    Parameters
    ----------
    symbols
        ``uint8[n]``, wherever they lie.
    alphabet
        Number of symbols that could occur.
    longest
        Symbols of the longest tuples that are looked at; by default all are.
    """
    n = symbols.shape[0]
    p_tuple, p_repeat, t, v = 0.0, 0.0, 0, 0
    for width, most, pairs in repeated_tuples(symbols, alphabet, longest):
        windows = n - width + 1
        if most:
            t = width
            p_tuple = max(p_tuple, (most / windows) ** (1 / width))
        else:
            v = width
            p_repeat = max(p_repeat, (float(pairs) / (windows * (windows - 1) // 2)) ** (1 / width))
    of_repeats = {"u": t + 1, "v": v, "p_hat": p_repeat}
    return _of_bound(p_tuple, n, {"t": t, "p_max": p_tuple}), _of_bound(p_repeat, n, of_repeats)


def longest_repeat(symbols: Symbols, alphabet: int) -> int:
    """Return W of 5.2.5: how long the longest substring is that occurs twice; occurrences may overlap."""
    return max((width for width, _, _ in repeated_tuples(symbols, alphabet)), default=0)


def _of_bound(p: float, n: int, values: dict[str, float]) -> Estimate | None:
    if p <= 0:
        return None
    p_u = upper_bound(p, n)
    return Estimate(bits_of(p_u), values | {"p_u": p_u})


def repeated_tuples(symbols: Symbols, alphabet: int, longest: int | None = None) -> Iterator[tuple[int, int, int]]:
    """Yield each width up to the longest repeat, with how often its tuples occur.

    That is the occurrences of the most frequent one, 0 where they are too few to be estimated from, and the pairs of
    equals. Parameters are those of `tuples_and_repeats`.
    """
    longest = symbols.shape[0] if longest is None else longest
    bits = max(1, (alphabet - 1).bit_length())
    widest = min(WORD_BITS // bits, symbols.shape[0])
    windows = Windows(symbols, bits, widest)
    loops = kernels_for(symbols)
    most, pairs = _compiled_runs(windows, loops) if loops else runs(windows)
    for width in range(1, widest + 1):
        if pairs[width]:
            yield _of_width(width, most, pairs)
    if pairs[widest]:
        starts, groups = repeated(windows, _ascending(windows, loops) if loops else windows.ascending())
        yield from _longer_tuples(_Octets(windows), starts, groups, longest)


def _of_width(width: int, most: Indices, pairs: Indices) -> tuple[int, int, int]:
    occurrences = int(most[width]) + 1
    return width, occurrences if occurrences >= LEAST_TUPLE_COUNT else 0, int(pairs[width])


def _compiled_runs(windows: Windows, loops: Kernels) -> tuple[Indices, Indices]:
    """Return of each width from 0 on the longest run of equal tuples less one, and the pairs of equal tuples.

    Runs too short for a tuple to be estimated from may have any length below that.
    """
    (ends, lengths), bits, widest = windows.ends(), windows.bits, windows.widest
    alike = np.minimum(np.arange(WORD_BITS + 1) // bits, widest)
    outer = min(max(1, OUTER_BITS // bits), widest)
    further = min(INNER_BITS, windows.count.bit_length() - CELL_BITS - outer * bits)
    inner = min(max(0, further) // bits, widest - outer)
    most, pairs = np.zeros((2, widest + 1), dtype=np.int64)
    counts = loops.sorting.leading(windows.symbols, bits, widest, outer * bits)
    for first, last in ranges(counts):
        loops.sorting.repeats(
            windows.symbols, bits, outer, inner, widest, counts, first, last, ends, lengths, alike, most, pairs
        )
    loops.sorting.fold(counts, np.empty_like(counts), ends, lengths, bits, 0, outer, most, pairs)
    return np.maximum.accumulate(most[::-1])[::-1], np.cumsum(pairs[::-1])[::-1]


def _ascending(windows: Windows, loops: Kernels) -> Iterator[Words]:
    """Yield all whole windows in ascending order, part by part."""
    symbols, bits, widest, digits = windows.symbols, windows.bits, windows.widest, windows.leading_bits
    counts = loops.sorting.leading(symbols, bits, widest, digits)
    for first, last in ranges(counts):
        yield loops.sorting.ascending(symbols, bits, widest, digits, counts, first, last)


class _Octets:
    """The bits of a sequence in memory, from which windows at any places are read."""

    def __init__(self, windows: Windows) -> None:
        self.symbols, self.bits, self.widest = on_host(windows.symbols), windows.bits, windows.widest
        octets = np.packbits(bitstring(self.symbols, self.bits))
        self._octets = np.concatenate((octets, np.zeros(2 * WORD_BITS, dtype=np.uint8)))

    def at(self, places: Indices) -> tuple[Words, Indices]:
        """Return the windows at any places, with zeros beyond the end, and how many symbols each has before it."""
        lengths = np.clip(len(self.symbols) - places, 0, self.widest)
        octet, offset = np.divmod(np.minimum(places, len(self.symbols)) * self.bits, 8)
        found = np.zeros(len(places), dtype=np.uint64)
        for further in range(8):
            found = (found << np.uint64(8)) | self._octets[octet + further]
        offset = offset.astype(np.uint64)
        found = (found << offset) | (self._octets[octet + 8].astype(np.uint64) >> (np.uint64(8) - offset))
        unused = np.uint64(WORD_BITS - self.widest * self.bits)
        return found >> unused << unused, lengths


def _longer_tuples(windows: _Octets, starts: Indices, groups: Indices, longest: int) -> Iterator[tuple[int, int, int]]:
    """Yield the same for the widths beyond a window, up to `longest`, from the positions whose window is repeated."""
    ordered = starts[_in_order(windows, starts, groups)]
    loops = kernels()
    shared = (loops.counts.shared_ahead if loops else _shared_ahead)(windows.symbols, ordered, windows.widest)
    most, pairs = (loops.counts.runs_of_any_width if loops else _runs_of_any_width)(shared)
    most, pairs = np.maximum.accumulate(most[::-1])[::-1], np.cumsum(pairs[::-1])[::-1]
    for width in range(windows.widest + 1, min(len(most), longest + 1)):
        yield _of_width(width, most, pairs)


def _in_order(windows: _Octets, starts: Indices, groups: Indices) -> Indices:
    """Return the order of what begins at `starts`, ascending as far as any two are alike.

    What is in order by so many symbols is in order by twice as many once the order of what follows them is known. What
    is alone in its place by then stays there, so fewer are looked at each time.
    """
    n, reach = len(windows.symbols), windows.widest
    place_of = np.full(n + 1, -1, dtype=np.int64)
    place_of[starts] = np.arange(len(starts))
    order = _order_of(groups)
    begun = _begun(groups[order])
    ranks = np.empty(len(starts), dtype=np.int64)  # where the first begins of those that are alike so far
    ranks[order] = begun
    firsts = np.flatnonzero(np.bincount(begun))
    repeated, _ = windows.at(starts[order[firsts]])
    firsts = np.append(firsts, len(starts))
    left = np.arange(len(starts))  # places in `order` that are not settled
    while len(left):
        these = order[left]
        after = np.minimum(starts[these] + reach, n)
        following = _ranks_of(windows, after, place_of[after], ranks, repeated, firsts)
        spread = int(following.max()) + 1
        keys = ranks[these] * spread + following
        by_both = _order_of(keys)
        these, keys = these[by_both], keys[by_both]
        order[left] = these
        begun = left[_begun(keys)]
        ranks[these] = begun
        left = left[np.bincount(begun, minlength=len(starts))[begun] > 1]
        reach *= 2
    return order


def _order_of(keys: Indices) -> Indices:
    """Return an order of `keys`; where they have room for it, by a plain sort, which is several times faster."""
    n = len(keys)
    if n * (int(keys.max()) + 1) > np.iinfo(np.int64).max:
        return np.argsort(keys)
    ordered: Indices = np.sort(keys * n + np.arange(n)) % n
    return ordered


def _begun(ordered: Indices) -> Indices:
    """Return for each of some ordered numbers where its run of equals begins."""
    new = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    return np.repeat(new, np.diff(np.append(new, len(ordered))))


def _ranks_of(
    windows: _Octets, places: Indices, rows: Indices, ranks: Indices, repeated: Words, firsts: Indices
) -> Indices:
    """Return numbers that stand to each other as what begins at any `places` does, as far as that is known.

    Windows that are repeated have a rank. The others are alone, so what they hold tells where they stand among those.

    Parameters
    ----------
    rows
        Where in `ranks` each of `places` stands; -1 if its window is not repeated.
    ranks
        ``int64[m]``, in order.
    repeated
        ``uint64[groups]``, windows, ascending.
    firsts
        ``int64[groups + 1]``, the least rank of each of them, and one more than all have.
    """
    alone = np.flatnonzero(rows < 0)
    own, lengths = windows.at(places[alone])
    by_window = np.lexsort((lengths, own))
    new = np.append(True, (np.diff(own[by_window]) != 0) | (np.diff(lengths[by_window]) != 0))[: len(alone)]
    before = firsts[np.searchsorted(repeated, own[by_window])]
    shift = np.cumsum(np.bincount(before[new], minlength=len(ranks) + 1))
    found = np.empty(len(places), dtype=np.int64)
    found[rows >= 0] = (ranks + shift[ranks])[rows[rows >= 0]]
    found[alone[by_window]] = before + np.cumsum(new) - 1
    return found


def _shared_ahead(symbols: Symbols, ordered: Indices, least: int) -> Indices:
    """Return how many symbols follow alike from each of `ordered` and from the one before it; 0 if less than `least`.

    One position on, all but the first of them are alike still: so no symbol is looked at twice in vain (Kasai et al.,
    doi 10.1007/3-540-48194-X_17). That needs the neighbour in the order of all positions, which `ordered` holds where
    `least` symbols are alike.
    """
    n, data = len(symbols), symbols.tobytes()
    shared, before, known = np.zeros(len(ordered), dtype=np.int64), 0, -2
    by_position = np.argsort(ordered)
    for place in by_position.tolist():
        own = int(ordered[place])
        alike = before - 1 if own == known + 1 and before > least else 0
        before, known = 0, own
        if place:
            other = int(ordered[place - 1])
            while max(own, other) + alike < n and data[own + alike] == data[other + alike]:
                alike += 1
            before = alike
            shared[place] = alike if alike >= least else 0
    return shared


def _runs_of_any_width(shared: Indices) -> tuple[Indices, Indices]:
    """Return what `runs` of the compiled counts returns, of neighbours that share so many symbols, for any width."""
    most, pairs = np.zeros((2, int(shared.max(initial=0)) + 1), dtype=np.int64)
    open_: list[tuple[int, int]] = []
    for place, width in enumerate([*shared.tolist(), 0]):
        begun = place
        while open_ and open_[-1][0] > width:
            wider, begun = open_.pop()
            many = place - begun
            most[wider] = max(most[wider], many)
            pairs[wider] += many * (many + 1) // 2
            pairs[max(width, open_[-1][0] if open_ else 0)] -= many * (many + 1) // 2
        if width and (not open_ or open_[-1][0] < width):
            open_.append((width, begun))
    return most, pairs
