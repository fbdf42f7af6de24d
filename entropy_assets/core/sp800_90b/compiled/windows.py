"""Which samples the sub-predictors of MultiMCW and Lag get right (SP 800-90B 6.3.7 and 6.3.8)."""

from typing import Any

import numpy as np

from entropy_assets.core.compiling import kernel


@kernel
def lag_hits(planes: Any) -> Any:
    """Return ``uint64[words, 128]``: which samples each lag predicts rightly.

    Parameters
    ----------
    planes
        ``uint64[planes, 2 + words]``: each bit of the samples as a sequence of its own, two words of earlier samples
        first; and one plane that is 1 for each sample, so that none equals what is before the first.
    """
    words = planes.shape[1] - 2
    hits = np.empty((words, 128), dtype=np.uint64)
    differ = np.empty(129, dtype=np.uint64)
    for place in range(words):
        differ[:] = 0
        for plane in range(planes.shape[0]):
            own, before, earlier = planes[plane, place + 2], planes[plane, place + 1], planes[plane, place]
            for lag in range(64):
                up, down = np.uint64(lag), np.uint64(63 - lag)
                differ[lag] |= own ^ ((own << up) | ((before >> np.uint64(1)) >> down))
                differ[64 + lag] |= own ^ ((before << up) | ((earlier >> np.uint64(1)) >> down))
            differ[128] |= own ^ earlier
        for lag in range(1, 129):
            hits[place, lag - 1] = ~differ[lag]
    return hits


@kernel
def multi_mcw_hits(symbols: Any, alphabet: int, windows: Any) -> Any:
    """Return ``uint64[words, rows]``: which samples the most common value of each window predicts rightly.

    A count only grows when a symbol enters, and then that symbol is the latest. Only when the most common one leaves a
    window may another take its place, and none does whose count was always lower.

    Parameters
    ----------
    windows
        ``int64[rows]``, their lengths.
    """
    n, rows = len(symbols), len(windows)
    words, once = (n + 63) // 64, np.int64(1) << 32
    hits = np.zeros((words, rows), dtype=np.uint64)
    ranks = np.empty(
        alphabet, dtype=np.int64
    )  # how often each symbol is in the window, and below that when it was last
    for row in range(rows):
        window = windows[row]
        ranks[:] = 0
        for i in range(window):
            ranks[symbols[i]] = ((ranks[symbols[i]] >> 32) + 1) << 32 | i
        mode = np.uint64(symbols[_largest(ranks) & (once - 1)])
        others = once * window  # no other symbol is in the window oftener than that says
        for place in range(window >> 6, words):
            word = np.uint64(0)
            for i in range(max(window, 64 * place), min(n, 64 * place + 64)):
                own, left = np.uint64(symbols[i]), np.uint64(symbols[i - window])
                word |= np.uint64(mode == own) << np.uint64(i & 63)
                rank = ((ranks[own] >> 32) + 1) << 32 | i
                ranks[own] = rank
                ranks[left] -= once
                if own == mode:
                    continue
                others = max(others, rank)
                if left == mode and ranks[mode] <= others:
                    largest = _largest(ranks)
                    mode = np.uint64(symbols[largest & (once - 1)])
                    others = _largest_but(ranks, mode)
                elif ranks[own] > ranks[mode]:
                    others = max(others, ranks[mode])
                    mode = own
            hits[place, row] = word
    return hits


@kernel
def _largest(ranks: Any) -> Any:
    largest = np.int64(0)
    for place in range(len(ranks)):
        largest = max(largest, ranks[place])
    return largest


@kernel
def _largest_but(ranks: Any, mode: int) -> Any:
    """Return the largest of the ranks of all symbols but one."""
    own = ranks[mode]
    ranks[mode] = 0
    others = _largest(ranks)
    ranks[mode] = own
    return others


@kernel
def multi_mcw_bit_hits(bits: Any, windows: Any) -> Any:
    """Return the same for bits. A window has an odd number of samples, so there are no equals."""
    n, rows = len(bits), len(windows)
    words = (n + 63) // 64
    hits = np.zeros((words, rows), dtype=np.uint64)
    ones = np.zeros(64 * words + 1, dtype=np.int32)
    for i in range(n):
        ones[i + 1] = ones[i] + np.int32(bits[i])
    padded = np.zeros(64 * words, dtype=np.uint8)
    padded[:n] = bits
    for row in range(rows):
        window = windows[row]
        half = np.int32(window // 2)
        for place in range(window >> 6, words):
            start, word = 64 * place, np.uint64(0)
            before, own, now = (
                ones[start - window : start - window + 64],
                padded[start : start + 64],
                ones[start : start + 64],
            )
            if start < window:
                for i in range(window, min(n, start + 64)):
                    word |= np.uint64((ones[i] - ones[i - window] > half) == (padded[i] == 1)) << np.uint64(i - start)
            else:
                for i in range(64):
                    word |= np.uint64((now[i] - before[i] > half) == (own[i] == 1)) << np.uint64(i)
                if start + 64 > n:
                    word &= ~np.uint64(0) >> np.uint64(start + 64 - n)
            hits[place, row] = word
    return hits
