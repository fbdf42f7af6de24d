"""Dither: codes that were spread over a box of finer codes by random numbers, as when 8 bits are raised to 16.

Each pixel is then ``code * s + r``, with r random below s, and the noise of the frame is that of r, which is a
program's. So the histogram of a square is made of boxes, s codes wide and flat, with steps between them, while the
histogram of any sensor's noise is as smooth inside a box as across its edges. Where the codes carry noise of one code
or more of their own, no box can be told any more, and dither of one step hides little.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.extraction.compiled import loops
from entropy_assets.core.extraction.squares import LAPLACIAN_NORM, MAD_TO_SIGMA, Steps, laplacian, middles

CELL: Final = 16
"""Side of a cell, pixels: a slope of the picture widens the histogram of a cell less than that of its square."""
SQUARES_JUDGED: Final = 16
"""Squares whose histograms are looked at, evenly spread over those without a slope."""
LEAST_CALM: Final = 8
"""Fewest squares without a slope that say something; fewer give 0."""
SPREAD: Final = 1.5
"""Largest spread of the pixels in the cells of a square, as a multiple of the noise: beyond it the slope of the picture
makes a flat histogram by itself."""
RESOLUTION: Final = 12
"""Codes into which one sigma is divided at least; finer codes are joined."""
WIDEST: Final = 3.6
"""Widest box that is looked for, sigma: dither alone has a box of 2 * 3**.5 sigma. The narrowest is one sigma, which
codes with a noise of 0.95 code have under their dither."""
NARROWEST: Final = 3
"""Narrowest box that is looked for, codes: quiet noise midway between two codes is as even in a box of two."""
REACH: Final = 8
"""Distance from the median of a square within which pixels are counted, sigma."""
EVEN_Z: Final = 1.5
"""Largest mean excess, over all squares, of the chi-square inside the boxes at which they are called even, standard
deviations. Where codes are joined, even boxes have nearly as much, since joined codes lie across their edges."""
MARGIN: Final = 0.01
"""What the sums of a few thousand chi-squares, in whatever order, differ by at most, and far more."""
EVEN_RATIO: Final = 0.2
"""Largest unevenness inside the boxes, as a share of that inside boxes that lie elsewhere."""
LEAST_UNEVENNESS: Final = 0.1
"""Least unevenness of boxes that lie elsewhere, chi-square per pixel; smooth noise has 1/12 in a box of one sigma."""


def dithered_share(squares: Steps) -> float:
    """Return the share of squares whose pixels lie evenly inside boxes of s codes, for the s of which most do.

    A square counts as dithered if the boxes can be laid so that the chi-square of the codes inside them is next to that
    of chance, though it is far from it when they are laid otherwise. Noise without dither is uneven wherever they lie.
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
    sigma = sum(middles(np.abs(laplacian(squares)))) / 2 * MAD_TO_SIGMA / LAPLACIAN_NORM
    cells = _cells(squares)
    calm = cells[np.sqrt(cells.var(axis=2).mean(axis=1)) <= SPREAD * sigma]
    if len(calm) < LEAST_CALM:
        return 0.0
    judged = calm[np.unique(np.linspace(0, len(calm) - 1, SQUARES_JUDGED).astype(np.int64))].astype(np.int64)
    unit = max(1, int(sigma) // RESOLUTION)
    counts = _histograms(judged // unit, int(np.ceil(REACH * sigma / unit)) + 2)
    least = CELL * CELL // (64 if unit == 1 else 16)  # joined codes lie across edges, and spill a few pixels
    widths = range(max(NARROWEST, int(sigma / unit)), int(np.ceil(WIDEST * sigma / unit)) + 1)
    sums = _summed(counts), _summed(counts * counts)
    return max(
        (0.0 if _clearly_uneven(*sums, width, least) else _share(*sums, width, least) for width in widths), default=0.0
    )


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


def _clearly_uneven(
    counted_below: npt.NDArray[np.int64], squares_below: npt.NDArray[np.int64], width: int, least: int
) -> bool:
    """Tell whether `_share` is 0 for sure since all boxes are uneven; False where no loops are compiled to tell."""
    compiled = loops()
    if compiled is None:
        return False
    excess, freedom = compiled.dither.unevenness(counted_below, squares_below, width, least)
    return bool(excess.sum() > EVEN_Z * np.sqrt(2 * freedom).sum() + MARGIN)


def _share(counted_below: npt.NDArray[np.int64], squares_below: npt.NDArray[np.int64], width: int, least: int) -> float:
    """Return the share of squares in which boxes of `width` codes are even in one place and uneven in most others.

    0 if the boxes of all squares together are uneven even in their best places: noise with one steep flank, as behind
    an electron multiplier, is nearly even in boxes that begin at the flank, while dither is even.

    Parameters
    ----------
    counted_below, squares_below
        ``int64[square, cell, code]``: sums over all lower codes of their counts, and of the squares of these.
    width
        Codes in a box.
    least
        Fewest pixels of a cell that a box must hold to be judged.
    """
    edges = np.arange(width)[:, np.newaxis] + width * np.arange((counted_below.shape[2] - 1) // width)
    pixels, squared = (np.diff(below[:, :, edges], axis=3) for below in (counted_below, squares_below))
    counted = pixels >= least
    chi_square = np.where(counted, width * squared / np.maximum(pixels, 1) - pixels, 0).sum(axis=(1, 3))
    freedom = (width - 1) * counted.sum(axis=(1, 3))
    excess = chi_square - freedom
    place = excess.argmin(axis=1)[:, np.newaxis]
    least_excess = np.take_along_axis(excess, place, axis=1)[:, 0]
    degrees = np.take_along_axis(freedom, place, axis=1)[:, 0]
    elsewhere = np.median(excess, axis=1)
    if least_excess.sum() > EVEN_Z * np.sqrt(2 * degrees).sum():
        return 0.0
    dithered = (
        (degrees > 0)
        & (least_excess <= EVEN_RATIO * elsewhere)
        & (elsewhere >= LEAST_UNEVENNESS * counted_below[:, :, -1].sum(axis=1))
    )
    return float(dithered.mean())


def _summed(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the running sums along the last axis, from 0 on."""
    sums = np.zeros((*values.shape[:2], values.shape[2] + 1), dtype=np.int64)
    np.cumsum(values, axis=2, out=sums[:, :, 1:])
    return sums
