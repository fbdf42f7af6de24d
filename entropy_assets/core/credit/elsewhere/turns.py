"""What earlier frames show of one whose rows, columns or pixels come from them in turns, each where it lay.

Every second column of a frame is half of it and half of it with signs that alternate from column to column. So a frame
that takes turns is a sum of earlier ones, plain and with signs; the plain ones alone show the less of it, the more take
turns. A pattern has no such signs: frames of one pattern tell as much of each other as of this one, and are not asked.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.credit.elsewhere.whitened import Reals, kept_frequencies, whitened
from entropy_assets.core.credit.sketches import SIDE, Fold

SIGNS: Final = ((0, 0), (1, 0), (0, 1), (1, 1))
"""Whether signs alternate from row to row, and from column to column."""
RIDGE: Final = 1e-6
"""Added to each square, so that frames which are alike can be fitted."""
CLEAR_ERRORS: Final = 6.0
"""Standard errors beyond which it is believed that frames with signs show more than plain ones."""


def shown_in_turns(fold: Fold, others: Sequence[Fold]) -> float | None:
    """Return the share of a frame's variance that others show which take turns in it; None if they don't.

    Parameters
    ----------
    fold, others
        Of frames that lie alike.
    """
    kept = _without_alternating(kept_frequencies(SIDE, SIDE))
    pixels = np.stack([whitened(each, kept) for each in (fold, *others)]).astype(np.float64)
    down, across = np.indices((SIDE, SIDE))
    signs = [1 - 2 * ((row * down + column * across) % 2) for row, column in SIGNS]
    plain = _explained(pixels[0], pixels[1:])
    shown = _explained(pixels[0], np.concatenate([pixels[1:] * sign for sign in signs]))
    count, length = (len(SIGNS) - 1) * len(others), int(np.count_nonzero(kept))
    # each adds 1 / length by chance
    beyond = shown - plain - (1 - plain) * count / length
    return shown if beyond > CLEAR_ERRORS * math.sqrt(2 * count) / length else None


def _without_alternating(kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the frequencies that are kept with signs as well."""
    half = SIDE // 2
    shifted = [np.roll(kept, (half * row, half * column), axis=(0, 1)) for row, column in SIGNS]
    return np.asarray(np.logical_and.reduce(shifted))


def _explained(values: Reals, by: Reals) -> float:
    """Return the share of the variance of `values` that others explain."""
    flat, rows = values.ravel(), by.reshape(len(by), -1)
    alike, along = rows @ rows.T, rows @ flat
    alike += RIDGE * np.diag(np.maximum(1.0, alike.diagonal()))
    return float(along @ np.linalg.solve(alike, along)) / max(1.0, float(flat @ flat))
