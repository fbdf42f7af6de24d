"""Noise into blocks and the chain of their records, and back again to verify them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from entropy_assets.core.conditioning.hasher import EntropyHasher, verify_batch
from entropy_assets.core.conditioning.records import BlockRecord, chain_genesis
from entropy_assets.errors import ChainBroken
from entropy_assets.recipe import recipe_named
from entropy_assets.stages.assessments import noise_inputs
from entropy_assets.stages.manifest import Manifest
from entropy_assets.stores.batches import BLOCKS, RECORDS, Batch


def hash_blocks(batch: Batch) -> tuple[BlockRecord, ...]:
    """Condition the accepted noise into blocks, and keep them with the chain of their records.

    Raises
    ------
    BatchError
        If the noise is missing, or is not the noise that was assessed.
    """
    inputs, manifest = noise_inputs(batch), Manifest.of(batch)
    hasher = EntropyHasher(recipe_named(batch.intake.recipe))
    blocks, records = hasher.derive_blocks(inputs, manifest.sha256, batch.intake.timestamp_us, batch.intake.seed)
    batch.write_array(BLOCKS, blocks)
    batch.write_json(RECORDS, {"manifest_sha256": manifest.sha256, "rows": [row.to_row() for row in records]})
    return records


@dataclass(frozen=True, slots=True)
class HashedBlocks:
    """The blocks of a batch with records that were found to match them."""

    blocks: NDArray[np.uint8]
    records: tuple[BlockRecord, ...]
    chain_head: str

    def __len__(self) -> int:
        return len(self.records)


def read_blocks(batch: Batch) -> HashedBlocks:
    """Return the blocks of the batch after walking their whole chain again, from manifest and noise to the bytes.

    Raises
    ------
    ChainBroken
        At the first record or block that is not what noise and manifest give.
    BatchError
        If something is missing.
    """
    blocks = batch.read_array(BLOCKS)
    rows = batch.read_json(RECORDS)["rows"]
    records = tuple(BlockRecord.from_row(row) for row in rows)
    recipe, manifest = recipe_named(batch.intake.recipe), Manifest.of(batch)
    for record in records:
        if record.timestamp_us != batch.intake.timestamp_us:
            raise ChainBroken("a record is not of the time of its batch", index=record.index, field="timestamp_us")
    verify_batch(
        records,
        noise_inputs(batch),
        manifest_sha256=manifest.sha256,
        recipe=recipe,
        seed=batch.intake.seed,
        blocks=blocks,
    )
    head = records[-1].link if records else chain_genesis(manifest.sha256, recipe)
    return HashedBlocks(blocks, records, head)
