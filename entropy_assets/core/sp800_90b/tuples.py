"""How often tuples occur: the t-tuple and the longest-repeated-substring estimate of SP 800-90B 6.3.5 and 6.3.6.

Every position has the 64 bits from it on as one number. In sorted order, neighbours tell by their first differing bit
how many symbols they share, and a run of neighbours that share a tuple counts it, for every width of up to 64 bits at
once. The few positions that share all of it are followed symbol by symbol.
"""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.sp800_90b.estimators import Estimate, Symbols, bits_of, upper_bound
from entropy_assets.core.sp800_90b.kernels import kernels

Indices = npt.NDArray[np.int64]
Windows = npt.NDArray[np.uint64]

LEAST_TUPLE_COUNT: Final = 35
"""Occurrences that a tuple must reach to be estimated from (6.3.5 step 1)."""
LONGEST_TUPLE: Final = 1024
"""Longest tuples that are followed. A repeat of that length alone brings a million bits below 0.04 bits each, so only
the time is bounded by it."""
WINDOW_BITS: Final = 64
"""Bits of a window."""
SORTED_AT_ONCE: Final = 1 << 24
"""Windows that are sorted at once; more are parted by their first bits beforehand, so that memory stays bounded."""
CELLS_PER_SAMPLE: Final = 4
"""Cells of a table of counts that are worth their memory, per position counted."""


def tuples_and_repeats(symbols: Symbols, alphabet: int) -> tuple[Estimate | None, Estimate | None]:
    """Return the t-tuple estimate (6.3.5) and that of the longest repeated substring (6.3.6).

    Parameters
    ----------
    symbols
        The sequence.
    alphabet
        Number of symbols that could occur.
    """
    n = len(symbols)
    p_tuple, p_repeat, t, v = 0.0, 0.0, 0, 0
    for width, most, pairs in _repeated_tuples(symbols, alphabet):
        windows = n - width + 1
        if most >= LEAST_TUPLE_COUNT:
            t = width
            p_tuple = max(p_tuple, (most / windows) ** (1 / width))
        else:
            v = width
            p_repeat = max(p_repeat, (float(pairs) / (windows * (windows - 1) // 2)) ** (1 / width))
    return _of_bound(p_tuple, n, {"t": t, "p_max": p_tuple}), _of_bound(
        p_repeat, n, {"u": t + 1, "v": v, "p_hat": p_repeat}
    )


def longest_repeat(symbols: Symbols, alphabet: int) -> int:
    """Return W of 5.2.5: how long the longest substring is that occurs twice; occurrences may overlap."""
    return max((width for width, _, _ in _repeated_tuples(symbols, alphabet)), default=0)


def _of_bound(p: float, n: int, values: dict[str, float]) -> Estimate | None:
    if p <= 0:
        return None
    p_u = upper_bound(p, n)
    return Estimate(bits_of(p_u), values | {"p_u": p_u})


def _repeated_tuples(symbols: Symbols, alphabet: int) -> Iterator[tuple[int, int, int]]:
    """Yield for each width up to the longest repeat how often its most frequent tuple occurs, and all pairs of equals.

    Positions that have no whole window before the end of the sequence are counted apart: their windows would be
    shorter.
    """
    n, bits = len(symbols), max(1, (alphabet - 1).bit_length())
    widest = min(WINDOW_BITS // bits, n)
    windows = _Windows(symbols, bits, widest)
    ends = _Ends(windows)
    shared = np.zeros(windows.count, dtype=np.uint8)
    place, before = 0, None
    for part in windows.ascending():
        joined = part if before is None else np.concatenate((before, part))
        stop = place + len(part)
        shared[stop - len(joined) + 1 : stop] = _shared_symbols(joined, bits, widest)
        ends.look_into(part)
        place, before = stop, part[-1:]
    for width, most, pairs in _runs(shared, widest):
        extra_most, extra_pairs = ends.more_of(width)
        if pairs + extra_pairs:
            yield width, max(most, extra_most), pairs + extra_pairs
    yield from _longer_tuples(symbols, alphabet, widest, *windows.alike(shared, widest))


class _Windows:
    """The whole windows of a sequence: `count` positions, `widest` symbols of `bits` bits each, left-aligned."""

    def __init__(self, symbols: Symbols, bits: int, widest: int) -> None:
        self.bits, self.widest, self.count = bits, widest, len(symbols) - widest + 1
        spread = np.unpackbits(symbols[:, np.newaxis], axis=1)[:, 8 - bits :] if bits > 1 else symbols
        octets = np.packbits(spread)
        self._octets = np.concatenate((octets, np.zeros(2 * WINDOW_BITS, dtype=np.uint8)))

    def between(self, start: int, stop: int) -> Windows:
        """Return the windows at ``start .. stop``; what reaches beyond the end has zeros there.

        Positions that many apart have windows a whole number of bytes apart, so slices are all that is needed.
        """
        apart = 8 // math.gcd(8, self.bits)
        stride = apart * self.bits // 8
        found = np.empty(stop - start, dtype=np.uint64)
        for phase in range(min(apart, stop - start)):
            octet, offset = divmod((start + phase) * self.bits, 8)
            count = len(range(phase, stop - start, apart))
            whole = np.ndarray((count,), ">u8", self._octets, octet, strides=(stride,)).astype(np.uint64)
            if offset:
                whole <<= np.uint64(offset)
                whole |= self._octets[octet + 8 :: stride][:count] >> np.uint8(8 - offset)
            found[phase::apart] = whole
        found &= self.mask(self.widest)
        return found

    def mask(self, width: int) -> np.uint64:
        """Return the bits of the first `width` symbols of a window."""
        return np.uint64(((1 << width * self.bits) - 1) << (WINDOW_BITS - width * self.bits))

    def ascending(self) -> Iterator[Windows]:
        """Yield all windows in ascending order, part by part."""
        if self.count <= SORTED_AT_ONCE:
            ordered = self.between(0, self.count)
            ordered.sort()
            yield ordered
            return
        octets = [(part >> np.uint64(WINDOW_BITS - 8)).astype(np.uint8) for _, part in self._parts()]
        upto = np.cumsum(sum(np.bincount(part, minlength=256) for part in octets))
        first = 0
        while first < 256:
            done = int(upto[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(upto, done + SORTED_AT_ONCE, side="right")))
            led = [
                part[np.flatnonzero((octet >= first) & (octet < last))]
                for octet, (_, part) in zip(octets, self._parts(), strict=True)
            ]
            ordered = np.concatenate(led)
            ordered.sort()
            if len(ordered):
                yield ordered
            first = last

    def alike(self, shared: npt.NDArray[np.uint8], width: int) -> tuple[Indices, Indices]:
        """Return the positions whose whole window occurs elsewhere too, ascending, and which they have in common."""
        starts, groups = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        if (shared >= width).any():
            repeated = np.concatenate([np.unique(part[1:][part[1:] == part[:-1]]) for part in self.ascending()])
            for start, part in self._parts():
                group = np.minimum(np.searchsorted(repeated, part), len(repeated) - 1)
                kept = np.flatnonzero(repeated[group] == part)
                starts.append(start + kept)
                groups.append(group[kept])
        return np.concatenate(starts), np.concatenate(groups)

    def _parts(self) -> Iterator[tuple[int, Windows]]:
        for start in range(0, self.count, SORTED_AT_ONCE):
            yield start, self.between(start, min(self.count, start + SORTED_AT_ONCE))


class _Ends:
    """The tuples at the end of a sequence, shorter than a window, and how often each occurs in the whole windows."""

    def __init__(self, windows: _Windows) -> None:
        widest = windows.widest
        last = windows.between(windows.count, windows.count + widest - 1)
        masks = np.array([windows.mask(width) for width in range(1, widest)], dtype=np.uint64)
        widths, places = np.nonzero(np.arange(1, widest)[:, np.newaxis] + np.arange(widest - 1) < widest)
        tuples = last[places] & masks[widths]
        order = np.lexsort((tuples, widths))
        widths, tuples = widths[order], tuples[order]
        new = np.ones(len(order), dtype=np.bool_)
        new[1:] = (widths[1:] != widths[:-1]) | (tuples[1:] != tuples[:-1])
        first = np.flatnonzero(new)
        self._widths = widths[first] + 1
        self._low, self._high = tuples[first], tuples[first] | ~masks[widths[first]]
        self._more = np.diff(np.append(first, len(order)))
        self._counts = np.zeros(len(first), dtype=np.int64)

    def look_into(self, ordered: Windows) -> None:
        """Count the tuples in a part of the whole windows."""
        self._counts += np.searchsorted(ordered, self._high, side="right")
        self._counts -= np.searchsorted(ordered, self._low, side="left")

    def more_of(self, width: int) -> tuple[int, int]:
        """Return how often the most frequent of these tuples occurs in all, and how many pairs they add."""
        part = slice(*np.searchsorted(self._widths, (width, width + 1)))
        whole, more = self._counts[part], self._more[part]
        return int((whole + more).max(initial=0)), int((more * whole + more * (more - 1) // 2).sum())


def _shared_symbols(ordered: Windows, bits: int, widest: int) -> npt.NDArray[np.uint8]:
    """Return ``uint8[n - 1]``: how many symbols each window but the first shares with the one before it."""
    if compiled := kernels():
        shared: npt.NDArray[np.uint8] = compiled.counts.shared_symbols(ordered, bits, widest)
        return shared
    differ = ordered[1:] ^ ordered[:-1]
    differ &= ~(differ >> np.uint64(1))  # keeps the first 1, and can't be rounded up to the next power of two
    leading_zeros = (WINDOW_BITS - np.frexp(differ.astype(np.float64))[1]).astype(np.uint8)
    whole: npt.NDArray[np.uint8] = np.minimum(leading_zeros // np.uint8(bits), np.uint8(widest))
    return whole


def _runs(shared: npt.NDArray[np.uint8], widest: int) -> Iterator[tuple[int, int, int]]:
    """Yield for each width how often its most frequent tuple occurs, 1 at least, and the pairs of equal tuples.

    Parameters
    ----------
    shared
        Symbols that each window shares with the one before it, in ascending order.
    """
    if compiled := kernels():
        most, pairs = compiled.counts.runs(shared, widest)
        yield from zip(range(1, widest + 1), most.tolist(), pairs.tolist(), strict=True)
        return
    n = len(shared)
    left: Indices | None = None  # places that share enough, once they are the fewer ones
    for width in range(1, widest + 1):
        if left is None:
            below = np.flatnonzero(shared < width)
            lengths = np.diff(np.append(below, n)) - 1
            left = np.flatnonzero(shared >= width) if 2 * len(below) > n else None
        else:
            left = left[np.flatnonzero(shared[left] >= width)]
            lengths = np.diff(np.flatnonzero(np.diff(left, prepend=-1, append=n + 1) != 1))
        yield width, 1 + int(lengths.max(initial=0)), int((lengths * (lengths + 1) // 2).sum())


def _longer_tuples(
    symbols: Symbols, alphabet: int, width: int, starts: Indices, groups: Indices
) -> Iterator[tuple[int, int, int]]:
    """Yield the same for the widths beyond `width`, from the positions whose tuple of that width is repeated."""
    while len(starts) and width < LONGEST_TUPLE:
        inside = np.flatnonzero(starts + width < len(symbols))
        starts, groups = starts[inside], groups[inside]
        if not len(starts):
            return
        codes = groups * alphabet + symbols[starts + width]
        width += 1
        if int(codes.max()) > CELLS_PER_SAMPLE * len(codes):
            codes = np.unique(codes, return_inverse=True)[1]
        counts = np.bincount(codes)
        repeated = counts > 1
        if not repeated.any():
            return
        yield width, int(counts.max()), int((counts * (counts - 1) // 2).sum())
        kept = np.flatnonzero(repeated[codes])
        starts, groups = starts[kept], (np.cumsum(repeated) - 1)[codes[kept]]
