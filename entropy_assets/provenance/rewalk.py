"""From a published block back to its images, and from the images to the same bytes again, by ledger and batch.

What an outsider can do with less is `outsider.make_again`.
"""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from entropy_assets.core.conditioning.conditioner import NoiseInput
from entropy_assets.core.conditioning.records import BlockRecord
from entropy_assets.errors import BlockUnknown, ChainBroken
from entropy_assets.images.decode import decode
from entropy_assets.provenance.trail import BlockProvenance, Trail
from entropy_assets.provenance.unchecked import Unchecked, after_rewalk
from entropy_assets.recipe import recipe_named
from entropy_assets.stages.assessments import NoiseRow, noise_rows, recollections_of_row
from entropy_assets.stages.conditioning import (
    HashedBlocks,
    blocks_again,
    chain_head,
    read_blocks,
    read_records,
    verify_blocks,
)
from entropy_assets.stages.extraction import (
    SPENT_BEFORE,
    AssessedRow,
    assess_row,
    beside_earlier,
    credit_patterns_once,
    credited_inputs,
    nonce_of,
)
from entropy_assets.stages.ingest import image_row
from entropy_assets.stages.manifest import ImageRow, Manifest, binding_of
from entropy_assets.stages.state import naming_damage
from entropy_assets.stages.validation import examine_blocks, verdict_again
from entropy_assets.stages.verdicts import is_same_figure
from entropy_assets.stores.batches import BLOCKS, RECORDS, VERDICTS, Batch
from entropy_assets.stores.ledger.frames import SpentFrames
from entropy_assets.stores.ledger.rows import PublishedBlock


@dataclass(frozen=True, slots=True)
class AuditedBlock:
    """A block that was made again from its images.

    Attributes
    ----------
    provenance
        What `Trail.find` tells of it.
    data
        Its bytes, as the images give them.
    not_checked
        What the installation has to be trusted for all the same.
    """

    provenance: BlockProvenance
    data: bytes
    not_checked: tuple[Unchecked, ...]


def rewalk(trail: Trail, block_id: str) -> AuditedBlock:
    """Make a published block again from its images alone, and compare it with the ledger.

    Nothing that an earlier stage computed is trusted. The ledger's chains are walked. Every image of the batch is
    decoded, its noise is extracted and assessed, and what images share is taken from their credit; the manifest,
    the noise and its worth, every block and record of the batch, and the verdict must come out as they were recorded.
    The ledger alone says which images the batch had to itself.

    Raises
    ------
    BlockUnknown
        If the ledger has no such block.
    ChainBroken
        If any step gives something else than what was recorded; ``field`` names it.
    LedgerError
        If the ledger does not follow from itself.
    BatchError
        If a batch's file is missing or damaged; `BatchRemoved` if retention removed the batch.
    """
    trail.ledger.verify()
    published = trail.ledger.find_block(block_id)
    if published is None:
        raise BlockUnknown(f"the ledger has no block {block_id}; it was never published here", block_id=block_id)
    provenance = trail.provenance_of(published)
    batch, index = trail.batches.batch(published.publication.batch_key), published.block.index
    kept = None
    with naming_damage(batch, RECORDS.file):
        if batch.has(BLOCKS):
            kept = read_blocks(batch).blocks
        records = read_records(batch)
    head = chain_head(batch, records)
    _require_published(records, head, published)
    rows = _manifest_again(trail, batch)
    inputs, forgotten = _noise_again(trail, batch, rows)
    # retention may have removed what can be made again, as it is here
    hashed = HashedBlocks(blocks_again(batch, inputs) if kept is None else kept, records, head)
    verify_blocks(batch, hashed.blocks, records, inputs)
    if not examine_blocks(hashed).verdicts.passed[index]:
        raise ChainBroken("the block fails the tests that it was released by", index=index, field="verdict")
    with naming_damage(batch, VERDICTS.file):
        _require_verdict(provenance["verdict"], hashed, index, noise_rows(batch))
    is_bound = _require_bound(trail, batch)
    not_checked = after_rewalk(
        recipe_named(batch.intake.recipe).block_nonces,
        forgotten,
        of_origins=any(row.origin for row in rows),
        is_bound=is_bound,
    )
    return AuditedBlock(provenance, hashed.blocks[index].tobytes(), tuple(not_checked))


def _require_verdict(told: Mapping[str, Any], hashed: HashedBlocks, index: int, noise: Iterable[NoiseRow]) -> None:
    """Raise unless a block's row in the verdicts says what its tests and its noise, which was made again, say."""
    for name, again in verdict_again(hashed.blocks[index].tobytes(), hashed.records[index], noise).items():
        if not is_same_figure(told[name], again):
            raise ChainBroken(
                f"{name} of the block is {again!r}, recorded was {told[name]!r}", index=index, field="verdict"
            )


def _require_bound(trail: Trail, batch: Batch) -> bool:
    """Return whether the ledger binds the batch to its intake; raise if to another one, such as with other origins."""
    bound = trail.ledger.binding_of(batch.key)
    if bound not in (None, binding_of(batch)):
        raise ChainBroken("the intake is not the one that the ledger binds the batch to", index=0, field="intake")
    return bound is not None


def _manifest_again(trail: Trail, batch: Batch) -> list[ImageRow]:
    """Return the rows of the manifest, made from the images.

    The sentence that explains a rejection may be worded otherwise by another version of what reads the image;
    it is not compared.
    """
    rows = [image_row(item, trail.images, batch.intake.limits, batch.intake) for item in batch.intake.files]
    kept = Manifest.of(batch).rows
    if len(rows) != len(kept):
        raise ChainBroken(
            f"{len(kept)} rows in the manifest for {len(rows)} files", index=len(rows), field="manifest_sha256"
        )
    for index, (again, row) in enumerate(zip(rows, kept, strict=True)):
        _require_same(again, row, set(dataclasses.asdict(row)) - {"detail"}, index, "manifest_sha256")
    return rows


def _noise_again(trail: Trail, batch: Batch, manifest: list[ImageRow]) -> tuple[list[NoiseInput], list[str]]:
    """Return the noise of the batch with its credit, made from the images.

    Where the sensor memory has dropped frames that it knew when the batch was made, the batch is believed what it
    knew; the images before which that is so are named beside.
    """
    recipe = recipe_named(batch.intake.recipe)
    mine = trail.ledger.spent_by(batch.key, [row.image_sha256 for row in manifest])

    def assess(row: ImageRow, among: Collection[int] | None = None) -> AssessedRow:
        data, intake = trail.images.get(row.image_sha256), batch.intake
        frame = decode(data, source=intake.source, limits=intake.limits, reading=recipe.reading)
        nonce = nonce_of(batch.intake, row.image_sha256)
        return assess_row(row, frame, nonce, recipe, batch.intake.source, among=among)

    readable = [row for row in manifest if row.accepted]
    assessed = [assess(row) for row in readable]
    rows, patterns, spent, forgotten = [item.row for item in assessed], {}, set[str](), []
    kept, frames = noise_rows(batch), SpentFrames(trail.ledger, recipe.remembered_frames)
    for place, item in enumerate(assessed):
        image, name = item.image, item.row.image_sha256
        if image is None:
            continue
        if name not in mine or (name in spent and item.parts):
            rows[place] = dataclasses.replace(item.row, accepted=False, credit_bits=0)
        elif item.parts:
            found = [frames.recollect_again(part.sketch) for part in item.parts if part.sketch]
            seen = [each for each in found if each is not None]
            if len(seen) < len(found):
                forgotten.append(name)
                seen = recollections_of_row(kept[place].assessment["memory"])
            assessed[place] = beside_earlier(item, seen, recipe, partial(assess, readable[place]))
            rows[place] = assessed[place].row
        elif item.pattern:
            # a copy of a file in its own batch is spent here too, and loses all that it shares with the first
            patterns[place] = (image.assessment, item.pattern)
        spent.add(name)
    credit_patterns_once(rows, patterns, recipe)
    _require_same_noise(rows, kept)
    return credited_inputs(rows, assessed), forgotten


def _require_published(records: Sequence[BlockRecord], head: str, published: PublishedBlock) -> None:
    """Raise unless ledger and records hold the same block in the same chain."""
    block = published.block
    if block.index >= len(records):
        raise ChainBroken("the batch has fewer blocks than were published", index=block.index, field="index")
    for name in ("block_id", "block_sha256", "link"):
        if getattr(records[block.index], name) != getattr(block, name):
            raise ChainBroken("the record is not the one in the ledger", index=block.index, field=name)
    if head != published.publication.chain_head:
        raise ChainBroken("the chain is not the one in the ledger", index=len(records), field="chain_head")


def _require_same_noise(again: list[NoiseRow], kept: tuple[NoiseRow, ...]) -> None:
    if len(again) != len(kept):
        raise ChainBroken(f"{len(kept)} rows of noise for {len(again)} images", index=len(again), field="noise_sha256s")
    for index, (row, old) in enumerate(zip(again, kept, strict=True)):
        if row.accepted and old.accepted:
            _require_same(row, old, {"noise_sha256"}, index, "noise_sha256s")
        _require_same(row, old, {"file", "image_sha256", "accepted", "nonce", "credit_bits"}, index)
        # of a copy, which has no credit, it is not asked here in which of the two ways it was known
        if row.accepted or old.reason not in SPENT_BEFORE:
            _require_same(row, old, {"reason", "samples", "min_entropy"}, index)
            memory, told = (each.assessment.get("memory") for each in (row, old))
            if not is_same_figure(told, memory):
                raise ChainBroken(
                    f"{row.file!r} gives memory {memory!r}, recorded was {told!r}", index=index, field="memory"
                )


def _require_same(again: Any, kept: Any, names: set[str], index: int, field: str | None = None) -> None:
    """Raise if a row differs in one of `names`, calling it `field`, or by its own name."""
    for name in sorted(names):
        new, old = getattr(again, name), getattr(kept, name)
        if not (new == old or (isinstance(new, float) and is_same_figure(old, new))):
            raise ChainBroken(
                f"{again.file!r} gives {name} {new!r}, recorded was {old!r}", index=index, field=field or name
            )
