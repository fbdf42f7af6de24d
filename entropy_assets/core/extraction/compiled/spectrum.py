"""The residual of a frame, folded, and the power of its frequencies."""

from typing import Any

import numpy as np

from entropy_assets.core.compiling import kernel


@kernel
def folded(steps: Any, limit: int, down: int, across: int) -> Any:
    """Return the sum of the equal parts of the clipped Laplacian, which goes on at the opposite border.

    Parameters
    ----------
    steps
        ``[ny, nx]``, ADC steps.
    limit
        Largest residual that counts.
    down, across
        Parts.

    Returns
    -------
    numpy.ndarray
        ``float32[ny // down, nx // across]``.
    """
    height, width = steps.shape
    total = np.zeros((height // down, width // across), dtype=np.float32)
    residual = np.empty(width, dtype=np.int64)
    for y in range(height):
        above, row, beneath = steps[y - 1 if y else height - 1], steps[y], steps[y + 1 if y + 1 < height else 0]
        for x in range(1, width - 1):
            residual[x] = 4 * row[x] - row[x - 1] - row[x + 1] - above[x] - beneath[x]
        for x in (0, width - 1):
            beside = row[x - 1 if x else width - 1] + row[x + 1 if x + 1 < width else 0]
            residual[x] = 4 * row[x] - beside - above[x] - beneath[x]
        target = total[y % (height // down)]
        for part in range(across):
            start = part * (width // across)
            for x in range(width // across):
                clipped = min(max(residual[start + x], -limit), limit)
                target[x] = np.float32(np.float64(target[x]) + np.float64(clipped))
    return total


@kernel
def power_by_cell(waves: Any, side: int) -> Any:
    """Return the power of each frequency, ``float32[cell, side * side]``, by row of cells, then by column.

    Parameters
    ----------
    waves
        ``complex64[ny, nx]``; rows and columns beyond the last whole cell are left out.
    side
        Of a cell.
    """
    rows, columns = waves.shape[0] // side, waves.shape[1] // side
    power = np.empty((rows * columns, side * side), dtype=np.float32)
    for cell in range(rows * columns):
        for y in range(side):
            row = waves[cell // columns * side + y]
            first = cell % columns * side
            for x in range(side):
                wave = row[first + x]
                power[cell, y * side + x] = wave.real * wave.real + wave.imag * wave.imag
    return power
