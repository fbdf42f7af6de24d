"""Squares brought to one width of noise, without their outliers, so that none of them decides for the others.

Whoever makes a frame chooses its pixels. If they counted by their energy, a few loud squares, or bright pixels, would
hide what all others repeat; and a copy whose squares have another gain each would look like noise of its own.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.extraction.squares import MAD_TO_SIGMA

Residuals = npt.NDArray[np.int32]

RMS: Final = 768
"""Root mean square of what is kept of a square."""
LIMIT: Final = 3.0
"""Standard deviations of its square from which on a residual counts for less, until at twice as many nothing is left of
it: if it were clipped there it would weigh as nine others do, and if it were left out from there on, which are would
depend on a gain."""
LEAST_LIMIT: Final = 3
"""Least limit, ADC steps: narrow noise is 0 mostly."""
MOST_LIMIT: Final = 1 << 22
"""Largest limit, ADC steps: squares of what is below it add up exactly."""
NARROW: Final = 8191
"""Largest limit of which the squares of 32 residuals add up exactly in 32 bits."""
LOOKED_AT: Final = 64
"""Pixels of a square whose median tells its width: they are spread over all rows and columns."""
QUANTILES: Final = (LOOKED_AT // 2, LOOKED_AT * 3 // 4)
"""Places of their median and, which counts if that is 0, of their upper quartile."""
QUARTILES: Final = (LOOKED_AT // 4, LOOKED_AT // 2, LOOKED_AT * 3 // 4)
SLOPE: Final = 4
"""Part of the distance of the quartiles beyond which a median of pair differences is that of a slope: a third of their
noise. The median of 512 has an error of .055 of it, so a square of level light is left as it is."""
UPPER_TO_SIGMA: Final = 0.8693
"""Standard deviation of a Gaussian over the upper quartile of its magnitude."""
SHIFT: Final = 16
"""Bits behind the point of a weight."""


def evened(residuals: Residuals, live: npt.NDArray[np.bool_], fine: int = 1) -> tuple[Residuals, npt.NDArray[np.bool_]]:
    """Return residuals of a row of squares with the root mean square `RMS` in each, and which of them were kept.

    Parameters
    ----------
    residuals
        ``int32[height, squares * width]``.
    live
        ``bool[squares]``; what is not live comes back as 0.
    fine
        Parts of an ADC step in which residuals are told.
    """
    height, width = len(residuals), residuals.shape[1] // len(live)
    magnitude = np.abs(residuals)
    of_squares = _limits(magnitude.reshape(height, -1, width), fine)
    limits = of_squares.repeat(width)
    reach = 2 * limits - magnitude
    np.maximum(reach, 0, out=reach)
    left = np.minimum(residuals, reach)
    np.negative(reach, out=reach)
    np.maximum(left, reach, out=left)
    kept = magnitude <= limits * 4 // 3
    exact = left if int(of_squares.max()) <= NARROW else left.astype(np.float64)
    energy = np.einsum("ij,ij->j", exact, exact).reshape(-1, width).sum(axis=1, dtype=np.float64)
    columns = kept.view(np.uint8).sum(axis=0, dtype=np.uint8)
    # Of a square with few pixels left these count no more than half a square does.
    pixels = np.maximum(columns.reshape(-1, width).sum(axis=1, dtype=np.int64), height * width // 2)
    weights = np.floor(np.sqrt(pixels / np.maximum(energy, 1)) * (RMS << SHIFT)) * (live & (energy > 0))
    # below 2**31: no value is wider than the root of the energy, nor pixels more than 1024
    left *= weights.astype(np.int32).repeat(width)
    left += 1 << SHIFT - 1
    left >>= SHIFT
    return left, kept


def less_slopes(differences: Residuals, squares: int) -> Residuals:
    """Return pair differences of a row of squares less the median of each square, where that is clearly not 0.

    Light that rises over a square shifts all of them, and so does a slope that was added to a copy, or a flat it was
    divided by.
    """
    height, width = len(differences), differences.shape[1] // squares
    of_squares = differences.reshape(height, squares, width)
    low, middle, high = np.partition(_looked_at(of_squares), QUARTILES, axis=0)[list(QUARTILES)]
    least, half = (high - low) // SLOPE, height * width // 2
    medians = np.zeros(squares, dtype=np.int32)
    for square in np.flatnonzero(np.abs(middle) > least):
        medians[square] = np.partition(of_squares[:, square].ravel(), half)[half]
    medians[np.abs(medians) <= least] = 0
    return differences - medians.repeat(width) if medians.any() else differences


def _looked_at(values: Residuals) -> Residuals:
    """Return `LOOKED_AT` values of each square of ``int32[height, square, width]``, spread over it."""
    height, _, width = values.shape
    places = np.arange(LOOKED_AT)
    rows, columns = places % height, (5 * places + places // height * (width // 2)) % width
    return values[rows, :, columns]


def _limits(magnitude: Residuals, fine: int) -> Residuals:
    """Return the limit of each square of ``int32[height, square, width]``."""
    ordered = np.partition(_looked_at(magnitude), QUANTILES, axis=0)
    median, upper = (ordered[place].astype(np.float64) for place in QUANTILES)
    limits = np.ceil(LIMIT * np.where(median > 0, median * MAD_TO_SIGMA, upper * UPPER_TO_SIGMA))
    within: Residuals = np.clip(limits, LEAST_LIMIT * fine, MOST_LIMIT).astype(np.int32)
    return within
