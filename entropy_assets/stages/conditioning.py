"""Noise into blocks and the chain of their records, and back again to verify them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from entropy_assets.core.conditioning.conditioner import NoiseInput
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
    blocks, records = batch.read_array(BLOCKS), read_records(batch)
    verify_blocks(batch, blocks, records, noise_inputs(batch))
    return HashedBlocks(blocks, records, chain_head(batch, records))


def read_records(batch: Batch) -> tuple[BlockRecord, ...]:
    """Return the records of the batch as they are kept.

    Raises
    ------
    ChainBroken
        If one is not of the time of its batch.
    BatchError
        If they are missing.
    """
    records = tuple(BlockRecord.from_row(row) for row in batch.read_json(RECORDS)["rows"])
    for record in records:
        if record.timestamp_us != batch.intake.timestamp_us:
            raise ChainBroken("a record is not of the time of its batch", index=record.index, field="timestamp_us")
    return records


def chain_head(batch: Batch, records: Sequence[BlockRecord]) -> str:
    """Return the last link of the chain of the batch, hex."""
    return records[-1].link if records else chain_genesis(Manifest.of(batch).sha256, recipe_named(batch.intake.recipe))


def blocks_again(batch: Batch, inputs: Sequence[NoiseInput]) -> NDArray[np.uint8]:
    """Return the blocks that `inputs` give in this batch, ``uint8[block, byte]``: of one that no longer keeps them."""
    intake = batch.intake
    hasher = EntropyHasher(recipe_named(intake.recipe))
    return hasher.derive_blocks(inputs, Manifest.of(batch).sha256, intake.timestamp_us, intake.seed)[0]


def verify_blocks(
    batch: Batch, blocks: NDArray[np.uint8], records: Sequence[BlockRecord], inputs: Sequence[NoiseInput]
) -> None:
    """Walk the whole chain of the batch again, from its manifest and `inputs` to the bytes of `blocks`.

    Raises
    ------
    ChainBroken
        At the first record or block that is not what they give.
    """
    verify_batch(
        records,
        inputs,
        manifest_sha256=Manifest.of(batch).sha256,
        recipe=recipe_named(batch.intake.recipe),
        seed=batch.intake.seed,
        blocks=blocks,
    )
