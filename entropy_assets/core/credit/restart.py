"""How much of a sensor's noise is fixed pattern: the restart matrix of SP 800-90B 3.1.4, of frames, not restarts.

A row of the matrix is a frame, a column the same pixel pair in all of them; for `fixed_pattern` it is a pair of the
sketch. Fresh noise differs in each row. What a column has in common is pattern: known to whoever has one more frame of
that camera.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from entropy_assets.core.credit.sketches import Sketch


class FixedPattern(NamedTuple):
    """What of the noise of a sensor stays the same from frame to frame.

    Attributes
    ----------
    frames
        Rows of the matrix.
    share
        Mean correlation of two rows: the share of the variance that is fixed, 0 to 1; negative only by chance.
    error
        Its standard error for a sensor without pattern.
    """

    frames: int
    share: float
    error: float


def fixed_pattern(sketches: Sequence[Sketch]) -> FixedPattern | None:
    """Return how much of the noise is fixed in frames of one sensor that lie alike; None for fewer than two."""
    if len(sketches) < 2:
        return None
    return shared_share(np.stack([sketch.pairs.ravel() for sketch in sketches]).astype(np.float64))


def shared_share(rows: npt.NDArray[np.float64]) -> FixedPattern:
    """Return how much of the variance of rows about 0 they share.

    Parameters
    ----------
    rows
        ``float64[frames, pairs]``, two frames at least.
    """
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    count = len(rows)
    pairs = count * (count - 1)
    share = (float(np.square(rows.sum(axis=0)).sum()) - float(np.square(rows).sum())) / pairs
    return FixedPattern(count, share, math.sqrt(2 / pairs / rows.shape[1]))
