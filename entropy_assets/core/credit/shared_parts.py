"""What the parts of one frame share is credited once: planes of a cube, groups of a ramp, pages, amplifiers.

Exposures of one sensor share its pattern, and groups of a ramp that is read without being reset share the charge that
was there before. A share rho of the variance of a part is known to who knows the parts before it: the largest of

* its correlation with one of them, pixel by pixel, as two frames of a batch are compared (`patterns`);
* the same however it lies, in any orientation and over any shift (`memory`);
* what all of them together predict of it: one part may be the difference of two others.

Each sample of it is then worth no more than what is fresh (`gaussian`). Samples of all parts are mixed in the draw
order, and every slice must be worth what it is credited, so all parts get the figure of the worst of them. A part that
would cost more than it brings is left out instead.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.credit.elsewhere.moved import Turned
from entropy_assets.core.credit.gaussian import left_beside
from entropy_assets.core.credit.memory import PARTS, recollection_of
from entropy_assets.core.credit.sketches import Sketch, sketches_of
from entropy_assets.core.extraction.squares import MAD_TO_SIGMA, Verdict, steps_of
from entropy_assets.core.extraction.survey import Survey, without_copies
from entropy_assets.core.frame import Frame
from entropy_assets.recipe import Recipe

Matrix = npt.NDArray[np.float64]

ROUNDED_TO: Final = 10_000
"""Shares are rounded up to one part in this, so that the last bit of a sum does not reach the credit."""
PAIRS_COMPARED: Final = 1 << 15
"""About as many pixel pairs of each part are compared, in whole rows."""
OUTLIER: Final = 6.0
"""Differences are clipped at this many of their standard deviations, so that a few bright stars don't decide."""
SIGNIFICANT: Final = 5.0
"""Standard errors beyond which a share is believed; of independent noise one in 3 million goes beyond."""
LEAST_REST: Final = 1e-6
"""A part of which less is left, beside those before it, tells nothing new of those behind it."""
ESTIMATED: Final = 1.9
"""log2 of this times sigma is about what the estimators give a pair difference of Gaussian noise of sigma ADC steps;
its min-entropy has 3.54. It decides which parts are used, and no figure."""


@dataclass(frozen=True, slots=True, eq=False)
class CreditedPart:
    """A part of a frame that is credited, or the whole of a frame that has one alone.

    Attributes
    ----------
    place
        Which it is.
    sketch
        What is remembered of it; None if the recipe keeps none.
    known_share
        Share of its variance that the parts before it in its file show.
    pattern_parts
        Share of its noise that another exposure of the same pixels in the same file shows, before it or behind it,
        parts of 10,000; None if the file has no other, so that its pattern can't be told.
    """

    place: int
    sketch: Sketch | None
    known_share: float = 0.0
    pattern_parts: int | None = None


@dataclass(frozen=True, slots=True)
class SharedParts:
    """What is left of a frame's parts beside each other.

    Attributes
    ----------
    survey
        The live-area map without the parts that are left out.
    used
        The parts that are credited.
    """

    survey: Survey
    used: tuple[CreditedPart, ...]

    @property
    def known_shares(self) -> Mapping[int, float]:
        """Return what is known of each part that is used, by its place."""
        return {part.place: part.known_share for part in self.used}


def credited_once(
    frame: Frame, survey: Survey, recipe: Recipe, most: float, among: Collection[int] | None = None
) -> SharedParts:
    """Return which parts of `frame` are credited together, and what those before each of them show of it.

    Parameters
    ----------
    survey
        The live-area map of the frame.
    most
        Bits of a sample that are credited at most, whatever it is worth.
    among
        Parts that are used, if that was decided before. Parts that are all too small to be assessed are all left out:
        together they would be assessed as if they shared nothing.
    """
    parts, surveys = frame.split(), survey.split(frame.parts)
    # of what a file of its own would show: what a part copies from another one is masked behind this
    sketches = sketches_of(frame, surveys) if recipe.remembered_frames else (None,) * frame.parts
    survey = without_copies(frame, survey, recipe)
    surveys = survey.split(frame.parts)
    values = np.stack([_differences(part, each) for part, each in zip(parts, surveys, strict=True)])
    correlations = _correlations(values)
    known = _known_shares(values, correlations, sketches)
    if among is None:
        worth = [_worth(each, share, most) for each, share in zip(surveys, known, strict=True)]
        among = best_together(worth, [_samples(each, recipe) for each in surveys])
    verdict = survey.verdict.copy()
    for place, rows in enumerate(np.split(verdict, frame.parts)):
        if place not in among:
            rows[rows == Verdict.LIVE] = Verdict.LEFT_OUT
    patterns = _patterns(correlations) if frame.is_stack else [None] * frame.parts
    used = [CreditedPart(place, sketches[place], known[place], patterns[place]) for place in sorted(among)]
    return SharedParts(replace(survey, verdict=verdict), tuple(used))


def least_sigma(survey: Survey, parts: int) -> float:
    """Return the median noise of the quietest part with live area, ADC steps."""
    return min((part.median_sigma for part in survey.split(parts) if part.live.any()), default=survey.median_sigma)


def part_of_regions(regions: npt.NDArray[np.int32], frame: Frame) -> npt.NDArray[np.int32]:
    """Return in which part of `frame` each of ``int32[region, 2]`` lies."""
    return regions[:, 0] // np.int32(frame.shape[0] // frame.parts)


def _samples(survey: Survey, recipe: Recipe) -> int:
    """Return the samples of the live area; 0 if they are too few to be assessed."""
    samples = int(np.count_nonzero(survey.live)) * survey.square_size**2 // 2
    return samples if samples >= recipe.min_samples else 0


def _worth(survey: Survey, known: float, most: float) -> int:
    """Return about what a sample of a part is worth, parts of a bit: it decides which parts are used, no more."""
    estimate = math.log2(max(1.0, ESTIMATED * survey.median_sigma))
    return math.floor(min(most, left_beside(estimate, survey.median_sigma, 8, known)) * ROUNDED_TO)


def best_together(worth: Sequence[int], samples: Sequence[int]) -> tuple[int, ...]:
    """Return the parts that are worth most together, if each is worth what the least of them is."""
    sets = [tuple(place for place in range(len(worth)) if worth[place] >= least and samples[place]) for least in worth]
    return max(sets, key=lambda used: min((worth[n] for n in used), default=-1) * sum(samples[n] for n in used))


# What is known of each part


def _known_shares(values: Matrix, correlations: Matrix, sketches: Sequence[Sketch | None]) -> list[float]:
    """Return which share of the variance of each part those before it show; of the first, none."""
    shares = np.maximum(np.tril(correlations, -1).max(axis=1), _together(values))
    shares = np.maximum(shares, _turned([sketch for sketch in sketches if sketch]) or 0.0)
    return [math.ceil(min(1.0, share) * ROUNDED_TO) / ROUNDED_TO for share in shares.tolist()]


def _patterns(correlations: Matrix) -> list[int | None]:
    """Return which share of each part any other one shows, parts of 10,000; None if there are but copies of it.

    A copy is left out, and tells nothing of the pattern.
    """
    others = correlations + np.diag(np.ones(len(correlations)))
    largest = np.where(others < 1, others, -1.0).max(axis=1)
    return [math.ceil(share * ROUNDED_TO) if share >= 0 else None for share in largest.tolist()]


def _differences(part: Frame, survey: Survey) -> Matrix:
    """Return the pair differences of some rows of channel 0 where live, centred and clipped; 0 elsewhere."""
    size = survey.square_size
    rows, columns = (side * size for side in survey.live.shape)
    every = max(1, rows * columns // 2 // PAIRS_COMPARED)
    live = survey.live.repeat(size, axis=0).repeat(size // 2, axis=1)[::every].ravel()
    compared = steps_of(part, 0)[:rows:every, :columns].astype(np.int64)
    differences = (compared[:, 1::2] - compared[:, ::2]).ravel().astype(np.float64)
    if not live.any():
        return np.zeros(len(differences))
    middle = np.median(differences[live])
    spread = max(1.0, float(np.median(np.abs(differences[live] - middle))) * MAD_TO_SIGMA)
    return np.where(live, np.clip(differences - middle, -OUTLIER * spread, OUTLIER * spread), 0.0)


def _correlations(values: Matrix) -> Matrix:
    """Return the correlation of each part with each other one where both are live, with two errors; else 0."""
    live = (values != 0).astype(np.float64)
    squares = values**2 @ live.T
    scale = np.sqrt(squares * squares.T)
    correlations = np.abs(values @ values.T) / np.where(scale > 0, scale, 1)
    errors = 1 / np.sqrt(np.maximum(live @ live.T, 1))
    return np.asarray(np.where(correlations > SIGNIFICANT * errors, correlations + 2 * errors, 0.0))


def _together(values: Matrix) -> Matrix:
    """Return which share of the variance of each part all those before it predict.

    Each is taken apart into what lies along those before it and the rest (Gram and Schmidt, on the correlations).
    """
    count = len(values)
    norms = np.sqrt((values**2).sum(axis=1))
    products = (values @ values.T) / np.outer(np.where(norms > 0, norms, 1), np.where(norms > 0, norms, 1))
    along = np.zeros((count, count))
    for part in range(count):
        for other in range(part):
            if along[other, other]:
                rest = products[part, other] - along[part, :other] @ along[other, :other]
                along[part, other] = rest / along[other, other]
        left = 1 - (along[part, :part] ** 2).sum()
        along[part, part] = math.sqrt(left) if left > LEAST_REST else 0.0
    shares = np.asarray((np.tril(along, -1) ** 2).sum(axis=1))
    freedom = np.arange(count)
    pairs = np.maximum((values != 0).sum(axis=1), 1)
    by_chance = (freedom + SIGNIFICANT * np.sqrt(2 * freedom)) / pairs
    return np.where(shares > by_chance, shares + 2 / np.sqrt(pairs), 0.0)


def _turned(sketches: Sequence[Sketch]) -> list[float]:
    """Return the largest share of each part that one before it shows, however it lies."""
    shares = []
    for place, sketch in enumerate(sketches):
        turned = Turned(sketch)
        known = (recollection_of(turned, other, 0).known_parts for other in sketches[:place])
        shares.append(max(known, default=0) / PARTS)
    return shares
