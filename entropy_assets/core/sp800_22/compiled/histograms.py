"""Twin of `arrays.histograms`: one count a window, with no array of windows."""

from typing import Any

import numpy as np
import numpy.typing as npt

from entropy_assets.core.compiling import kernel
from entropy_assets.core.sp800_22.arrays.histograms import SHORT_DISTANCES
from entropy_assets.core.sp800_22.packed import PackedBits, cyclic


def block_windows(bits: PackedBits, m: int, blocks: int, length: int) -> npt.NDArray[np.int64]:
    """Return ``int64[blocks, 2**m]``: how often each pattern stands in each of the first blocks."""
    counts = np.zeros((blocks, 1 << m), dtype=np.int64)
    for block in range(blocks):
        _count(bits.words, m, block * length, block * length + length - m + 1, counts[block])
    return counts


def cyclic_windows(bits: PackedBits, m: int) -> npt.NDArray[np.int64]:
    """Return ``int64[2**m]``: how often each pattern stands in the sequence closed to a ring."""
    counts = np.zeros(1 << m, dtype=np.int32 if bits.n < 1 << 31 else np.int64)
    _count(cyclic(bits), m, 0, bits.n, counts)
    return counts.astype(np.int64)


def distances(bits: PackedBits, length: int, first: int, tested: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how often each short distance occurs, and the long ones."""
    short = np.zeros(SHORT_DISTANCES << length, dtype=np.int64)
    long = np.empty((first + tested) // SHORT_DISTANCES + 1, dtype=np.int64)
    many = _distances(bits.words, length, first, first + tested, short, long)
    return short, long[:many].copy()


@kernel
def _count(words: Any, m: int, start: int, stop: int, counts: Any) -> None:
    """Count the windows that begin at the places ``start .. stop - 1``."""
    down = np.uint64(64 - m)
    place = start
    while place < stop:
        word, bit = place >> 6, place & 63
        own = words[word] << np.uint64(bit)
        if bit:
            own |= words[word + 1] >> np.uint64(64 - bit)
        for _ in range(min(stop - place, 65 - m)):
            counts[own >> down] += 1
            own <<= np.uint64(1)
        place += 65 - m


@kernel
def _distances(words: Any, length: int, first: int, stop: int, short: Any, long: Any) -> int:
    """Count the short distances, write down the long ones, and return how many of these there are."""
    latest = np.zeros(1 << length, dtype=np.int64)
    down = np.uint64(64 - length)
    many, limit = 0, len(short)
    for block in range(stop):
        place = block * length
        word, bit = place >> 6, place & 63
        own = words[word] << np.uint64(bit)
        if bit + length > 64:
            own |= words[word + 1] >> np.uint64(64 - bit)
        symbol = own >> down
        back = block + 1 - latest[symbol]
        latest[symbol] = block + 1
        if block >= first:
            if back < limit:
                short[back] += 1
            else:
                long[many] = back
                many += 1
    return many
