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


_ones: Final[Any] = intrinsic(_count_ones)
"""Returns how many bits of a word are 1."""


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
    for place in range(words):
        correct[place], leader = _lead_through(hits[place], scores, leader, contenders, current)
    return correct, leader


@kernel
def _lead_through(hits: Any, scores: Any, leader: int, contenders: Any, current: Any) -> Any:
    """Return the bits of whoever leads at each sample of a word, and who leads after it; `scores` grow.

    Parameters
    ----------
    hits
        ``uint64[rows]``, which sub-predictors were right at the 64 samples of the word.
    scores
        ``int64[rows]``, how often they were right before it.
    leader
        Who leads at its first sample.
    contenders, current
        ``int64[rows]`` each, to work in.
    """
    found, place = 0, 0
    for row in range(len(hits)):
        if row == leader:
            place = found
        if scores[row] + np.int64(_ones(hits[row])) >= scores[leader]:
            contenders[found] = row
            current[found] = scores[row]
            found += 1
    for row in range(len(hits)):
        scores[row] += np.int64(_ones(hits[row]))
    if found == 1:
        return hits[leader], leader
    word = np.uint64(0)
    for bit in range(64):
        shift = np.uint64(bit)
        word |= ((hits[contenders[place]] >> shift) & np.uint64(1)) << shift
        for other in range(found):
            if (hits[contenders[other]] >> shift) & np.uint64(1):
                current[other] += 1
                if current[other] >= current[place]:
                    place = other
    return word, contenders[place]


@kernel
def hits_and_longest(flags: Any) -> Any:
    """Return how many flags are set, and the length of the longest run of them."""
    hits, longest, run = 0, 0, 0
    for flag in flags:
        hits += flag
        run = (run + 1) * flag
        longest = max(longest, run)
    return hits, longest
