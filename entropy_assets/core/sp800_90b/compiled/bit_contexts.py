"""Which bits contexts of 1 to 16 bits predict rightly: MultiMMC of SP 800-90B 6.3.9.

The contexts of bits index a table: it is small, and none of them has to be left out. A cell of it says how much oftener
1 followed the context than 0, times `STEP`, and of what follows it what was `SEEN`.
"""

from typing import Any, Final

import numpy as np
from numba import types
from numba.extending import intrinsic

from entropy_assets.core.compiling import kernel

STEP: Final = 8
"""What one follower more moves a cell by."""
SEEN: Final = 1
"""Added to a cell whose context was followed by anything; twice that if by 0, and four times if by 1."""
SHORT: Final = 4
"""Depths whose contexts are so few that each is looked for in a whole word at once."""


def _of_word(name: str) -> Any:
    def typing(_context: Any, _word: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return getattr(builder, name)(arguments[0])

        return types.uint64(types.uint64), generate

    return typing


_ones: Final[Any] = intrinsic(_of_word("ctpop"))
"""Returns how many bits of a word are 1."""
_turned: Final[Any] = intrinsic(_of_word("bitreverse"))
"""Returns a word with its bits in the opposite order."""


@kernel
def multi_mmc_bit_hits(bits: Any, depths: int, entries: int) -> Any:
    """Return ``uint64[words, depths]``: which bits each depth of MultiMMC predicts rightly.

    Parameters
    ----------
    bits
        ``uint8[n]``.
    depths
        The longest context, bits; `SHORT` more than a multiple of 4.
    entries
        Pairs of context and bit that one depth may hold.
    """
    n, words = len(bits), (len(bits) + 63) // 64
    hits = np.zeros((words, depths), dtype=np.uint64)
    cells = np.zeros(2 << depths, dtype=np.int32)
    free = 0  # depths that always have room for all of their pairs
    while free < depths and (n <= entries or 4 << free <= entries):
        free += 1
    pairs, unseen = np.zeros(depths, dtype=np.int64), np.zeros(depths, dtype=np.int64)
    for row in range(depths):
        unseen[row] = 2 << row
    guesses, known = np.zeros((2, depths), dtype=np.uint64)
    within = np.empty(1 << SHORT, dtype=np.uint64)
    before, past = np.uint64(0), np.uint64(0)
    for place in range(words):
        start, stop = 64 * place, min(n, 64 * place + 64)
        word = np.uint64(0)
        for i in range(start, stop):
            word |= np.uint64(bits[i]) << np.uint64(i - start)
        done = min(SHORT, free)
        _of_short(word, before, start, stop, done, within, cells, guesses, known)
        if place and stop == start + 64 and free >= depths - 1 and (free == depths or pairs[-1] + 64 <= entries):
            _of_long(bits, start, free, past, cells, guesses, known, pairs, unseen)
            done = depths
        for row in range(done, depths):
            room = 64 if row < free else entries - pairs[row]
            pairs[row] += _of_one(bits, row, start, stop, past, cells, room, guesses, known)
            unseen[row] -= stop - max(start, row + 1) - np.int64(_ones(known[row]))
        told = ~np.uint64(0)
        for row in range(depths):
            told &= known[row]
            hits[place, row] = ~(guesses[row] ^ word) & told
        before, past = word, _turned(word)
    return hits


@kernel
def _of_short(
    word: Any, before: Any, start: int, stop: int, depths: int, within: Any, cells: Any, guesses: Any, known: Any
) -> None:
    """Enter what the shortest contexts predict in a word, and which bits of it they predict at all.

    Parameters
    ----------
    word, before
        The bits of the word and of the one before, the first one lowest.
    start, stop
        Which bits of the sequence these are; the first ones have no context.
    depths
        How many depths are looked at, `SHORT` at most.
    within
        ``uint64[1 << SHORT]`` to work in: which bits follow each context.
    cells
        ``int32[2 << depths]``, by context with a 1 before it, its last bit lowest.
    guesses, known
        ``uint64[depths]``, the first bit lowest.
    """
    one = np.uint64(1)
    within[0] = ~np.uint64(0) >> np.uint64(64 - (stop - start))
    for row in range(depths):
        shift = np.uint64(row + 1)
        ago = (word << shift) | (before >> (np.uint64(64) - shift))
        guess, told, contexts = np.uint64(0), np.uint64(0), 1 << row
        for context in range(contexts):
            both = within[context] if start else within[context] & ~(one << np.uint64(row))
            within[context], within[context + contexts] = both & ~ago, both & ago
        for context in range(2 * contexts):
            here, cell = within[context], cells[2 * contexts + context]
            count, ones = np.int64(_ones(here)), np.int64(_ones(here & word))
            if abs(cell) >= STEP * (count + 1):  # whoever leads does so to the end of the word
                told |= here
                guess |= here if cell < 0 else np.uint64(0)
                cells[2 * contexts + context] = cell + STEP * (2 * ones - count)
                continue
            while here:
                lowest = here & (~here + one)
                here ^= lowest
                if cell & SEEN:
                    told |= lowest
                if cell < 0:
                    guess |= lowest
                cell = (cell | 5 * SEEN) + STEP if word & lowest else (cell | 3 * SEEN) - STEP
            cells[2 * contexts + context] = cell
        guesses[row], known[row] = ~guess, told


@kernel
def _of_long(
    bits: Any, start: int, free: int, past: Any, cells: Any, guesses: Any, known: Any, pairs: Any, unseen: Any
) -> None:
    """Enter the same of all depths above `SHORT`, of a whole word; of the greatest one `pairs` grows.

    Parameters
    ----------
    free
        Depths that always have room.
    unseen
        ``int64[depths]``: how many contexts of each depth were not seen.
    """
    for row in range(SHORT, len(known), 4):
        if row + 3 < free and not unseen[row : row + 4].any():
            _of_four_seen(bits, start, row, past, cells, guesses, known)
            continue
        pairs[row + 3] += _of_four(bits, start, row, past, cells, guesses, known)
        for each in range(row, row + 4):
            unseen[each] -= 64 - np.int64(_ones(known[each]))


@kernel
def _of_four(bits: Any, start: int, row: int, past: Any, cells: Any, guesses: Any, known: Any) -> Any:
    """Enter the same of four depths that have room for all pairs, of a whole word; return the greatest one's new pairs.

    Four go together, since each would wait for what it wrote for the bit before.

    Parameters
    ----------
    start
        The first bit of the word.
    row
        The least depth less one.
    past
        The bits before, the last one lowest.
    """
    one, sign = np.uint64(1), np.uint32(31)
    top_a = one << np.uint64(row + 1)
    top_b, top_c, top_d = top_a << np.uint64(1), top_a << np.uint64(2), top_a << np.uint64(3)
    guess_a, guess_b, guess_c, guess_d = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
    known_a, known_b, known_c, known_d = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
    old = np.uint64(0)
    for i in range(start, start + 64):
        own = np.uint64(bits[i])
        seen, step = np.uint32(own + own + np.uint64(3)), np.uint32(own * np.uint64(2 * STEP) - np.uint64(STEP))
        a, b = top_a | (past & (top_a - one)), top_b | (past & (top_b - one))
        c, d = top_c | (past & (top_c - one)), top_d | (past & (top_d - one))
        past = past + past + own
        cell_a, cell_b, cell_c, cell_d = (
            np.uint32(cells[a]),
            np.uint32(cells[b]),
            np.uint32(cells[c]),
            np.uint32(cells[d]),
        )
        cells[a] = np.int32((cell_a | seen) + step)
        cells[b] = np.int32((cell_b | seen) + step)
        cells[c] = np.int32((cell_c | seen) + step)
        cells[d] = np.int32((cell_d | seen) + step)
        old += np.uint64(cell_d >> np.uint32(own + one)) & one
        guess_a = guess_a + guess_a + np.uint64(cell_a >> sign)
        guess_b = guess_b + guess_b + np.uint64(cell_b >> sign)
        guess_c = guess_c + guess_c + np.uint64(cell_c >> sign)
        guess_d = guess_d + guess_d + np.uint64(cell_d >> sign)
        known_a = known_a + known_a + (np.uint64(cell_a) & one)
        known_b = known_b + known_b + (np.uint64(cell_b) & one)
        known_c = known_c + known_c + (np.uint64(cell_c) & one)
        known_d = known_d + known_d + (np.uint64(cell_d) & one)
    guesses[row], guesses[row + 1] = ~_turned(guess_a), ~_turned(guess_b)
    guesses[row + 2], guesses[row + 3] = ~_turned(guess_c), ~_turned(guess_d)
    known[row], known[row + 1] = _turned(known_a), _turned(known_b)
    known[row + 2], known[row + 3] = _turned(known_c), _turned(known_d)
    return 64 - np.int64(old)


@kernel
def _of_four_seen(bits: Any, start: int, row: int, past: Any, cells: Any, guesses: Any, known: Any) -> None:
    """Do the same of four depths that always have room, once each of their contexts was seen."""
    top, sign = 2 << row, np.uint32(31)
    of_a, of_b = cells[top : 2 * top], cells[2 * top : 4 * top]
    of_c, of_d = cells[4 * top : 8 * top], cells[8 * top : 16 * top]
    mask_a, mask_b, mask_c, mask_d = (
        np.uint64(top - 1),
        np.uint64(2 * top - 1),
        np.uint64(4 * top - 1),
        np.uint64(8 * top - 1),
    )
    guess_a, guess_b, guess_c, guess_d = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
    for i in range(start, start + 64):
        own = np.uint64(bits[i])
        step = np.uint32(own * np.uint64(2 * STEP) - np.uint64(STEP))
        a, b, c, d = past & mask_a, past & mask_b, past & mask_c, past & mask_d
        past = past + past + own
        cell_a, cell_b, cell_c, cell_d = np.uint32(of_a[a]), np.uint32(of_b[b]), np.uint32(of_c[c]), np.uint32(of_d[d])
        of_a[a], of_b[b] = np.int32(cell_a + step), np.int32(cell_b + step)
        of_c[c], of_d[d] = np.int32(cell_c + step), np.int32(cell_d + step)
        guess_a = guess_a + guess_a + np.uint64(cell_a >> sign)
        guess_b = guess_b + guess_b + np.uint64(cell_b >> sign)
        guess_c = guess_c + guess_c + np.uint64(cell_c >> sign)
        guess_d = guess_d + guess_d + np.uint64(cell_d >> sign)
    guesses[row], guesses[row + 1] = ~_turned(guess_a), ~_turned(guess_b)
    guesses[row + 2], guesses[row + 3] = ~_turned(guess_c), ~_turned(guess_d)
    known[row : row + 4] = ~np.uint64(0)


@kernel
def _of_one(
    bits: Any, row: int, start: int, stop: int, past: Any, cells: Any, room: int, guesses: Any, known: Any
) -> Any:
    """Enter the same of one depth, which has room for so many pairs; return its new ones."""
    one = np.uint64(1)
    top = one << np.uint64(row + 1)
    guess, told, new = np.uint64(0), np.uint64(0), 0
    for i in range(start, stop):
        own, shift = np.uint64(bits[i]), np.uint64(i - start)
        at = top | (past & (top - one))
        past = (past << one) | own
        if i <= row:
            continue
        cell = cells[at]
        guess |= np.uint64(cell >= 0) << shift
        told |= np.uint64(cell & SEEN) << shift
        if cell & (4 * SEEN if own else 2 * SEEN) == 0:
            if new >= room:
                continue
            new += 1
        cells[at] = (cell | 5 * SEEN) + STEP if own else (cell | 3 * SEEN) - STEP
    guesses[row], known[row] = guess, told
    return new
