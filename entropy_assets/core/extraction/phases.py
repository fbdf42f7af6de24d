"""Phases: the pixels of one colour in a colour mosaic, laid side by side so that neighbours are comparable.

Behind a filter array pixels beside each other see different light. Those at one place of the array's period, a *phase*,
see the same, and each phase is a plane of its own pixels: a mosaic of period 2 has four. Which phase has which colour
is of no interest here, so the offsets and the row order that a header tells change nothing.

Two orders of the same pixels occur. *As the sensor lies* is the frame as it was stored. *Laid out* are its phases side
by side, in rows as they follow each other in the period: phase (a, b) holds the pixels ``[a::period, b::period]``, cut
to whole squares, so that no square holds pixels of two phases.
"""

import math
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from entropy_assets.core.arrays import (
    clip,
    in_pieces,
    is_on_host,
    namespace_of,
    on_host,
    upper_middles,
    windows_at,
)
from entropy_assets.core.digests import CHUNK

Item = TypeVar("Item", bound=np.generic)
Integer = TypeVar("Integer", bound=np.signedinteger)
Energies = npt.NDArray[np.object_]

PERIODS: Final = (2, 3, 4, 5, 6, 7)
"""Periods that are looked for, pixels: the Bayer array is 2, the X-Trans array of Fujifilm 6, arrays of four by four
cells (Quad Bayer, RGBW) are 4; and columns that are read by as many amplifiers."""
OF_COLUMNS: Final = (3, 5, 7)
"""Those of which only what columns have in common counts: no array of filters has them, and levels of its phases would
hide the steps of a coder of blocks, whose sides they do not divide. Columns hide none of what changes along them."""
NOT_OF_ROWS: Final = (*OF_COLUMNS, 4, 8)
"""Those of which a pattern of rows alone is none: that is banding, and no difference along a row holds it."""
BLOCKS_OF_CODERS: Final = 8
"""Period that is never a mosaic's: the blocks of JPEG have it, and none of a sensor's arrays. It holds 4."""
BLOCK: Final = 96
"""Side of the blocks that are searched for phases, pixels: a multiple of every period but 5 and 7."""
BLOCKS_SEARCHED: Final = 64
LEAST_SHARE: Final = 50
"""One part in so many of the energy of a block's residual must be in the means of its phases. White noise has 1/256
there at period 6, 1/188 at 7, and 1/2,000 at 2. From 1/11 on a square counts as correlated."""
LEAST_OF_SHORTER: Final = 500
"""The same of the energy that is in the phases of a shorter period: light that falls by a hundredth from pixel to pixel
puts 1/5,000 of it there."""
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
    blocks = np.stack(_blocks(plane) or [np.zeros((BLOCK, BLOCK), dtype=np.int64)])
    blocks = blocks[blocks.any(axis=(1, 2))]
    whole = {period: _energies(blocks, period) for period in (*PERIODS, BLOCKS_OF_CODERS)}
    found = {period: energy for period, (energy, _) in whole.items()}
    shorter = {4: found[2], 6: found[2] + found[3], BLOCKS_OF_CODERS: found[4]}
    shown = {period for period in whole if _is_shown(*whole[period], shorter.get(period, 0 * found[period]))}
    if BLOCKS_OF_CODERS in shown:
        shown -= {4, BLOCKS_OF_CODERS}
    together = math.lcm(*shown)
    return together if together in PERIODS else max(shown, default=1)


def _is_shown(energy: Energies, whole: Energies, shorter: Energies) -> bool:
    """Tell whether most blocks have a pattern of a period, beyond what is in those of the `shorter` periods in it."""
    own = energy - shorter
    shown = (own * LEAST_SHARE >= whole - shorter) & (own * LEAST_OF_SHORTER >= shorter)
    return bool(2 * np.count_nonzero(shown) > len(energy))


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


def _energies(blocks: npt.NDArray[np.int64], period: int) -> tuple[Energies, Energies]:
    """Return the energy that is in the means of the phases of each block, and all of its energy.

    Rows that scatter as a whole (banding) give their phases a mean by chance, and so do columns. So what the phases of
    rows have in common counts only where it is far above the scatter of the rows, and the same for columns.

    No sum is larger than the square of a block's pixels times `RESIDUAL_LIMIT`, which fits int64.
    """
    side = BLOCK // period * period
    whole = blocks[:, :side, :side]
    by_phase = whole.reshape(-1, side // period, period, side).sum(axis=1)
    sums = by_phase.reshape(-1, period, side // period, period).sum(axis=2)
    by_row, by_column = sums.sum(axis=2), sums.sum(axis=1)
    total = by_row.sum(axis=1) ** 2
    of_rows = period * np.einsum("ij,ij->i", by_row, by_row)
    of_columns = period * np.einsum("ij,ij->i", by_column, by_column)
    energy = period**2 * np.einsum("ijk,ijk->i", sums, sums) - of_rows - of_columns + total
    if period not in NOT_OF_ROWS:
        energy += np.where(_return(whole.sum(axis=2), by_row), of_rows - total, 0)
    of_columns = np.where(_return(by_phase.sum(axis=1), by_column), of_columns - total, 0)
    all_of_it = side**2 * np.einsum("ijk,ijk->i", whole, whole)
    if period in OF_COLUMNS:
        parts = zip(energy.tolist(), (all_of_it - of_columns).tolist(), strict=True)
        alone = np.array([part * LEAST_SHARE < rest for part, rest in parts], dtype=np.bool_)
        energy = np.where(alone, of_columns, 0)
    else:
        energy += of_columns
    return energy.astype(np.object_), all_of_it.astype(np.object_)


def _return(lines: npt.NDArray[np.int64], phases: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Tell of each block whether the sums of rows or of columns follow a period: the F-test of their phases."""
    count, period = lines.shape[1], phases.shape[1]
    between = np.einsum("ij,ij->i", phases, phases) * period
    within = np.einsum("ij,ij->i", lines, lines) * count - between
    pairs = zip(between.tolist(), within.tolist(), strict=True)
    return np.array([b * (count - period) >= LEAST_F * (period - 1) * w for b, w in pairs], dtype=np.bool_)


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
    laid: npt.NDArray[Integer],
    period: int,
    y: npt.NDArray[np.intp],
    x: npt.NDArray[np.intp],
    size: int,
    spread: float = -1,
) -> tuple[npt.NDArray[Integer], npt.NDArray[np.bool_]]:
    """Return some squares of what `levelled` gives, in memory, without the rest of the frame; and which are even.

    Where light is as in the rest of the frame, one level of each phase is taken off for all of it.

    Parameters
    ----------
    y, x
        ``int64[n]``, squares down and across, as the sensor lies.
    size
        Side of a square, pixels: a multiple of `LEVELLED`, and as `laid` was cut to.
    spread
        By how much phases may be further apart than in the frame, steps, for a square to be even; below 0 none is.

    Returns
    -------
    tuple of two arrays
        ``[n, size, size]`` and ``bool[n]``.
    """
    rows, columns = (side // period for side in laid.shape)
    across = columns // size
    blocks, which = np.unique(y // period * across + x // period, return_inverse=True)
    top, left = (size * place for place in np.divmod(blocks, across))
    places = list(np.ndindex(period, period))
    phases = [on_host(windows_at(laid, a * rows + top, b * columns + left, size, size)) for a, b in places]
    means = np.stack([squares.sum(axis=1, dtype=np.int64).sum(axis=1) // size**2 for squares in phases])
    of_frame = upper_middles(means)
    apart = means - of_frame[:, np.newaxis]
    even = apart.max(axis=0) - apart.min(axis=0) <= spread
    whole: npt.NDArray[Integer] = np.empty((len(blocks), size * period, size * period), dtype=phases[0].dtype)
    for (a, b), squares, level in zip(places, phases, of_frame.astype(whole.dtype), strict=True):
        target = whole[:, a::period, b::period]
        target[even] = _fitting(squares[even] - level)
        uneven = squares[~even]
        cells = uneven.reshape(-1, LEVELLED, size // LEVELLED, LEVELLED)
        target[~even] = _levels_off(cells).reshape(uneven.shape)
    chosen: npt.NDArray[Integer] = whole.reshape(-1, period, size, period, size)[which, y % period, :, x % period]
    return chosen, even[which]


def _levels_off(cells: npt.NDArray[Integer]) -> npt.NDArray[Integer]:
    """Return ``[rows of cells, LEVELLED, cell, LEVELLED]`` less the mean of each cell, in whole steps."""
    xp = namespace_of(cells)
    of_columns = xp.sum(cells, axis=1, dtype=xp.int64)  # of both axes at once NumPy takes three times as long
    means = xp.sum(of_columns, axis=2) // LEVELLED**2
    return _fitting(cells - xp.astype(means, cells.dtype)[:, None, :, None])


def _fitting(level: npt.NDArray[Integer]) -> npt.NDArray[Integer]:
    """Return pixels whose Laplacian fits their type: in int16 they are cut."""
    narrow = level.dtype == namespace_of(level).int16
    return clip(level, -LEVELLED_LIMIT, LEVELLED_LIMIT) if narrow else level
