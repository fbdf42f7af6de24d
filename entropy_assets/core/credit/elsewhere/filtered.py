"""What an earlier frame shows of one that was made of it by a short filter, as registering by part of a pixel is one.

Of two frames with a pattern in common, a linear rule predicts less of the one from the other than their correlation:
at each frequency the square of what it is in both (Wiener's filter), where the correlation takes the share itself. So
where a rule predicts clearly more, it is no pattern that both have, and all that it predicts is known.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.credit.elsewhere.moved import SPREAD, TURNED_ERRORS, Placement, Turned, laid_back
from entropy_assets.core.credit.sketches import Sketch

REACH: Final = 3
"""Pixels that the rule reaches from its middle."""


def by_a_filter(turned: Turned, other: Sketch, look: Placement) -> Placement | None:
    """Return `look` with the share that a rule of `REACH` pixels predicts; None if it says no less itself.

    The best rule follows from correlations of the folds, which are sums of integers.
    """
    if look.is_same:
        return None
    there, here = laid_back(other, look), turned.fold
    reach, twice = range(-REACH, REACH + 1), range(-2 * REACH, 2 * REACH + 1)
    own = {(y, x): _product(there, there, y, x) for y in twice for x in twice if (y, x) >= (0, 0)}
    power, shown = own[0, 0], _product(here, here, 0, 0)
    if not power or not shown:
        return None
    taps = [(y, x) for y in reach for x in reach]
    apart = [[(a[0] - b[0], a[1] - b[1]) for b in taps] for a in taps]
    alike = np.array([[own[max(d, (-d[0], -d[1]))] / power for d in row] for row in apart])
    along = np.array([_product(here, there, y, x) for y, x in taps]) / (math.sqrt(power) * math.sqrt(shown))
    found = float(along @ np.linalg.lstsq(alike, along, rcond=None)[0])
    by_chance = here.size / (here.size - len(taps))
    left = max(0.0, 1 - found) * by_chance
    error = SPREAD * math.sqrt(2 * len(taps)) / here.size * left
    share = 1 - left
    return look._replace(rho=share, error=error) if share - TURNED_ERRORS * error > look.rho else None


def _product(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64], down: int, right: int) -> int:
    """Return the sum of products of `a` with `b` moved so, around its edges."""
    return int(a.ravel() @ np.roll(b, (down, right), axis=(0, 1)).ravel())
