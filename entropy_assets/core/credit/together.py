"""What several earlier frames show of a frame together: of a sum, a difference or a mean of them, all of it.

Each of `m` frames shows but a share ``1 / sqrt(m)`` of their mean, though who knows all of them knows the mean. So the
folded pair differences of a frame are fitted by those of the others, cell by cell, since each fold has units of its
own. The share of the variance that they explain (R squared, less what so many would explain of independent noise) is
known. Of frames of one pattern it stays below the correlation of two of them: of ``m`` frames that correlate by ``r``
it is ``m r**2 / (1 + (m - 1) r)``.

All sums are of integers below 2**24, so that single precision holds them exactly, in any order.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from entropy_assets.core.credit.sketches import CODE_RMS, Fold

Matrix = npt.NDArray[np.float64]

RIDGE: Final = 1e-6
"""Added to each square, so that frames which are alike in a cell, or dead there, can be fitted; less than rounding."""
TELLING_ERRORS: Final = 4.0
"""Standard errors beyond which a frame counts among those that show another one together."""
CHANCE_ERRORS: Final = 6.0
"""Standard errors beyond which that they explain anything is believed."""
ROUNDED: Final = 1 / (12 * CODE_RMS**2)
"""Share of a fold that rounding to codes makes up."""


class Fit(NamedTuple):
    """How well a frame is fitted by others.

    Attributes
    ----------
    cells
        Share of the variance of each cell that they show, with two standard errors: at most 1.
    error
        Standard error of the share of the whole.
    strongest
        Which of them counts most.
    """

    cells: tuple[float, ...]
    error: float
    strongest: int


def telling(pairs: Fold, others: Sequence[Fold]) -> list[int]:
    """Return which of `others` show a frame together; those that add nothing to the rest are taken away one by one.

    Parameters
    ----------
    pairs, others
        ``int8[16, 32, 16]``, the folded pair differences of frames that lie alike.
    """
    products = _products(pairs, others)
    length = _length(pairs)
    left, alike, along = list(range(len(others))), *_scaled(products.sum(axis=0))
    inverse = np.linalg.inv(alike)
    while left:
        weights = inverse @ along
        rest = max(ROUNDED, 1 - float(along @ weights)) / max(1, length - len(left))
        errors = np.abs(weights) / np.sqrt(rest * inverse.diagonal())
        least = int(errors.argmin())
        if errors[least] >= TELLING_ERRORS:
            break
        kept = np.arange(len(left)) != least
        inverse = (inverse - np.outer(inverse[:, least], inverse[least]) / inverse[least, least])[np.ix_(kept, kept)]
        along = along[kept]
        del left[least]
    return left


def are_less_alike(pairs: Fold, others: Sequence[Fold]) -> bool:
    """Tell whether `others` have less in common with each other than, by what each has with a frame, they would.

    So it is where parts of several frames were put into one. Frames of one pattern tell as much of each other.
    """
    alike, along = _scaled(_products(pairs, others).sum(axis=0))
    common, shown = alike * np.sign(np.outer(along, along)), np.abs(along)
    return bool(common.sum() - common.trace() < shown.sum() ** 2 - (shown**2).sum())


def fit(pairs: Fold, others: Sequence[Fold]) -> Fit | None:
    """Return what `others` show together of a frame that lies as they do; None if that may be chance.

    Parameters
    ----------
    pairs, others
        As of `telling`.
    """
    products = _products(pairs, others)
    length, count = _length(pairs), len(others)
    if not length:
        return None
    alike, along = _scaled(products)
    weights = np.linalg.solve(alike, along[..., np.newaxis])[..., 0]
    shares = (along * weights).sum(axis=1)
    fair = np.clip(1 - (1 - shares) * pairs[0].size / max(1, pairs[0].size - count), 0.0, 1.0)
    live = np.any(pairs != 0, axis=(1, 2))
    whole = float(fair[live].mean())
    if whole <= CHANCE_ERRORS * math.sqrt(2 * count * np.count_nonzero(live)) / length:
        return None
    # what is rounded off the others thins the fit out by their weights, as if it were noise of the frame
    unseen = ROUNDED * (1 + (weights**2).sum(axis=1))
    upper = fair + 4 * np.sqrt(fair) * (1 - fair) / math.sqrt(length) + unseen
    cells = tuple(float(share) for share in np.where(live, np.minimum(1.0, upper), 0.0))
    of_whole = np.linalg.solve(*_scaled(products.sum(axis=0)))
    return Fit(cells, 2 * math.sqrt(whole) * (1 - whole) / math.sqrt(length), int(np.abs(of_whole).argmax()))


def _products(pairs: Fold, others: Sequence[Fold]) -> Matrix:
    """Return the sums of products of all frames with each other in each cell, the frame itself last: exact."""
    codes = np.stack([*others, pairs]).reshape(len(others) + 1, len(pairs), -1).astype(np.float32).swapaxes(0, 1)
    return np.asarray(codes @ codes.swapaxes(1, 2), dtype=np.float64)


def _length(pairs: Fold) -> int:
    """Return the values of a fold in cells that are live."""
    return int(np.count_nonzero(np.any(pairs != 0, axis=(1, 2)))) * int(pairs[0].size)


def _scaled(products: Matrix) -> tuple[Matrix, Matrix]:
    """Return the correlations of the others with each other and with the frame, of each cell or of the whole."""
    norms = np.sqrt(np.maximum(1.0, np.diagonal(products, axis1=-2, axis2=-1)))
    scaled = products / (norms[..., :, np.newaxis] * norms[..., np.newaxis, :])
    return scaled[..., :-1, :-1] + RIDGE * np.eye(products.shape[-1] - 1), scaled[..., -1, :-1]
