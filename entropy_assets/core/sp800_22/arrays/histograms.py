"""How often each pattern of m bits stands in a sequence, and how far back the same one stood last."""

from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.sp800_22.packed import PackedBits, cyclic, pieces, windows

SHORT_DISTANCES: Final = 64
"""Distances below so many times the alphabet are counted; of the longer ones there can't be many."""


def block_windows(bits: PackedBits, m: int, blocks: int, length: int) -> npt.NDArray[np.int64]:
    """Return ``int64[blocks, 2**m]``: how often each pattern stands in each of the first blocks (2.7.4 step 2)."""
    counts = np.zeros((blocks, 1 << m), dtype=np.int64)
    for block in range(blocks):
        start = block * length
        for begin, end in pieces(max(0, length - m + 1)):
            found = windows(bits.words, m, start + begin, start + end)
            counts[block] += np.bincount(found, minlength=1 << m)
    return counts


def cyclic_windows(bits: PackedBits, m: int) -> npt.NDArray[np.int64]:
    """Return ``int64[2**m]``: how often each pattern stands in the sequence closed to a ring (2.11.4 steps 1 and 2)."""
    words = cyclic(bits)
    counts = np.zeros(1 << m, dtype=np.int64)
    for begin, end in pieces(bits.n):
        counts += np.bincount(windows(words, m, begin, end), minlength=1 << m)
    return counts


def distances(bits: PackedBits, length: int, first: int, tested: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how far back the same block stood last (2.9.4 steps 2 to 4).

    Parameters
    ----------
    length
        L, bits of a block.
    first, tested
        Q and K: so many blocks are only remembered, and so many after them are looked up. A block that was never seen
        stood at place 0, before the first, as in sts-2.1.2.

    Returns
    -------
    short
        ``int64[64 * 2**L]``: how often each distance below that occurs.
    long
        ``int64[...]``, the others, in the order in which they occur.
    """
    limit = SHORT_DISTANCES << length
    short, long = np.zeros(limit, dtype=np.int64), []
    latest = np.zeros(1 << length, dtype=np.int64)
    for begin, end in pieces((first + tested) * length):
        start = -(-begin // length)
        found = windows(bits.words, length, begin, end)[start * length - begin :: length]
        back = _back(found, start + 1, latest)[max(0, first - start) :]
        short += np.bincount(back[back < limit], minlength=limit)
        long.append(back[back >= limit])
    return short, np.concatenate(long) if long else np.zeros(0, dtype=np.int64)


def _back(found: np.ndarray, place: int, latest: np.ndarray) -> np.ndarray:
    """Return the distances of blocks, the first of which is at `place`, and remember where each stood last."""
    if not len(found):
        return found
    order = np.argsort(found, kind="stable")
    blocks, places = found[order], order + place
    begins = np.concatenate(([True], blocks[1:] != blocks[:-1]))
    before = np.concatenate(([0], places[:-1]))
    before[begins] = latest[blocks[begins]]
    ends = np.concatenate((begins[1:], [True]))
    latest[blocks[ends]] = places[ends]
    back = np.empty(len(found), dtype=np.int64)
    back[order] = places - before
    return back
