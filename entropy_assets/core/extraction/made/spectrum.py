"""Spectrum: noise that was made from a few frequencies leaves all others empty.

A square is too small to show it: between two frequencies that a square of 32 pixels tells apart lie hundreds of the
whole frame's, and a few waves among them look white. So the spectrum is that of the whole frame. To keep it cheap, the
frame is folded first: the sum of m x m equal parts has exactly every m-th frequency of the whole, with nothing leaked
from those between.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import fft

from entropy_assets.core.arrays import clip, namespace_of, on_host
from entropy_assets.core.extraction.compiled import loops, loops_for
from entropy_assets.core.extraction.squares import LAPLACIAN_NORM, Steps, as_squares

CELL: Final = 16
"""Side of a cell of neighbouring frequencies, whose mean power is what each of them is held against."""
LEAST_CELLS: Final = 16
"""Fewest cells that say something; fewer give 0. In half of 16 chance leaves 8 of 256 empty once in 1e14 frames."""
EMPTY: Final = 0.01
"""Power below which a frequency is called empty, as a share of the mean of its cell: white noise has 1 % of them."""
LONGEST: Final = 1024
"""Longest side of a folded frame where its length can be divided, pixels."""
SHORTEST: Final = 256
"""Shortest side that a frame is folded to, pixels."""
RESIDUAL_SIGMAS: Final = 4
"""Residuals are clipped here, in sigmas of noise: a star or a hot pixel has power at every frequency, and would fill
the empty ones."""


def empty_spectrum_share(steps: Steps, sigma: float) -> float:
    """Return the share of frequencies that are empty beside their neighbours, in the median cell of the spectrum.

    White noise has one in a hundred, and so has noise of any smooth colour: a frequency is only held against those
    around it, and lines (banding, a fixed pattern, interference) touch too few cells to move the median. Noise in a
    tenth of the frequencies leaves nine in ten empty, as far as it is more than the rounding to whole steps, which
    fills them all a little.

    Parameters
    ----------
    steps
        ``[ny, nx]``, pixels in ADC steps.
    sigma
        Noise, ADC steps.

    Returns
    -------
    float
        0 to 1; 0 if the frame is too small for `LEAST_CELLS` cells.
    """
    limit = max(1, round(RESIDUAL_SIGMAS * LAPLACIAN_NORM * sigma))
    parts = _parts(steps.shape[0]), _parts(steps.shape[1])
    if (compiled := loops_for(steps)) is not None:
        folded = compiled.spectrum.folded(steps, limit, *parts)
    else:
        folded = on_host(_folded(_residual(steps, limit), *parts))
    waves = fft.rfft2(folded)
    rows, columns = (side // CELL for side in waves.shape)
    if rows * columns < LEAST_CELLS:
        return 0.0
    if (compiled := loops()) is not None:
        cells = compiled.spectrum.power_by_cell(waves, CELL)
    else:
        cells = as_squares(waves.real**2 + waves.imag**2, CELL).reshape(rows * columns, CELL * CELL)
    empty = cells < EMPTY * cells.mean(axis=1, keepdims=True)
    return float(np.median(np.count_nonzero(empty, axis=1) / CELL**2))


def _residual(steps: Steps, limit: int) -> Steps:
    """Return the five-point Laplacian of the frame, which goes on at the opposite border, clipped to `limit`.

    Steps are as wide as their Laplacian needs (`steps_of`).
    """
    xp = namespace_of(steps)
    residual: Steps = steps * 4
    residual[1:, :] -= steps[:-1, :]
    residual[0, :] -= steps[-1, :]
    residual[:-1, :] -= steps[1:, :]
    residual[-1, :] -= steps[0, :]
    residual[:, 1:] -= steps[:, :-1]
    residual[:, 0] -= steps[:, -1]
    residual[:, :-1] -= steps[:, 1:]
    residual[:, -1] -= steps[:, 0]
    most = min(limit, xp.iinfo(steps.dtype).max)
    return clip(residual, -most, most)


def _folded(residual: Steps, down: int, across: int) -> npt.NDArray[np.float32]:
    """Return the sum of the equal parts of `residual`."""
    xp = namespace_of(residual)
    height, width = (side // parts for side, parts in zip(residual.shape, (down, across), strict=True))
    folded: npt.NDArray[np.float32] = xp.zeros((height, width), dtype=xp.float32)
    for row, column in np.ndindex(down, across):
        part = residual[row * height : (row + 1) * height, column * width : (column + 1) * width]
        folded = xp.astype(xp.astype(folded, xp.float64) + xp.astype(part, xp.float64), xp.float32)
    return folded


def _parts(side: int) -> int:
    """Return into how many parts a side is folded: the fewest that leave `LONGEST` pixels or less, else one."""
    for parts in range(-(-side // LONGEST), side // SHORTEST + 1):
        if side % parts == 0:
            return parts
    return 1
