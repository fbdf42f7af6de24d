"""The record of a block, the links between records, and their verification.

A chain is trusted for nothing: whoever can write the store can write a whole new chain. It shows *tampering with a
part*, and together with the images (``hasher.verify_batch``) it shows tampering with all of it.
"""

import math
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NoReturn, Self

from entropy_assets.core import encoding
from entropy_assets.core.sp800_90b.output_entropy import output_entropy_bits
from entropy_assets.errors import BatchError, ChainBroken
from entropy_assets.recipe import Recipe, recipe_named

_OUTPUT_ENTROPY_TOLERANCE: Final = 1e-9
"""Allowed difference of a recomputed output entropy, bits: the last digits of ``log1p`` differ between C libraries."""

_VARIANT: Final = {digit: f"{int(digit, 16) & 0b0011 | 0b1000:x}" for digit in "0123456789abcdef"}
"""The hex digit that holds the variant of a UUID, its two upper bits set to 10."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRecord:
    """What is known about one block, without its bytes: enough to make it again from its images.

    Attributes
    ----------
    index
        Place in the chain of the batch, from 0.
    block_id
        UUID version 8 derived from `block_sha256`.
    block_sha256
        SHA-256 of the bytes of the block, hex.
    previous_link, link
        The link of the record before (the genesis link for the first) and this one's, hex.
    timestamp_us
        When the batch was conditioned, microseconds since 1970-01-01 UTC.
    manifest_sha256
        Hash of the manifest that the chain starts from, hex.
    image_sha256s, noise_sha256s
        The images behind this block and their noise arrays, hex, in the order of the batch.
    recipe
        Name of the recipe.
    credit_bits
        Assessed min-entropy that went in, bits: the sum over the slices, each rounded down.
    slice_bytes
        Length of the shortest slice, bytes.
    output_entropy_bits
        Min-entropy of the block by SP 800-90B 3.1.5.1.2, bits, at the credit that the recipe demands of each slice.
        Derived from the fields above; no hash depends on it.
    nonce
        Nonce that entered every hash of the block, hex; empty for a recipe without block nonces. Secret until the block
        reveals, as `slices` are.
    slices
        (position in `image_sha256s`, first line, end line) for each digest in order; lines as `cutting` numbers them.
    """

    index: int
    block_id: str
    block_sha256: str
    previous_link: str
    link: str
    timestamp_us: int
    manifest_sha256: str
    image_sha256s: tuple[str, ...]
    noise_sha256s: tuple[str, ...]
    recipe: str
    credit_bits: int
    slice_bytes: int
    output_entropy_bits: float
    slices: tuple[tuple[int, int, int], ...]
    nonce: str = ""

    def to_row(self) -> dict[str, Any]:
        """Return the record as JSON-able values."""
        row = asdict(self)
        return row | {
            "image_sha256s": list(self.image_sha256s),
            "noise_sha256s": list(self.noise_sha256s),
            "slices": [list(one) for one in self.slices],
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Return the record that `row` holds.

        Raises
        ------
        BatchError
            If a field is missing, unknown or of the wrong type.
        """
        row = {"nonce": "", **row}  # rows of before there were block nonces have none
        wrong = sorted(set(row) ^ set(cls.__slots__)) or [name for name in row if not _fits(name, row[name])]
        if wrong:
            raise BatchError(
                f"a block record has missing, unknown or malformed fields: {', '.join(wrong)}", fields=wrong
            )
        lists = {
            "image_sha256s": tuple(row["image_sha256s"]),
            "noise_sha256s": tuple(row["noise_sha256s"]),
            "slices": tuple((position, first, end) for position, first, end in row["slices"]),
            "output_entropy_bits": float(row["output_entropy_bits"]),
        }
        return cls(**{**row, **lists})


_INTEGERS: Final = frozenset({"index", "timestamp_us", "credit_bits", "slice_bytes"})
_HASHES: Final = frozenset({"block_sha256", "previous_link", "link", "manifest_sha256"})
_HASH_LISTS: Final = frozenset({"image_sha256s", "noise_sha256s"})


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and len(value) == 2 * encoding.HASH_LEN and set(value) <= set("0123456789abcdef")


def _is_slice(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 3 and all(map(_is_count, value))


def _fits(name: str, value: object) -> bool:
    """Tell whether `value` has the type of the field called `name`."""
    if name in _INTEGERS:
        return _is_count(value)
    if name in _HASHES:
        return _is_hash(value)
    if name == "nonce":
        return value == "" or _is_hash(value)
    if name in _HASH_LISTS:
        return isinstance(value, list | tuple) and all(map(_is_hash, value))
    if name == "slices":
        return isinstance(value, list | tuple) and all(map(_is_slice, value))
    if name == "output_entropy_bits":
        return isinstance(value, int | float) and type(value) is not bool and math.isfinite(value) and value >= 0
    return isinstance(value, str) and value.isascii()


def block_entropy_bits(slice_bytes: int, recipe: Recipe) -> float:
    """Return the min-entropy of a block whose slices hold at least what `recipe` demands, bits.

    Parameters
    ----------
    slice_bytes
        Length of the shortest slice, bytes: the shorter the input, the smaller the bound.
    """
    digest_bits = 8 * recipe.digest_len
    of_one_digest = output_entropy_bits(8 * slice_bytes, digest_bits, digest_bits, recipe.slice_credit_bits)
    return recipe.digests_per_block * of_one_digest


def chain_genesis(manifest_sha256: str, recipe: Recipe) -> str:
    """Return the link before the first record of a batch, hex."""
    named = encoding.text(recipe.name), encoding.named_hash(manifest_sha256)
    return encoding.sha256_of(encoding.GENESIS, *named).hexdigest()


def block_id_of(block_sha256: str) -> str:
    """Return the id of the block with this hash: a UUID of version 8, so the same block never has two ids."""
    hexes = encoding.sha256_of(encoding.BLOCK_ID, encoding.named_hash(block_sha256)).hexdigest()
    # version and variant, RFC 9562 sections 4.2 and 4.1; by hand, since `uuid.UUID` costs as much as the hash
    variant = _VARIANT[hexes[16]]
    return f"{hexes[:8]}-{hexes[8:12]}-8{hexes[13:16]}-{variant}{hexes[17:20]}-{hexes[20:32]}"


def link_of(record: BlockRecord) -> str:
    """Return the link that the other fields of `record` demand, hex."""
    images = zip(record.image_sha256s, record.noise_sha256s, strict=True)
    parts = [
        encoding.context(
            recipe_name=record.recipe,
            previous_link=record.previous_link,
            timestamp_us=record.timestamp_us,
            manifest_sha256=record.manifest_sha256,
            index=record.index,
            nonce=record.nonce,
        ),
        encoding.named_hash(record.block_sha256),
        encoding.integer(record.credit_bits),
        encoding.integer(record.slice_bytes),
        encoding.integer(len(record.image_sha256s)),
        *(encoding.named_hash(image) + encoding.named_hash(noise) for image, noise in images),
        encoding.table(record.slices),
    ]
    return encoding.sha256_of(encoding.LINK, *parts).hexdigest()


def verify_block(record: BlockRecord, block: bytes) -> None:
    """Check that `block` is the one that `record` is about, and that the record's id and link follow from it.

    Raises
    ------
    ChainBroken
        Naming the first field that does not hold.
    RecipeUnknown
        If this version does not carry the recipe of the record.
    """
    if encoding.plain_sha256(block).hexdigest() != record.block_sha256:
        _broken(record.index, "block_sha256", "the bytes of the block are not those that were recorded")
    _verify_derived(record, recipe_named(record.recipe))


def verify_chain(
    records: Sequence[BlockRecord], *, manifest_sha256: str, recipe: Recipe, last_link: str | None = None
) -> None:
    """Check that `records` are the whole chain of one batch, unaltered and in order.

    Parameters
    ----------
    last_link
        The link that the chain must end in, hex. Without it, records that were dropped from the end go unseen.

    Raises
    ------
    ChainBroken
        ``index`` is the first place that does not hold, ``field`` what is wrong there; ``field="link"`` says that
        one of the fields that the link binds was altered and nothing else tells which.
    """
    previous, earliest = chain_genesis(manifest_sha256, recipe), 0
    spent: dict[str, list[tuple[int, int]]] = {}
    for index, record in enumerate(records):
        expected = {
            "index": index,
            "recipe": recipe.name,
            "manifest_sha256": manifest_sha256,
            "previous_link": previous,
        }
        for name, value in expected.items():
            if getattr(record, name) != value:
                _broken(index, name, f"{getattr(record, name)!r} where the chain demands {value!r}")
        if record.timestamp_us < earliest:
            _broken(index, "timestamp_us", "the record is dated before the one it follows")
        _verify_derived(record, recipe)
        _spend(record, spent)
        previous, earliest = record.link, record.timestamp_us
    if last_link is not None and previous != last_link:
        _broken(len(records), "link", "the chain does not end in the link that was recorded for it")


def _verify_derived(record: BlockRecord, recipe: Recipe) -> None:
    """Check every field that follows from the others."""
    id_holds = record.block_id == block_id_of(record.block_sha256)
    if len(record.image_sha256s) != len(record.noise_sha256s):
        _broken(record.index, "noise_sha256s", "images and noise arrays do not pair up")
    if record.link != link_of(record):
        culprit = "link" if id_holds else "block_sha256"
        _broken(record.index, culprit, "the link does not follow from the record")
    if not id_holds:
        _broken(record.index, "block_id", "the id does not follow from the hash of the block")
    if bool(record.nonce) != recipe.block_nonces:
        _broken(record.index, "nonce", f"recipe {recipe.name} has {'' if recipe.block_nonces else 'no '}block nonces")
    if len(record.slices) != recipe.digests_per_block:
        _broken(record.index, "slices", f"{len(record.slices)} slices for {recipe.digests_per_block} digests")
    if record.credit_bits < recipe.block_credit_bits:
        _broken(record.index, "credit_bits", "the block holds more than its credit allows")
    entropy = block_entropy_bits(record.slice_bytes, recipe)
    if not abs(record.output_entropy_bits - entropy) <= _OUTPUT_ENTROPY_TOLERANCE:
        _broken(record.index, "output_entropy_bits", f"recorded {record.output_entropy_bits}, computed {entropy}")


def _spend(record: BlockRecord, spent: dict[str, list[tuple[int, int]]]) -> None:
    """Check that no part of the record was spent before, and add its slices to those that are `spent`."""
    for position, first, end in record.slices:
        if position >= len(record.noise_sha256s) or first >= end:
            _broken(record.index, "slices", "a slice names no region of the images behind the block")
        taken = spent.setdefault(record.noise_sha256s[position], [])
        at = bisect(taken, (first, end))
        if (at and taken[at - 1][1] > first) or (at < len(taken) and taken[at][0] < end):
            _broken(record.index, "slices", f"lines from {first} to {end} were spent before")
        taken.insert(at, (first, end))


def _broken(index: int, field: str, why: str) -> NoReturn:
    raise ChainBroken(f"record {index}: {field}: {why}; the batch must not be used", index=index, field=field)
