"""Banding: offsets that whole rows of a readout share, which colour the noise of a square.

No difference along a row holds such an offset, so a square that only banding makes coloured is judged by what is left
without it. What is left of interpolated, smoothed or doubled rows is as coloured as before: their noise repeats from
row to row pixel by pixel, and not in the mean alone. Offsets of columns stay, since a pair difference holds them.
"""

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.arrays import (
    clip,
    in_pieces,
    is_on_host,
    namespace_of,
    on_host,
    row_products,
    upper_middles,
    windows_at,
)
from entropy_assets.core.extraction.squares import (
    RESIDUAL_LIMIT,
    SQUARES_AT_ONCE,
    SquareStatistics,
    Steps,
    correlation_over_two_rows,
    energy_shares,
    is_coloured,
    measured_squares,
)
from entropy_assets.recipe import Recipe

TWO_ROWS: Final = 1 / 20
"""Autocorrelation of the Laplacian residual of white noise over two rows."""
COPIED_ROW: Final = 0.75
"""Correlation of neighbouring rows that makes them copies; of white noise one square in 3,000 has such a pair."""


def without_row_offsets(squares: Steps) -> Steps:
    """Return ``[..., side, side]`` less the median of each row, an integer: the upper one of the two middle values."""
    xp = namespace_of(squares)
    wide = xp.astype(squares, xp.result_type(squares.dtype, xp.int32))
    level: Steps = wide - upper_middles(wide)[..., None]
    return level


def without_banding(measured: SquareStatistics, steps: Steps, recipe: Recipe) -> SquareStatistics:
    """Return `measured` as it is, but for squares that are coloured by banding alone: these without their row offsets.

    Parameters
    ----------
    measured
        The statistics of the squares of one channel.
    steps
        ``[ny, nx]``, the channel in ADC steps.
    recipe
        ``banding_share`` tells how much of the energy banding leaves at most; 0 leaves all as it is.
    """
    coloured = is_coloured(measured.correlation_x, measured.correlation_y, recipe)
    suspects = np.flatnonzero(coloured & ~measured.has_line & (measured.sigma >= recipe.min_sigma))
    if not recipe.banding_share or len(suspects) == 0:
        return measured
    size = recipe.survey_size
    top, left = (size * place for place in np.divmod(suspects, steps.shape[1] // size))

    def quieter(part: slice) -> npt.NDArray[np.bool_]:
        squares = windows_at(steps, top[part], left[part], size, size)
        return energy_shares(without_row_offsets(squares), squares) < recipe.banding_share

    def looked_at(part: slice) -> tuple[npt.NDArray[np.bool_], SquareStatistics]:
        return _banded(windows_at(steps, top[part], left[part], size, size), recipe)

    kept = np.concatenate(in_pieces(quieter, len(suspects), SQUARES_AT_ONCE, whole=not is_on_host(steps)))
    if not kept.any():  # by far the most common case: chance colours a square now and then
        return measured
    suspects, top, left = suspects[kept], top[kept], left[kept]
    found = in_pieces(looked_at, len(suspects), SQUARES_AT_ONCE, whole=not is_on_host(steps))
    banded, level = zip(*found, strict=True)
    return _replaced(measured, suspects, np.concatenate(banded), SquareStatistics.joined(list(level)))


def _replaced(
    measured: SquareStatistics, places: npt.NDArray[np.intp], banded: npt.NDArray[np.bool_], level: SquareStatistics
) -> SquareStatistics:
    """Return `measured` with what `level` says of noise and colour at those `places` that are `banded`."""
    changed = {}
    for name in ("sigma", "zero_share", "correlation_x", "correlation_y"):
        values = getattr(measured, name).copy()
        values[places[banded]] = getattr(level, name)[banded]
        changed[name] = values
    flags = np.zeros(len(measured.banded), dtype=np.bool_)
    flags[places[banded]] = True
    return replace(measured, **changed, banded=flags)


def _banded(squares: Steps, recipe: Recipe) -> tuple[npt.NDArray[np.bool_], SquareStatistics]:
    """Tell which squares are white without the offsets of their rows; and what is measured without them.

    A row that is its neighbour but for an offset is a copy. Fields of interlaced video that were smoothed on their own
    are white from row to row, and not over two rows.
    """
    xp = namespace_of(squares)
    level = without_row_offsets(squares)
    measured = measured_squares(level, int(xp.min(level)) - 1, int(xp.max(level)) + 1)
    over_two = np.abs(correlation_over_two_rows(level) - TWO_ROWS) < recipe.correlation_tolerance
    white = ~is_coloured(measured.correlation_x, measured.correlation_y, recipe)
    return over_two & white & ~_has_copied_row(level), measured


def _has_copied_row(level: Steps) -> npt.NDArray[np.bool_]:
    """Tell whether each square has a row that is its neighbour again, but for what rounding made of the offset.

    Slopes along the rows are compared, so that a gradient of the scene counts little.
    """
    xp = namespace_of(level)
    slopes = clip(level[:, :, 1:] - level[:, :, :-1], -RESIDUAL_LIMIT, RESIDUAL_LIMIT)
    exact = xp.astype(slopes, xp.float64)
    energy = on_host(row_products(exact, exact))
    products = on_host(row_products(exact[:, 1:, :], exact[:, :-1, :]))
    copied: npt.NDArray[np.bool_] = (2 * products > COPIED_ROW * (energy[:, 1:] + energy[:, :-1])).any(axis=1)
    return copied
