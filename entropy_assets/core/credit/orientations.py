"""The middle of two frames compared in all orientations: the same sensor, or exposure, turned, mirrored, shifted.

Programs write the rows of one exposure from the top or from the bottom, stackers shift it, and who wants credit twice
turns it. What is compared is the Laplacian of a square in the middle of the frame, which looks the same after each of
the 8 symmetries of the square. A pattern correlates as strongly in it as in the credited differences.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from entropy_assets.core.extraction.phases import as_it_lies
from entropy_assets.core.extraction.squares import MAD_TO_SIGMA, steps_of
from entropy_assets.core.extraction.survey import Survey
from entropy_assets.core.frame import Frame

Residuals = npt.NDArray[np.int64]
Item = TypeVar("Item", bound=np.generic)

SIDE: Final = 128
"""Side of the square that is compared, pixels; of a smaller frame, what it has."""
OUTLIER: Final = 6
"""Residuals are clipped at this many of their standard deviations, so that a few bright stars don't decide."""
SPREAD: Final = math.sqrt((20**2 + 4 * 8**2 + 4 * 2**2 + 4 * 1**2) / 20**2)
"""How much wider a correlation of Laplacians of white noise spreads than ``1 / sqrt(pixels)``: the root of the sum of
its squared autocorrelation, which is 20, -8 beside, 2 at the corners, 1 two pixels away, over 20."""
SIGNIFICANT: Final = 7.0
"""Standard errors beyond which a correlation is believed. All orientations and shifts of a pair are 8,712 looks at a
shift of 16; of independent noise one pair in 40 million goes beyond."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """The middle of a frame.

    Attributes
    ----------
    residuals
        ``int64[side, side]``, Laplacian of channel 0 in ADC steps, clipped; 0 where not live.
    live
        ``bool[side, side]``.
    """

    residuals: Residuals
    live: npt.NDArray[np.bool_]


class Match(NamedTuple):
    """How two patches fit best.

    Attributes
    ----------
    correlation
        Of the pixels that both have live; negative for a negative.
    error
        Its standard error for independent noise.
    orientation
        0 to 7: quarter turns, plus 4 if mirrored first.
    shift
        Rows and columns.
    """

    correlation: float
    error: float
    orientation: int
    shift: tuple[int, int]

    @property
    def is_significant(self) -> bool:
        """Tell whether noise alone would hardly do it."""
        return abs(self.correlation) > SIGNIFICANT * self.error


def patch_of(frame: Frame, survey: Survey) -> Patch:
    """Return the middle of `frame` as the sensor lies; `survey` is its live-area map.

    In a mosaic the mean of each phase is taken off, so that what is compared is noise and not the filter array.
    """
    side = min(SIDE, *(length - 2 for length in frame.shape))
    top, left = ((length - side) // 2 for length in frame.shape)
    around = steps_of(frame, 0)[top - 1 : top + side + 1, left - 1 : left + side + 1].astype(np.int64)
    _level(around, frame.mosaic)
    middle = around[1:-1, 1:-1]
    residuals = 4 * middle - around[:-2, 1:-1] - around[2:, 1:-1] - around[1:-1, :-2] - around[1:-1, 2:]
    live = _live_pixels(survey, frame)[top : top + side, left : left + side].copy()
    if live.any():
        most = math.ceil(OUTLIER * MAD_TO_SIGMA * float(np.median(np.abs(residuals[live]))))
        residuals = np.clip(residuals, -most, most)
    return Patch(np.where(live, residuals, 0), live)


def oriented(square: npt.NDArray[Item], orientation: int) -> npt.NDArray[Item]:
    """Return `square` mirrored and turned as `Match.orientation` says."""
    return np.rot90(square[:, ::-1] if orientation >= 4 else square, orientation % 4)


def matches(patch: Patch, others: Sequence[Patch], most_shift: int) -> list[Match]:
    """Return how `patch` fits each of `others`, in the orientation and at the shift where it fits best.

    Parameters
    ----------
    most_shift
        Largest shift in either axis that is looked at, pixels.
    """
    turned = [Patch(oriented(patch.residuals, way), oriented(patch.live, way)) for way in range(8)]
    spectra = np.fft.rfft2(np.stack([each.residuals for each in turned]))
    return [_best(turned, spectra, other, most_shift) for other in others]


def _best(turned: list[Patch], spectra: npt.NDArray[np.complex128], other: Patch, most_shift: int) -> Match:
    """Return the best fit: found by one circular correlation for each orientation, then measured on integers."""
    if other.residuals.shape != turned[0].residuals.shape:
        return Match(0.0, math.inf, 0, (0, 0))
    products = np.fft.irfft2(np.conj(spectra) * np.fft.rfft2(other.residuals), s=other.residuals.shape)
    near = np.arange(-most_shift, most_shift + 1)
    looked_at = np.abs(products[:, near[:, np.newaxis], near])
    way, row, column = np.unravel_index(int(looked_at.argmax()), looked_at.shape)
    shift = int(near[row]), int(near[column])
    return _measured(turned[way], other, int(way), shift)


def _measured(patch: Patch, other: Patch, orientation: int, shift: tuple[int, int]) -> Match:
    here, there = _overlap(patch.residuals.shape[0], shift)
    both = patch.live[here] & other.live[there]
    count = int(np.count_nonzero(both))
    a, b = patch.residuals[here][both], other.residuals[there][both]
    scale = math.sqrt(int(a @ a) * int(b @ b))
    correlation = int(a @ b) / scale if scale else 0.0
    return Match(correlation, SPREAD / math.sqrt(count) if count else math.inf, orientation, shift)


def _overlap(side: int, shift: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the parts of two squares that lie on each other if the second one is shifted."""
    here = tuple(slice(max(0, -by), side - max(0, by)) for by in shift)
    there = tuple(slice(max(0, by), side - max(0, -by)) for by in shift)
    return (here[0], here[1]), (there[0], there[1])


def _level(around: Residuals, period: int) -> None:
    """Take the mean of each phase off, in whole steps."""
    for a, b in np.ndindex(period, period):
        phase = around[a::period, b::period]
        if period > 1:
            phase -= int(phase.sum()) // phase.size


def _live_pixels(survey: Survey, frame: Frame) -> npt.NDArray[np.bool_]:
    """Return ``bool[ny, nx]``: which pixels lie in live squares; what no whole square covers is not live."""
    live = np.zeros(frame.shape, dtype=np.bool_)
    laid = survey.live.repeat(survey.square_size, axis=0).repeat(survey.square_size, axis=1)
    squares = as_it_lies(laid, frame.mosaic)
    live[: squares.shape[0], : squares.shape[1]] = squares
    return live
