"""The phases of a mosaic without the light of the scene, so that what is left as the sensor lies is noise.

Light that rises over a frame rises in each colour by another amount. Taken off in steps, as a mean of each square, it
leaves a sawtooth between the colours, and each pixel seems to know those beside it. So a plane is taken off each square
of a phase, and not in whole ADC steps: a staircase would do the same, where noise is narrow. Bright pixels don't decide
where the plane lies.
"""

from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from entropy_assets.core.arrays import clip, in_pieces, is_on_host, namespace_of, upper_middles
from entropy_assets.core.digests import CHUNK
from entropy_assets.core.extraction.compiled import loops_for
from entropy_assets.core.extraction.phases import parts_of
from entropy_assets.core.extraction.squares import Steps

Integer = TypeVar("Integer", bound=np.signedinteger)
Values = npt.NDArray[np.int32]
Narrow = npt.NDArray[np.int16]
Whole = npt.NDArray[np.int64]

FINE_BITS: Final = 3
"""Parts of an ADC step in which `without_slopes` tells pixels, as a power of two."""
FINE: Final = 1 << FINE_BITS
LIMIT: Final = (7413, 1250)
"""Median distances from the median at which a pixel is clipped before the plane is laid through, as a fraction: four
standard deviations of a Gaussian."""
LOOKED_AT: Final = 64
"""Pixels of a square whose median tells its level and width: they are spread over all rows and columns."""
SHIFT: Final = 8
"""Bits behind the point of a plane."""
MOST: Final = 1 << 22
"""Largest magnitude in `FINE` parts of a step: the Laplacian of it fits 32 bits."""
NARROW_MOST: Final = 4095
"""Largest magnitude of a pixel in int16, whose Laplacian fits int16 too."""
SIGMA_BITS: Final = 7
"""Noise in the parts of a step of `flattened` is below two to this power, so `NARROW_MOST` is 32 sigma or more."""


class Grey(NamedTuple):
    """A frame as the sensor lies whose neighbours can be compared: a grey one as it is, a mosaic without its colours.

    Attributes
    ----------
    steps
        ``[ny, nx]``.
    bits
        It is in parts of an ADC step of two to this power; below 0, in as many steps.
    sigma
        Its noise, ADC steps.
    """

    steps: Steps
    bits: int = 0
    sigma: float = 1.0


def without_slopes(laid: npt.NDArray[Integer], period: int) -> Values:
    """Return a mosaic as the sensor lies, less a plane of each square of a phase, `FINE` parts of an ADC step.

    What pixels of different phases have in common stays: a copy that is not called a mosaic has it too.

    Parameters
    ----------
    laid
        Of `phases.laid_out`, ADC steps; its squares are a multiple of 32.
    period
        Of the mosaic.
    """
    values: Values = _less_planes(laid, period, FINE_BITS, MOST)
    return values


def flattened(laid: npt.NDArray[Integer], period: int, sigma: float) -> Grey:
    """Return the same in int16, in parts of a step by which noise of `sigma` steps is told well.

    That is what a grey sensor would have given, and is there to be judged by every rule for grey frames.
    """
    bits = FINE_BITS
    while sigma * 2.0**bits >= 1 << SIGMA_BITS:
        bits -= 1
    return Grey(_less_planes(laid, period, bits, NARROW_MOST), bits, sigma)


def side_of(period: int) -> int:
    """Return the side of the part of a phase that a plane is taken off, pixels of that phase.

    They are 64 to 112 pixels of the sensor, over which light is a plane.
    """
    return 32 if period <= 3 else 16


def of_planes(period: int) -> float:
    """Return which share of the noise of a mosaic the planes of its squares take; 0 of a grey frame, of period 1."""
    return 3 / side_of(period) ** 2 if period > 1 else 0.0


def _less_planes(laid: Any, period: int, bits: int, most: int) -> Any:
    """Return a mosaic as the sensor lies, less its planes; in int16 if `most` fits, else in int32."""
    xp, side = namespace_of(laid), side_of(period)
    plane = xp.empty(laid.shape, dtype=xp.int16 if most <= NARROW_MOST else xp.int32)
    if (compiled := loops_for(laid)) is not None:
        room = np.empty((side, side), dtype=np.int32 if laid.dtype == np.int16 else np.int64)
        compiled.slopes.less_planes(laid, plane, room, period, LOOKED_AT, LIMIT, bits, SHIFT, most)
        return plane
    for place, part in enumerate(parts_of(laid, period)):
        a, b = divmod(place, period)

        def write(rows: slice, part: Any = part, a: int = a, b: int = b) -> None:
            band = part[rows.start * side : rows.stop * side, :]
            cells = xp.reshape(band, (-1, side, band.shape[1] // side, side))
            level = _less_plane_of_each(cells, bits, most)
            first, last = rows.start * side * period + a, rows.stop * side * period
            plane[first:last:period, b::period] = xp.reshape(xp.astype(level, plane.dtype), band.shape)

        in_pieces(write, part.shape[0] // side, max(1, CHUNK // (side * part.shape[1])), whole=not is_on_host(laid))
    return plane


def _less_plane_of_each(squares: Steps, bits: int, most: int) -> Whole:
    """Return ``[rows of squares, side, square, side]`` less a plane of each square, clipped."""
    xp, side = namespace_of(squares), squares.shape[1]
    up, down = max(0, bits), max(0, -bits)
    middle, reach = _middles(squares)
    values = xp.astype(squares, xp.int64) - middle[:, None, :, None] >> down
    limit = (reach >> down)[:, None, :, None]
    clipped = xp.where(values > limit, limit, xp.where(values < -limit, -limit, values))
    along = 2 * xp.arange(side, dtype=xp.int64) - (side - 1)
    squared = side * int(xp.sum(along * along))
    of_rows, of_columns = xp.sum(clipped, axis=3), xp.sum(clipped, axis=1)
    parts = 1 << up + SHIFT
    mean = xp.sum(of_rows, axis=1) * parts // side**2 + (1 << SHIFT - 1)
    falling = xp.sum(of_rows * along[:, None], axis=1) * parts // squared
    rising = xp.sum(of_columns * along, axis=2) * parts // squared
    of_row = mean[:, None, :] + along[:, None] * falling[:, None, :]
    level = of_row[:, :, :, None] + (rising[:, :, None] * along)[:, None, :, :]
    return clip((values << up) - (level >> SHIFT), -most, most)


def _middles(squares: Steps) -> tuple[Whole, Whole]:
    """Return the median of each square, and how far from it a pixel counts in full; ADC steps."""
    xp, side = namespace_of(squares), squares.shape[1]
    places = xp.arange(LOOKED_AT, dtype=xp.int64)
    rows, columns = places % side, (5 * places + places // side * (side // 2)) % side
    above, beside = (xp.arange(count, dtype=xp.int64) for count in (squares.shape[0], squares.shape[2]))
    looked_at = xp.astype(squares[above[:, None, None], rows, beside[:, None], columns], xp.int64)
    middle = upper_middles(looked_at)
    width = xp.maximum(upper_middles(xp.abs(looked_at - middle[:, :, None])), 1)
    return middle, (width * LIMIT[0] + LIMIT[1] - 1) // LIMIT[1]
