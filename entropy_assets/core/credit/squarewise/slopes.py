"""The phases of a mosaic without the light of the scene, so that what is folded of it is noise.

Light that rises over a frame rises in each colour by another amount. Taken off in steps, as a mean of each square, it
leaves a sawtooth between the colours. That is the same in every frame, and the fold adds it up over all squares, until
frames of independent noise look like copies. So a plane is taken off each square of a phase, and not in whole ADC
steps, for a staircase would be the same in every frame too. Bright pixels don't decide where the plane lies: else a few
of them would give a copy levels of its own.
"""

from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from entropy_assets.core.extraction.phases import parts_of
from entropy_assets.core.extraction.squares import MAD_TO_SIGMA

Integer = TypeVar("Integer", bound=np.signedinteger)
Wide = npt.NDArray[np.int64]
Values = npt.NDArray[np.int32]

FINE: Final = 8
"""Parts of an ADC step in which the result is told."""
SIDES: Final = {2: 32, 6: 16}
"""Side of the part of a phase that a plane is taken off, pixels of that phase, by the period of the mosaic: 64 and 96
pixels of the sensor, over which light is a plane."""
LIMIT: Final = 4.0
"""Standard deviations from the median at which a pixel is clipped before the plane is laid through."""
LOOKED_AT: Final = 64
"""Pixels of a square whose median tells its level and width: they are spread over all rows and columns."""
SHIFT: Final = 8
"""Bits behind the point of a plane."""
MOST: Final = 1 << 22
"""Largest magnitude of the result, parts of a step: the Laplacian of it fits 32 bits."""


def without_slopes(laid: npt.NDArray[Integer], period: int) -> Values:
    """Return a mosaic as the sensor lies, less a plane of each square of a phase, `FINE` parts of an ADC step.

    What pixels of different phases have in common stays: a copy that is not called a mosaic has it too.

    Parameters
    ----------
    laid
        Of `phases.laid_out`, ADC steps; its squares are a multiple of `SIDES`.
    period
        Of the mosaic, one of `SIDES`.
    """
    side = SIDES[period]
    plane = np.empty(laid.shape, dtype=np.int32)
    for place, part in enumerate(parts_of(laid, period)):
        a, b = divmod(place, period)
        for row in range(0, part.shape[0], side):
            squares = part[row : row + side].reshape(side, -1, side)
            plane[row * period + a : (row + side) * period : period, b::period] = _less_planes(squares)
    return plane


def of_planes(period: int) -> float:
    """Return which share of the noise of a mosaic the planes of its squares take; 0 of a grey frame, of period 1."""
    return 3 / SIDES[period] ** 2 if period > 1 else 0.0


def _less_planes(squares: npt.NDArray[Integer]) -> Values:
    """Return ``int32[side, squares * side]``: a row of squares, ``[side, square, side]``, less a plane of each."""
    side, count, _ = squares.shape
    middle, reach = _middles(squares)
    kind: np.dtype[np.signedinteger] = np.dtype(np.int32 if squares.dtype == np.int16 else np.int64)
    values = squares.astype(kind)
    values -= middle.astype(kind)[:, np.newaxis]
    most = reach.astype(kind)[:, np.newaxis]
    clipped = np.maximum(np.minimum(values, most), -most)
    of_rows = np.einsum("ijk->ij", clipped).astype(np.int64)
    of_columns = clipped.sum(axis=0, dtype=np.int64)
    along = 2 * np.arange(side) - (side - 1)
    squared = int(along @ along) * side
    parts = FINE << SHIFT
    mean = of_rows.sum(axis=0) * parts // side**2 + (1 << SHIFT - 1)
    down, across = along @ of_rows * parts // squared, of_columns @ along * parts // squared
    of_row = (mean + along[:, np.newaxis] * down).astype(kind)
    of_column = (across[:, np.newaxis] * along).astype(kind)
    level = of_row[:, :, np.newaxis] + of_column
    level >>= SHIFT
    values *= FINE
    values -= level
    np.maximum(np.minimum(values, MOST, out=values), -MOST, out=values)
    return values.reshape(side, count * side).astype(np.int32, copy=False)


def _middles(squares: npt.NDArray[Integer]) -> tuple[Wide, Wide]:
    """Return the median of each square, and how far from it a pixel counts in full; ADC steps."""
    side = len(squares)
    places = np.arange(LOOKED_AT)
    rows, columns = places % side, (5 * places + places // side * (side // 2)) % side
    looked_at = squares[rows, :, columns].astype(np.int64)
    half = LOOKED_AT // 2
    middle = np.partition(looked_at, half, axis=0)[half]
    width = np.partition(np.abs(looked_at - middle), half, axis=0)[half]
    return middle, np.ceil(LIMIT * MAD_TO_SIGMA * np.maximum(width, 1)).astype(np.int64)
