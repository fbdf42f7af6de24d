"""What ledger and batches tell of a published block, and of the newest batches. Never bytes of a block."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from entropy_assets.core.conditioning.records import BlockRecord
from entropy_assets.errors import BatchError
from entropy_assets.provenance.freshness import Freshness
from entropy_assets.provenance.summary import batch_summary, utc_text
from entropy_assets.stages.extraction import NoiseRow, noise_rows
from entropy_assets.stages.ingest import ImageRow, Manifest
from entropy_assets.stores.batches import Batch, BatchStore
from entropy_assets.stores.images import ImageStore
from entropy_assets.stores.ledger.rows import PublishedBlock
from entropy_assets.stores.ledger.sqlite import Ledger


class Trail:
    """The way from a block to its images.

    Parameters
    ----------
    ledger, batches, images
        Where it leads along.
    """

    def __init__(self, ledger: Ledger, batches: BatchStore, images: ImageStore) -> None:
        self.ledger = ledger
        self.batches = batches
        self.images = images
        self._ages = Freshness(batches, ledger)

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

    def provenance_of(self, published: PublishedBlock) -> dict[str, Any]:
        """Return what `find` tells of a block that the ledger has.

        Raises
        ------
        BatchError
            If a file of its batch is missing or damaged.
        """
        return {**_of_ledger(published), **self._of_batch(published)}

    def _of_batch(self, published: PublishedBlock) -> dict[str, Any]:
        batch, index = self.batches.batch(published.publication.batch_key), published.block.index
        with naming_damage(batch, "intake.json"):
            intake = batch.intake
            sampling = {"time_ns": intake.time_ns, "os_bytes": intake.os_bytes, "source": intake.source}
        with naming_damage(batch, "records.json"):
            row = batch.read_json("records.json", made_by="hashed_blocks")["rows"][index]
            record = _of_record(BlockRecord.from_row(row))
            behind = set(row["image_sha256s"])
        with naming_damage(batch, "verdicts.json"):
            verdict = dict(batch.read_json("verdicts.json", made_by="validated_blocks")["rows"][index])
        with naming_damage(batch, "manifest.json"):
            seen = {row.image_sha256: row for row in Manifest.of(batch).rows}
        with naming_damage(batch, "noise.json"):
            credited = [row for row in noise_rows(batch) if row.accepted and row.image_sha256 in behind]
            images = [_of_image(seen[row.image_sha256], row) for row in credited]
        return {**record, "sampling": sampling, "images": images, "verdict": verdict}

    def recent(self, limit: int) -> list[dict[str, Any]]:
        """Return what became of the newest batches, newest first; one that can't be read names its problem."""
        return [self._summary(batch) for batch in self.batches.newest(limit)]

    def _summary(self, batch: Batch) -> dict[str, Any]:
        try:
            with naming_damage(batch, "a file"):
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


@contextmanager
def naming_damage(batch: Batch, file: str) -> Iterator[None]:
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
