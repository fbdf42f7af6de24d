"""Dither: codes that were spread over a box of finer codes by random numbers, as when 8 bits are raised to 16.

Each pixel is then ``code * s + r``, with r random below s, and the noise of the frame is that of r, which is a
program's. So the histogram of a square is made of boxes, s codes wide and flat, with steps between them, while the
histogram of any sensor's noise is as smooth inside a box as across its edges. Where the codes carry noise of one code
or more of their own, no box can be told any more, and dither of one step hides little.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.extraction.squares import LAPLACIAN_NORM, MAD_TO_SIGMA, Steps, laplacian

CELL: Final = 16
"""Side of a cell, pixels: a slope of the picture widens the histogram of a cell less than that of its square."""
SQUARES_JUDGED: Final = 32
"""Squares whose histograms are looked at, evenly spread over those handed in."""
LEAST_CALM: Final = 4
"""Fewest squares without a slope that say something; fewer give 0."""
SPREAD: Final = 1.5
"""Largest spread of the pixels in the cells of a square, as a multiple of the noise: beyond it the slope of the picture
makes a flat histogram by itself."""
RESOLUTION: Final = 8
"""Codes into which one sigma is divided at least; finer codes are joined."""
WIDEST: Final = 3.6
"""Widest box that is looked for, sigma: dither alone has a box of 2 * 3**.5 sigma. The narrowest is one sigma, which
codes with a noise of 0.95 code have under their dither."""
NARROWEST: Final = 3
"""Narrowest box that is looked for, codes: quiet noise midway between two codes is as even in a box of two."""
REACH: Final = 8
"""Distance from the median of a square within which pixels are counted, sigma."""
EVEN_Z: Final = 4.0
"""Largest excess of the chi-square inside the boxes, standard deviations, at which they are called even."""
EVEN_RATIO: Final = 0.2
"""Largest unevenness inside the boxes, as a share of that inside boxes that lie elsewhere."""
LEAST_UNEVENNESS: Final = 0.1
"""Least unevenness of boxes that lie elsewhere, chi-square per pixel; smooth noise has 1/12 in a box of one sigma."""


def dithered_share(squares: Steps) -> float:
    """Return the share of squares whose pixels lie evenly inside boxes of s codes, for the s of which most do.

    A square counts as dithered if the boxes can be laid so that the chi-square of the codes inside them is that of
    chance, though it is far from it when they are laid otherwise. Noise without dither is uneven wherever they lie.
    The place of the boxes is free in each square, so any offset, dither to either side and an s that is no whole
    number are found too.

    Parameters
    ----------
    squares
        ``[n, size, size]``, live squares in ADC steps, their side a multiple of `CELL`.

    Returns
    -------
    float
        0 to 1, of the squares without a slope; 0 if there are less than `LEAST_CALM` of them.
    """
    chosen = np.unique(np.linspace(0, len(squares) - 1, SQUARES_JUDGED).astype(np.int64))
    judged = squares[chosen].astype(np.int64)
    sigma = float(np.median(np.abs(laplacian(judged)))) * MAD_TO_SIGMA / LAPLACIAN_NORM
    cells = _cells(judged)
    judged = cells[np.sqrt(cells.var(axis=2).mean(axis=1)) <= SPREAD * sigma]
    if len(judged) < LEAST_CALM:
        return 0.0
    unit = max(1, int(sigma) // RESOLUTION)
    counts = _histograms(judged // unit, int(np.ceil(REACH * sigma / unit)) + 2)
    least = CELL * CELL // (64 if unit == 1 else 16)  # joined codes lie across edges, and spill a few pixels
    widths = range(max(NARROWEST, int(sigma / unit)), int(np.ceil(WIDEST * sigma / unit)) + 1)
    return max((float(_dithered(counts, width, least).mean()) for width in widths), default=0.0)


def _cells(squares: Steps) -> Steps:
    """Return ``[square, cell, pixel]``."""
    count, per_side = len(squares), squares.shape[1] // CELL
    grid = squares.reshape(count, per_side, CELL, per_side, CELL).swapaxes(2, 3)
    return grid.reshape(count, per_side**2, CELL**2)


def _histograms(cells: Steps, reach: int) -> npt.NDArray[np.int64]:
    """Return ``int64[square, cell, code]``: pixels by code, from `reach` below the median of their square on."""
    count, per_square, _ = cells.shape
    middle = np.median(cells, axis=(1, 2), keepdims=True).astype(np.int64)
    places = cells - middle + reach
    inside = (places >= 0) & (places < 2 * reach)
    rows = np.arange(count * per_square).reshape(count, per_square, 1) * (2 * reach)
    tally = np.bincount((rows + places)[inside], minlength=count * per_square * 2 * reach)
    return tally.reshape(count, per_square, 2 * reach)


def _dithered(counts: npt.NDArray[np.int64], width: int, least: int) -> npt.NDArray[np.bool_]:
    """Tell of each square whether boxes of `width` codes are even in one place and uneven in most others.

    Only boxes that hold `least` pixels of their cell count.
    """
    edges = np.arange(width)[:, np.newaxis] + width * np.arange(counts.shape[2] // width)
    pixels, squared = (np.diff(_summed(values)[:, :, edges], axis=3) for values in (counts, counts * counts))
    counted = pixels >= least
    chi_square = np.where(counted, width * squared / np.maximum(pixels, 1) - pixels, 0).sum(axis=(1, 3))
    freedom = (width - 1) * counted.sum(axis=(1, 3))
    excess = chi_square - freedom
    place = excess.argmin(axis=1)[:, np.newaxis]
    least_excess = np.take_along_axis(excess, place, axis=1)[:, 0]
    degrees = np.take_along_axis(freedom, place, axis=1)[:, 0]
    elsewhere = np.median(excess, axis=1)
    return np.asarray(
        (degrees > 0)
        & (least_excess < EVEN_Z * np.sqrt(2 * degrees))
        & (least_excess <= EVEN_RATIO * elsewhere)
        & (elsewhere >= LEAST_UNEVENNESS * counts.sum(axis=(1, 2)))
    )


def _summed(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the running sums along the last axis, from 0 on."""
    sums = np.zeros((*values.shape[:2], values.shape[2] + 1), dtype=np.int64)
    np.cumsum(values, axis=2, out=sums[:, :, 1:])
    return sums
