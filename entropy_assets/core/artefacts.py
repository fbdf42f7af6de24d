"""Traces that processing leaves in the noise of a whole frame: repeated content, and the 8x8 grid of JPEG.

White noise copied to another place is still white, and a decoded JPEG saved as PNG still has noise of a kind, so
nothing inside one survey block can tell. These look across the frame.
"""

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import fft

Steps: TypeAlias = npt.NDArray[np.int16] | npt.NDArray[np.int32] | npt.NDArray[np.int64]

PROBES: Final = 32
"""Rows, and columns, that are searched for repeats."""
LEAST_LAG: Final = 4
"""Shortest repeat looked for, pixels: the second difference of white noise correlates up to lag 2."""
LONGEST_SHARE: Final = 0.75
"""Longest repeat looked for, as a share of the row; beyond it too few pixels overlap."""
SHORTEST_PROBE: Final = 16
"""Shortest row that is searched, pixels."""
BLOCKING_ROWS: Final = 256
"""Rows, and columns, that are searched for the borders of compression blocks."""
JPEG_GRID: Final = 8
"""Period of the block borders of JPEG, pixels."""
DIFFERENCE_LIMIT: Final = 1 << 20
"""Differences are clipped here, so that sums of them or of their squares are exact."""

WINDOW: Final = (4, 8)
"""Rows and columns of differences in a window that must repeat exactly: 45 bits or more in the quietest live area."""
ANCHOR_SPACING: Final = 32
"""Pixels per window that is compared, on average."""
ANCHOR_FACTORS: Final = (37, 101, 59, 173, 211, 83, 149, 233)
"""Odd factors that mix the corner of a window into one byte."""
KEY_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)
"""2**64 over the golden ratio, odd: mixes a window into 64 bits."""


def repeat_correlation(steps: Steps) -> float:
    """Return the largest autocorrelation of rows or columns at a lag of `LEAST_LAG` pixels or more.

    Parameters
    ----------
    steps
        ``[ny, nx]``, pixels in ADC steps.

    Returns
    -------
    float
        About 0 for noise; 1 for a tile repeated side by side, whatever its size.
    """
    return max(_row_repeat(steps), _row_repeat(steps.T))


def _row_repeat(steps: Steps) -> float:
    rows = steps[:: max(1, len(steps) // PROBES)].astype(np.int64)
    bends = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    bends = np.clip(bends[bends.any(axis=1)], -DIFFERENCE_LIMIT, DIFFERENCE_LIMIT).astype(np.float64)
    count, width = bends.shape
    if count == 0 or width < SHORTEST_PROBE:
        return 0.0
    spectrum = fft.rfft(bends, 2 * width, axis=1)
    products = fft.irfft(spectrum.real**2 + spectrum.imag**2, 2 * width, axis=1)
    lags = np.arange(LEAST_LAG, int(LONGEST_SHARE * width))
    shares = products[:, lags] / products[:, :1] * (width / (width - lags))
    return float(shares.mean(axis=0).max())


def blocking(steps: Steps) -> float:
    """Return by how much the steps over the borders of an 8-pixel grid exceed the others, as a share of these.

    Jumps are measured as third differences. Of the 8 positions that the grid may have the most striking is taken,
    and of the two axes the lesser: readout taps leave stripes in one, JPEG in both.

    Parameters
    ----------
    steps
        ``[ny, nx]``, pixels in ADC steps.
    """
    return min(_column_blocking(steps), _column_blocking(steps.T))


def _column_blocking(steps: Steps) -> float:
    rows = steps[:: max(1, len(steps) // BLOCKING_ROWS)].astype(np.int64)
    jumps = np.abs(rows[:, :-3] - 3 * rows[:, 1:-2] + 3 * rows[:, 2:-1] - rows[:, 3:])
    columns = np.minimum(jumps, DIFFERENCE_LIMIT).sum(axis=0)
    whole = len(columns) // JPEG_GRID * JPEG_GRID
    phases = np.sort(columns[:whole].reshape(-1, JPEG_GRID).sum(axis=0)) if whole else np.zeros(JPEG_GRID)
    elsewhere = float(phases[:-1].mean())
    return float(phases[-1]) / elsewhere - 1 if elsewhere > 0 else 0.0


def repeated_share(steps: Steps, live: npt.NDArray[np.bool_], size: int) -> npt.NDArray[np.float64]:
    """Return for each live survey block the share of its content that stands elsewhere in the frame too, before it.

    Noise never repeats, so equal windows of `WINDOW` differences are copies: a tile, a cloned patch, at any distance
    and of any size from some 12 pixels up. Windows are compared where a hash of their corner says so, one place in
    `ANCHOR_SPACING`, and the hash is the same in every copy. The first copy in reading order stays clean. Turned,
    mirrored or rescaled copies are not found.

    Parameters
    ----------
    steps
        ``[ny, nx]``, pixels in ADC steps.
    live
        ``bool[by, bx]``, the survey blocks to look at. Dead areas repeat anyway.
    size
        Side of a survey block, pixels.

    Returns
    -------
    numpy.ndarray
        ``float64[by, bx]``, 0 where the block is not live or has no window to compare.
    """
    low = steps.astype(np.uint8)
    slopes = low[:, 1:] - low[:, :-1]
    windows = np.lib.stride_tricks.sliding_window_view(slopes, WINDOW)
    y, x = np.nonzero(_anchors(slopes)[: windows.shape[0], : windows.shape[1]])
    inside = (y // size < live.shape[0]) & (x // size < live.shape[1])
    y, x = y[inside], x[inside]
    block = (y // size) * live.shape[1] + x // size
    watched = live.ravel()[block]
    y, x, block = y[watched], x[watched], block[watched]
    seen = np.bincount(block, weights=_seen_before(windows[y, x]), minlength=live.size)
    return (seen / np.maximum(1, np.bincount(block, minlength=live.size))).reshape(live.shape)


def _anchors(slopes: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Tell at which places the 2x4 differences from there on hash to a value below 256 / `ANCHOR_SPACING`."""
    height, width = slopes.shape
    mixed = np.zeros((height - 1, width - 3), dtype=np.uint8)
    for place, factor in enumerate(ANCHOR_FACTORS):
        row, column = divmod(place, 4)
        mixed += slopes[row : height - 1 + row, column : width - 3 + column] * np.uint8(factor)
    return mixed < 256 // ANCHOR_SPACING


def _seen_before(windows: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Tell which of ``uint8[n, *WINDOW]`` equal one that comes before."""
    words = windows.reshape(len(windows), WINDOW[0] * WINDOW[1]).view(np.uint64)
    keys = np.zeros(len(words), dtype=np.uint64)
    for column in words.T:
        keys = (keys ^ column) * KEY_FACTOR
        keys ^= keys >> np.uint64(29)
    order = np.argsort(keys, kind="stable")
    seen = np.zeros(len(keys), dtype=np.bool_)
    seen[order[1:]] = keys[order[1:]] == keys[order[:-1]]
    return seen
