"""From a served block back to its images, and from the images to the same bytes again."""

from dataclasses import dataclass
from typing import Any

from entropy_assets.core.derivation import assess_image
from entropy_assets.core.hashing import EntropyHasher, NoiseInput
from entropy_assets.errors import BatchError, BlockUnknown, ChainBroken
from entropy_assets.recipe import recipe_named
from entropy_assets.stages.conditioning import read_blocks
from entropy_assets.stages.extraction import NoiseRow, noise_rows, nonce_of
from entropy_assets.stages.ingest import Manifest
from entropy_assets.stores.batches import Batch, BatchStore
from entropy_assets.stores.images import DecodeLimits, ImageStore, decode
from entropy_assets.stores.ledger import Ledger, PublishedBlock


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

    def find(self, block_id: str) -> dict[str, Any] | None:
        """Return what is known of a published block, without its bytes; None if no such block was published."""
        published = self.ledger.find_block(block_id)
        if published is None:
            return None
        known: dict[str, Any] = {
            "block_id": block_id,
            "block_sha256": published.block.block_sha256,
            "link": published.block.link,
            "index": published.block.index,
            "batch": published.publication.batch_key,
            "run_id": published.publication.run_id,
            "chain_head": published.publication.chain_head,
            "ledger_link": published.publication.ledger_link,
            "published_at_us": published.publication.published_at_us,
        }
        try:
            return {**known, **self._of_batch(published)}
        except BatchError as error:
            return {**known, "problem": error.message}

    def _of_batch(self, published: PublishedBlock) -> dict[str, Any]:
        batch = self.batches.batch(published.publication.batch_key)
        record = batch.read_json("records.json", made_by="hashed_blocks")["rows"][published.block.index]
        verdicts = batch.read_json("verdicts.json", made_by="validated_blocks")["rows"]
        behind = set(record["image_sha256s"])
        seen = {row.image_sha256: row for row in Manifest.of(batch).rows}
        return {
            "recipe": record["recipe"],
            "timestamp_us": record["timestamp_us"],
            "previous_link": record["previous_link"],
            "manifest_sha256": record["manifest_sha256"],
            "credit_bits": record["credit_bits"],
            "sampling": {"time_ns": batch.intake.time_ns, "os_bytes": batch.intake.os_bytes},
            "images": [
                {
                    "file": row.file,
                    "image_sha256": row.image_sha256,
                    "pixel_sha256": seen[row.image_sha256].pixel_sha256,
                    "source": seen[row.image_sha256].source,
                    "noise_sha256": row.noise_sha256,
                    "credit_bits": row.credit_bits,
                    "min_entropy": row.min_entropy,
                }
                for row in noise_rows(batch)
                if row.accepted and row.image_sha256 in behind
            ],
            "slices": record["slices"],
            "verdict": verdicts[published.block.index],
        }

    def rewalk(self, block_id: str, limits: DecodeLimits) -> AuditedBlock:
        """Make a published block again from its images alone, and compare it with the ledger.

        Nothing that an earlier stage computed is trusted: the images are decoded, their noise is extracted and
        assessed, and the block is hashed anew.

        Raises
        ------
        BlockUnknown
            If the ledger has no such block.
        ChainBroken
            If any step gives something else than what was recorded; ``field`` names the step.
        BatchError
            If a batch's file is missing or damaged.
        """
        published = self.ledger.find_block(block_id)
        if published is None:
            raise BlockUnknown(f"the ledger has no block {block_id}; it was never published here", block_id=block_id)
        batch = self.batches.batch(published.publication.batch_key)
        hashed = read_blocks(batch)
        record = hashed.records[published.block.index]
        if (record.block_id, record.link) != (published.block.block_id, published.block.link):
            raise ChainBroken("the record is not the one in the ledger", index=record.index, field="link")
        behind = [row for row in noise_rows(batch) if row.accepted and row.image_sha256 in record.image_sha256s]
        inputs = [self._noise_again(batch, row, limits) for row in behind]
        data = EntropyHasher(recipe_named(record.recipe)).rederive_block(record, inputs)
        if data != hashed.blocks[record.index].tobytes():
            raise ChainBroken("the images give other bytes", index=record.index, field="block_sha256")
        return AuditedBlock(self.find(block_id) or {}, data)

    def _noise_again(self, batch: Batch, row: NoiseRow, limits: DecodeLimits) -> NoiseInput:
        frame = decode(self.images.get(row.image_sha256), source=batch.intake.source, limits=limits)
        nonce = nonce_of(batch.intake, row.image_sha256)
        again = assess_image(frame, nonce, recipe_named(batch.intake.recipe)).as_input()
        if again.noise_sha256 != row.noise_sha256:
            raise ChainBroken(f"{row.file!r} gives other noise", index=0, field="noise_sha256s")
        if again.credit_bits < row.credit_bits:
            raise ChainBroken(f"{row.file!r} is worth less than it was credited", index=0, field="credit_bits")
        return again
