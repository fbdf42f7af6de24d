"""The one page that says what is hashed, and the few functions that write it.

Every hash input is a sequence of *fields*. A field is its length in bytes as an 8-byte big-endian integer, then the
bytes. An integer is a field of 8 bytes, big-endian, unsigned. A hash that is named in hex enters as its raw bytes.
The first field is the *domain*, ASCII with a version, so no input of one kind is ever an input of another kind. A
*list* is one integer field, its number of items, and then the fields of its items.

=========  =============================  ======================================================================
value      domain                         fields after the domain
=========  =============================  ======================================================================
genesis    ``entropy-assets/genesis/1``   recipe name, manifest hash
seals      ``entropy-assets/seals/1``     CONTEXT, list of the raw slices of the block
digest     ``entropy-assets/digest/1``    CONTEXT, image hash, noise hash, digest index, first region, end region,
                                          seal, raw slice
block id   ``entropy-assets/block-id/1``  block hash
link       ``entropy-assets/link/1``      CONTEXT, block hash, credit bits, shortest slice in bytes,
                                          list of (image hash, noise hash), slice table
mix seal   ``entropy-assets/mix-seal/1``  list of the parts
mix        ``entropy-assets/mix/1``       recipe name, previous hash, timestamp, round, digest of the round before
                                          (empty in round 0), mix seal, list of the parts
=========  =============================  ======================================================================

CONTEXT stands for five fields: recipe name, previous link, timestamp, manifest hash, block index. Timestamps are
microseconds since 1970-01-01 UTC. Regions are rows of the image's noise array; a slice is the samples of the
regions ``first`` to ``end - 1``, one byte each. The slice table is one field: image position, first region and end
region of every slice, 8 bytes each. Image positions count in the record's own list of images.

All values are SHA-256, except the seals, which are BLAKE3: the seals of a block are ``block_len`` bytes of extendable
output, cut into one seal of 32 bytes per digest; a mix seal is 32 bytes. A *block* is its digests one after the other,
its hash the plain SHA-256 of its bytes. The *block id* is the first 16 bytes of its hash in the layout of UUID
version 8 (RFC 9562 section 5.8).

Worked example: the genesis link of recipe ``ea-2026-1`` for a manifest whose hash is 32 bytes of ``ab``::

    0000000000000018 656e74726f70792d6173736574732f67656e657369732f31
    0000000000000009 65612d323032362d31
    0000000000000020 abababababababababababababababababababababababababababababababab
    SHA-256 = 5523e3dbf709aaf8ad6d21cb6f3266cc44f6bf5c66b32776ae7abf7bb8b66338
"""

import struct
from collections.abc import Sequence
from itertools import chain
from typing import Final

from entropy_assets.errors import InputRefused

GENESIS: Final = "entropy-assets/genesis/1"
SEALS: Final = "entropy-assets/seals/1"
DIGEST: Final = "entropy-assets/digest/1"
BLOCK_ID: Final = "entropy-assets/block-id/1"
LINK: Final = "entropy-assets/link/1"
MIX_SEAL: Final = "entropy-assets/mix-seal/1"
MIX: Final = "entropy-assets/mix/1"

HASH_LEN: Final = 32
"""Length of SHA-256 digests and of seals, bytes."""

_INTEGER: Final = struct.Struct(">QQ")


def field(value: bytes) -> bytes:
    """Return `value` behind its length."""
    return len(value).to_bytes(8, "big") + value


def text(value: str) -> bytes:
    """Return the field of an ASCII string, such as a domain or the name of a recipe."""
    return field(value.encode("ascii"))


def integer(value: int) -> bytes:
    """Return the field of an integer in ``0 <= value < 2**64``.

    Raises
    ------
    InputRefused
        Outside of that range.
    """
    if not 0 <= value < 1 << 64:
        raise InputRefused(f"{value} does not fit the 8 bytes of an encoded integer")
    return _INTEGER.pack(8, value)


def table(rows: Sequence[tuple[int, ...]]) -> bytes:
    """Return one field of many integers, row by row, without a length before each."""
    values = list(chain.from_iterable(rows))
    return field(struct.pack(f">{len(values)}Q", *values))


def hash_bytes(hex_hash: str) -> bytes:
    """Return the 32 bytes that `hex_hash` names.

    Raises
    ------
    InputRefused
        Unless it is 64 lower-case hex digits, so that one hash has one spelling.
    """
    try:
        raw = bytes.fromhex(hex_hash)
    except ValueError:
        raw = b""
    if len(raw) != HASH_LEN or raw.hex() != hex_hash:
        raise InputRefused(f"{hex_hash!r} is not a SHA-256 in 64 lower-case hex digits")
    return raw


def named_hash(hex_hash: str) -> bytes:
    """Return the field of a hash that is named in hex."""
    return field(hash_bytes(hex_hash))


def context(*, recipe_name: str, previous_link: str, timestamp_us: int, manifest_sha256: str, index: int) -> bytes:
    """Return the five fields that place a block in its chain: CONTEXT in the table above."""
    return (
        text(recipe_name)
        + named_hash(previous_link)
        + integer(timestamp_us)
        + named_hash(manifest_sha256)
        + integer(index)
    )
