"""What an earlier frame shows of one that was made of it, or of which it was made, wherever it lies and however turned.

The smaller of both is held against each pixel of the larger one that may be in one of its own: of two rows each, of
four pixels each. Those have noise of their own, so the squares of their correlations add up to what all of them show
together, whatever weights they have: one of four is 1, and each of them in a sum 1/2.
"""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from entropy_assets.core.credit.elsewhere.kinds import RULES, Made, Making
from entropy_assets.core.credit.elsewhere.spectra import SpectralQuestions
from entropy_assets.core.credit.elsewhere.whitened import Flags, Reals, kept_frequencies, refolded, whitened
from entropy_assets.core.credit.sketches import SIDE, Fold, Wide
from entropy_assets.core.digests import oriented

SEARCH: Final = 64
"""Side of the fold on which places are searched."""
LEAST_SQUARES: Final = {1: 56.3, 2: 60.9, 4: 67.4}
"""Sum of the squares of so many correlations, in squares of their standard errors, beyond which it is believed: chance
is beyond as seldom as beyond seven and a half standard errors of one (chi-square)."""


class Remade(NamedTuple):
    """How a frame is made of an earlier one, or that one of it.

    Attributes
    ----------
    made
        How.
    rho, error
        Correlation of the smaller one with all that it may be made of, and its standard error.
    of
        The share of the frame that the earlier one can show is one of so many.
    orientation, shift
        As of a `Recollection`, the shift in pixels of the larger one.
    """

    made: Made
    rho: float
    error: float
    of: int
    orientation: int
    shift: tuple[int, int]


class Remakings:
    """A frame as others are asked whether it was made of them; what is needed for it is made once.

    Parameters
    ----------
    fold
        Of its `Sketch`.
    """

    def __init__(self, fold: Fold) -> None:
        self._fold = fold
        self._turned: dict[tuple[Made, int], Wide] = {}
        self.asked = SpectralQuestions(fold)

    def of(self, other: Fold, *, may_be_half: bool) -> Remade | None:
        """Return how the frame was made of the one with the fold `other`, if it was.

        Parameters
        ----------
        may_be_half
            Whether one of both may be the half of the other.
        """
        candidates = self.asked.of(other, may_be_half=may_be_half)
        found = [self._as(made, ways, other) for made, ways in candidates.items()]
        return max((each for each in found if each), key=lambda each: each.rho / each.of, default=None)

    def _as(self, made: Made, ways: Iterable[int], other: Fold) -> Remade | None:
        """Return the same if it was made so, and is in one of these orientations."""
        rule = RULES[made]
        fixed = _values(other, rule, is_larger=not rule.is_larger)
        best: Remade | None = None
        for way in sorted(ways):
            if (made, way) not in self._turned:
                self._turned[made, way] = _values(oriented(self._fold, way), rule, rule.is_larger)
            turned = self._turned[made, way]
            larger, smaller = (turned, fixed) if rule.is_larger else (fixed, turned)
            fit = _fit(larger, smaller, rule)
            if fit and (best is None or fit[0] > best.rho):
                rho, error, down, right = fit
                shift = (-down % SIDE, -right % SIDE) if rule.is_larger else (down, right)
                best = Remade(made, rho, error, rule.phases if rule.is_larger else 1, way, shift)
        return best


def _values(fold: Fold, rule: Making, is_larger: bool) -> Wide:
    """Return the pixels of a frame, or of the smaller one; where signs alternate the larger one is the earlier one."""
    smaller = _kept(rule)
    if is_larger:
        return whitened(fold, np.tile(smaller, rule.steps))
    again = refolded(fold, SIDE // rule.rows, SIDE // rule.columns)
    return whitened(again, smaller) * _signs(rule) if any(rule.signs) else whitened(again, smaller)


def _kept(rule: Making) -> Flags:
    """Return the frequencies of the smaller frame that both have."""
    kept = kept_frequencies(SIDE // rule.rows, SIDE // rule.columns)
    shift = (SIDE // 2 * rule.signs[0], SIDE // 2 * rule.signs[1])
    return np.asarray(kept & np.roll(kept, shift, axis=(0, 1)))


def _signs(rule: Making) -> Wide:
    down, across = np.indices((SIDE, SIDE))
    return np.asarray(1 - 2 * ((rule.signs[0] * down + rule.signs[1] * across) % 2))


def _fit(larger: Wide, smaller: Wide, rule: Making) -> tuple[float, float, int, int] | None:
    """Return correlation, standard error, and the row and column at which the smaller begins; None if by chance."""
    least = LEAST_SQUARES[rule.phases]
    fits = _fits(larger, smaller, rule)
    row, column = (int(place) for place in np.unravel_index(int(fits.argmax()), fits.shape))
    if fits[row, column] <= least:
        return None
    places = [(row + down, column + right) for down in (0, SEARCH) for right in (0, SEARCH)]
    rho, error, *place = max((*_correlation(larger, smaller, rule, *place), *place) for place in places)
    return (rho, error, int(place[0]), int(place[1])) if rho * rho > least * error * error else None


def _fits(larger: Wide, smaller: Wide, rule: Making) -> Reals:
    """Return the squares of the correlations at each place of the fold of `SEARCH`, by those of most places, added up.

    They are measured by their own spread over all places: where noise is not white it is wider.
    """
    rows, columns = rule.steps
    spread = np.zeros((SEARCH, SEARCH))
    spread[::rows, ::columns] = refolded(smaller, SEARCH // rows, SEARCH // columns)
    there = np.fft.rfft2(refolded(larger, SEARCH, SEARCH))
    fits = np.fft.irfft2(np.conj(np.fft.rfft2(spread)) * there, s=(SEARCH, SEARCH))
    squares = fits * fits / max(1e-12, float(np.mean(fits * fits)))
    total = sum(np.roll(squares, (-a, -b), axis=(0, 1)) for a in range(rows) for b in range(columns))
    return np.asarray(total)


def _correlation(larger: Wide, smaller: Wide, rule: Making, row: int, column: int) -> tuple[float, float]:
    """Return the correlation of `smaller` with all pixels of `larger` that one of it may be made of, and its error."""
    moved = np.roll(larger, (-row, -column), axis=(0, 1))
    energy, squares, error = int((smaller * smaller).sum()), 0.0, 0.0
    for a, b in np.ndindex(rule.steps):
        phase = moved[a :: rule.rows, b :: rule.columns]
        scale = math.sqrt(energy) * math.sqrt(int((phase * phase).sum()))
        if scale == 0:
            return 0.0, math.inf
        squares += (int((smaller * phase).sum()) / scale) ** 2
        product = (smaller * phase).astype(np.float64)
        error = max(error, math.sqrt(float((product * product).sum())) / scale)
    return math.sqrt(squares), error
