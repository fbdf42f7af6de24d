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
    window may another take its place, and often the counts of all tell that none does.

    Parameters
    ----------
    windows
        ``int64[rows]``, their lengths.
    """
    n, rows = len(symbols), len(windows)
    words = (n + 63) // 64
    hits = np.zeros((words, rows), dtype=np.uint64)
    counts = np.zeros((rows, alphabet), dtype=np.int32)
    with_count = np.zeros((rows, windows.max() + 2), dtype=np.int32)
    with_count[:, 0] = alphabet
    latest = np.full(alphabet, -1, dtype=np.int64)
    modes = np.full(rows, symbols[0], dtype=np.int64)
    for i in range(n):
        own = np.int64(symbols[i])
        for row in range(rows):
            window, mode = windows[row], modes[row]
            if i >= window and mode == own:
                hits[i >> 6, row] |= np.uint64(1) << np.uint64(i & 63)
            count = counts[row, own] + 1
            counts[row, own] = count
            with_count[row, count - 1] -= 1
            with_count[row, count] += 1
            if i < window:
                if count >= counts[row, mode]:
                    modes[row] = own
                continue
            left = np.int64(symbols[i - window])
            down = counts[row, left] - 1
            counts[row, left] = down
            with_count[row, down + 1] -= 1
            with_count[row, down] += 1
            if own == mode:
                continue
            lost = left == mode
            if counts[row, own] >= counts[row, mode] + lost:
                modes[row] = own
            elif lost and (with_count[row, down + 1] > 0 or with_count[row, down] > 1):
                latest[own] = i
                modes[row] = _most_common(counts[row], latest)
        latest[own] = i
    return hits


@kernel
def _most_common(counts: Any, latest: Any) -> int:
    """Return the symbol with the largest count, among equals the one seen last."""
    best = 0
    for symbol in range(1, len(counts)):
        if counts[symbol] > counts[best] or (counts[symbol] == counts[best] and latest[symbol] > latest[best]):
            best = symbol
    return best


@kernel
def multi_mcw_bit_hits(bits: Any, windows: Any) -> Any:
    """Return the same for bits. A window has an odd number of samples, so there are no equals."""
    n, rows = len(bits), len(windows)
    words = (n + 63) // 64
    hits = np.zeros((words, rows), dtype=np.uint64)
    balance = np.zeros(rows, dtype=np.int64)
    for place in range(words):
        start, stop = 64 * place, min(n, 64 * place + 64)
        for row in range(rows):
            window, ahead, word = windows[row], balance[row], np.uint64(0)
            for i in range(start, min(stop, window)):
                ahead += 2 * np.int64(bits[i]) - 1
            for i in range(max(start, window), stop):
                own = np.int64(bits[i])
                word |= np.uint64((ahead > 0) == (own == 1)) << np.uint64(i - start)
                ahead += 2 * (own - np.int64(bits[i - window]))
            balance[row], hits[place, row] = ahead, word
    return hits
