"""`EntropyHasher`: noise to digests, batches to chains of blocks, and the check of both.

``encoding`` is the page that says what is hashed, ``conditioner`` makes one block, ``records`` holds the chain.
"""

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from entropy_assets.core import encoding
from entropy_assets.core.conditioning.conditioner import Conditioner, NoiseInput, block_plans, nonce_of_block
from entropy_assets.core.conditioning.records import BlockRecord, chain_genesis, verify_chain
from entropy_assets.errors import ChainBroken, InputRefused
from entropy_assets.recipe import STANDARD, Recipe

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COMPARED: Final = tuple(item.name for item in fields(BlockRecord) if item.name != "output_entropy_bits")
"""Fields that are equal on every machine. The entropy is a float; `verify_chain` checks it with a tolerance."""


class EntropyHasher:
    """Conditions noise into digests and blocks under one recipe. Holds no state between calls.

    Parameters
    ----------
    recipe
        Block length, credit per digest and the name that enters every hash.
    """

    def __init__(self, recipe: Recipe = STANDARD) -> None:
        self.recipe = recipe

    def hash_entropy(
        self,
        noise_data: bytes | bytearray | memoryview | NDArray[np.uint8],
        previous_hash: bytes = b"",
        timestamp: datetime = _EPOCH,
        rounds: int = 1,
    ) -> bytes:
        """Return 32 bytes from one piece of noise: SHA-256 over the raw noise, its BLAKE3 and the context.

        The result is a function of the arguments alone. It claims no entropy: the credit of the noise decides that.

        Parameters
        ----------
        noise_data
            Raw samples, one byte each; not empty.
        previous_hash
            Whatever the chain held before, of any length.
        timestamp
            When the noise was taken. A naive time is read as UTC, so that the result is the same on every machine.
        rounds
            How often to hash, at least 1. Each round takes in the raw noise again, so no round loses entropy.

        Raises
        ------
        InputRefused
            For empty noise, other types, times before 1970 and fewer than one round.
        """
        return self.mix([noise_data], previous_hash=previous_hash, timestamp=timestamp, rounds=rounds)

    def mix(
        self,
        noise_parts: Sequence[bytes | bytearray | memoryview | NDArray[np.uint8]],
        *,
        previous_hash: bytes = b"",
        timestamp: datetime = _EPOCH,
        rounds: int = 1,
    ) -> bytes:
        """Return 32 bytes from several pieces of noise, such as several images or several sources.

        Each part stands behind its length, so no two different lists of parts give the same input. The parameters
        and errors are those of `hash_entropy`.
        """
        if rounds < 1:
            raise InputRefused(f"{rounds} rounds of hashing make no digest; ask for at least 1")
        raw_parts = [_raw(part) for part in noise_parts]
        if not raw_parts:
            raise InputRefused("there is no noise to hash: the list of parts is empty")
        parts = encoding.listed(raw_parts)
        head = encoding.text(self.recipe.name) + encoding.field(memoryview(previous_hash).tobytes())
        head += encoding.integer(timestamp_us_of(timestamp))
        seal = encoding.field(encoding.seals_of(encoding.MIX_SEAL, *parts))
        digest = b""
        for turn in range(rounds):
            before = encoding.field(digest)
            digest = encoding.sha256_of(encoding.MIX, head, encoding.integer(turn), before, seal, *parts).digest()
        return digest

    def derive_blocks(
        self, inputs: Sequence[NoiseInput], manifest_sha256: str, timestamp_us: int, seed: bytes = b""
    ) -> tuple[NDArray[np.uint8], tuple[BlockRecord, ...]]:
        """Condition the noise of a batch into blocks and the chain of their records.

        Parameters
        ----------
        inputs
            The accepted images in the order of the manifest.
        manifest_sha256
            Hash of the manifest that the chain starts from, hex.
        timestamp_us
            Time of every record, microseconds since 1970-01-01 UTC.
        seed
            What the block nonces are made of; without it everybody knows them, so it is only for tests.

        Returns
        -------
        blocks
            ``uint8[n_blocks, recipe.block_len]``; no rows if the credit does not fill one block.
        records
            One per block.

        Raises
        ------
        InputRefused
            If an image or noise array is there twice: its credit would be spent twice. If a hash is no SHA-256 in
            hex, or the time does not fit.
        """
        plans = block_plans(inputs, self.recipe)
        blocks = np.empty((len(plans), self.recipe.block_len), np.uint8)
        records: list[BlockRecord] = []
        link = chain_genesis(manifest_sha256, self.recipe)
        batch = Conditioner(self.recipe, manifest_sha256, timestamp_us, inputs)
        for index, plan in enumerate(plans):
            nonce = nonce_of_block(self.recipe, seed, manifest_sha256, index)
            data = batch.condition(index, link, plan, nonce)
            blocks[index] = np.frombuffer(data, np.uint8)
            records.append(batch.record(index, link, plan, nonce, data))
            link = records[-1].link
        return blocks, tuple(records)

    def rederive_block(self, record: BlockRecord, inputs: Sequence[NoiseInput]) -> bytes:
        """Make the block of `record` again from the noise of its images, without the rest of its chain.

        Parameters
        ----------
        record
            What is known about the block.
        inputs
            The images behind it, in any order, and others beside them.

        Raises
        ------
        ChainBroken
            If the record is of another recipe, if the noise of an image behind it is not among `inputs`, or if a
            slice lies outside of its image.
        """
        if record.recipe != self.recipe.name:
            raise ChainBroken(
                f"record {record.index} is of recipe {record.recipe}, not of {self.recipe.name}",
                index=record.index,
                field="recipe",
            )
        positions = {noise.noise_sha256: position for position, noise in enumerate(inputs)}
        missing = sorted(set(record.noise_sha256s) - set(positions))
        if missing:
            raise ChainBroken(
                f"record {record.index} needs noise that was not given",
                index=record.index,
                field="noise_sha256s",
                missing=missing,
            )
        order = [positions[noise_sha256] for noise_sha256 in record.noise_sha256s]
        if not all(
            0 <= at < len(order) and 0 <= first < end <= inputs[order[at]].lines(self.recipe)
            for at, first, end in record.slices
        ):
            raise ChainBroken(
                f"record {record.index} names regions that its images do not have", index=record.index, field="slices"
            )
        plan = np.array([(order[at], first, end) for at, first, end in record.slices], np.int64)
        batch = Conditioner(self.recipe, record.manifest_sha256, record.timestamp_us, inputs)
        return batch.condition(record.index, record.previous_link, plan, record.nonce)


def verify_batch(
    records: Sequence[BlockRecord],
    inputs: Sequence[NoiseInput],
    *,
    manifest_sha256: str,
    recipe: Recipe,
    seed: bytes = b"",
    blocks: NDArray[np.uint8] | None = None,
) -> None:
    """Make the whole batch again from its noise and check every record against it, field by field.

    Parameters
    ----------
    seed
        What the block nonces are made of.
    blocks
        ``uint8[n_blocks, recipe.block_len]`` as stored; None checks the records alone.

    Raises
    ------
    ChainBroken
        Naming the first record and field that differ.
    """
    timestamp_us = records[0].timestamp_us if records else 0
    expected_blocks, expected = EntropyHasher(recipe).derive_blocks(inputs, manifest_sha256, timestamp_us, seed)
    for index, (record, right) in enumerate(zip(records, expected, strict=False)):
        wrong = [name for name in _COMPARED if getattr(record, name) != getattr(right, name)]
        if wrong:
            raise ChainBroken(
                f"record {index}: {wrong[0]} is not what its images give", index=index, field=wrong[0], wrong=wrong
            )
    if len(records) != len(expected):
        index = min(len(records), len(expected))
        raise ChainBroken(f"{len(records)} records where the images give {len(expected)}", index=index, field="index")
    verify_chain(records, manifest_sha256=manifest_sha256, recipe=recipe)
    if blocks is not None and not np.array_equal(blocks, expected_blocks):
        _name_altered_block(blocks, expected_blocks)


def _name_altered_block(blocks: NDArray[np.uint8], expected: NDArray[np.uint8]) -> NoReturn:
    pairs = enumerate(zip(blocks, expected, strict=False))
    shorter = min(len(blocks), len(expected))
    index = next((at for at, (block, right) in pairs if not np.array_equal(block, right)), shorter)
    raise ChainBroken(f"block {index} is not what its images give", index=index, field="block")


def xor_bytes(left: bytes, right: bytes) -> bytes:
    """Return the exclusive or of two byte strings: unpredictable if either is and they are independent.

    Raises
    ------
    InputRefused
        If their lengths differ: a shorter one would leave bytes unmixed.
    """
    if len(left) != len(right):
        raise InputRefused(f"can't mix {len(left)} bytes with {len(right)}: the lengths must match")
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")


def timestamp_us_of(timestamp: datetime) -> int:
    """Return `timestamp` in microseconds since 1970-01-01 UTC, exactly; a naive time is read as UTC.

    Raises
    ------
    InputRefused
        Before 1970.
    """
    aware = timestamp if timestamp.tzinfo is not None else timestamp.replace(tzinfo=UTC)
    micros = (aware - _EPOCH) // timedelta(microseconds=1)
    if micros < 0:
        raise InputRefused(f"the time {timestamp.isoformat()} lies before 1970")
    return micros


def _raw(noise: bytes | bytearray | memoryview | NDArray[np.uint8]) -> bytes:
    """Return the bytes of one piece of noise.

    Wider numbers are refused: their bytes depend on the machine, and a float's exponent is no noise.
    """
    view = noise.data if isinstance(noise, np.ndarray) else memoryview(noise)
    if view.itemsize != 1:
        raise InputRefused(f"noise must be bytes or uint8 samples, not items of {view.itemsize} bytes")
    if view.nbytes == 0:
        raise InputRefused("there is no noise to hash: a part is empty")
    return view.tobytes()
