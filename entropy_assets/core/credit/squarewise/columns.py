"""Columns taken off folds of pair differences: an offset that a whole column shares is one value, for all its pixels.

Readouts shift whole columns, from frame to frame otherwise. Beside a pattern that stays, such a drift looks like noise
that is new at every pixel, and new is a value for each column. So what the columns of a cell have in common counts as
known, and what is left is compared by itself. A strong drift masks squares, others in each frame, which thins that
correlation out: it is what all squares show that are live in both.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

FOLDED: Final = 0.98
"""Share of the variance that is left without columns from which on there are none; of noise .995 is."""
MARGIN: Final = 2.0
"""Standard errors, by which squares that are live in one frame alone correlate, that are added to what is known."""


def known_beside_columns(
    mine: npt.NDArray[np.integer], other: npt.NDArray[np.integer], sign: int, overlap: float
) -> float:
    """Return which share of a frame's variance another one shows, if what columns have in common is known; else 0.

    Parameters
    ----------
    mine, other
        ``int8[cell, row, column]``, the folded pair differences of frames that lie alike.
    sign
        -1 if the one frame is the other one's negative, else 1.
    overlap
        Squares that are live in both frames over the geometric mean of those that are in each.
    """
    rows = mine.shape[1]
    apart, there = (
        rows * fold.astype(np.int64) - fold.sum(axis=1, keepdims=True, dtype=np.int64) for fold in (mine, other)
    )
    left, whole = int((apart * apart).sum()), (rows - 1) * rows * int((mine.astype(np.int64) ** 2).sum())
    scale = math.sqrt(left) * math.sqrt(int((there * there).sum()))
    if not scale or left >= FOLDED * whole or overlap <= 0:
        return 0.0
    chance = math.sqrt(max(0.0, 1 - overlap * overlap) / mine.size)
    correlation = (sign * int((apart * there).sum()) / scale + MARGIN * chance) / overlap
    fresh: float = (1 - min(1.0, max(0.0, correlation))) * left / whole
    return 1 - fresh
