"""The conditioning of raw noise into one block and its record (SP 800-90B 3.1.5), and the order of the slices.

Each digest takes in its own raw slice, and that slice alone carries the credited entropy: SHA-256 is a vetted function,
the slice holds at least ``recipe.slice_credit_bits``, and no pixel enters two slices. Beside it stands a *seal*, 32
bytes of BLAKE3 over every slice of the block. The seal is credited nothing: it ties every byte of the block to every
image behind it, and puts a second hash function of another structure beside the first.

Slices of several images are interleaved in proportion: slice ``i`` of the ``c`` slices of an image has the place
``(2 i + 1) * 2**32 // (2 c)``, smaller places first, ties in the order of the batch. So every block mixes the images in
the shares that they hold of the batch. Slices that do not fill a block at the end are not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from entropy_assets.core import encoding
from entropy_assets.core.conditioning.cutting import SliceCutter
from entropy_assets.core.conditioning.records import BlockRecord, block_entropy_bits, block_id_of, link_of
from entropy_assets.errors import InputRefused
from entropy_assets.recipe import Recipe

_PLACE: Final = 1 << 32
"""Resolution of the interleaving; fits int64 up to 2**29 slices of one image."""


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
        If there are no samples, they have another type or shape, or the credit is negative or over 8 bits per sample.
    """

    image_sha256: str
    noise_sha256: str
    samples: NDArray[np.uint8]
    credit_bits: int

    def __post_init__(self) -> None:
        if self.samples.dtype != np.uint8 or self.samples.ndim != 2 or not self.samples.flags.c_contiguous:
            raise InputRefused("noise samples must be a C-contiguous uint8 array of regions by samples")
        if self.samples.size == 0:
            raise InputRefused("noise without samples can't be conditioned")
        if not 0 <= self.credit_bits <= 8 * self.samples.size:
            raise InputRefused(
                f"{self.samples.size} samples of 8 bits can't hold a credit of {self.credit_bits} bits",
                samples=self.samples.size,
                credit_bits=self.credit_bits,
            )

    def lines(self, recipe: Recipe) -> int:
        """Return the number of lines that slices are counted in: those of all regions, or the regions."""
        return len(self.samples) * recipe.lines_per_region

    def lines_per_slice(self, recipe: Recipe) -> int:
        """Return how few lines together hold the credit of one slice; 0 if the whole image does not."""
        if self.credit_bits < recipe.slice_credit_bits:
            return 0
        return -(-recipe.slice_credit_bits * self.lines(recipe) // self.credit_bits)

    def credit_of(self, n_lines: int, recipe: Recipe) -> int:
        """Return the share of the credit that `n_lines` of the image hold, bits, rounded down."""
        return self.credit_bits * n_lines // self.lines(recipe)


def slices_of(inputs: Sequence[NoiseInput], recipe: Recipe) -> NDArray[np.int64]:
    """Return every slice of `inputs` in the order in which blocks take them.

    Returns
    -------
    ``int64[n_slices, 3]``: position in `inputs`, first line, end line.
    """
    plans = [_slices_of_one(position, noise, recipe) for position, noise in enumerate(inputs)]
    if not plans:
        return np.empty((0, 3), np.int64)
    places = [(2 * np.arange(len(plan), dtype=np.int64) + 1) * _PLACE // (2 * max(len(plan), 1)) for plan in plans]
    everything = np.concatenate(plans)
    order = np.lexsort((everything[:, 0], np.concatenate(places)))
    return np.asarray(everything[order])


def block_plans(inputs: Sequence[NoiseInput], recipe: Recipe) -> NDArray[np.int64]:
    """Return which slices each block of a batch hashes: it follows from the credit of the images alone.

    Returns
    -------
    ``int64[n_blocks, digests_per_block, 3]``: position in `inputs`, first line, end line. No row if the credit does
    not fill one block.

    Raises
    ------
    InputRefused
        If an image or noise array is there twice: its credit would be spent twice.
    """
    _refuse_repeats(inputs)
    slices, per_block = slices_of(inputs, recipe), recipe.digests_per_block
    n_blocks = len(slices) // per_block
    return slices[: n_blocks * per_block].reshape(n_blocks, per_block, 3)


def _refuse_repeats(inputs: Sequence[NoiseInput]) -> None:
    for name in ("image_sha256", "noise_sha256"):
        hashes = [getattr(noise, name) for noise in inputs]
        repeated = sorted({value for value in hashes if hashes.count(value) > 1})
        if repeated:
            raise InputRefused(
                f"the same {name} stands twice in a batch: its credit would be spent twice", repeated=repeated
            )


def _slices_of_one(position: int, noise: NoiseInput, recipe: Recipe) -> NDArray[np.int64]:
    size = noise.lines_per_slice(recipe)
    first = size * np.arange(noise.lines(recipe) // size if size else 0, dtype=np.int64)
    return np.stack([np.full_like(first, position), first, first + size], axis=1)


def nonce_of_block(recipe: Recipe, seed: bytes, manifest_sha256: str, index: int) -> str:
    """Return the nonce of one block of a batch, hex; empty for a recipe without block nonces."""
    return encoding.block_nonce(seed, manifest_sha256, index) if recipe.block_nonces else ""


class Conditioner:
    """Makes the blocks of one batch: holds the parts of every hash input that stay the same within it.

    Parameters
    ----------
    recipe
        Block length, credit per digest and the name that enters every hash.
    manifest_sha256
        Hash of the manifest that the chain starts from, hex.
    timestamp_us
        Time of every record, microseconds since 1970-01-01 UTC.
    inputs
        The images that a plan names by position.

    Raises
    ------
    InputRefused
        If the hash of an image or of its noise is no SHA-256 in hex, or its samples can't be cut as the recipe says.
    """

    def __init__(self, recipe: Recipe, manifest_sha256: str, timestamp_us: int, inputs: Sequence[NoiseInput]) -> None:
        self.recipe = recipe
        self.manifest_sha256 = manifest_sha256
        self.timestamp_us = timestamp_us
        self.inputs = inputs
        self.cutters = [SliceCutter(noise.samples, recipe) for noise in inputs]
        self.slice_credit = [noise.credit_of(noise.lines_per_slice(recipe), recipe) for noise in inputs]
        names = [encoding.named_hash(noise.image_sha256) + encoding.named_hash(noise.noise_sha256) for noise in inputs]
        self.names = np.array(names, encoding.NAMES)

    def condition(self, index: int, previous_link: str, plan: NDArray[np.int64], nonce: str) -> bytes:
        """Return the bytes of one block from the slices of `plan` (``int64[digests_per_block, 3]``) and its `nonce`."""
        context = encoding.context(
            recipe_name=self.recipe.name,
            previous_link=previous_link,
            timestamp_us=self.timestamp_us,
            manifest_sha256=self.manifest_sha256,
            index=index,
            nonce=nonce,
        )
        raws = self._raw_slices(plan)
        seals = encoding.seals_of(encoding.SEALS, context, *encoding.listed(raws), count=len(raws))
        heads = encoding.digest_heads(self.names[plan[:, 0]], plan[:, 1:], seals, np.fromiter(map(len, raws), np.int64))
        prefix = encoding.sha256_of(encoding.DIGEST, context)
        digests: list[bytes] = []
        for head, raw in zip(heads, raws, strict=True):
            digest = prefix.copy()
            digest.update(head)
            digest.update(raw)
            digests.append(digest.digest())
        return b"".join(digests)

    def _raw_slices(self, plan: NDArray[np.int64]) -> list[memoryview]:
        """Return the samples of each slice."""
        return [self.cutters[position].piece(first, end) for position, first, end in plan.tolist()]

    def _shortest(self, plan: NDArray[np.int64]) -> int:
        """Return the length of the shortest slice, bytes: slices that begin at the same line of a region are alike."""
        lines = self.recipe.lines_per_region
        alike: set[tuple[int, int, int]] = {
            (position, first % lines, end - first) for position, first, end in plan.tolist()
        }
        return min(self.cutters[position].length(line, line + size) for position, line, size in alike)

    def record(self, index: int, previous_link: str, plan: NDArray[np.int64], nonce: str, block: bytes) -> BlockRecord:
        """Return the record of the `block` that `condition` made from the same arguments."""
        counts = np.bincount(plan[:, 0], minlength=len(self.inputs))
        places = (np.cumsum(counts > 0) - 1)[plan[:, 0]]
        images = [noise for noise, count in zip(self.inputs, counts.tolist(), strict=True) if count]
        credit = sum(count * bits for count, bits in zip(counts.tolist(), self.slice_credit, strict=True))
        shortest = self._shortest(plan)
        block_sha256 = encoding.plain_sha256(block).hexdigest()
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
            credit_bits=credit,
            slice_bytes=shortest,
            output_entropy_bits=block_entropy_bits(shortest, self.recipe),
            slices=tuple(zip(places.tolist(), plan[:, 1].tolist(), plan[:, 2].tolist(), strict=True)),
            nonce=nonce,
        )
        return replace(unlinked, link=link_of(unlinked))
