"""What is fresh in a frame whose noise is partly known: the credit that its sensor memory leaves it.

Each part of a frame is seen by itself, and all of them are credited what the worst of them is. docs/credit.md argues
for it.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from entropy_assets.core.credit.assessment import CAPS_OF_SAMPLES, Assessment, credit_of, rounded_down
from entropy_assets.core.credit.elsewhere.kinds import TOLD, Made
from entropy_assets.core.credit.elsewhere.recollection import Recollection
from entropy_assets.core.credit.gaussian import (
    PHASES,
    first_frame_entropy,
    left_beside,
    pair_entropy,
    poorer_than_gaussian,
)
from entropy_assets.core.credit.memory import PARTS
from entropy_assets.core.credit.photon_transfer import LIMITS
from entropy_assets.core.credit.shared_parts import CreditedPart, best_together
from entropy_assets.core.credit.sketches import Sketch
from entropy_assets.recipe import Recipe

MOSTLY: Final = 0.5
"""Share of a frame that lies otherwise, or is shown by several together, from which on it counts as a copy."""


def known_entropy(
    least: float, symbol_bits: int, sketch: Sketch, recollection: Recollection, alone: Sequence[tuple[float, str]]
) -> tuple[float, str]:
    """Return what the memory leaves of a sample, bits, and what decides.

    It is ``repeats``, and for the first frame of a sensor ``sole_frame``, ``photon_transfer`` or ``coarse_steps``.
    The noise is taken for Gaussian, less the share by which the estimators found the whole poorer than that.

    Parameters
    ----------
    least, symbol_bits
        The least estimate of the samples, bits, and how many bits of each were assessed.
    sketch
        Of the frame or part.
    alone
        What a sample is worth at most as long as its pattern isn't known, bits, and why; nothing if it is.
    """
    shown = math.inf
    if recollection.known_parts:
        left = _beside(recollection, sketch.sigma, least, sketch.cell_pixels)
        shown = left * poorer_than_gaussian(least, sketch.sigma, symbol_bits)
    return min([(shown, "repeats"), *alone])


def _beside(recollection: Recollection, sigma: float, whole: float, cell_pixels: Sequence[int]) -> float:
    """Return the min-entropy of a difference whose frame is partly shown by another one, bits; of the whole, `whole`.

    Where both lie alike a share of the variance of each cell is known. Else it may be a share of the area as well, of
    which nothing is left; and from `MOSTLY` on all of it counts as known: parts of a copy that are too small to be
    found are copied all the same. So it is with what several frames show together: squares that are masked in some of
    them spoil the fit, though who computed the frame from them knows these too.
    """
    if recollection.together and recollection.known_parts >= MOSTLY * PARTS:
        return 0.0
    if recollection.cells:
        left = [pair_entropy(sigma * math.sqrt(1 - parts / PARTS)) for parts in recollection.cells]
        return math.fsum(bits * pixels for bits, pixels in zip(left, cell_pixels, strict=True)) / sum(cell_pixels)
    share = recollection.known_parts / PARTS
    return min(pair_entropy(sigma * math.sqrt(1 - share)), whole * (1 - share)) if share < MOSTLY else 0.0


class SeenPart(NamedTuple):
    """A part of a frame that is credited, or a whole frame, and what was seen before it.

    Attributes
    ----------
    place, sketch, known_share, pattern_parts
        As of the `CreditedPart`.
    recollection
        What is remembered of it.
    same_file
        Parts of its file among the frames that are remembered before it.
    left_parts
        Least `Recollection.left_parts` of all parts of its file; None if none has one.
    """

    place: int
    sketch: Sketch
    recollection: Recollection
    same_file: int = 0
    known_share: float = 0.0
    pattern_parts: int | None = None
    left_parts: int | None = None


def seen_parts(parts: Sequence[CreditedPart], recollections: Sequence[Recollection]) -> list[SeenPart]:
    """Return the parts of a frame, in their order, beside what was seen before each.

    That fresh noise takes a few values only is seen at a part by one before it, and holds for both.
    """
    least = min((found.left_parts for found in recollections if found.left_parts is not None), default=None)
    return [
        SeenPart(part.place, part.sketch, found, before, part.known_share, part.pattern_parts, least)
        for before, (part, found) in enumerate(zip(parts, recollections, strict=True))
        if part.sketch
    ]


def remembered(assessment: Assessment, seen: Sequence[SeenPart], recipe: Recipe) -> Assessment:
    """Return `assessment` with the credit that is left beside what was seen before: that of the worst part.

    A credit that a cap limited shrinks by the same share as one that the estimates limited: what the cap leaves is
    spread over the samples, and each of them lost as much.

    Parameters
    ----------
    seen
        The parts that are credited, or the whole frame.
    """
    entropy, reason = min(_known(assessment, each, recipe) for each in seen)
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


def worth_keeping(assessment: Assessment, seen: Sequence[SeenPart], recipe: Recipe) -> tuple[int, ...]:
    """Return the places of the parts that are worth most together, beside what was seen before."""
    if len(seen) < 2:
        return tuple(part.place for part in seen)
    most = min(assessment.caps.get(name, math.inf) for name in CAPS_OF_SAMPLES)
    worth = [min(most, _known(assessment, part, recipe)[0], _of_file(assessment, part)) for part in seen]
    pixels = [part.sketch.live_pixels for part in seen]
    return tuple(seen[n].place for n in best_together([math.floor(max(0.0, bits) * PARTS) for bits in worth], pixels))


def _of_file(assessment: Assessment, seen: SeenPart) -> float:
    """Return what the parts before it in its file leave of a sample, bits."""
    least = assessment.of_parts[seen.place]
    return left_beside(least, seen.sketch.sigma, assessment.symbol_bits, seen.known_share)


def _known(assessment: Assessment, seen: SeenPart, recipe: Recipe) -> tuple[float, str]:
    """Return what the memory leaves of a sample of a part, and what decides."""
    least = assessment.of_parts.get(seen.place, min(assessment.estimates.values()))
    # Parts before it in its file are of the same sensor, but perhaps of other pixels of it.
    is_sole = seen.recollection.frames <= seen.same_file
    alone = _alone(assessment, seen, recipe) if is_sole else []
    known = known_entropy(least, assessment.symbol_bits, seen.sketch, seen.recollection, alone)
    return known if seen.left_parts is None else min(known, (seen.left_parts / PARTS, "repeats"))


def _alone(assessment: Assessment, seen: SeenPart, recipe: Recipe) -> list[tuple[float, str]]:
    """Return what a sample of a sensor's first frame is worth at most, bits, and why.

    If its file has another exposure of the same pixels, no more is taken for known than that one shows.
    """
    sigma, known = seen.sketch.sigma, recipe.sole_known_parts / PARTS
    assumed = first_frame_entropy(sigma, known, recipe.sole_pattern, recipe.safety_factor)
    if seen.pattern_parts is not None:
        shown = pair_entropy(sigma * math.sqrt(1 - seen.pattern_parts / PARTS), PHASES)
        return [(max(assumed, shown), "sole_frame")]
    caps = [(assessment.caps.get(f"{name}_alone", math.inf), name) for name in ("photon_transfer", "coarse_steps")]
    return [(assumed, "sole_frame"), *caps]


def explained(seen: Sequence[SeenPart], limited_by: str) -> str:
    """Return in a sentence what is known of a frame besides itself; `limited_by` is what decided in the end."""
    told = _recollected(seen, limited_by)
    return f"{told}; {LIMITS[limited_by]}" if limited_by in LIMITS else told


def _recollected(seen: Sequence[SeenPart], limited_by: str) -> str:
    most = max(seen, key=lambda part: part.recollection.known_parts)
    found, several = most.recollection, most.sketch.part is not None
    if found.of is not None:
        noise = f"the noise of its part {most.place}" if several else "its noise"
        named = f"{_named(found.of, most.sketch)}{_others(len(found.together))}{_lying(found)}"
        return f"{found.known_parts / PARTS:.0%} of {noise} is shown by {named}"
    if before := seen[0].recollection.frames:
        return f"none of the earlier frames shows its pattern, {before} of them of the same sensor"
    first = f"the first {f'{len(seen)} frames' if len(seen) > 1 else 'frame'} of its sensor"
    if limited_by == "sole_frame":
        return (
            f"{first}: how much of its noise is fixed pattern can't be told, so most is taken for known; the next"
            f" {'file' if several else 'frame'} will tell"
        )
    return first


def _named(name: str, sketch: Sketch) -> str:
    """Return in words which frame is called `name`, seen from the frame of `sketch`."""
    image, _, place = name.partition("/")
    if image == sketch.image_sha256:
        return f"its part {place}"
    return f"{f'part {place} of ' if place else ''}image {image[:8]}"


def _others(count: int) -> str:
    """Return in words how many further frames show something; nothing if there are none."""
    return f" and {count} other{'s' if count > 1 else ''} together" if count else ""


def _lying(recollection: Recollection) -> str:
    """Return in words how a frame lies on the one that it is like; nothing if it lies as that one does."""
    way, shift = recollection.orientation, recollection.shift
    words = ["mirrored"] * (way >= 4) + [f"turned by {90 * (way % 4)} degrees"] * (way % 4 > 0)
    words += [f"shifted by {shift[0]} and {shift[1]} pixels modulo 128"] * (shift != (0, 0))
    words += [TOLD[Made(recollection.made)]] if recollection.made else []
    return f", {', '.join(words)}" if words else ""
