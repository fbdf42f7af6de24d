"""Where a frame lies on an earlier one: all orientations and all shifts of its fold are compared, and the sign."""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from entropy_assets.core.credit.elsewhere.remade import Remakings
from entropy_assets.core.credit.sketches import SIDE, Sketch, Wide, folded
from entropy_assets.core.digests import oriented

SEARCH: Final = 64
"""Side of the fold on which orientation and shift are searched."""
SPREAD: Final = math.sqrt((20**2 + 4 * 8**2 + 4 * 2**2 + 4 * 1**2) / 20**2)
"""How much wider a correlation of Laplacians of white noise spreads than that of white noise itself: the root of the
sum of its squared autocorrelation, which is 20, -8 beside, 2 at the corners, 1 two pixels away, over 20."""
TURNED_ERRORS: Final = 7.5
"""Standard errors beyond which a correlation is believed over 131,072 places of 32 candidates; one look in two million
finds one by chance."""
MORE_ERRORS: Final = 5.5
"""The same for further places of a frame that fits at one."""
PLACES: Final = 8
"""Places at which parts of one frame are looked for; a frame rolled around its edges has four."""
SAME: Final = 1e-9
"""By how much less than 1 the correlation of equal folds may come out; one code of one pixel makes ten times that."""
BESIDE: Final = 2
"""Shifts beside a place at which a Laplacian still fits a little, pixels."""
SEARCHED_BESIDE: Final = 4
"""Places beside which further parts are looked for."""


class Turned:
    """A sketch in its 8 orientations, made once for all that it is fitted to."""

    def __init__(self, sketch: Sketch) -> None:
        self.sketch = sketch
        self.fold = _without_lines(sketch.fold)
        small = folded(self.fold, SEARCH)
        self.spectra = np.fft.rfft2(np.stack([oriented(small, way) for way in range(8)]))

    @cached_property
    def remakings(self) -> Remakings:
        """Return it as others are asked whether it was made of them."""
        return Remakings(self.sketch.fold)


class Placement(NamedTuple):
    """How a frame fits another one at one place: magnitude of the correlation, its standard error, and the place."""

    rho: float
    error: float
    orientation: int
    shift: tuple[int, int]

    @property
    def is_same(self) -> bool:
        """Whether both folds are the same to the last code: nothing but the light was changed."""
        return self.rho > 1 - SAME


def searched(turned: Turned, other: Sketch) -> list[Placement]:
    """Return the places at which a frame fits another one, the best first; none if the best is not believed."""
    there = _without_lines(other.fold)
    small = np.fft.rfft2(folded(there, SEARCH))
    fits = np.abs(np.fft.irfft2(np.conj(turned.spectra) * small, s=(SEARCH, SEARCH)))
    found: list[Placement] = []
    for _ in range(PLACES):
        way, row, column = (int(place) for place in np.unravel_index(int(fits.argmax()), fits.shape))
        looks = _looks(np.ascontiguousarray(oriented(turned.fold, way)), there, way, (row, column))
        least = MORE_ERRORS if found else TURNED_ERRORS
        believed = [look for look in looks if look.rho > least * look.error]
        if not believed and not found:
            break
        found += believed
        near = np.arange(-BESIDE, BESIDE + 1)
        fits[way][np.ix_((row + near) % SEARCH, (column + near) % SEARCH)] = 0
    return sorted(found, key=lambda look: -look.rho)


def _looks(fold: Wide, there: Wide, way: int, place: tuple[int, int]) -> list[Placement]:
    """Return how a turned fold fits another one at the four places that the fold of `SEARCH` has as one.

    As `correlation` tells of each: what all of them need is made once.
    """
    squares, theirs = ((each * each).astype(np.float64) for each in (fold, there))
    scale = math.sqrt(int((fold * fold).sum())) * math.sqrt(int((there * there).sum()))
    places = [(place[0] + down, place[1] + right) for down in (0, SEARCH) for right in (0, SEARCH)]
    if scale == 0:
        return [Placement(0.0, math.inf, way, each) for each in places]
    found = []
    for each in places:
        product = int((np.roll(fold, each, axis=(0, 1)) * there).sum())
        error = SPREAD * math.sqrt(float((np.roll(squares, each, axis=(0, 1)) * theirs).ravel().sum())) / scale
        found.append(Placement(abs(product / scale), error, way, each))
    return found


def joined(turned: Turned, other: Sketch, looks: Sequence[Placement]) -> Placement:
    """Return the best of `looks` with what all of them show together, and the places right beside them.

    Parts of a frame that were moved by different ways add up. What the places have in common, as the columns of a
    pattern that fits in every row, is counted once: the coefficients of the regression on all places are added, as far
    as they are believed.
    """
    there = _without_lines(other.fold)
    beside = [near for look in looks[:SEARCHED_BESIDE] for near in _beside(look)]
    places = list({(look.orientation, look.shift): look for look in (*beside, *looks)}.values())
    copies = np.stack([_back(there, place).ravel() for place in places]).astype(np.float64)
    copies /= np.sqrt((copies * copies).sum(axis=1, keepdims=True))
    here = turned.fold.astype(np.float64).ravel()
    here /= math.sqrt(float((here * here).sum()))
    inverse = np.linalg.pinv(copies @ copies.T, hermitian=True)
    shares = inverse @ (copies @ here)
    left = here - shares @ copies
    errors = SPREAD * np.sqrt(np.diag(inverse) * float((left * left).sum()) / len(here))
    together = float(np.abs(shares[np.abs(shares) > MORE_ERRORS * errors]).sum())
    return looks[0]._replace(rho=max(looks[0].rho, min(1.0, together)))


def _beside(look: Placement) -> list[Placement]:
    """Return the places that `searched` leaves out, since a Laplacian fits there a little."""
    near = range(-BESIDE, BESIDE + 1)
    shifts = [((look.shift[0] + down) % SIDE, (look.shift[1] + right) % SIDE) for down in near for right in near]
    return [look._replace(shift=shift) for shift in shifts]


def explained(turned: Turned, other: Sketch, looks: Sequence[Placement]) -> float:
    """Return the share of a frame's variance that another one explains which fits at all these places.

    A frame and the same one moved may be added. What lies alike everywhere, as waves do, explains nothing twice.
    """
    there = _without_lines(other.fold)
    copies = [np.ascontiguousarray(_back(there, look)) for look in looks]
    along = np.array([correlation(turned.fold, copy)[0] for copy in copies])
    alike = np.array([[correlation(a, b)[0] for a in copies] for b in copies])
    return float(along @ np.linalg.lstsq(alike, along, rcond=None)[0])


def laid_back(other: Sketch, look: Placement) -> Wide:
    """Return the fold of another frame, less its lines, as it lies on one that fits it so."""
    return np.ascontiguousarray(_back(_without_lines(other.fold), look))


def _back(there: Wide, look: Placement) -> Wide:
    """Return the fold of another frame as it lies on one that fits it so."""
    down, right = look.shift
    way = look.orientation if look.orientation >= 4 else -look.orientation % 4
    return oriented(np.roll(there, (-down, -right), axis=(0, 1)), way)


def correlation(a: npt.NDArray[np.integer], b: npt.NDArray[np.integer], spread: float = 1.0) -> tuple[float, float]:
    """Return a correlation and its standard error for independent noise, however uneven; from exact sums."""
    left, right = a.astype(np.int64).ravel(), b.astype(np.int64).ravel()
    squares = (left * left).astype(np.float64), (right * right).astype(np.float64)
    scale = math.sqrt(int(left @ left)) * math.sqrt(int(right @ right))
    if scale == 0:
        return 0.0, math.inf
    # summed here: BLAS spreads a product this short over all cores, which costs more than it is
    return int(left @ right) / scale, spread * math.sqrt(float((squares[0] * squares[1]).sum())) / scale


def _without_lines(fold: npt.NDArray[np.integer]) -> Wide:
    """Return a fold less what its rows and columns, which fit everywhere, have in common, times its number of cells."""
    wide = fold.astype(np.int64)
    rows, columns = wide.sum(axis=1, keepdims=True), wide.sum(axis=0, keepdims=True)
    return np.asarray(SIDE * SIDE * wide - SIDE * rows - SIDE * columns + wide.sum())
