"""The scoreboard of the sub-predictors of SP 800-90B 6.3.7 to 6.3.9, word by word."""

from typing import Any, Final

import numpy as np
from numba import types
from numba.extending import intrinsic

from entropy_assets.core.compiling import kernel


def _count_ones(_context: Any, _word: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


def _count_leading_zeros(_context: Any, _word: Any) -> Any:
    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], context.get_constant(types.boolean, False))

    return types.uint64(types.uint64), generate


_ones: Final[Any] = intrinsic(_count_ones)
"""Returns how many bits of a word are 1."""
_leading_zeros: Final[Any] = intrinsic(_count_leading_zeros)
"""Returns how many bits of a word before the first 1, from the highest on, are 0; of no bits at all, 64."""


@kernel
def leading_hits(hits: Any, scores: Any, leader: int) -> Any:
    """Return the bits of whoever leads at each sample, ``uint64[words]``, and who leads after the last; `scores` grow.

    Parameters
    ----------
    hits
        ``uint64[words, rows]``, which sub-predictors were right.
    scores
        ``int64[rows]``, how often they were right before.
    leader
        Who leads at the first sample.
    """
    words, rows = hits.shape
    correct = np.empty(words, dtype=np.uint64)
    contenders, current = np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.int64)
    held, after = np.empty(rows, dtype=np.uint64), np.empty(rows, dtype=np.int64)
    for place in range(words):
        if _added(hits[place], scores, after, leader) == 1:
            correct[place] = hits[place, leader]
        else:
            correct[place], leader = _lead_through(hits[place], scores, leader, contenders, current, held)
        scores[:] = after
    return correct, leader


@kernel
def _added(hits: Any, scores: Any, after: Any, leader: int) -> int:
    """Leave in `after` the scores after a word; return how many sub-predictors may lead in it, the `leader` included.

    Whoever leads has the score of the `leader` at least: so it was right where that one was not often enough.
    """
    found, missed, lead = 0, ~hits[leader], scores[leader]
    for row in range(len(hits)):
        after[row] = scores[row] + np.int64(_ones(hits[row]))
        found += scores[row] + np.int64(_ones(hits[row] & missed)) >= lead
    return found


@kernel
def _lead_through(hits: Any, scores: Any, leader: int, contenders: Any, current: Any, held: Any) -> Any:
    """Return the bits of whoever leads at each sample of a word, and who leads after it.

    Parameters
    ----------
    hits
        ``uint64[rows]``, which sub-predictors were right at the 64 samples of the word.
    scores
        ``int64[rows]``, how often they were right before it.
    leader
        Who leads at its first sample.
    contenders, current, held
        ``int64[rows]`` twice, and ``uint64[rows]``, to work in.
    """
    found, place, missed = 0, 0, ~hits[leader]
    for row in range(len(hits)):
        if scores[row] + np.int64(_ones(hits[row] & missed)) >= scores[leader]:
            if row == leader:
                place = found
            contenders[found], current[found], held[found] = row, scores[row], hits[row]
            found += 1
    word, left, most = np.uint64(0), np.uint64(0), current[place]
    for other in range(found):
        left |= held[other]
    while left:  # where none of them was right, nothing changes
        lowest = left & (~left + np.uint64(1))
        left ^= lowest
        word |= held[place] & lowest
        for other in range(found):
            right = held[other] & lowest != 0
            own = current[other] + np.int64(right)
            current[other] = own
            leads = right & (own >= most)
            place, most = other if leads else place, own if leads else most
    return word, contenders[place]


@kernel
def hits_and_longest(words: Any) -> Any:
    """Return how many bits are set, and the length of the longest run of them."""
    hits, longest, run, one = np.int64(0), np.int64(0), np.int64(0), np.uint64(1)
    for word in words:
        hits += np.int64(_ones(word))
        if ~word == 0:
            run += 64
            continue
        longest = max(longest, run + np.int64(_ones(word & ~(word + one))))
        rest: Any = word
        length: Any = 1
        while rest and 2 * length <= longest + 1:
            rest &= rest >> np.uint64(length)
            length *= 2
        while rest:  # what is left are the starts of runs of that length
            longest = max(longest, length)
            rest &= word >> np.uint64(length) if length < 64 else np.uint64(0)
            length += 1
        run = np.int64(_leading_zeros(~word))
    return hits, max(longest, run)
