"""Samples to blocks: vetted conditioning (SP 800-90B 3.1.5) of raw noise by SHA-256 with BLAKE3 beside it.

``encoding`` is the page that says what is hashed, ``chain`` holds the records and their verification.

Each digest takes in its own raw slice, and that slice alone carries the credited entropy: SHA-256 is a vetted
function, the slice holds at least ``recipe.slice_credit_bits``, and no region enters two slices. Beside it stands a
*seal*, 32 bytes of BLAKE3 over every slice of the block. It is credited nothing; it ties every byte of the block to
every image behind it, and puts a second hash function of another structure beside the first.

Slices of several images are interleaved in proportion: slice ``i`` of the ``c`` slices of an image has the place
``(2 i + 1) * 2**32 // (2 c)``, smaller places first, ties in the order of the batch. So every block mixes the images in
the shares that they hold of the batch. Slices that do not fill a block at the end are not used.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from entropy_assets.core import encoding
from entropy_assets.core.chain import (
    BlockRecord,
    block_entropy_bits,
    block_id_of,
    chain_genesis,
    link_of,
    output_entropy_bits,
    verify_block,
    verify_chain,
)
from entropy_assets.errors import ChainBroken, InputRefused
from entropy_assets.recipe import STANDARD, Recipe

__all__ = [
    "BlockRecord",
    "EntropyHasher",
    "NoiseInput",
    "block_id_of",
    "chain_genesis",
    "output_entropy_bits",
    "timestamp_us_of",
    "verify_batch",
    "verify_block",
    "verify_chain",
    "xor_bytes",
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE: Final = 1 << 32
"""Resolution of the interleaving; fits int64 up to 2**29 slices of one image."""
_DIGEST_HEAD: Final = np.dtype(
    [("images", "V80"), ("integers", ">u8", (3, 2)), ("seal_length", ">u8"), ("seal", "V32"), ("slice_length", ">u8")]
)
"""What stands between CONTEXT and the slice of a digest: image and noise hash; index, first and end; seal."""


@dataclass(frozen=True, slots=True, eq=False)
class NoiseInput:
    """What conditioning needs from one image.

    Attributes
    ----------
    image_sha256, noise_sha256
        Hashes of the file and of its noise array, hex.
    samples
        ``uint8[n_regions, row_len]``, C-contiguous; row ``i`` holds all samples of region ``i``.
    credit_bits
        Assessed min-entropy of all of `samples` that may be spent, bits.

    Raises
    ------
    InputRefused
        If the samples have another type or shape, or the credit is negative or over 8 bits per sample.
    """

    image_sha256: str
    noise_sha256: str
    samples: NDArray[np.uint8]
    credit_bits: int

    def __post_init__(self) -> None:
        if self.samples.dtype != np.uint8 or self.samples.ndim != 2 or not self.samples.flags.c_contiguous:
            raise InputRefused("noise samples must be a C-contiguous uint8 array of regions by samples")
        if not 0 <= self.credit_bits <= 8 * self.samples.size:
            raise InputRefused(
                f"{self.samples.size} samples of 8 bits can't hold a credit of {self.credit_bits} bits",
                samples=self.samples.size,
                credit_bits=self.credit_bits,
            )

    def regions_per_slice(self, recipe: Recipe) -> int:
        """Return how few regions together hold the credit of one slice; 0 if the whole image does not."""
        if self.credit_bits < recipe.slice_credit_bits:
            return 0
        return -(-recipe.slice_credit_bits * len(self.samples) // self.credit_bits)

    def credit_of(self, n_regions: int) -> int:
        """Return the share of the credit that `n_regions` of the image hold, bits, rounded down."""
        return self.credit_bits * n_regions // len(self.samples)


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
        parts = [encoding.field(_raw(part)) for part in noise_parts]
        if not parts:
            raise InputRefused("there is no noise to hash: the list of parts is empty")
        listed = encoding.integer(len(parts)) + b"".join(parts)
        head = encoding.text(encoding.MIX) + encoding.text(self.recipe.name) + encoding.field(bytes(previous_hash))
        head += encoding.integer(timestamp_us_of(timestamp))
        tail = encoding.field(blake3(encoding.text(encoding.MIX_SEAL) + listed).digest()) + listed
        digest = b""
        for turn in range(rounds):
            digest = hashlib.sha256(head + encoding.integer(turn) + encoding.field(digest) + tail).digest()
        return digest

    def slices(self, inputs: Sequence[NoiseInput]) -> NDArray[np.int64]:
        """Return every slice of `inputs` in the order in which blocks take them.

        Returns
        -------
        ``int64[n_slices, 3]``: position in `inputs`, first region, end region.
        """
        plans = [self._slices_of_one(position, noise) for position, noise in enumerate(inputs)]
        if not plans:
            return np.empty((0, 3), np.int64)
        places = [(2 * np.arange(len(plan), dtype=np.int64) + 1) * _PLACE // (2 * max(len(plan), 1)) for plan in plans]
        everything = np.concatenate(plans)
        order: NDArray[np.int64] = np.lexsort((everything[:, 0], np.concatenate(places)))
        return everything[order]

    def _slices_of_one(self, position: int, noise: NoiseInput) -> NDArray[np.int64]:
        size = noise.regions_per_slice(self.recipe)
        first = size * np.arange(len(noise.samples) // size if size else 0, dtype=np.int64)
        return np.stack([np.full_like(first, position), first, first + size], axis=1)

    def derive_blocks(
        self, inputs: Sequence[NoiseInput], manifest_sha256: str, timestamp_us: int
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

        Returns
        -------
        blocks
            ``uint8[n_blocks, recipe.block_len]``; no rows if the credit does not fill one block.
        records
            One per block.

        Raises
        ------
        InputRefused
            If an image or noise array is there twice: its credit would be spent twice.
        """
        _refuse_repeats(inputs)
        per_block = self.recipe.digests_per_block
        plan = self.slices(inputs)
        blocks = np.empty((len(plan) // per_block, self.recipe.block_len), np.uint8)
        records: list[BlockRecord] = []
        link = chain_genesis(manifest_sha256, self.recipe)
        batch = _Batch(self.recipe, manifest_sha256, timestamp_us, inputs)
        for index, block in enumerate(blocks):
            part = plan[index * per_block : (index + 1) * per_block]
            data = batch.condition(index, link, part)
            block[:] = np.frombuffer(data, np.uint8)
            records.append(batch.record(index, link, part, data))
            link = records[-1].link
        return blocks, tuple(records)

    def rederive_block(self, record: BlockRecord, inputs: Sequence[NoiseInput]) -> bytes:
        """Make the block of `record` again from the noise of its images, without the rest of its chain.

        Raises
        ------
        ChainBroken
            If the noise of an image behind the record is not among `inputs`, or a slice lies outside of it.
        """
        positions = {noise.noise_sha256: position for position, noise in enumerate(inputs)}
        missing = sorted(set(record.noise_sha256s) - set(positions))
        if missing:
            raise ChainBroken(
                f"record {record.index} needs noise that was not given",
                index=record.index,
                field="noise_sha256s",
                missing=missing,
            )
        plan = np.array(
            [(positions[record.noise_sha256s[at]], first, end) for at, first, end in record.slices], np.int64
        )
        if any(end > len(inputs[position].samples) for position, _, end in plan.tolist()):
            raise ChainBroken(
                f"record {record.index} names regions that its images do not have", index=record.index, field="slices"
            )
        batch = _Batch(self.recipe, record.manifest_sha256, record.timestamp_us, inputs)
        return batch.condition(record.index, record.previous_link, plan)


class _Batch:
    """The parts of every hash input that stay the same within one batch."""

    def __init__(self, recipe: Recipe, manifest_sha256: str, timestamp_us: int, inputs: Sequence[NoiseInput]) -> None:
        self.recipe = recipe
        self.manifest_sha256 = manifest_sha256
        self.timestamp_us = timestamp_us
        self.inputs = inputs
        self.raw = [noise.samples.data.cast("B") for noise in inputs]
        self.row_len = np.array([noise.samples.shape[1] for noise in inputs], np.int64)
        names = [encoding.named_hash(noise.image_sha256) + encoding.named_hash(noise.noise_sha256) for noise in inputs]
        self.names = np.frombuffer(b"".join(names), _DIGEST_HEAD["images"])

    def condition(self, index: int, previous_link: str, plan: NDArray[np.int64]) -> bytes:
        """Return the bytes of one block from the slices of `plan` (``int64[digests_per_block, 3]``)."""
        context = encoding.context(
            recipe_name=self.recipe.name,
            previous_link=previous_link,
            timestamp_us=self.timestamp_us,
            manifest_sha256=self.manifest_sha256,
            index=index,
        )
        raws = self._raw_slices(plan)
        seals = self._seals(context, raws)
        heads, size = self._digest_heads(plan, seals), _DIGEST_HEAD.itemsize
        prefix = hashlib.sha256(encoding.text(encoding.DIGEST) + context)
        digests: list[bytes] = []
        for j, raw in enumerate(raws):
            digest = prefix.copy()
            digest.update(heads[j * size : (j + 1) * size])
            digest.update(raw)
            digests.append(digest.digest())
        return b"".join(digests)

    def _raw_slices(self, plan: NDArray[np.int64]) -> list[memoryview]:
        """Return the samples of each slice, without copying them."""
        begin = (plan[:, 1] * self.row_len[plan[:, 0]]).tolist()
        end = (plan[:, 2] * self.row_len[plan[:, 0]]).tolist()
        return [self.raw[at][b:e] for at, b, e in zip(plan[:, 0].tolist(), begin, end, strict=True)]

    def _seals(self, context: bytes, raws: Sequence[memoryview]) -> bytes:
        """Return the seals of one block, 32 bytes for each slice.

        One call over the joined slices: BLAKE3 is several times faster on one long input than on many short ones.
        """
        listed = [part for raw in raws for part in (len(raw).to_bytes(8, "big"), raw)]
        head = encoding.text(encoding.SEALS) + context + encoding.integer(len(raws))
        return blake3(b"".join([head, *listed])).digest(length=encoding.HASH_LEN * len(raws))

    def _digest_heads(self, plan: NDArray[np.int64], seals: bytes) -> bytes:
        """Return what stands between the context and the raw slice of each digest, one after the other."""
        heads = np.empty(len(plan), _DIGEST_HEAD)
        heads["images"] = self.names[plan[:, 0]]
        heads["integers"][:, :, 0] = 8
        heads["integers"][:, 0, 1] = np.arange(len(plan))
        heads["integers"][:, 1:, 1] = plan[:, 1:]
        heads["seal_length"], heads["seal"] = encoding.HASH_LEN, np.frombuffer(seals, _DIGEST_HEAD["seal"])
        heads["slice_length"] = (plan[:, 2] - plan[:, 1]) * self.row_len[plan[:, 0]]
        return heads.tobytes()

    def record(self, index: int, previous_link: str, plan: NDArray[np.int64], block: bytes) -> BlockRecord:
        """Return the record of the `block` that `condition` made from the same arguments."""
        used, places, counts = np.unique(plan[:, 0], return_inverse=True, return_counts=True)
        images = [self.inputs[position] for position in used.tolist()]
        shortest = int(((plan[:, 2] - plan[:, 1]) * self.row_len[plan[:, 0]]).min())
        block_sha256 = hashlib.sha256(block).hexdigest()
        credits = [noise.credit_of(noise.regions_per_slice(self.recipe)) for noise in images]
        unlinked = BlockRecord(
            index=index,
            block_id=block_id_of(block_sha256),
            block_sha256=block_sha256,
            previous_link=previous_link,
            link="",
            timestamp_us=self.timestamp_us,
            manifest_sha256=self.manifest_sha256,
            image_sha256s=tuple(noise.image_sha256 for noise in images),
            noise_sha256s=tuple(noise.noise_sha256 for noise in images),
            recipe=self.recipe.name,
            credit_bits=sum(count * credit for count, credit in zip(counts.tolist(), credits, strict=True)),
            slice_bytes=shortest,
            output_entropy_bits=block_entropy_bits(shortest, self.recipe),
            slices=tuple(zip(places.tolist(), plan[:, 1].tolist(), plan[:, 2].tolist(), strict=True)),
        )
        return replace(unlinked, link=link_of(unlinked))


def verify_batch(
    records: Sequence[BlockRecord],
    inputs: Sequence[NoiseInput],
    *,
    manifest_sha256: str,
    recipe: Recipe,
    blocks: NDArray[np.uint8] | None = None,
) -> None:
    """Make the whole batch again from its noise and check every record against it, field by field.

    Parameters
    ----------
    blocks
        ``uint8[n_blocks, recipe.block_len]`` as stored; None checks the records alone.

    Raises
    ------
    ChainBroken
        Naming the first record and field that differ.
    """
    timestamp_us = records[0].timestamp_us if records else 0
    expected_blocks, expected = EntropyHasher(recipe).derive_blocks(inputs, manifest_sha256, timestamp_us)
    for index, (record, right) in enumerate(zip(records, expected, strict=False)):
        wrong = [item.name for item in fields(BlockRecord) if getattr(record, item.name) != getattr(right, item.name)]
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


def _name_altered_block(blocks: NDArray[np.uint8], expected: NDArray[np.uint8]) -> None:
    same_shape = min(len(blocks), len(expected)) if blocks.ndim == 2 and blocks.shape[1:] == expected.shape[1:] else 0
    differs = np.flatnonzero((blocks[:same_shape] != expected[:same_shape]).any(axis=1))
    index = int(differs[0]) if len(differs) else same_shape
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


def _refuse_repeats(inputs: Sequence[NoiseInput]) -> None:
    for name in ("image_sha256", "noise_sha256"):
        hashes = [getattr(noise, name) for noise in inputs]
        repeated = sorted({value for value in hashes if hashes.count(value) > 1})
        if repeated:
            raise InputRefused(
                f"the same {name} stands twice in a batch: its credit would be spent twice", repeated=repeated
            )
