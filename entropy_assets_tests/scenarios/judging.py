"""What the product credits a scenario, and what it may: the one place where both meet."""

import math
from contextlib import suppress
from dataclasses import dataclass

from entropy_assets.core.credit.assessment import AssessedImage, Assessment, assess_image
from entropy_assets.core.credit.elsewhere.recollection import Recollection
from entropy_assets.core.credit.fresh import remembered, seen_parts, worth_keeping
from entropy_assets.core.credit.memory import Remembered, SensorMemory, lookup_of
from entropy_assets.core.credit.shared_parts import CreditedPart
from entropy_assets.core.credit.sketches import Sketch, sketch_of
from entropy_assets.core.extraction.noise import NoiseArray, deterministic_nonce
from entropy_assets.core.extraction.phases import laid_out
from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageRejected
from entropy_assets.images.decode import decode
from entropy_assets.recipe import STANDARD, Recipe
from entropy_assets_tests.scenarios.scenario import Scenario, Truth


@dataclass(frozen=True, slots=True)
class Judgement:
    """The credit of a scenario beside the truth, bits.

    Attributes
    ----------
    credit
        Of all its files.
    regions
        B: what the pixels of the credited regions hold; infinite where only `holds` is known.
    holds
        What the seed, the spectrum or the stream behind all files holds; infinite if nothing bounds it.
    outcome
        What limited the credit of each file, or why it was refused; each once, in order.
    """

    credit: int
    regions: float
    holds: float
    outcome: tuple[str, ...]

    @property
    def bound(self) -> float:
        """Return the most that may be credited, bits."""
        return min(self.regions, self.holds)

    @property
    def ratio(self) -> float:
        """Return credit over bound: above 1 is a fault."""
        if not self.credit:
            return 0.0
        return self.credit / self.bound if self.bound else math.inf


def region_bits(noise: NoiseArray, truth: Truth, region_size: int, mosaic: int) -> float:
    """Return B of one image: the bits of the pixels in its credited regions, all of which the hash takes in."""
    pixel_bits = laid_out(truth.pixel_bits, mosaic, noise.survey.square_size)
    ny, nx = (side // region_size for side in pixel_bits.shape)
    whole = pixel_bits[: ny * region_size, : nx * region_size]
    by_region = whole.reshape(ny, region_size, nx, region_size).sum(axis=(1, 3))
    y, x = (noise.regions // region_size).T
    return float(by_region[y, x].sum())


def judge(scenario: Scenario, source: str, recipe: Recipe = STANDARD) -> Judgement:
    """Return what the files of `scenario` are credited that were declared as `source`, after those spent before."""
    memory = Memory(recipe)
    outcome: list[str] = []
    credit, regions = 0, 0.0
    for data in scenario.earlier:
        with suppress(ImageRejected):  # what is refused is not remembered
            memory.spend(*assessed(data, source, recipe))
    for exposure in scenario.exposures:
        try:
            frame, image = assessed(exposure.data, source, recipe)
        except ImageRejected as rejection:
            outcome.append(refusal(rejection))
            continue
        image, left = memory.spend_parts(frame, image)
        outcome.append(left.limited_by)
        if left.credit_bits >= recipe.min_credit_bits:
            credit += left.credit_bits
            regions += region_bits(image.noise, exposure.truth, recipe.region_size, frame.mosaic)
    return Judgement(credit, regions, scenario.holds, tuple(dict.fromkeys(outcome)))


def assessed(data: bytes, source: str, recipe: Recipe = STANDARD) -> tuple[Frame, AssessedImage]:
    """Return the frame in `data` and what it is worth by itself."""
    frame = decode(data, source=source, reading=recipe.reading)
    return frame, assess_image(frame, deterministic_nonce(frame.image_sha256), recipe, submitter=source)


class Memory:
    """A sensor memory with its sketches, as an installation has it."""

    def __init__(self, recipe: Recipe = STANDARD) -> None:
        self._recipe = recipe
        self._memory = SensorMemory(recipe.remembered_frames)
        self._sketches: dict[str, Sketch] = {}

    def recollect(self, sketch: Sketch) -> Recollection:
        """Return what was shown of a frame before, and remember it."""
        found = self._memory.recollect(sketch, lambda names: [self._sketches[name] for name in names])
        self._sketches[sketch.name] = sketch
        self._memory.add(Remembered(sketch.name, sketch.sensor, sketch.live_pixels, lookup_of(sketch)))
        return found

    def spend(self, frame: Frame, image: AssessedImage) -> Assessment:
        """Return what is left of `image` beside the frames before it, and remember it."""
        return self.spend_parts(frame, image)[1]

    def spend_parts(self, frame: Frame, image: AssessedImage) -> tuple[AssessedImage, Assessment]:
        """Return the same, and the image once more with the parts alone that are worth it beside those before it."""
        parts = image.parts or (CreditedPart(0, sketch_of(frame, image.noise.survey)),)
        seen = seen_parts(parts, [self.recollect(part.sketch) for part in parts if part.sketch])
        kept = worth_keeping(image.assessment, seen, self._recipe)
        if len(kept) < len(seen):
            nonce, submitter = image.noise.nonce, frame.source
            image = assess_image(frame, nonce, self._recipe, submitter=submitter, among=kept)
        left = remembered(image.assessment, [part for part in seen if part.place in kept], self._recipe)
        return image, left


def refusal(rejection: ImageRejected) -> str:
    """Return why an image was refused, and what limited it if it was assessed."""
    limited_by = rejection.data.get("assessment", {}).get("limited_by")
    return f"refused: {limited_by or rejection.reason.value}"


def whole_bits(scenario: Scenario) -> float:
    """Return the most that the files hold in all, credited regions or not, bits."""
    return min(sum(float(exposure.truth.pixel_bits.sum()) for exposure in scenario.exposures), scenario.holds)


def pair_bits(scenario: Scenario) -> float | None:
    """Return A: the mean min-entropy of a credited difference, bits; None where it has no meaning."""
    pairs = [exposure.truth.pair_bits for exposure in scenario.exposures]
    known = [bits for bits in pairs if bits is not None and math.isfinite(bits)]
    return sum(known) / len(known) if known and len(known) == len(pairs) else None
