"""How much of a sensor's noise is fixed pattern: the restart matrix of SP 800-90B 3.1.4, of frames, not restarts.

A row of the matrix is a frame, a column the same pixel pair in all of them; for `fixed_pattern` it is a pair of the
sketch. Fresh noise differs in each row. What a column has in common is pattern: known to whoever has one more frame of
that camera.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from entropy_assets.core.credit.sketches import Sketch
from entropy_assets.core.sp800_90b.non_iid import assess_non_iid
from entropy_assets.core.sp800_90b.restarts import count_cutoff


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
    count = len(sketches)
    if count < 2:
        return None
    rows = np.stack([sketch.pairs.ravel() for sketch in sketches]).astype(np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    pairs = count * (count - 1)
    share = (float(np.square(rows.sum(axis=0)).sum()) - float(np.square(rows).sum())) / pairs
    return FixedPattern(count, share, math.sqrt(2 / pairs / rows.shape[1]))


@dataclass(frozen=True, slots=True)
class FrameRestarts:
    """What the restart tests of SP 800-90B 3.1.4 say of a matrix of frames, of any size.

    Attributes
    ----------
    frames, columns
        Rows and columns of the matrix.
    h_i
        Min-entropy that is claimed or assessed, bits per sample.
    largest_in_row, row_cutoff
        How often the most frequent symbol of any frame is there, and what it may not exceed (3.1.4.3).
    largest_in_column, column_cutoff
        The same of the same pixel pair in all frames.
    h_r, h_c
        Least estimate of the samples frame by frame, and pixel pair by pixel pair, bits per sample.
    """

    frames: int
    columns: int
    h_i: float
    largest_in_row: int
    row_cutoff: int
    largest_in_column: int
    column_cutoff: int
    h_r: float
    h_c: float

    @property
    def is_sane(self) -> bool:
        """Whether no symbol is too frequent in any row or column (3.1.4.3)."""
        return self.largest_in_row <= self.row_cutoff and self.largest_in_column <= self.column_cutoff

    @property
    def h(self) -> float:
        """What is left of H_I: min(H_r, H_c, H_I), bits per sample; 0 unless both are half of it at least (3.1.4.2)."""
        least = min(self.h_r, self.h_c)
        return min(least, self.h_i) if self.is_sane and least >= self.h_i / 2 else 0.0


def assess_frames(matrix: npt.NDArray[np.uint8], bits_per_symbol: int, h_i: float, alpha: float) -> FrameRestarts:
    """Return what the restart tests say of frames; the cutoffs are exact for rows and columns of that length.

    Unlike `assess_restarts` it estimates whatever the sanity check says, so that a report shows by how much it fails.

    Parameters
    ----------
    matrix
        ``uint8[frame, pixel pair]``, two frames or more.
    bits_per_symbol
        1 to 8.
    h_i
        More than 0, bits per sample.
    alpha
        Probability that frames as they are claimed fail the sanity check in any row or column.

    Raises
    ------
    InputRefused
        If the symbols are not what they are said to be.
    """
    of_one = -math.expm1(math.log1p(-alpha) / sum(matrix.shape))
    columns = np.ascontiguousarray(matrix.T)
    by_frame, by_pair = (
        assess_non_iid(each.reshape(-1), bits_per_symbol, bits_too=False).h_original for each in (matrix, columns)
    )
    return FrameRestarts(
        frames=len(matrix),
        columns=len(columns),
        h_i=h_i,
        largest_in_row=_largest_count(matrix),
        row_cutoff=count_cutoff(h_i, len(columns), of_one),
        largest_in_column=_largest_count(columns),
        column_cutoff=count_cutoff(h_i, len(matrix), of_one),
        h_r=by_frame,
        h_c=by_pair,
    )


def _largest_count(rows: npt.NDArray[np.uint8]) -> int:
    return max(int(np.bincount(row).max()) for row in rows)
