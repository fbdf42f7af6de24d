"""Counts behind the collision, compression, t-tuple and LRS estimates of SP 800-90B 6.3.2 and 6.3.4 to 6.3.6."""

from typing import Any

import numpy as np

from entropy_assets.core.compiling import kernel


@kernel
def bitstring(symbols: Any, bits: int) -> Any:
    """Return the bits of the symbols, ``uint8[n * bits]``, of each the highest first."""
    found = np.empty(len(symbols) * bits, dtype=np.uint8)
    for place in range(len(symbols)):
        symbol, start = symbols[place], np.uint64(place * bits)
        for bit in range(bits):
            found[start + np.uint64(bit)] = (symbol >> np.uint8(bits - 1 - bit)) & np.uint8(1)
    return found


@kernel
def collisions(bits: Any) -> Any:
    """Return how many searches end after 2 bits and after 3 (6.3.2 step 2).

    Where the searches of eight bits end follows from these, from the two after them and from where the first begins.
    """
    ends = _searches()
    twos, searches, start, n = np.int64(0), np.int64(0), np.uint64(0), len(bits)
    place: Any = 0
    while place + 10 <= n:
        window = np.uint64(0)
        for i in range(place, place + 10):
            window = (window << np.uint64(1)) | np.uint64(bits[i])
        told = ends[(start << np.uint64(10)) | window]
        twos += told & 15
        searches += (told >> 4) & 15
        start = np.uint64(told >> 8)
        place += 8
    place += np.int64(start)
    threes = searches - twos
    while place + 1 < n:
        if bits[place] == bits[place + 1]:
            twos += 1
            place += 2
        else:
            threes += place + 2 < n
            place += 3
    return twos, threes


@kernel
def _searches() -> Any:
    """Return what becomes of searches by where the first of eight bits is that begins one, and by the next ten bits.

    Each number tells how many end after 2 bits, times 16 how many there are, and times 256 where the next one begins
    in the eight bits that follow.
    """
    found = np.empty(3 << 10, dtype=np.int64)
    for cell in range(len(found)):
        place, twos, searches = cell >> 10, 0, 0
        while place < 8:
            same = ((cell >> (9 - place)) ^ (cell >> (8 - place))) & 1 == 0
            twos += same
            searches += 1
            place += 2 if same else 3
        found[cell] = twos | searches << 4 | (place - 8) << 8
    return found


@kernel
def distances(bits: Any, count: int, skipped: int) -> Any:
    """Return how often each distance between equal words of 6 bits occurs, ``int64[largest + 1]``.

    The distance is how far back the same word stands, and the 1-based position of the word if nowhere.

    Parameters
    ----------
    count
        Number of words.
    skipped
        Words at the beginning whose distance is not counted.
    """
    seen, largest = np.zeros(1024, dtype=np.int64), 0
    latest = np.full(64, -1, dtype=np.int64)
    for place in range(count):
        word = np.int64(0)
        for i in range(6 * place, 6 * place + 6):
            word = (word << 1) | np.int64(bits[i])
        distance = place - latest[word]
        latest[word] = place
        if place < skipped:
            continue
        if distance >= len(seen):
            longer = np.zeros(2 * distance, dtype=np.int64)
            longer[: len(seen)] = seen
            seen = longer
        seen[distance] += 1
        largest = max(largest, distance)
    return seen[: largest + 1]


@kernel
def shared_ahead(symbols: Any, ordered: Any, least: int) -> Any:
    """Return how many symbols follow alike from each of `ordered` and from the one before it; 0 if less than `least`.

    Parameters
    ----------
    symbols
        ``uint8[n]``.
    ordered
        ``int64[m]``, positions, ascending by what begins there.
    """
    n = len(symbols)
    before: Any = 0
    known: Any = -2
    shared = np.zeros(len(ordered), dtype=np.int64)
    by_position = np.argsort(ordered)
    for place in by_position:
        own: Any = ordered[place]
        alike: Any = before - 1 if own == known + 1 and before > least else 0
        before, known = 0, own
        if place > 0:
            other: Any = ordered[place - 1]
            while own + alike < n and other + alike < n and symbols[own + alike] == symbols[other + alike]:
                alike += 1
            before = alike
            if alike >= least:
                shared[place] = alike
    return shared


@kernel
def runs_of_any_width(shared: Any) -> Any:
    """Return `most` and `pairs` as `runs` has them, of neighbours that share so many symbols.

    Parameters
    ----------
    shared
        ``int64[m]``, the first 0.
    """
    most, pairs = np.zeros(shared.max() + 1, dtype=np.int64), np.zeros(shared.max() + 1, dtype=np.int64)
    open_, held = np.empty((2, len(shared) + 1), dtype=np.int64), 0
    for place in range(len(shared) + 1):
        width = shared[place] if place < len(shared) else 0
        begun = place
        while held and open_[0, held - 1] > width:
            held -= 1
            wider, begun = open_[0, held], open_[1, held]
            many = place - begun
            most[wider] = max(most[wider], many)
            pairs[wider] += many * (many + 1) // 2
            pairs[max(width, open_[0, held - 1] if held else 0)] -= many * (many + 1) // 2
        if width and (held == 0 or open_[0, held - 1] < width):
            open_[0, held], open_[1, held] = width, begun
            held += 1
    return most, pairs
