"""From a served block back to its images, and from the images to the same bytes again."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from entropy_assets.core.chain import BlockRecord
from entropy_assets.core.conditioning import NoiseInput
from entropy_assets.core.hashing import verify_batch
from entropy_assets.errors import BatchError, BlockUnknown, ChainBroken
from entropy_assets.images.decode import decode
from entropy_assets.recipe import recipe_named
from entropy_assets.stages.conditioning import HashedBlocks, read_blocks
from entropy_assets.stages.extraction import AssessedRow, NoiseRow, assess_row, credit_patterns_once, noise_rows
from entropy_assets.stages.freshness import Freshness
from entropy_assets.stages.ingest import ImageRow, Manifest, image_row
from entropy_assets.stages.summary import batch_summary, utc_text
from entropy_assets.stages.validation import examine_blocks
from entropy_assets.stores.batches import Batch, BatchStore
from entropy_assets.stores.images import ImageStore
from entropy_assets.stores.ledger.rows import PublishedBlock
from entropy_assets.stores.ledger.sqlite import Ledger


@dataclass(frozen=True, slots=True)
class AuditedBlock:
    """A block that was made again from its images.

    Attributes
    ----------
    provenance
        What `Trail.find` tells of it.
    data
        Its bytes, as the images give them.
    """

    provenance: dict[str, Any]
    data: bytes


@dataclass(frozen=True, slots=True)
class Trail:
    """The way from a block to its images, over the ledger, the batches and the images."""

    ledger: Ledger
    batches: BatchStore
    images: ImageStore
    _ages: Freshness = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ages", Freshness(self.batches, self.ledger))

    def freshness(self) -> dict[str, Any]:
        """Return how old the newest image, block and failed health test are, as `Freshness.now` does."""
        return self._ages.now()

    def find(self, block_id: str) -> dict[str, Any] | None:
        """Return what is known of a published block, without its bytes; None if no such block was published."""
        published = self.ledger.find_block(block_id)
        if published is None:
            return None
        known = _of_ledger(published)
        try:
            return {**known, **self._of_batch(published)}
        except BatchError as error:
            return {**known, "problem": error.message}

    def _of_batch(self, published: PublishedBlock) -> dict[str, Any]:
        batch, index = self.batches.batch(published.publication.batch_key), published.block.index
        with _reading(batch, "intake.json"):
            intake = batch.intake
            sampling = {"time_ns": intake.time_ns, "os_bytes": intake.os_bytes, "source": intake.source}
        with _reading(batch, "records.json"):
            row = batch.read_json("records.json", made_by="hashed_blocks")["rows"][index]
            record = _of_record(BlockRecord.from_row(row))
            behind = set(row["image_sha256s"])
        with _reading(batch, "verdicts.json"):
            verdict = dict(batch.read_json("verdicts.json", made_by="validated_blocks")["rows"][index])
        with _reading(batch, "manifest.json"):
            seen = {row.image_sha256: row for row in Manifest.of(batch).rows}
        with _reading(batch, "noise.json"):
            credited = [row for row in noise_rows(batch) if row.accepted and row.image_sha256 in behind]
            images = [_of_image(seen[row.image_sha256], row) for row in credited]
        return {**record, "sampling": sampling, "images": images, "verdict": verdict}

    def recent(self, limit: int) -> list[dict[str, Any]]:
        """Return what became of the newest batches, newest first; one that can't be read names its problem."""
        return [self._summary(batch) for batch in self.batches.newest(limit)]

    def _summary(self, batch: Batch) -> dict[str, Any]:
        try:
            with _reading(batch, "a file"):
                found = batch_summary(batch)
        except BatchError as error:
            return {"key": batch.key, "problem": error.message}
        published = self.ledger.find_block(found["block_ids"][0]) if found["block_ids"] else None
        if published is None or published.publication.batch_key != batch.key:
            return {**found, "published_at": None, "published_blocks": 0, "block_ids": []}
        publication = published.publication
        return {
            **found,
            "state": "published",
            "published_at": utc_text(publication.published_at_us),
            "published_blocks": publication.block_count,
        }

    def rewalk(self, block_id: str) -> AuditedBlock:
        """Make a published block again from its images alone, and compare it with the ledger.

        Nothing that an earlier stage computed is trusted. The ledger's chains are walked. Every image of the batch is
        decoded, its noise is extracted and assessed, and what images share is taken from their credit; the manifest,
        the noise, the credit and every block and record of the batch must come out as they were recorded. The ledger
        alone says which images the batch had to itself.

        Raises
        ------
        BlockUnknown
            If the ledger has no such block.
        ChainBroken
            If any step gives something else than what was recorded; ``field`` names it.
        LedgerError
            If the ledger does not follow from itself.
        BatchError
            If a batch's file is missing or damaged.
        """
        self.ledger.verify()
        published = self.ledger.find_block(block_id)
        if published is None:
            raise BlockUnknown(f"the ledger has no block {block_id}; it was never published here", block_id=block_id)
        provenance = {**_of_ledger(published), **self._of_batch(published)}
        batch, index = self.batches.batch(published.publication.batch_key), published.block.index
        with _reading(batch, "records.json"):
            hashed = read_blocks(batch)
        _require_published(hashed, published)
        rows = self._manifest_again(batch)
        inputs = self._noise_again(batch, rows)
        verify_batch(
            hashed.records,
            inputs,
            manifest_sha256=Manifest.of(batch).sha256,
            recipe=recipe_named(batch.intake.recipe),
            blocks=hashed.blocks,
        )
        if not examine_blocks(hashed).verdicts.passed[index]:
            raise ChainBroken("the block fails the tests that it was released by", index=index, field="verdict")
        return AuditedBlock(provenance, hashed.blocks[index].tobytes())

    def _manifest_again(self, batch: Batch) -> list[ImageRow]:
        """Return the rows of the manifest, made from the images.

        The sentence that explains a rejection may be worded otherwise by another version of what reads the image;
        it is not compared.
        """
        rows = [image_row(item, self.images, batch.intake.limits, batch.intake.source) for item in batch.intake.files]
        kept = Manifest.of(batch).rows
        if len(rows) != len(kept):
            raise ChainBroken(
                f"{len(kept)} rows in the manifest for {len(rows)} files", index=len(rows), field="manifest_sha256"
            )
        for index, (again, row) in enumerate(zip(rows, kept, strict=True)):
            _require_same(again, row, set(dataclasses.asdict(row)) - {"detail"}, index, "manifest_sha256")
        return rows

    def _noise_again(self, batch: Batch, manifest: list[ImageRow]) -> list[NoiseInput]:
        """Return the noise of the batch with its credit, made from the images."""
        mine = self.ledger.images_of(batch.key)
        found: list[AssessedRow] = []
        for row in (row for row in manifest if row.accepted):
            frame = decode(self.images.get(row.image_sha256), source=batch.intake.source, limits=batch.intake.limits)
            found.append(assess_row(batch.intake, row, frame))
        rows, spent = [item.row for item in found], {}
        for place, item in enumerate(found):
            if item.image is None or item.sketch is None:
                continue
            # a copy of a file in its own batch is spent here too, and loses all that it shares with the first
            if item.row.image_sha256 in mine:
                spent[place] = (item.image.assessment, item.sketch)
            else:
                rows[place] = dataclasses.replace(item.row, accepted=False, credit_bits=0)
        credit_patterns_once(rows, spent, recipe_named(batch.intake.recipe))
        _require_same_noise(rows, noise_rows(batch))
        return [
            dataclasses.replace(item.image.as_input(), credit_bits=row.credit_bits)
            for row, item in zip(rows, found, strict=True)
            if row.accepted and item.image is not None
        ]


@contextmanager
def _reading(batch: Batch, file: str) -> Iterator[None]:
    """Turn what damaged rows of `file` raise into an error that names it."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise BatchError(
            f"{file} of batch {batch.key} is damaged ({type(error).__name__}: {error})", batch=batch.key, file=file
        ) from error


def _of_ledger(published: PublishedBlock) -> dict[str, Any]:
    block, publication = published.block, published.publication
    return {
        "block_id": block.block_id,
        "block_sha256": block.block_sha256,
        "link": block.link,
        "index": block.index,
        "batch": publication.batch_key,
        "run_id": publication.run_id,
        "chain_head": publication.chain_head,
        "ledger_link": publication.ledger_link,
        "published_at_us": publication.published_at_us,
    }


def _of_record(record: BlockRecord) -> dict[str, Any]:
    told = ("recipe", "timestamp_us", "previous_link", "manifest_sha256", "credit_bits", "slices")
    row = record.to_row()
    return {name: row[name] for name in told}


def _of_image(seen: ImageRow, noise: NoiseRow) -> dict[str, Any]:
    return {
        "file": noise.file,
        "image_sha256": noise.image_sha256,
        "pixel_sha256": seen.pixel_sha256,
        "source": seen.source,
        "noise_sha256": noise.noise_sha256,
        "credit_bits": noise.credit_bits,
        "min_entropy": noise.min_entropy,
    }


def _require_published(hashed: HashedBlocks, published: PublishedBlock) -> None:
    """Raise unless ledger and records hold the same block in the same chain."""
    block = published.block
    if block.index >= len(hashed):
        raise ChainBroken("the batch has fewer blocks than were published", index=block.index, field="index")
    for name in ("block_id", "block_sha256", "link"):
        if getattr(hashed.records[block.index], name) != getattr(block, name):
            raise ChainBroken("the record is not the one in the ledger", index=block.index, field=name)
    if hashed.chain_head != published.publication.chain_head:
        raise ChainBroken("the chain is not the one in the ledger", index=len(hashed), field="chain_head")


def _require_same_noise(again: list[NoiseRow], kept: tuple[NoiseRow, ...]) -> None:
    if len(again) != len(kept):
        raise ChainBroken(f"{len(kept)} rows of noise for {len(again)} images", index=len(again), field="noise_sha256s")
    for index, (row, old) in enumerate(zip(again, kept, strict=True)):
        if row.accepted and old.accepted:
            _require_same(row, old, {"noise_sha256"}, index, "noise_sha256s")
        _require_same(row, old, {"file", "image_sha256", "accepted", "nonce", "credit_bits"}, index)


def _require_same(again: Any, kept: Any, names: set[str], index: int, field: str | None = None) -> None:
    """Raise if a row differs in one of `names`, calling it `field`, or by its own name."""
    for name in sorted(names):
        new, old = getattr(again, name), getattr(kept, name)
        if new != old:
            raise ChainBroken(
                f"{again.file!r} gives {name} {new!r}, recorded was {old!r}", index=index, field=field or name
            )
