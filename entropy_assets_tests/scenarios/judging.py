"""What the product credits a scenario, and what it may: the one place where both meet."""

import math
from dataclasses import dataclass

from entropy_assets.core.credit.assessment import AssessedImage, Assessment, assess_image
from entropy_assets.core.credit.fresh import remembered
from entropy_assets.core.credit.memory import Recollection, Remembered, SensorMemory, index_of
from entropy_assets.core.credit.sketches import Sketch, sketch_of
from entropy_assets.core.extraction.noise import NoiseArray, deterministic_nonce
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
        return self.credit / self.bound if self.credit else 0.0


def region_bits(noise: NoiseArray, truth: Truth, region_size: int) -> float:
    """Return B of one image: the bits of the pixels in its credited regions, all of which the hash takes in."""
    ny, nx = (side // region_size for side in truth.pixel_bits.shape)
    whole = truth.pixel_bits[: ny * region_size, : nx * region_size]
    by_region = whole.reshape(ny, region_size, nx, region_size).sum(axis=(1, 3))
    y, x = (noise.regions // region_size).T
    return float(by_region[y, x].sum())


def judge(scenario: Scenario, source: str, recipe: Recipe = STANDARD) -> Judgement:
    """Return what the files of `scenario` are credited that were declared as `source`, after those spent before."""
    memory = Memory(recipe)
    outcome: list[str] = []
    credit, regions = 0, 0.0
    for data in scenario.earlier:
        memory.spend(*assessed(data, source, recipe))
    for exposure in scenario.exposures:
        try:
            frame, image = assessed(exposure.data, source, recipe)
        except ImageRejected as rejection:
            outcome.append(refusal(rejection))
            continue
        left = memory.spend(frame, image)
        outcome.append(left.limited_by)
        if left.credit_bits >= recipe.min_credit_bits:
            credit += left.credit_bits
            regions += region_bits(image.noise, exposure.truth, recipe.region_size)
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
        self._sketches[sketch.image_sha256] = sketch
        self._memory.add(Remembered(sketch.image_sha256, sketch.sensor, sketch.live_pixels, index_of(sketch)))
        return found

    def spend(self, frame: Frame, image: AssessedImage) -> Assessment:
        """Return what is left of `image` beside the frames before it, and remember it."""
        sketch = sketch_of(frame, image.noise.survey)
        return remembered(image.assessment, sketch, self.recollect(sketch), self._recipe)


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
