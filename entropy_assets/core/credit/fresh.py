"""What is fresh in a frame whose noise is partly known: the credit that its sensor memory leaves it.

A frame of which the share `known` of the variance is a known pattern holds fresh noise of ``sigma * sqrt(1 - known)``.
Its pair differences have at most the min-entropy of that noise, however rich the whole looks to an estimator that
doesn't know the pattern. docs/credit.md argues this.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

from entropy_assets.core.credit.assessment import Assessment, credit_of, rounded_down
from entropy_assets.core.credit.gaussian import PHASES, pair_entropy
from entropy_assets.core.credit.memory import PARTS, Recollection
from entropy_assets.core.credit.photon_transfer import LIMITS
from entropy_assets.core.credit.sketches import Sketch
from entropy_assets.recipe import Recipe

MOSTLY: Final = 0.5
"""Share of a frame that lies otherwise from which on it counts as a copy."""


def known_entropy(
    assessment: Assessment, sigma: float, cell_pixels: Sequence[int], recollection: Recollection, recipe: Recipe
) -> tuple[float, str]:
    """Return what the memory leaves of a sample, bits, and what decides.

    It is ``repeats``, and for the first frame of a sensor ``sole_frame`` or ``photon_transfer``.
    The noise is taken for Gaussian, less the share by which the estimators found the whole poorer than that.
    """
    least = min(assessment.estimates.values())
    ideal = min(pair_entropy(sigma), float(assessment.symbol_bits))
    poorer = min(1.0, least / ideal) if ideal else 1.0
    shown = _beside(recollection, sigma, least, cell_pixels) * poorer if recollection.known_parts else math.inf
    assumed = recipe.sole_known_parts / PARTS
    alone = math.inf if recollection.frames else pair_entropy(sigma * math.sqrt(1 - assumed), PHASES)
    by_light = math.inf if recollection.frames else assessment.caps.get("photon_transfer_alone", math.inf)
    return min((shown, "repeats"), (alone, "sole_frame"), (by_light, "photon_transfer"))


def _beside(recollection: Recollection, sigma: float, whole: float, cell_pixels: Sequence[int]) -> float:
    """Return the min-entropy of a difference whose frame is partly shown by another one, bits; of the whole, `whole`.

    Where both lie alike a share of the variance of each cell is known. Else it may be a share of the area as well, of
    which nothing is left; and from `MOSTLY` on all of it counts as known: parts of a copy that are too small to be
    found are copied all the same.
    """
    if recollection.cells:
        left = [pair_entropy(sigma * math.sqrt(1 - parts / PARTS)) for parts in recollection.cells]
        return math.fsum(bits * pixels for bits, pixels in zip(left, cell_pixels, strict=True)) / sum(cell_pixels)
    share = recollection.known_parts / PARTS
    return min(pair_entropy(sigma * math.sqrt(1 - share)), whole * (1 - share)) if share < MOSTLY else 0.0


def remembered(assessment: Assessment, sketch: Sketch, recollection: Recollection, recipe: Recipe) -> Assessment:
    """Return `assessment` with the credit that is left once `recollection` is known.

    A credit that a cap limited shrinks by the same share as one that the estimates limited: what the cap leaves is
    spread over the samples, and each of them lost as much.

    Parameters
    ----------
    sketch
        Of the frame.
    """
    entropy, reason = known_entropy(assessment, sketch.sigma, sketch.cell_pixels, recollection, recipe)
    if assessment.credit_bits == 0 or entropy >= assessment.min_entropy:
        return assessment
    entropy = rounded_down(entropy, recipe)
    before, after = (credit_of(h, assessment.samples, recipe) for h in (assessment.min_entropy, entropy))
    credit = assessment.credit_bits * after // before
    return dataclasses.replace(
        assessment,
        min_entropy=entropy,
        credit_bits=credit,
        limited_by=reason if credit < assessment.credit_bits else assessment.limited_by,
    )


def explained(recollection: Recollection, limited_by: str) -> str:
    """Return in a sentence what is known of a frame besides itself; `limited_by` is what decided in the end."""
    told = _recollected(recollection, limited_by)
    return f"{told}; {LIMITS[limited_by]}" if limited_by in LIMITS else told


def _recollected(recollection: Recollection, limited_by: str) -> str:
    if recollection.of is not None:
        share = recollection.known_parts / PARTS
        return f"{share:.0%} of its noise is shown by image {recollection.of[:8]}{_lying(recollection)}"
    if recollection.frames:
        return f"none of the earlier frames shows its pattern, {recollection.frames} of them of the same sensor"
    if limited_by == "sole_frame":
        return (
            "the first frame of its sensor: how much of its noise is fixed pattern can't be told, so most is taken for"
            " known; the next frame will tell"
        )
    return "the first frame of its sensor"


def _lying(recollection: Recollection) -> str:
    """Return in words how a frame lies on the one that it is like; nothing if it lies as that one does."""
    way, shift = recollection.orientation, recollection.shift
    words = ["mirrored"] * (way >= 4) + [f"turned by {90 * (way % 4)} degrees"] * (way % 4 > 0)
    words += [f"shifted by {shift[0]} and {shift[1]} pixels modulo 128"] * (shift != (0, 0))
    return f", {', '.join(words)}" if words else ""
