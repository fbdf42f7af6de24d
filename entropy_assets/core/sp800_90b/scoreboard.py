"""Who leads among sub-predictors: the scoreboard that MultiMCW, Lag and MultiMMC share (6.3.7 to 6.3.9, step 3).

Whether each sub-predictor was right is one bit a sample, 64 samples a word. A word changes a score by 64 at most, so in
most words only one sub-predictor can lead, and its bits are taken as they are. Where several can, their scores are
followed bit by bit.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.sp800_90b.kernels import kernels

Flags = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]

WORD: Final = 64
"""Samples in a word; the first is its lowest bit."""
CELLS_AT_ONCE: Final = 1 << 15
"""Words of all sub-predictors that are worked on at once: some megabytes at most, whatever they hold."""
_PLACES: Final = 24
"""Bits of a key below the score and above the row: when the row was last right, within what is worked on at once."""
_ROWS: Final = 8
"""Bits of a key that name the row."""


def words_of(samples: int) -> int:
    """Return how many words `samples` take."""
    return -(-samples // WORD)


def packed(flags: Flags) -> Words:
    """Return ``uint64[..., words]`` of ``bool[..., n]``; what is missing in the last word is 0."""
    octets = np.packbits(flags, axis=-1, bitorder="little")
    whole = np.zeros((*flags.shape[:-1], words_of(flags.shape[-1]) * 8), dtype=np.uint8)
    whole[..., : octets.shape[-1]] = octets
    return whole.view("<u8").astype(np.uint64, copy=False)


def unpacked(words: Words) -> npt.NDArray[np.uint8]:
    """Return ``uint8[..., words * 64]``, each 0 or 1."""
    return np.unpackbits(words.astype("<u8", copy=False).view(np.uint8), axis=-1, bitorder="little")


def flags_of(words: Words, n: int) -> Flags:
    """Return the first `n` bits of ``uint64[words]``."""
    return unpacked(words)[:n].view(np.bool_)


def follow_all(hits: Words, n: int) -> Flags:
    """Return the same as `follow` does, of all of ``uint64[rows, words]``."""
    return follow(lambda start, stop: hits[:, start:stop], len(hits), n)


def follow(hits_between: Callable[[int, int], Words], rows: int, n: int) -> Flags:
    """Return for each sample whether the sub-predictor that led before it was right.

    The one with the most hits leads, among equals the last to hit, and of those that hit at the same sample the last
    in order (step 3d). Before the first hit the first one leads.

    Parameters
    ----------
    hits_between
        Gives, for a range of words, ``uint64[rows, words]``: which sub-predictors were right.
    rows
        Number of sub-predictors.
    n
        Number of samples.
    """
    words, step = words_of(n), max(1, CELLS_AT_ONCE // rows)
    compiled = kernels()
    correct = np.empty(words, dtype=np.uint64)
    scores, order = np.zeros(rows, dtype=np.int64), np.arange(rows)[::-1].copy()
    leader = 0
    for start in range(0, words, step):
        stop = min(words, start + step)
        hits = hits_between(start, stop)
        if compiled:
            by_word = np.ascontiguousarray(hits.T)
            correct[start:stop], leader = compiled.board.leading_hits(by_word, scores, leader)
        else:
            correct[start:stop] = _leading_hits(hits, scores, order)
            scores += np.bitwise_count(hits).sum(axis=1, dtype=np.int64)
            order = _latest_first(hits, order)
    return flags_of(correct, n)


def _last_hits(hits: Words, order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return ``int64[rows, words + 1]``: when each row was last right before each word, and before what follows.

    Times count from `rows`, 1 to the first sample; what came before is told by ranks below.
    """
    rows, words = hits.shape
    top = (hits & ~(hits >> np.uint64(1))).astype(np.float64).view(np.int64) >> 52
    last = np.empty((rows, words + 1), dtype=np.int64)
    last[order, 0] = np.arange(rows)[::-1]
    last[:, 1:] = np.where(hits != 0, top - 1023 + np.arange(words) * WORD + rows, 0)
    return np.maximum.accumulate(last, axis=1, out=last)


def _latest_first(hits: Words, order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the rows, the one that was right last first; of those at the same sample, the last in order."""
    rows = len(hits)
    return np.argsort(_last_hits(hits, order)[:, -1] * rows + np.arange(rows))[::-1]


def _leading_hits(hits: Words, scores: npt.NDArray[np.int64], order: npt.NDArray[np.int64]) -> Words:
    """Return the bits of whoever leads at each sample, ``uint64[words]``.

    Parameters
    ----------
    scores
        Of each row before the first word.
    order
        The rows, the one that was right last before the first word first.
    """
    counts = np.bitwise_count(hits).astype(np.int64)
    after = scores[:, np.newaxis] + np.cumsum(counts, axis=1)
    before = after - counts
    contends = after >= before.max(axis=0)
    single = contends.argmax(axis=0)
    leading: Words = hits[single, np.arange(hits.shape[1])]
    shared = np.flatnonzero(contends.sum(axis=0) > 1)
    if not len(shared):
        return leading
    places, contenders = np.nonzero(contends[:, shared].T)
    words = shared[places]
    bits = unpacked(hits[contenders, words][:, np.newaxis])
    score = np.cumsum(bits, axis=1, dtype=np.int64) - bits + before[contenders, words][:, np.newaxis]
    times = (words * WORD + len(hits))[:, np.newaxis] + np.arange(WORD)
    latest = np.empty_like(times)
    latest[:, 0] = _last_hits(hits, order)[contenders, words]
    latest[:, 1:] = np.where(bits[:, :-1] != 0, times[:, :-1], 0)
    np.maximum.accumulate(latest, axis=1, out=latest)
    keys = (((score << _PLACES) | latest) << _ROWS) | contenders[:, np.newaxis]
    first = np.flatnonzero(np.concatenate(([True], places[1:] != places[:-1])))
    best = np.maximum.reduceat(keys, first, axis=0)
    rows = np.where(best >> (_PLACES + _ROWS) > 0, best & ((1 << _ROWS) - 1), 0)
    right = (hits[rows, shared[:, np.newaxis]] >> np.arange(WORD, dtype=np.uint64)) & np.uint64(1)
    leading[shared] = packed(right.astype(np.bool_))[:, 0]
    return leading
