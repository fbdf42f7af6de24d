"""Validated blocks into ledger and pool. The order is the promise: ledger first, so no block enters the pool twice."""

from dataclasses import dataclass

from entropy_assets.errors import BlockRefused, ClaimRefused
from entropy_assets.stages.manifest import Manifest, origin_of
from entropy_assets.stages.validation import Validation, refuse_if_failed, validate
from entropy_assets.stages.verdicts import verdicts_of
from entropy_assets.stores.batches import Batch
from entropy_assets.stores.ledger.rows import LedgerBlock
from entropy_assets.stores.ledger.sqlite import Ledger
from entropy_assets.stores.pool.blocks import PoolBlock
from entropy_assets.stores.pool.client import PoolClient


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedBatch:
    """What publishing a batch did.

    Attributes
    ----------
    newly_published
        False if the ledger knew the batch already; then nothing was pushed.
    pushed
        Blocks that entered the pool.
    refused
        Blocks that the pool refused, being there or consumed already.
    depth_before, depth_after
        Blocks ready in the pool, before and after.
    """

    newly_published: bool
    pushed: int
    refused: int
    depth_before: int
    depth_after: int


def publish_batch(batch: Batch, ledger: Ledger, pool: PoolClient, *, run_id: str, now_us: int) -> PublishedBatch:
    """Publish the released blocks of `batch`, once.

    Everything is verified and tested again from what is stored, whatever earlier runs said. A crash after the append
    to the ledger loses the blocks that were not pushed yet; nothing ever pushes them again.

    Raises
    ------
    BlockRefused
        If the batch fails its tests now, differs from what was validated, or was made deterministically.
    ClaimRefused
        If an image behind its blocks was not spent by this batch, or its intake is not the one they were spent for.
    PoolUnavailable
        If the pool doesn't answer. Before the append to the ledger this is harmless and a retry publishes; after it
        the blocks are lost.
    """
    validation = validate(batch)
    refuse_if_failed(batch, validation)
    _refuse_if_changed(batch, validation)
    _refuse_if_known_beforehand(batch)
    _refuse_unspent(batch, ledger, validation)
    before = pool.depth().blocks
    if not _append(batch, ledger, validation, run_id, now_us):
        return PublishedBatch(newly_published=False, pushed=0, refused=0, depth_before=before, depth_after=before)
    outcome = pool.push(_pool_blocks(batch, validation))
    return PublishedBatch(
        newly_published=True,
        pushed=len(outcome.pushed),
        refused=len(outcome.refused),
        depth_before=before,
        depth_after=pool.depth().blocks,
    )


def _refuse_if_changed(batch: Batch, validation: Validation) -> None:
    verdicts = verdicts_of(batch)
    released = [validation.hashed.records[position].block_id for position in validation.released]
    if verdicts["chain_head"] != validation.hashed.chain_head or verdicts["released"] != released:
        raise BlockRefused(
            f"batch {batch.key} is not what was validated; materialise validated_blocks again", batch=batch.key
        )


def _refuse_if_known_beforehand(batch: Batch) -> None:
    if batch.intake.deterministic:
        raise BlockRefused(
            f"batch {batch.key} is deterministic: its bytes are known beforehand to everybody who has its images, so"
            " none is published",
            batch=batch.key,
        )


def _refuse_unspent(batch: Batch, ledger: Ledger, validation: Validation) -> None:
    """Raise unless the ledger says that the images behind the blocks were spent by this batch, as it stands.

    An older release spent images and bound nothing. Such a batch is bound now, to what is about to be published: it is
    published once all the same, and as nothing else afterwards.
    """
    images = {image for record in validation.hashed.records for image in record.image_sha256s}
    unspent = sorted(images - ledger.images_of(batch.key))
    if unspent:
        raise ClaimRefused(
            f"batch {batch.key} did not spend {len(unspent)} of the {len(images)} images behind its blocks, by the"
            " ledger; images give blocks to the batch that spent them, once",
            batch=batch.key, images=unspent[:8],
        )  # fmt: skip
    if images:
        ledger.bind_batch(batch.key, origin_of(batch))


def _append(batch: Batch, ledger: Ledger, validation: Validation, run_id: str, now_us: int) -> bool:
    records = [validation.hashed.records[position] for position in validation.released]
    if not records:
        return False
    blocks = [LedgerBlock(row.block_id, row.index, row.block_sha256, row.link) for row in records]
    return ledger.append_publication(batch.key, validation.hashed.chain_head, blocks, run_id=run_id, time_us=now_us)


def _pool_blocks(batch: Batch, validation: Validation) -> list[PoolBlock]:
    simulated = any(row.source == "simulated" for row in Manifest.of(batch).rows)
    blocks = []
    for position in validation.released:
        record = validation.hashed.records[position]
        blocks.append(
            PoolBlock(
                block_id=record.block_id,
                data=validation.hashed.blocks[position].tobytes(),
                sha256=record.block_sha256,
                quality=validation.quality[position],
                timestamp_us=record.timestamp_us,
                source_images=record.image_sha256s,
                batch_key=batch.key,
                index=record.index,
                simulated=simulated,
                link=record.link,
            )
        )
    return blocks
