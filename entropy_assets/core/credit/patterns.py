"""Repeats of one sensor or scene in one batch: the pattern that all of them show is credited once.

A share rho of the variance of two frames is pattern, rho being the correlation of their credited differences. Each
sample of the later frame loses ``-0.5 * log2(1 - rho)`` bits; the first frame of each kind keeps its credit.
docs/credit.md argues this. Recipes with a sensor memory compare frames by that (`memory`, `fresh`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from entropy_assets.core.credit.assessment import Assessment, credit_of, rounded_down
from entropy_assets.core.extraction.squares import MAD_TO_SIGMA, steps_of
from entropy_assets.core.extraction.survey import Survey, survey_frame
from entropy_assets.core.frame import Frame
from entropy_assets.recipe import STANDARD, Recipe

Differences = npt.NDArray[np.float64]
Item = TypeVar("Item", bound=np.generic)

PAIRS_COMPARED: Final = 1 << 16
"""About as many pixel pairs of a frame are compared with those of others, in whole rows."""
ROUNDED_TO: Final = 10_000
"""Correlations are rounded up to one part in this, so that the last bit of a sum does not reach the credit."""
OUTLIER: Final = 6.0
"""Differences are clipped at this many of their standard deviations, so that a few bright stars don't decide."""
SIGNIFICANT: Final = 5.0
"""Standard errors beyond which a correlation is believed; of independent noise one in 3 million goes beyond."""


@dataclass(frozen=True, slots=True)
class Derating:
    """What one frame of a batch loses because others show its pattern too.

    Attributes
    ----------
    correlation
        Largest correlation with a frame before it, 0 if none is significant.
    of
        SHA-256 of that frame's file, or None.
    lost_bits
        Bits that each of its samples loses; infinite for the same exposure.
    explanation
        A sentence for the table in the UI.
    """

    correlation: float
    of: str | None
    lost_bits: float
    explanation: str


@dataclass(frozen=True, slots=True, eq=False)
class PatternSketch:
    """What of one frame is compared with the other frames of its batch: whole rows, about a megabyte of them.

    Attributes
    ----------
    image_sha256
        Hash of the file, hex.
    shape
        Channels, rows and columns; only frames of one shape are compared.
    differences
        ``float64[m]``, pair differences of channel 0, centred and clipped; 0 where not live.
    live
        ``bool[m]``, which of them are live.
    """

    image_sha256: str
    shape: tuple[int, ...]
    differences: Differences
    live: npt.NDArray[np.bool_]


def pattern_sketch_of(frame: Frame, survey: Survey) -> PatternSketch:
    """Return what of `frame` is compared with other frames; `survey` is its live-area map."""
    live = _sampled(_live_pairs(survey))
    differences = _differences(frame, live, survey.square_size)
    return PatternSketch(frame.image_sha256, frame.pixels.shape, differences, live)


def pattern_correlation(a: Frame, b: Frame, recipe: Recipe = STANDARD) -> float:
    """Return the correlation of the noise of two frames, pixel by pixel; 0 if their shapes differ.

    About 0 for two exposures of independent noise, 0.17 for flats of one camera, 1 for the same exposure twice.

    Raises
    ------
    ImageRejected
        ``TOO_SMALL`` if a frame has not one square.
    """
    if a.pixels.shape != b.pixels.shape:
        return 0.0
    correlations, _ = _correlations([pattern_sketch_of(frame, survey_frame(frame, recipe)) for frame in (a, b)])
    return float(correlations[0, 1])


def batch_derating(sketches: Sequence[PatternSketch]) -> tuple[Derating, ...]:
    """Return what each frame of a batch loses to those before it, in their order.

    Parameters
    ----------
    sketches
        Of the accepted frames of a batch, in the order in which they are credited.
    """
    deratings = [Derating(0.0, None, 0.0, "no other frame of the batch shows the same pattern")] * len(sketches)
    for shape in {sketch.shape for sketch in sketches}:
        members = [place for place, sketch in enumerate(sketches) if sketch.shape == shape]
        if len(members) > 1:
            for place, derating in zip(members, _derate([sketches[place] for place in members]), strict=True):
                deratings[place] = derating
    return tuple(deratings)


def derated(assessment: Assessment, derating: Derating, recipe: Recipe) -> Assessment:
    """Return `assessment` with the credit that is left after `derating`.

    A credit that a cap limited shrinks by the same share as one that the estimates limited: what the cap leaves is
    spread over the samples, and each of them lost as much.
    """
    if derating.lost_bits == 0 or assessment.credit_bits == 0:
        return assessment
    entropy = rounded_down(max(0.0, assessment.min_entropy - derating.lost_bits), recipe)
    before, after = (credit_of(h, assessment.samples, recipe) for h in (assessment.min_entropy, entropy))
    credit = assessment.credit_bits * after // before
    if credit == assessment.credit_bits:
        return assessment
    return replace(assessment, min_entropy=entropy, credit_bits=credit, limited_by="repeats")


def _derate(sketches: list[PatternSketch]) -> list[Derating]:
    """Return what each of some frames of one shape loses to those before it."""
    correlations, counts = _correlations(sketches)
    errors = 1 / np.sqrt(np.maximum(counts, 1))
    upper = np.ceil(np.minimum(1.0, correlations + 2 * errors) * ROUNDED_TO) / ROUNDED_TO
    believed = np.where(correlations > SIGNIFICANT * errors, upper, 0.0)
    deratings = []
    for place in range(len(sketches)):
        earlier = believed[place, :place]
        if not earlier.any():
            deratings.append(Derating(0.0, None, 0.0, "no frame before it in the batch shows the same pattern"))
            continue
        nearest = int(earlier.argmax())
        deratings.append(_loss(float(earlier[nearest]), sketches[nearest].image_sha256))
    return deratings


def _loss(rho: float, of: str) -> Derating:
    """Return what a frame loses that correlates at `rho` with the image `of`."""
    lost = -0.5 * math.log2(1 - rho) if rho < 1 else math.inf
    explanation = f"{rho:.0%} of its variance is the pattern of image {of[:8]}: {lost:.2f} bits off each sample"
    return Derating(rho, of, lost, explanation)


def _correlations(sketches: list[PatternSketch]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the correlation of each frame with each, and how many pairs both have live."""
    weights = np.stack([sketch.live for sketch in sketches]).astype(np.float64)
    values = np.stack([sketch.differences for sketch in sketches])
    counts = weights @ weights.T
    squares = values**2 @ weights.T
    scale = np.sqrt(squares * squares.T)
    return (values @ values.T) / np.where(scale > 0, scale, 1), counts


def _live_pairs(survey: Survey) -> npt.NDArray[np.bool_]:
    """Return ``bool[ny, nx // 2]`` of the whole squares: which pixel pairs are live."""
    live = survey.live.repeat(survey.square_size, axis=0)
    return live.repeat(survey.square_size // 2, axis=1)


def _sampled(pairs: npt.NDArray[Item]) -> npt.NDArray[Item]:
    """Return every n-th row, flat, so that about `PAIRS_COMPARED` are left."""
    return pairs[:: _every(*pairs.shape)].ravel()


def _every(rows: int, pairs_per_row: int) -> int:
    """Return n: of every n-th row all pairs are compared."""
    return max(1, rows * pairs_per_row // PAIRS_COMPARED)


def _differences(frame: Frame, live: npt.NDArray[np.bool_], square_size: int) -> Differences:
    """Return the pair differences of channel 0 where live, centred and clipped; 0 elsewhere."""
    rows, columns = (side // square_size * square_size for side in frame.shape)
    compared = steps_of(frame, 0)[: rows : _every(rows, columns // 2), :columns].astype(np.int64)
    differences = (compared[:, 1::2] - compared[:, ::2]).ravel().astype(np.float64)
    if not live.any():
        return np.zeros(len(differences))
    middle = np.median(differences[live])
    spread = max(1.0, float(np.median(np.abs(differences[live] - middle))) * MAD_TO_SIGMA)
    return np.where(live, np.clip(differences - middle, -OUTLIER * spread, OUTLIER * spread), 0.0)
