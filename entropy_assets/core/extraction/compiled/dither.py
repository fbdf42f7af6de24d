"""Whether boxes of codes are clearly uneven, so that nobody need look closer."""

from typing import Any

import numpy as np

from entropy_assets.core.compiling import kernel


@kernel
def unevenness(counted_below: Any, squares_below: Any, width: int, least: int) -> Any:
    """Return the least excess of chi-square of boxes, and the most degrees of freedom, both over all places.

    Parameters
    ----------
    counted_below, squares_below
        ``int64[square, cell, code]``: sums over all lower codes of their counts, and of the squares of these.
    width
        Codes in a box.
    least
        Fewest pixels of a cell that a box must hold to be judged.

    Returns
    -------
    tuple of two arrays
        ``float64[square]`` and ``int64[square]``.
    """
    squares, cells, codes = counted_below.shape
    excess, freedom = np.empty(squares, dtype=np.float64), np.zeros(squares, dtype=np.int64)
    for square in range(squares):
        smallest = np.inf
        for place in range(width):
            chi_square, degrees = 0.0, 0
            for cell in range(cells):
                for box in range((codes - 1) // width - 1):
                    start = place + box * width
                    pixels = counted_below[square, cell, start + width] - counted_below[square, cell, start]
                    if pixels >= least:
                        squared = squares_below[square, cell, start + width] - squares_below[square, cell, start]
                        chi_square += width * squared / max(pixels, 1) - pixels
                        degrees += width - 1
            smallest = min(smallest, chi_square - degrees)
            freedom[square] = max(freedom[square], degrees)
        excess[square] = smallest
    return excess, freedom
