"""Counts behind the estimates of SP 800-90B 6.3.1 to 6.3.4, of symbols that lie in memory or where a card computes."""

from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.arrays import beside, namespace_of, occurrences, on_host

Symbols = npt.NDArray[np.uint8]

WORD: Final = 6
"""b, bits in a word of the compression estimate; the standard calls it a block (6.3.4 step 1)."""
OCTETS: Final = 12
"""Octets of bits in a piece through which the searches of the collision estimate are followed at once."""
SAMPLES_AT_ONCE: Final = 1 << 20
"""Samples that are worked on at once, so that nothing takes more than some bytes for each of them."""


def bitstring(symbols: Symbols, bits: int) -> Symbols:
    """Return the bits of the symbols, ``uint8[n * bits]``, of each the highest first, where the symbols lie."""
    xp = namespace_of(symbols)
    n = symbols.shape[0]
    places = bits - 1 - xp.arange(bits, dtype=xp.uint8)  # CuPy takes no negative step of an unsigned type
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

    Where a search begins depends on all before it. The bits are cut into pieces, and the searches of each are followed
    from each of the three bits where the first of them can begin, at once; then the way that was taken is looked up
    piece by piece. What is left at the end is followed bit by bit.
    """
    pieces = max(0, bits.shape[0] // 8 - 1) // OCTETS
    twos, begun = _followed(bits, pieces) if pieces else ([], [])
    many = place = 0
    for piece in range(pieces):
        way = place * pieces + piece
        many += twos[way]
        place = begun[way]
    more = (pieces * OCTETS * 8 + place - 2 * many) // 3
    rest = on_host(bits[pieces * OCTETS * 8 :]).tolist()
    while place + 1 < len(rest):
        is_two = rest[place] == rest[place + 1]
        many += is_two
        more += not is_two and place + 2 < len(rest)
        place += 3 - is_two
    return many, more


def _followed(bits: Symbols, pieces: int) -> tuple[list[int], list[int]]:
    """Return what becomes of the searches of pieces, which are followed eight bits a step.

    That is how many end after 2 bits, and which bit of the next piece begins the next one: of all pieces where the
    first bit begins the first search, then where the second does, then the third.
    """
    xp = namespace_of(bits)
    eights = xp.reshape(bits[: 8 * (pieces * OCTETS + 1)], (-1, 8))
    octets = xp.astype(eights[:, 0], xp.int32)
    for place in range(1, 8):
        octets = octets << 1 | eights[:, place]
    tens = xp.reshape(octets[:-1] << 2 | octets[1:] >> 6, (pieces, OCTETS))
    ends = beside(_searches(), bits)
    begun = xp.repeat(xp.arange(3, dtype=xp.int32), pieces)
    twos = xp.zeros(3 * pieces, dtype=xp.int32)
    for place in range(OCTETS):
        told = xp.take(ends, begun << 10 | xp.tile(tens[:, place], (3,)))
        twos, begun = twos + (told >> 2), told & 3
    return on_host(twos).tolist(), on_host(begun).tolist()


def _searches() -> npt.NDArray[np.int32]:
    """Return what becomes of searches by which of eight bits is the first to begin one, and by these and the next two.

    Each number tells 4 times how many end after 2 bits, and which of the eight bits that follow begins the next one.
    """
    cells = np.arange(3 << 10, dtype=np.int32)
    place, twos = cells >> 10, np.zeros_like(cells)
    for _ in range(8 // 2):
        both = cells >> np.maximum(8 - place, 0) & 3
        goes_on, is_two = place < 8, (both == 0) | (both == 3)
        twos += goes_on & is_two
        place += goes_on * (3 - is_two)
    return twos << 2 | place - 8


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
