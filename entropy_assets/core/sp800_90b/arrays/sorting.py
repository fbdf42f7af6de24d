"""How often tuples occur (SP 800-90B 6.3.5 and 6.3.6), by windows in ascending order.

Every position has up to 64 bits from it on as one number. In sorted order, neighbours tell by their first differing bit
how many symbols they share, and a run of neighbours that share a tuple counts it, for every width of up to 64 bits at
once.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.arrays import WORD_BITS, beside, leading_zeros, namespace_of, occurrences, on_host

Symbols = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

SORTED_AT_ONCE: Final = 1 << 23
"""Windows that are sorted at once; more are parted by their first bits beforehand, so that memory stays bounded."""
LEADING_BITS: Final = 10
"""Bits that windows are parted by first."""
NO_ENDS: Final = np.empty(0, dtype=np.uint64)


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """The whole windows of a sequence, left-aligned in words of 64 bits.

    Attributes
    ----------
    symbols
        ``uint8[n]``, wherever they lie.
    bits
        Of a symbol.
    widest
        Symbols of a window.
    """

    symbols: Symbols
    bits: int
    widest: int

    @property
    def count(self) -> int:
        """Return how many there are."""
        return int(self.symbols.shape[0]) - self.widest + 1

    @property
    def leading_bits(self) -> int:
        """Return by how many of their first bits they are parted, if they are many."""
        return min(LEADING_BITS, self.widest * self.bits)

    def between(self, start: int, stop: int) -> Words:
        """Return the windows at ``start .. stop``. Two that overlap make a wider one: they agree there."""
        xp = namespace_of(self.symbols)
        found, held = xp.astype(self.symbols[start : stop + self.widest - 1], xp.uint64), 1
        while held < self.widest:
            more = min(held, self.widest - held)
            wider = found[:-more] << more * self.bits
            wider |= found[more:]
            found, held = wider, held + more
        aligned: Words = found << WORD_BITS - self.widest * self.bits
        return aligned

    def parts(self) -> Iterator[tuple[int, Words]]:
        """Yield all of them in their order, part by part, each with the position of its first."""
        for start in range(0, self.count, SORTED_AT_ONCE):
            yield start, self.between(start, min(self.count, start + SORTED_AT_ONCE))

    def ends(self) -> tuple[Words, Indices]:
        """Return what begins too late for a whole window, ascending, among equals the shorter first, and their lengths.

        They are few, and in memory. In sorted order they come before a whole window that is equal, as ends do in a
        dictionary: so what has the same symbols in front still stands together.
        """
        value, values = 0, []
        for symbol in on_host(self.symbols[self.count :])[::-1].tolist():
            value = (value >> self.bits) | (symbol << (WORD_BITS - self.bits))
            values.append(value)
        ends, lengths = np.array(values, dtype=np.uint64), np.arange(1, len(values) + 1)
        order = np.lexsort((lengths, ends))
        return ends[order], lengths[order]

    def ascending(self, ends: Words | None = None) -> Iterator[Words]:
        """Yield all whole windows in ascending order, part by part, with `ends` among them."""
        xp, digits = namespace_of(self.symbols), self.leading_bits
        more = beside(np.empty(0, dtype=np.uint64) if ends is None else ends, self.symbols)
        if self.count <= SORTED_AT_ONCE:
            yield xp.sort(xp.concat((self.between(0, self.count), more)), stable=False)
            return
        leads = (xp.astype(part >> WORD_BITS - digits, xp.int64) for _, part in self.parts())
        counts = np.stack([occurrences(lead, 1 << digits) for lead in leads]).sum(axis=0)
        for first, last in ranges(counts):
            led = [_led(part, digits, first, last) for _, part in self.parts()]
            part = xp.concat((*led, _led(more, digits, first, last)))
            if part.shape[0]:
                yield xp.sort(part, stable=False)


def _led(words: Words, digits: int, first: int, last: int) -> Words:
    """Return the words whose first bits are a number from `first` on, below `last`."""
    lead = words >> WORD_BITS - digits
    return words[(lead >= first) & (lead < last)]


def ranges(counts: Indices) -> Iterator[tuple[int, int]]:
    """Yield first and one past the last of numbers that windows begin with, of which so many are sorted at once."""
    upto, first = np.cumsum(counts), 0
    while first < len(upto):
        done = int(upto[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(upto, done + SORTED_AT_ONCE, side="right")))
        yield first, last
        first = last


def repeated(windows: Windows, ascending: Iterable[Words]) -> tuple[Indices, Indices]:
    """Return the positions whose whole window occurs elsewhere too, ascending, and which they have in common.

    Parameters
    ----------
    ascending
        The whole windows in order, part by part.
    """
    xp = namespace_of(windows.symbols)
    twice = xp.concat([_twice(part) for part in ascending])
    starts, groups = [], []
    for start, part in windows.parts():
        group = xp.searchsorted(twice, part)
        group = xp.where(group < twice.shape[0], group, 0)
        kept = xp.nonzero(xp.take(twice, group) == part)[0]
        starts.append(on_host(kept) + start)
        groups.append(on_host(xp.take(group, kept)))
    return np.concatenate(starts), np.concatenate(groups)


def _twice(ordered: Words) -> Words:
    """Return once each what occurs more than once among ordered words."""
    xp = namespace_of(ordered)
    again = ordered[1:] == ordered[:-1]
    is_second = again & ~xp.concat((xp.zeros(1, dtype=xp.bool), again))[:-1]
    twice: Words = ordered[1:][is_second]
    return twice


def runs(windows: Windows) -> tuple[Indices, Indices]:
    """Return of each width from 0 on the longest run of equal tuples less one, and the pairs of equal tuples."""
    shared = _shared(windows)
    xp = namespace_of(shared)
    most, pairs = np.zeros((2, windows.widest + 1), dtype=np.int64)
    sharing: Indices | None = None  # places that share enough, once they are the fewer ones
    for width in range(1, int(xp.max(shared)) + 1):
        if sharing is None:
            below = xp.nonzero(shared < width)[0]
            lengths = _apart(below, shared.shape[0]) - 1
            sharing = xp.nonzero(shared >= width)[0] if 2 * below.shape[0] > shared.shape[0] else None
        else:
            sharing = sharing[xp.take(shared, sharing) >= width]
            new = xp.nonzero(sharing[1:] - sharing[:-1] != 1)[0] + 1
            lengths = _apart(xp.concat((xp.zeros(1, dtype=new.dtype), new)), sharing.shape[0])
        most[width], pairs[width] = int(xp.max(lengths)), int(xp.sum(lengths * (lengths + 1) // 2))
    return most, pairs


def _apart(places: Indices, end: int) -> Indices:
    """Return how far it is from each place to the next, and from the last one to the end."""
    xp = namespace_of(places)
    beyond: Indices = xp.concat((places[1:], xp.asarray([end], dtype=places.dtype)))
    return beyond - places


def _shared(windows: Windows) -> npt.NDArray[np.uint8]:
    """Return how many symbols whole windows and ends share with the one before them, in ascending order; first 0."""
    xp = namespace_of(windows.symbols)
    ends, lengths = windows.ends()
    before, length, found = xp.zeros(1, dtype=xp.uint64), 0, []
    for part in windows.ascending(ends):
        alike = leading_zeros(part ^ xp.concat((before, part[:-1]))) // windows.bits
        alike = xp.minimum(alike, windows.widest)
        alike[:1] = xp.minimum(alike[:1], length)
        upto = int(np.searchsorted(ends, np.uint64(int(part[-1])), side="right"))
        own, own_lengths, ends, lengths = ends[:upto], lengths[:upto], ends[upto:], lengths[upto:]
        first = on_host(xp.searchsorted(part, beside(own, part)))
        places = (first + np.arange(upto) - np.searchsorted(own, own)).tolist()
        for place, symbols in zip(places, own_lengths.tolist(), strict=True):
            near = slice(place, min(place + 2, alike.shape[0]))  # itself and the one after it
            alike[near] = xp.minimum(alike[near], symbols)
        is_last = bool(places) and places[-1] == part.shape[0] - 1
        before, length = part[-1:], int(own_lengths[-1]) if is_last else windows.widest
        found.append(alike)
    shared: npt.NDArray[np.uint8] = xp.concat(found)
    return shared
