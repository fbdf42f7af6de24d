"""What was kept of the noise of a batch: its worth, its samples, its maps, and what became of each file.

It loads no decoder of images, so whoever only reads a batch need not.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from entropy_assets.core.conditioning.conditioner import NoiseInput
from entropy_assets.core.credit.assessment import expected_entropy
from entropy_assets.core.credit.elsewhere.recollection import Recollection
from entropy_assets.core.credit.fresh import SeenPart
from entropy_assets.core.extraction.noise import credited_samples, noise_digest
from entropy_assets.core.sp800_90b.health_tests import HealthReport, run_health_tests
from entropy_assets.errors import BatchError
from entropy_assets.recipe import recipe_named
from entropy_assets.stages.manifest import Manifest
from entropy_assets.stores.batches import NOISE, Batch, live_map_of, samples_of
from entropy_assets.stores.file_names import printable, safe_name
from entropy_assets.stores.inboxes.bucket import Inbox


class AssessmentRow(TypedDict, total=False):
    """`Assessment.to_row`; empty if nothing was assessed.

    ``repeats`` and ``memory`` tell what images before it show of its noise, in words and as `memory_row`.
    """

    min_entropy: float
    estimates: dict[str, float]
    symbol_bits: int
    samples: int
    assessed_samples: int
    credit_bits: int
    caps: dict[str, float]
    limited_by: str
    health: list[dict[str, Any]]
    repeats: str
    memory: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseRow:
    """What the noise of one image is worth; its texts are printable.

    Attributes
    ----------
    samples
        Credited samples (differences of pixel pairs of one channel).
    min_entropy
        Assessed min-entropy, bits per sample, after caps.
    credit_bits
        Min-entropy that the image contributes, bits.
    """

    file: str
    image_sha256: str
    accepted: bool
    reason: str | None = None
    detail: str | None = None
    nonce: str | None = None
    noise_sha256: str | None = None
    regions: int = 0
    samples: int = 0
    min_entropy: float = 0.0
    credit_bits: int = 0
    live_fraction: float = 0.0
    assessment: AssessmentRow = dataclasses.field(default_factory=AssessmentRow)

    def __post_init__(self) -> None:
        object.__setattr__(self, "file", safe_name(self.file))
        if self.detail is not None:
            object.__setattr__(self, "detail", printable(self.detail))


def memory_row(seen: Sequence[SeenPart]) -> dict[str, Any]:
    """Return what is remembered of a frame as JSON-able values: of a file with several, that of each part."""
    if seen[0].sketch.part is None:
        return seen[0].recollection.to_row()
    return {"parts": [{"part": part.place, **part.recollection.to_row()} for part in seen]}


def recollections_of_row(told: Mapping[str, Any]) -> list[Recollection]:
    """Return what is remembered of each part, from what `memory_row` gave."""
    rows = [{name: value for name, value in row.items() if name != "part"} for row in told.get("parts", [told])]
    return [Recollection.from_row(row) for row in rows]


def noise_rows(batch: Batch) -> tuple[NoiseRow, ...]:
    """Return what the noise of the batch's images is worth."""
    return tuple(NoiseRow(**row) for row in batch.read_json(NOISE)["rows"])


def computed_by(batch: Batch) -> dict[str, int]:
    """Return what computed the noise of the batch, as ``"numpy 2.4.6, cpu"``, and of how many images."""
    told: dict[str, int] = batch.read_json(NOISE).get("computed_by", {})
    return told


def live_maps(batch: Batch) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield the name of each image and the map of its live area: `Verdict` per square."""
    for row in noise_rows(batch):
        if batch.has(live_map := live_map_of(row.image_sha256)):
            yield row.file, batch.read_array(live_map)


def credits(batch: Batch) -> dict[str, int]:
    """Return the credit of each accepted image of the batch, bits."""
    return {row.file: row.credit_bits for row in noise_rows(batch) if row.accepted}


def noise_inputs(batch: Batch) -> list[NoiseInput]:
    """Return the stored noise of the accepted images, in the order of the manifest.

    Raises
    ------
    BatchError
        If noise is missing, or is not the noise that was assessed.
    """
    inputs = []
    for row in noise_rows(batch):
        if not row.accepted:
            continue
        samples = batch.read_array(samples_of(row.image_sha256))
        if noise_digest(samples) != row.noise_sha256:
            raise BatchError(f"the noise of {row.file!r} is not the noise that was assessed", batch=batch.key)
        inputs.append(NoiseInput(row.image_sha256, row.noise_sha256, samples, row.credit_bits))
    return inputs


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file of the batch."""

    file: str
    accepted: bool
    reason: str | None
    detail: str | None


def outcomes(batch: Batch) -> Iterator[Outcome]:
    """Yield what became of each file, in the order of the batch: the first reason that stopped it, if any."""
    noise = iter(noise_rows(batch))
    for seen in Manifest.of(batch).rows:
        row = next(noise) if seen.accepted else seen
        yield Outcome(row.file, row.accepted, row.reason, row.detail)


def settle(batch: Batch, inbox: Inbox) -> None:
    """Move the files of `batch` from where `inbox` has them as taken to where processed and rejected ones stay.

    What this inbox does not have is left: the batch came another way, or another machine has its inbox.
    """
    for outcome in outcomes(batch):
        with suppress(FileNotFoundError):
            inbox.settle(batch.key, outcome.file, outcome.accepted, outcome.reason, outcome.detail)


def health_again(batch: Batch) -> list[tuple[str, HealthReport]]:
    """Run the health tests again on the stored noise of every credited image, expecting what they expected before.

    Raises
    ------
    BatchError
        If noise is missing, or is not the noise that was assessed.
    """
    recipe = recipe_named(batch.intake.recipe)
    rows = {row.image_sha256: row for row in noise_rows(batch) if row.accepted}
    seen = {row.image_sha256: row for row in Manifest.of(batch).rows}
    reports = []
    for noise in noise_inputs(batch):
        row = rows[noise.image_sha256]
        bits = row.assessment["symbol_bits"]
        image = seen[noise.image_sha256]
        channels = image.channels or 1
        expected = expected_entropy(row.assessment["estimates"], (image.source or "", batch.intake.source), recipe)
        for channel in range(channels):
            drawn_across = recipe.draw_size // recipe.region_size
            samples = credited_samples(noise.samples, channel, channels, recipe.region_size**2 // 2, drawn_across)
            report = run_health_tests(
                samples & np.uint8((1 << bits) - 1),
                expected,
                alpha_bits=recipe.health_alpha_bits,
                binary=bits == 1,
            )
            reports.append((row.file, report))
    return reports
