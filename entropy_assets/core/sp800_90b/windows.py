"""The most common values of the last samples, as the MultiMCW predictor of SP 800-90B 6.3.7 wants them.

How often a symbol is in a window changes only when it enters and when it leaves. Between two such events its count
stands, so the most common value at a sample is the highest of the stretches that cover it. Each stretch is laid twice
over a table of powers of two, which is then folded down to single samples.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]

SAMPLES_AT_ONCE: Final = 1 << 16
"""Samples whose windows are looked at at once: some megabytes, whatever the length of the sequence."""
PLACES: Final = 20
"""Bits of a number below the count: where the symbol was seen last, among the samples that are looked at at once."""


def modes(symbols: npt.NDArray[np.uint8], window: int, start: int, stop: int) -> Indices:
    """Return the most common of the `window` samples before each of ``start .. stop``; among equals the latest.

    Parameters
    ----------
    start
        `window` at least.
    """
    parts = []
    for begin in range(start, stop, SAMPLES_AT_ONCE):
        end = min(stop, begin + SAMPLES_AT_ONCE)
        seen = symbols[begin - window : end - 1]
        latest = _covered(*_stretches(seen, window), end - begin) & ((1 << PLACES) - 1)
        parts.append(seen[latest].astype(np.int64))
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def bit_modes(bits: npt.NDArray[np.uint8], window: int, start: int, stop: int) -> Indices:
    """Return the same for bits. A window has an odd number of samples, so there are no equals."""
    ones = np.concatenate(([0], np.cumsum(bits[start - window : stop - 1], dtype=np.int32)))
    modes: Indices = (2 * (ones[window:] - ones[:-window]) > window).astype(np.int64)
    return modes


def _stretches(seen: npt.NDArray[np.uint8], window: int) -> tuple[Indices, Indices, Indices]:
    """Return stretches of equal count: first sample, sample after the last, and (count, latest place) as one number.

    Sample 0 is the one that has the first `window` of `seen` before it.
    """
    n = len(seen)
    digits = (n + window).bit_length()
    enters = np.arange(n) | (seen.astype(np.int64) << digits)
    events = np.sort(np.concatenate((enters << 1, (enters + window) << 1 | 1)))
    leaves = events & 1
    counts = np.cumsum(1 - 2 * leaves)
    latest = np.maximum.accumulate(events * (1 - leaves))
    times = (events >> 1) & ((1 << digits) - 1)
    times -= window - 1
    begin, end = np.maximum(times[:-1], 0), np.minimum(times[1:], n - window + 1)
    kept = np.flatnonzero((counts[:-1] > 0) & (begin < end))
    values = counts << PLACES | ((latest >> 1) & ((1 << digits) - 1))
    return begin[kept], end[kept], values[kept]


def _covered(begin: Indices, end: Indices, values: Indices, n: int) -> Indices:
    """Return for each of `n` samples the largest value of the stretches that cover it."""
    level = np.frexp((end - begin).astype(np.float64))[1].astype(np.int64) - 1
    table = np.zeros((int(level.max(initial=0)) + 1, n), dtype=np.int64)
    np.maximum.at(table.reshape(-1), level * n + begin, values)
    np.maximum.at(table.reshape(-1), level * n + end - (1 << level), values)
    for upper in range(len(table) - 1, 0, -1):
        half = 1 << (upper - 1)
        np.maximum(table[upper - 1], table[upper], out=table[upper - 1])
        np.maximum(table[upper - 1][half:], table[upper][:-half], out=table[upper - 1][half:])
    covered: Indices = table[0]
    return covered
