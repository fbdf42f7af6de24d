"""Phases: the pixels of one colour in a colour mosaic, laid side by side so that neighbours are comparable.

Behind a filter array pixels beside each other see different light. Those at one place of the array's period, a *phase*,
see the same, and each phase is a plane of its own pixels: a mosaic of period 2 has four. Which phase has which colour
is of no interest here, so the offsets and the row order that a header tells change nothing.

Two orders of the same pixels occur. *As the sensor lies* is the frame as it was stored. *Laid out* are its phases side
by side, in rows as they follow each other in the period: phase (a, b) holds the pixels ``[a::period, b::period]``, cut
to whole squares, so that no square holds pixels of two phases.
"""

from fractions import Fraction
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from entropy_assets.core.arrays import in_pieces, is_on_host, namespace_of, on_host, windows_at
from entropy_assets.core.digests import CHUNK

Item = TypeVar("Item", bound=np.generic)
Integer = TypeVar("Integer", bound=np.signedinteger)

PERIODS: Final = (2, 6)
"""Periods that are looked for, pixels: the Bayer array, and the X-Trans array of Fujifilm."""
BLOCK: Final = 96
"""Side of the blocks that are searched for phases, pixels: a multiple of every period."""
BLOCKS_SEARCHED: Final = 64
LEAST_SHARE: Final = Fraction(1, 50)
"""Share of the energy of a block's residual that must be in the means of its phases. White noise has 1/256 there at
period 6, and 1/2,000 at period 2. From 1/11 on a square counts as correlated."""
LEAST_F: Final = 30
"""Variance between the phases of rows over that of rows within a phase: of rows that scatter one block in 1,000 goes
beyond (the residual of scattered rows has 2.7 times the usual ratio), of a mosaic even a weak one."""
OUTLIER: Final = 8
"""Residuals are clipped at this many times their median magnitude, so that a star does not decide."""
RESIDUAL_LIMIT: Final = 1 << 18
"""Largest residual, so that the squares of their sums are exact in int64."""
LEVELLED: Final = 16
"""Side of the part of a phase whose mean is taken off, pixels of that phase."""
LEVELLED_LIMIT: Final = 4095
"""Largest magnitude of a levelled pixel in int16, whose Laplacian fits int16 too."""


def period_of(plane: npt.NDArray[np.integer]) -> int:
    """Return the period of the colour mosaic that `plane` shows in most of its area, pixels; 1 if it shows none.

    A filter array makes the mean of each phase differ, in the same way over some distance; scenes, noise and readout
    do not. What is compared is the Laplacian, which a slope of the scene does not reach.

    A grey frame that is taken for a mosaic, or a mosaic for a grey frame, gets less credit and never more: a mosaic is
    judged as the sensor lies too (`survey.survey_frame`).

    Parameters
    ----------
    plane
        ``[ny, nx]``, ADU, of a single channel.
    """
    blocks = [block for block in _blocks(plane) if block.any()]
    found, shorter = 1, [Fraction(0)] * len(blocks)
    for period in PERIODS:
        shares = [_pattern_share(block, period) for block in blocks]
        shown = sum(share - known >= LEAST_SHARE for share, known in zip(shares, shorter, strict=True))
        if 2 * shown > len(blocks):
            found = period
        shorter = shares
    return found


def _blocks(plane: npt.NDArray[np.integer]) -> list[npt.NDArray[np.int64]]:
    """Return the clipped Laplacian of up to `BLOCKS_SEARCHED` blocks, evenly spread over the plane."""
    rows, columns = ((side - 2) // BLOCK for side in plane.shape)
    if rows <= 0 or columns <= 0:
        return []
    blocks = []
    for place in np.unique(np.linspace(0, rows * columns - 1, BLOCKS_SEARCHED).astype(np.int64)):
        top, left = (int(n) * BLOCK for n in divmod(place, columns))
        around = plane[top : top + BLOCK + 2, left : left + BLOCK + 2].astype(np.int64)
        residual = 4 * around[1:-1, 1:-1] - around[:-2, 1:-1] - around[2:, 1:-1] - around[1:-1, :-2] - around[1:-1, 2:]
        magnitude = np.abs(residual).ravel()
        most = OUTLIER * int(np.partition(magnitude, magnitude.size // 2)[magnitude.size // 2])
        blocks.append(np.clip(residual, -min(most, RESIDUAL_LIMIT), min(most, RESIDUAL_LIMIT)))
    return blocks


def _pattern_share(block: npt.NDArray[np.int64], period: int) -> Fraction:
    """Return the share of the energy of a block that is in the means of its phases.

    Rows that scatter as a whole (banding) give their phases a mean by chance, and so do columns. So what the phases of
    rows have in common counts only where it is far above the scatter of the rows, and the same for columns.
    """
    per_side = BLOCK // period
    sums = block.reshape(per_side, period, per_side, period).sum(axis=(0, 2)).astype(object)
    by_row, by_column, total = sums.sum(axis=1), sums.sum(axis=0), sums.sum()
    squares = [period**2 * (sums**2).sum(), period * (by_row**2).sum(), period * (by_column**2).sum(), total**2]
    energy = squares[0] - squares[1] - squares[2] + squares[3]
    for part, axis in ((squares[1], 1), (squares[2], 0)):
        if _returns(block.sum(axis=axis), period):
            energy += part - squares[3]
    return Fraction(int(energy), per_side**2 * period**2 * int((block**2).sum()))


def _returns(lines: npt.NDArray[np.int64], period: int) -> bool:
    """Tell whether the sums of rows or of columns follow a period: the F-test of their phases."""
    values = lines.astype(object)
    phases = values.reshape(-1, period).sum(axis=0)
    between = int((phases**2).sum()) * period
    within = int((values**2).sum()) * BLOCK - between
    return between * (BLOCK - period) >= LEAST_F * (period - 1) * within


def laid_out(plane: npt.NDArray[Item], period: int, size: int) -> npt.NDArray[Item]:
    """Return the phases of `plane` side by side.

    Parameters
    ----------
    plane
        ``[ny, nx]`` as the sensor lies.
    period
        Of the mosaic, pixels; 1 gives `plane` itself.
    size
        Side of a square, pixels: each phase is cut to whole squares.

    Returns
    -------
    numpy.ndarray
        ``[period * rows, period * columns]``, rows and columns being those of one phase.
    """
    if period == 1:
        return plane
    rows, columns = (side // period // size * size for side in plane.shape)
    laid: npt.NDArray[Item] = namespace_of(plane).empty((period * rows, period * columns), dtype=plane.dtype)
    for phase, (down, across) in zip(_phases_of(plane, period), _places_of(laid, period), strict=True):
        laid[down, across] = phase[:rows, :columns]
    return laid


def parts_of(laid: npt.NDArray[Item], period: int) -> list[npt.NDArray[Item]]:
    """Return a view of each phase of a plane that is laid out."""
    return [laid[down, across] for down, across in _places_of(laid, period)]


def _places_of(laid: npt.NDArray[Item], period: int) -> list[tuple[slice, slice]]:
    """Return which rows and columns of a plane that is laid out are each phase."""
    rows, columns = (side // period for side in laid.shape)
    return [
        (slice(a * rows, (a + 1) * rows), slice(b * columns, (b + 1) * columns))
        for a in range(period)
        for b in range(period)
    ]


def squares_as_they_lie(live: npt.NDArray[np.bool_], period: int) -> npt.NDArray[np.bool_]:
    """Return which squares as the sensor lies have a phase that is live.

    Parameters
    ----------
    live
        ``bool[sy, sx]``, the squares of the phases laid side by side.
    period
        Of the mosaic, pixels.
    """
    rows, columns = (side // period for side in live.shape)
    any_phase = np.asarray(live.reshape(period, rows, period, columns).any(axis=(0, 2)))
    return any_phase.repeat(period, axis=0).repeat(period, axis=1)


def _phases_of(plane: npt.NDArray[Item], period: int) -> list[npt.NDArray[Item]]:
    return [plane[a::period, b::period] for a in range(period) for b in range(period)]


def levelled(laid: npt.NDArray[Integer], period: int) -> npt.NDArray[Integer]:
    """Return a mosaic as the sensor lies, its phases brought to one level: what a grey sensor would have given.

    The mean of each `LEVELLED` x `LEVELLED` pixels of a phase is taken off, in whole steps. What pixels of different
    phases have in common stays, and that is what the result is for: to judge the mosaic by every rule for grey frames.

    Parameters
    ----------
    laid
        Of `laid_out`, ADC steps; its squares are a multiple of `LEVELLED`.
    """
    if period == 1:
        return laid
    xp = namespace_of(laid)
    plane: npt.NDArray[Integer] = xp.empty_like(laid)
    for place, part in enumerate(parts_of(laid, period)):
        a, b = divmod(place, period)
        width = part.shape[1]

        def write(rows: slice, part: npt.NDArray[Integer] = part, a: int = a, b: int = b) -> None:
            band = part[rows.start * LEVELLED : rows.stop * LEVELLED, :]
            level = _levels_off(xp.reshape(band, (-1, LEVELLED, band.shape[1] // LEVELLED, LEVELLED)))
            first, last = rows.start * LEVELLED * period + a, rows.stop * LEVELLED * period
            plane[first:last:period, b::period] = xp.reshape(level, band.shape)

        rows = part.shape[0] // LEVELLED
        in_pieces(write, rows, max(1, CHUNK // (LEVELLED * width)), whole=not is_on_host(laid))
    return plane


def levelled_squares(
    laid: npt.NDArray[Integer], period: int, y: npt.NDArray[np.intp], x: npt.NDArray[np.intp], size: int
) -> npt.NDArray[Integer]:
    """Return some squares of what `levelled` gives, ``[n, size, size]`` in memory, without the rest of the frame.

    Parameters
    ----------
    y, x
        ``int64[n]``, squares down and across, as the sensor lies.
    size
        Side of a square, pixels: a multiple of `LEVELLED`, and as `laid` was cut to.
    """
    rows, columns = (side // period for side in laid.shape)
    across = columns // size
    blocks, which = np.unique(y // period * across + x // period, return_inverse=True)
    top, left = (size * place for place in np.divmod(blocks, across))
    places = list(np.ndindex(period, period))
    phases = [on_host(windows_at(laid, a * rows + top, b * columns + left, size, size)) for a, b in places]
    whole: npt.NDArray[Integer] = np.empty((len(blocks), size * period, size * period), dtype=phases[0].dtype)
    for (a, b), squares in zip(places, phases, strict=True):
        level = _levels_off(squares.reshape(-1, LEVELLED, size // LEVELLED, LEVELLED))
        whole[:, a::period, b::period] = level.reshape(squares.shape)
    chosen: npt.NDArray[Integer] = whole.reshape(-1, period, size, period, size)[which, y % period, :, x % period]
    return chosen


def _levels_off(cells: npt.NDArray[Integer]) -> npt.NDArray[Integer]:
    """Return ``[rows of cells, LEVELLED, cell, LEVELLED]`` less the mean of each cell, in whole steps."""
    xp = namespace_of(cells)
    of_columns = xp.sum(cells, axis=1, dtype=xp.int64)  # of both axes at once NumPy takes three times as long
    means = xp.sum(of_columns, axis=2) // LEVELLED**2
    level: npt.NDArray[Integer] = cells - xp.astype(means, cells.dtype)[:, None, :, None]
    return xp.clip(level, -LEVELLED_LIMIT, LEVELLED_LIMIT) if cells.dtype == xp.int16 else level
