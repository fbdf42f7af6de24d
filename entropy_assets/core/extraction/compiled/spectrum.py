"""The residual of a frame, folded."""

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
