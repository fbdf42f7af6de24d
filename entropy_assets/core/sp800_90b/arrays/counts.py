"""Counts behind the estimates of SP 800-90B 6.3.1 to 6.3.4, of symbols that lie in memory or where a card computes."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.arrays import namespace_of, occurrences, on_host

Symbols = npt.NDArray[np.uint8]

WORD: Final = 6
"""b, bits in a word of the compression estimate; the standard calls it a block (6.3.4 step 1)."""
PIECE: Final = 96
"""Bits of a piece that the walk of the collision estimate is followed through at once."""
SAMPLES_AT_ONCE: Final = 1 << 20
"""Samples that are worked on at once, so that nothing takes more than some bytes for each of them."""


def bitstring(symbols: Symbols, bits: int) -> Symbols:
    """Return the bits of the symbols, ``uint8[n * bits]``, of each the highest first, where the symbols lie."""
    xp = namespace_of(symbols)
    n = symbols.shape[0]
    places = xp.arange(bits - 1, -1, -1, dtype=xp.uint8)
    found = xp.empty((n, bits), dtype=xp.uint8)
    for start in range(0, n, SAMPLES_AT_ONCE):
        stop = min(n, start + SAMPLES_AT_ONCE)
        found[start:stop, :] = (symbols[start:stop, xp.newaxis] >> places) & 1
    string: Symbols = xp.reshape(found, (-1,))
    return string


def most_frequent(symbols: Symbols) -> int:
    """Return how often the most frequent symbol occurs (6.3.1 step 1)."""
    xp = namespace_of(symbols)
    if (largest := int(xp.max(symbols))) > 1:
        return int(occurrences(symbols, largest + 1).max())
    ones = int(xp.count_nonzero(symbols))
    return max(ones, int(symbols.shape[0]) - ones)


def ones_and_pairs(bits: Symbols) -> tuple[int, int]:
    """Return how many bits are 1, and how many of them another 1 follows (6.3.3 step 1)."""
    xp = namespace_of(bits)
    return int(xp.count_nonzero(bits)), int(xp.count_nonzero(bits[:-1] & bits[1:]))


def collisions(bits: Symbols) -> tuple[int, int]:
    """Return how many searches end after 2 bits and after 3 (6.3.2 step 2); one that reaches beyond the end does not.

    Where a search begins depends on all before it. The bits are cut into pieces of equal length, and the searches of
    each are followed from each of the three places where the first of them can begin, at once; then the one that was
    taken is looked up piece by piece.
    """
    xp = namespace_of(bits)
    places = bits.shape[0] - 1
    pieces = -(-places // PIECE)
    beyond = pieces * PIECE - places
    differ = bits[:-1] != bits[1:]
    is_two = _by_piece(xp, ~differ, beyond)
    is_three = _by_piece(xp, differ[:-1], beyond + 1)
    steps = xp.where(is_two, xp.asarray(2, dtype=xp.int8), xp.asarray(3, dtype=xp.int8))
    left = xp.broadcast_to(xp.arange(3, dtype=xp.int8), (pieces, 3))  # places before the next search begins
    twos, threes = xp.zeros((pieces, 3), dtype=xp.int8), xp.zeros((pieces, 3), dtype=xp.int8)
    for place in range(PIECE):
        begins = left == 0
        twos += xp.astype(begins & is_two[place, :, xp.newaxis], xp.int8)
        threes += xp.astype(begins & is_three[place, :, xp.newaxis], xp.int8)
        left = xp.where(begins, steps[place, :, xp.newaxis], left) - 1
    entry, taken = 0, np.empty(pieces, dtype=np.int64)
    for piece, leaves in enumerate(on_host(left).tolist()):
        taken[piece] = entry
        entry = leaves[entry]
    by_piece = np.arange(pieces)
    many, more = (int(on_host(counts)[by_piece, taken].sum()) for counts in (twos, threes))
    return many, more


def _by_piece(xp: Any, flags: npt.NDArray[np.bool_], beyond: int) -> npt.NDArray[np.bool_]:
    """Return ``bool[PIECE, pieces]``: the flags, with so many more at the end that are not set."""
    whole = xp.concat((flags, xp.zeros(beyond, dtype=xp.bool)))
    turned: npt.NDArray[np.bool_] = xp.permute_dims(xp.reshape(whole, (-1, PIECE)), (1, 0))
    return turned


def distances(bits: Symbols, count: int, skipped: int) -> npt.NDArray[np.int64]:
    """Return how often each distance between equal words of 6 bits occurs, ``int64[largest + 1]`` (6.3.4 step 3).

    The distance is how far back the same word stands, and the 1-based position of the word if nowhere.

    Parameters
    ----------
    count
        Number of words.
    skipped
        Words at the beginning whose distance is not counted.
    """
    xp = namespace_of(bits)
    table = xp.reshape(bits[: count * WORD], (count, WORD))
    words = table[:, 0]
    for place in range(1, WORD):
        words = words << 1 | table[:, place]
    order = xp.argsort(words, stable=True)
    ordered = xp.take(words, order)
    back = xp.where(ordered[1:] == ordered[:-1], order[1:] - order[:-1], order[1:] + 1)
    back = xp.concat((order[:1] + 1, back))[order >= skipped]
    return occurrences(back, int(xp.max(back)) + 1)
