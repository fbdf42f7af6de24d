"""The frames that were spent lately, by source and sensor, and their raw noise in the order of the sensor."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.credit.estimates import in_raster_order
from entropy_assets.core.extraction.noise import drawn_regions, noise_digest, planes_of
from entropy_assets.core.extraction.squares import Verdict
from entropy_assets.errors import BatchError, RecipeUnknown
from entropy_assets.recipe import Recipe, recipe_named
from entropy_assets.stages.assessments import NoiseRow, noise_rows
from entropy_assets.stages.manifest import ImageRow, Manifest
from entropy_assets.stages.state import Stage, naming_damage, stage_of
from entropy_assets.stores.batches import BLOCKS, Batch, BatchStore, live_map_of, samples_of
from entropy_assets.stores.file_names import printable
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.sketches import SketchShelf

Samples = npt.NDArray[np.uint8]

SQUARES: Final = 2
"""Live squares that frames must have in common for a matrix: they hold a thousand pixel pairs."""


@dataclass(frozen=True)
class SpentFrame:
    """One frame that was credited, and where its noise is kept.

    Attributes
    ----------
    batch, row
        Its batch, and what its noise was found to be worth.
    source, sensor
        Where it was declared to come from, and which sensor it is taken for.
    channels
        Channels of its pixels.
    """

    batch: Batch
    row: NoiseRow
    source: str
    sensor: str
    channels: int

    @property
    def symbol_bits(self) -> int:
        """Low bits of each sample that were assessed and credited."""
        return self.row.assessment["symbol_bits"]

    @property
    def credited(self) -> float:
        """What it was credited, bits per sample."""
        return self.row.credit_bits / self.row.samples

    @property
    def claim(self) -> float:
        """H_submitter: what its source vouches for, and its file's own words leave of that, bits per sample."""
        caps = self.row.assessment["caps"]
        return min(caps[name] for name in ("claim", "statement") if name in caps)

    @property
    def stored_bytes(self) -> int:
        """Length of its noise array as it is kept, bytes; 0 if it is gone."""
        kept = self.batch.find(samples_of(self.row.image_sha256))
        return 0 if kept is None else kept.size

    @cached_property
    def live(self) -> npt.NDArray[np.bool_]:
        """``bool[sy, sx]``: which of its squares are live."""
        live: npt.NDArray[np.bool_] = self.batch.read_array(live_map_of(self.row.image_sha256)) == Verdict.LIVE
        return live

    @property
    def regions(self) -> npt.NDArray[np.int32]:
        """``int32[region, 2]``: where its regions lie, in draw order."""
        nonce = bytes.fromhex(self.row.nonce or "")
        return drawn_regions(self.live, self.recipe.survey_size, nonce, self.recipe)

    @property
    def recipe(self) -> Recipe:
        """The recipe of its batch."""
        return recipe_named(self.batch.intake.recipe)

    def pairs(self) -> list[Samples]:
        """Return the credited low bits of each channel, ``uint8[region, pair]``, after their hash was checked.

        Raises
        ------
        BatchError
            If the noise is missing, or is not the noise that was assessed.
        """
        samples = self.batch.read_array(samples_of(self.row.image_sha256))
        if noise_digest(samples) != self.row.noise_sha256:
            raise BatchError(f"the noise of {self.row.file!r} is not the noise that was assessed", batch=self.batch.key)
        per_region = self.recipe.region_size**2 // 2
        width = samples.shape[1] // planes_of(self.channels)
        low = np.uint8((1 << self.symbol_bits) - 1)
        return [samples[:, start : start + per_region] & low for start in range(0, self.channels * width, width)]

    def in_order(self, count: int) -> list[Samples]:
        """Return the first `count` samples of each channel in raster order, or all if there are fewer.

        Raises
        ------
        BatchError
            As of `pairs`.
        """
        regions = self.regions
        return [in_raster_order(pairs, regions, count) for pairs in self.pairs()]

    def line(self, squares: npt.NDArray[np.bool_], columns: int) -> Samples:
        """Return the samples of the first `columns` pixel pairs that lie in `squares`, region by region.

        Raises
        ------
        BatchError
            As of `pairs`.
        """
        regions, pairs = self.regions, self.pairs()[0]
        top, left = (regions // self.recipe.survey_size).T
        within = np.flatnonzero(squares[top, left])
        ordered = within[np.lexsort((regions[within, 1], regions[within, 0]))]
        return pairs[ordered[: math.ceil(columns / pairs.shape[1])]].reshape(-1)[:columns]


Sensor = tuple[str, str]
"""Source and sensor."""


def spent_lately(
    batches: BatchStore, ledger: Ledger, most_batches: int, most_frames: int
) -> dict[Sensor, list[SpentFrame]]:
    """Return the frames of the newest batches, newest first, by source and sensor; the sensor used last comes first.

    A batch whose files are damaged is left out: what stands still because of that, others tell.

    Parameters
    ----------
    most_batches
        Batches that are looked at, the newest.
    most_frames
        Frames of one sensor.
    """
    found: dict[Sensor, list[SpentFrame]] = {}
    shelf = SketchShelf(ledger)
    for batch in batches.newest(most_batches):
        for frame in _frames_of(batch, shelf):
            frames = found.setdefault((frame.source, frame.sensor), [])
            if len(frames) < most_frames:
                frames.append(frame)
    return found


def _frames_of(batch: Batch, shelf: SketchShelf) -> Sequence[SpentFrame]:
    """Return the credited frames of a batch, the last first; none if its noise is not assessed yet, damaged or gone."""
    stage = stage_of(batch)
    if stage < Stage.ASSESSED or (stage >= Stage.HASHED and not batch.has(BLOCKS)):
        return []  # who removes noise removes the blocks first
    try:
        with naming_damage(batch):
            recipe_named(batch.intake.recipe)
            credited = [row for row in noise_rows(batch) if row.accepted and row.samples]
            seen = {row.image_sha256: row for row in Manifest.of(batch).rows}
            sensors = shelf.sensor_of([row.image_sha256 for row in credited])
            frames = [_frame(batch, row, seen[row.image_sha256], sensors.get(row.image_sha256)) for row in credited]
    except (BatchError, RecipeUnknown):
        return []
    return frames[::-1]


def _frame(batch: Batch, row: NoiseRow, image: ImageRow, sensor: str | None) -> SpentFrame:
    # an older recipe keeps no sketch, which says what sensor it was
    sensor = sensor or f"{image.width}x{image.height}"
    return SpentFrame(batch, row, batch.intake.source, printable(sensor), image.channels or 1)


def in_common(frames: Iterable[SpentFrame]) -> tuple[list[SpentFrame], npt.NDArray[np.bool_]]:
    """Return those of `frames` that have two live squares in common, and which squares; the first come first.

    A frame that would leave fewer squares is left out, as is one of another shape or recipe.
    """
    kept: list[SpentFrame] = []
    common: npt.NDArray[np.bool_] = np.zeros((0, 0), dtype=np.bool_)
    for frame in frames:
        if kept and (frame.live.shape, frame.recipe) != (common.shape, kept[0].recipe):
            continue
        left = frame.live & common if kept else frame.live
        if np.count_nonzero(left) >= SQUARES:
            kept.append(frame)
            common = left
    return kept, common


def shares(lengths: Sequence[int], wanted: int) -> list[int]:
    """Return how many samples to take of each frame for `wanted` together: equally many where there are so many."""
    taken = [0] * len(lengths)
    left = wanted
    for done, place in enumerate(sorted(range(len(lengths)), key=lengths.__getitem__)):
        taken[place] = min(lengths[place], math.ceil(left / (len(lengths) - done)))
        left -= taken[place]
    return taken


def glued(frames: Sequence[SpentFrame], wanted: int) -> Iterator[Samples]:
    """Yield each channel of `frames` glued together, the oldest first: consecutive samples of each, `wanted` in all."""
    ordered = frames[::-1]
    counts = shares([frame.row.samples for frame in ordered], wanted)
    parts = [frame.in_order(count) for frame, count in zip(ordered, counts, strict=True) if count]
    for channel in range(min(map(len, parts), default=0)):
        yield np.concatenate([part[channel] for part in parts])
