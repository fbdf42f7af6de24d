"""Traces that processing leaves in the noise of a whole frame: repeated content, and the 8x8 blocks of JPEG.

White noise copied to another place is still white, and a decoded JPEG saved as PNG still has noise of a kind. So one
square alone can't show it, and these functions look across the frame. A *block* is one of JPEG here, 8x8 pixels; a
*square* is what the survey judges.
"""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import fft

from entropy_assets.core.arrays import beside, low_bytes, namespace_of, on_host, windows_at
from entropy_assets.core.extraction.compiled import loops_for
from entropy_assets.core.extraction.squares import MAD_TO_SIGMA, Steps, middles

PROBES: Final = 32
"""Rows, and columns, that are searched for repeats."""
LEAST_LAG: Final = 4
"""Shortest repeat looked for, pixels: the second difference of white noise correlates up to lag 2."""
LONGEST_SHARE: Final = 0.75
"""Longest repeat looked for, as a share of the row; beyond it too few pixels overlap."""
SHORTEST_PROBE: Final = 16
"""Shortest row that is searched, pixels."""
JPEG_GRID: Final = 8
"""Period of the block borders of JPEG, pixels."""
NARROW_JUMPS: Final = 1 << 24
"""Pixels below this have third differences of which `JUMP_LIMIT` times as much fits int32."""
JUMP_LIMIT: Final = 8
"""Largest jump that counts, as a multiple of the median jump."""
SEARCHED: Final = ((1, 1), (2, 2), (3, 3), (4, 4))
"""Coefficients by which the grid of the comb is found."""
COMBED: Final = tuple((u, v) for u in range(5) for v in range(5) if 0 < u + v <= 4)
"""Coefficients that are counted: the 14 of lowest order, without the mean."""
LEAST_BLOCKING: Final = 4
"""Fewest squares that say something of the grid; in fewer, chance would speak."""
LEAST_COMB: Final = 16
"""Fewest squares that say something of a comb."""
SEARCH_BLOCKS: Final = 64
"""Blocks by which the grid is found."""
COMB_BLOCKS: Final = 256
"""Blocks whose coefficients are counted; at least a quarter of them must say something about a quantiser."""
COMB_STRENGTH: Final = 0.4
"""Mean phase that makes a comb: 64 random phases reach it with probability exp(-10), white noise 0.15."""
QUANTISERS: Final = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31)
"""Steps of a coefficient that are looked for: multiples of any other number are multiples of one of these."""
DIFFERENCE_LIMIT: Final = 1 << 20
"""Differences are clipped here, so that sums of them or of their squares are exact."""

WINDOW: Final = (4, 8)
"""Rows and columns of differences in a window that must repeat exactly: 45 bits or more in the quietest live area."""
ANCHOR_SPACING: Final = 64
"""Pixels per window that is compared, on average."""
ANCHOR_FACTORS: Final = (37, 101, 59, 173, 211, 83, 149, 233)
"""Odd factors that mix the corner of a window into one byte."""
KEY_FACTOR: Final = 0x9E3779B97F4A7C15
"""2**64 over the golden ratio, odd: mixes a window into 64 bits."""


def repeat_correlation(steps: Steps, *, banded: bool = False, outlier: int = 0) -> float:
    """Return the largest autocorrelation of rows or columns at a lag of `LEAST_LAG` pixels or more.

    Parameters
    ----------
    steps
        ``[ny, nx]``, pixels in ADC steps.
    banded
        Leave out what all columns share: offsets of rows, which may come in waves. A tile's noise stays.
    outlier
        As `Recipe.repeat_outlier`.

    Returns
    -------
    float
        About 0 for noise; 1 for a tile repeated side by side, whatever its size.
    """
    columns = _less_shared(_probes(steps.T)) if banded else _probes(steps.T)
    return max(_row_repeat(_probes(steps), outlier), _row_repeat(columns, outlier))


def _probes(steps: Steps) -> npt.NDArray[np.int64]:
    """Return the rows that are searched."""
    return on_host(steps[:: max(1, steps.shape[0] // PROBES), :]).astype(np.int64)


def _less_shared(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return `rows` less their median in each column, an integer."""
    middle = len(rows) // 2
    return np.asarray(rows - np.partition(rows, middle, axis=0)[middle])


def _row_repeat(rows: npt.NDArray[np.int64], outlier: int) -> float:
    """Return the same of rows alone; rows without a second difference have no say."""
    bends = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    bends = bends[bends.any(axis=1)]
    count, width = bends.shape
    if count == 0 or width < SHORTEST_PROBE:
        return 0.0
    most = DIFFERENCE_LIMIT
    if outlier:
        most = min(most, outlier * (middles(np.abs(bends))[1] + 1))
    bends = np.clip(bends, -most, most).astype(np.float64)
    spectrum = fft.rfft(bends, 2 * width, axis=1)
    products = fft.irfft(spectrum.real**2 + spectrum.imag**2, 2 * width, axis=1)
    lags = np.arange(LEAST_LAG, int(LONGEST_SHARE * width))
    shares = products[:, lags] / products[:, :1] * (width / (width - lags))
    return float(shares.mean(axis=0).max())


def blocking(squares: Steps) -> float:
    """Return by how much the jumps over the borders of an 8-pixel grid exceed the others, as a share of these.

    Jumps are measured as third differences, none counted for more than `JUMP_LIMIT` times their median, so that stars
    don't matter. Of the two axes the lesser excess counts: readout taps leave stripes in one, JPEG in both.

    Parameters
    ----------
    squares
        ``[n, size, size]``, live squares in ADC steps, whose distances are multiples of 8 pixels. Fewer than
        `LEAST_BLOCKING` of them give 0.
    """
    if len(squares) < LEAST_BLOCKING:
        return 0.0
    fits = int(np.abs(squares).max()) < NARROW_JUMPS
    wide: Steps = squares.astype(np.int32 if fits else np.int64)
    return min(_column_blocking(wide), _column_blocking(wide.swapaxes(1, 2)))


def _column_blocking(squares: Steps) -> float:
    """Return the same of jumps from column to column alone."""
    squares = np.ascontiguousarray(squares)
    if (compiled := loops_for(squares)) is not None:
        columns = compiled.artefacts.column_jumps(squares, JUMP_LIMIT)
    else:
        columns = _column_jumps(squares)
    means = np.array([columns[phase::JPEG_GRID].mean() for phase in range(JPEG_GRID)])
    elsewhere = (means.sum() - means.max()) / (JPEG_GRID - 1)
    return float(means.max() / elsewhere - 1) if elsewhere > 0 else 0.0


def _column_jumps(squares: Steps) -> npt.NDArray[np.int64]:
    """Return the third differences along rows, none counted for more than it may, summed by column."""
    jumps = np.abs(squares[:, :, :-3] - squares[:, :, 3:] - 3 * (squares[:, :, 1:-2] - squares[:, :, 2:-1]))
    return np.asarray(np.minimum(jumps, JUMP_LIMIT * (middles(jumps)[1] + 1)).sum(axis=(0, 1)))


def comb_share(squares: npt.NDArray[np.number]) -> float:
    """Return the share of DCT coefficients of 8x8 blocks that keep to multiples of some step.

    Noise has no preferred coefficients. Decoded JPEG has: each is a multiple of its quantiser, but for the rounding of
    pixels. The grid of blocks is looked for at all 64 places that it may start from. Quantisers beyond the spread of
    their coefficient are not looked for: they leave so little that `blocking` and the survey see it.

    Parameters
    ----------
    squares
        ``[n, size, size]``, live squares in the unit in which pixels were rounded, whose distances are multiples of
        8 pixels. Fewer than `LEAST_COMB` of them give 0.
    """
    if len(squares) < LEAST_COMB:
        return 0.0
    starts = np.stack(np.divmod(np.arange(JPEG_GRID**2), JPEG_GRID), axis=1)
    probes = _spectra(squares, starts, SEARCH_BLOCKS, SEARCHED)
    best = starts[np.sort(_strengths(probes), axis=1)[:, -2].argmax()]
    strengths = _strengths(_spectra(squares, best[np.newaxis], COMB_BLOCKS, COMBED))
    return float((strengths > COMB_STRENGTH).mean())


def _spectra(
    squares: npt.NDArray[np.number], starts: npt.NDArray[np.int64], count: int, orders: tuple[tuple[int, int], ...]
) -> npt.NDArray[np.float64]:
    """Return ``[start, coefficient, block]``: the DCT coefficients `orders` of up to `count` blocks on each grid."""
    per_side = squares.shape[1] // JPEG_GRID - 1
    chosen = np.unique(np.linspace(0, len(squares) * per_side**2 - 1, count).astype(np.int64))
    square, place = np.divmod(chosen, per_side**2)
    y = starts[:, :1] + place // per_side * JPEG_GRID
    x = starts[:, 1:] + place % per_side * JPEG_GRID
    windows = np.lib.stride_tricks.sliding_window_view(squares, (JPEG_GRID, JPEG_GRID), axis=(1, 2))
    return np.asarray(np.einsum("snyx,cyx->scn", windows[square, y, x].astype(np.float64), _waves(orders)))


@cache
def _waves(orders: tuple[tuple[int, int], ...]) -> npt.NDArray[np.float64]:
    """Return the cosine waves of `orders` on a block."""
    waves = fft.dct(np.eye(JPEG_GRID), axis=0, norm="ortho")
    return np.stack([np.outer(waves[u], waves[v]) for u, v in orders])


def _strengths(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how closely ``[..., block]`` keep to multiples of a quantiser, 0 to 1, for the best of `QUANTISERS`.

    Values that would be quantised to 0 say nothing: a frame with quiet and busy blocks has many near 0 without a comb.
    """
    least = values.shape[-1] // 4
    magnitude = np.abs(values)
    spread = np.median(magnitude, axis=-1) * MAD_TO_SIGMA
    phases = (2 * np.pi * values).astype(np.float32)
    best = np.zeros(values.shape[:-1])
    for quantiser in QUANTISERS:
        counted = magnitude >= quantiser / 2
        count = np.count_nonzero(counted, axis=-1)
        searched = (quantiser <= spread) & (count >= least)
        if not searched.any():
            continue
        turned = phases * np.float32(1 / quantiser)
        resultant = np.hypot((np.cos(turned) * counted).sum(axis=-1), (np.sin(turned) * counted).sum(axis=-1))
        best = np.maximum(best, np.where(searched, resultant / np.maximum(count, 1), 0))
    return best


def repeated_share(steps: Steps, live: npt.NDArray[np.bool_], size: int) -> npt.NDArray[np.float64]:
    """Return for each live square the share of its content that stands elsewhere in the frame too, before it.

    Noise never repeats, so equal windows of `WINDOW` differences are copies: a tile, a cloned patch, at any distance
    and of any size from some 12 pixels up. Windows are compared where a hash of their corner says so, one place in
    `ANCHOR_SPACING`, and the hash is the same in every copy. The first copy in reading order stays clean. Turned,
    mirrored or rescaled copies are not found.

    Parameters
    ----------
    steps
        ``[ny, nx]``, pixels in ADC steps.
    live
        ``bool[sy, sx]``, the squares to look at: squares down, squares across. Dead areas repeat anyway.
    size
        Side of a square, pixels.

    Returns
    -------
    numpy.ndarray
        ``float64[sy, sx]``, 0 where the square is not live or has no window to compare.
    """
    if (compiled := loops_for(steps)) is not None:
        factors = np.array(ANCHOR_FACTORS, dtype=np.uint8).reshape(2, -1)
        square, keys = compiled.artefacts.anchored(
            steps, live, size, factors, 256 // ANCHOR_SPACING, np.uint64(KEY_FACTOR)
        )
    else:
        square, keys = _anchored(steps, live, size)
    if not _has_twins(keys):
        return np.zeros(live.shape)
    square = on_host(square)
    seen = np.bincount(square, weights=_seen_before(on_host(keys)), minlength=live.size)
    return (seen / np.maximum(1, np.bincount(square, minlength=live.size))).reshape(live.shape)


def _anchored(
    steps: Steps, live: npt.NDArray[np.bool_], size: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Return the square and the key of each window that is compared, in reading order."""
    xp = namespace_of(steps)
    low = low_bytes(steps)
    slopes = low[:, 1:] - low[:, :-1]
    rows, columns = live.shape
    most = min(slopes.shape[0] - WINDOW[0] + 1, rows * size), min(slopes.shape[1] - WINDOW[1] + 1, columns * size)
    y, x = xp.nonzero(_anchors(slopes)[: most[0], : most[1]])
    square = y // size * columns + x // size
    watched = xp.take(xp.reshape(beside(live, steps), (-1,)), square)
    return square[watched], _keys(windows_at(slopes, y[watched], x[watched], *WINDOW))


def _anchors(slopes: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Tell whether the 2x4 differences from each place on hash to a value below 256 / `ANCHOR_SPACING`."""
    height, width = slopes.shape
    mixed: npt.NDArray[np.uint8] = slopes[: height - 1, : width - 3] * ANCHOR_FACTORS[0]
    for place, factor in enumerate(ANCHOR_FACTORS[1:], 1):
        row, column = divmod(place, 4)
        mixed += slopes[row : height - 1 + row, column : width - 3 + column] * factor
    return mixed < 256 // ANCHOR_SPACING


def _keys(windows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Return each of ``uint8[n, row, column]`` as one number of 64 bits; those that differ are equal by chance only."""
    xp = namespace_of(windows)
    factor = xp.asarray(KEY_FACTOR, dtype=xp.uint64)
    words = xp.zeros(windows.shape[:2], dtype=xp.uint64)
    for column in range(WINDOW[1]):
        words ^= xp.astype(windows[:, :, column], xp.uint64) << 8 * column
    keys = xp.zeros(windows.shape[0], dtype=xp.uint64)
    for row in range(WINDOW[0]):
        keys = (keys ^ words[:, row]) * factor
        keys ^= keys >> 29
    mixed: npt.NDArray[np.uint64] = keys
    return mixed


def _has_twins(keys: npt.NDArray[np.uint64]) -> bool:
    """Tell whether any two keys are equal."""
    xp = namespace_of(keys)
    ordered = xp.sort(keys)
    return bool(xp.any(ordered[1:] == ordered[:-1]))


def _seen_before(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Tell whether each key equals one that comes before it."""
    seen = np.zeros(len(keys), dtype=np.bool_)
    order = np.argsort(keys, kind="stable")
    seen[order[1:]] = keys[order[1:]] == keys[order[:-1]]
    return seen
