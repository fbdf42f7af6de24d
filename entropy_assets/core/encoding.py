"""The one page that lists every hash input, and the functions that write them.

No other module of `core` calls a hash function. What it hashes is on this page, and is written here.

Inputs of fields
----------------
All inputs in this table are sequences of *fields*. A field is its length in bytes as an 8-byte big-endian integer, then
the bytes. An integer is a field of 8 bytes, big-endian, unsigned. A hash that is named in hex enters as its raw bytes.
The first field is the *domain*, ASCII with a version, so no input of one kind is ever an input of another kind. A
*list* is one integer field, its number of items, and then the fields of its items.

===========  ================================  =================================================================
value        domain                            fields after the domain
===========  ================================  =================================================================
genesis      ``entropy-assets/genesis/1``      recipe name, manifest hash
seals        ``entropy-assets/seals/1``        CONTEXT, list of the raw slices of the block
digest       ``entropy-assets/digest/1``       CONTEXT, image hash, noise hash, digest index, first line, end line,
                                               seal, raw slice
block id     ``entropy-assets/block-id/1``     block hash
link         ``entropy-assets/link/1``         CONTEXT, block hash, credit bits, shortest slice in bytes,
                                               list of (image hash, noise hash), slice table
block nonce  ``entropy-assets/block-nonce/1``  seed of the batch, manifest hash, block index
mix seal     ``entropy-assets/mix-seal/1``     list of the parts
mix          ``entropy-assets/mix/1``          recipe name, previous hash, timestamp, round, digest of the round before
                                               (empty in round 0), mix seal, list of the parts
claim        ``entropy-assets/ledger/1``       ``claim``, previous link, image hash, pixel hash (empty if the pixels
                                               can't be read), batch key, time
publication  ``entropy-assets/ledger/1``       ``publication``, previous link, batch key, chain head, run id, time,
                                               number of blocks, then of each block: id, position, block hash, link
binding      ``entropy-assets/ledger/1``       ``binding``, previous link, batch key, binding hash, time
loss         ``entropy-assets/ledger/1``       ``loss``, previous link, lost link, who knew of it, time
===========  ================================  =================================================================

CONTEXT stands for the fields recipe name, previous link, timestamp, manifest hash, block index, and, where the recipe
has block nonces, the block nonce; recipes ``ea-2026-1`` have none. The *seed of the batch* is the system's bytes of its
intake, 32 of them, none in deterministic mode; who doesn't know it knows no block nonce, also beside others.

Timestamps are microseconds since 1970-01-01 UTC. Regions are rows of the image's noise array; a slice is the samples
of the lines ``first`` to ``end - 1``, one byte each. The slice table is one field: image position, first line and end
line of every slice, 8 bytes each. Image positions count in the record's own list of images.

A line is a whole region, and its samples are the whole row. Where the recipe cuts slices at lines, there are
``region_size`` of each region, numbered ``region_size * region + line``. A slice is then what its regions give
one after the other: a region all of whose lines are in it the whole row; any other region, for each of its planes, the
pair differences of those of its lines that are, and then those rows of the Laplacian whose three lines are.

The ledger's fields are texts, as its columns are: UTF-8, integers in decimal digits, hashes in hex. The first row of
each kind has 64 zeros as its previous link.

All values are SHA-256, except the seals, which are BLAKE3: the seals of a block are ``block_len`` bytes of extendable
output, cut into one seal of 32 bytes per digest; a mix seal is 32 bytes. A *block* is its digests one after the other.
The *block id* is the first 16 bytes of its hash in the layout of UUID version 8 (RFC 9562 section 5.8).

Older inputs, without lengths
-----------------------------
They came with recipe ``ea-2026-1`` and stay as they are. Each begins with its domain: ASCII, ended by a zero byte.
None of the domains begins another one, and none begins with a zero byte, as every field does: so no input here is one
of another row, or one of fields. Integers are big-endian and unsigned.

=============  ===================================  ==================================================================
value          domain, with a zero byte behind it   what follows
=============  ===================================  ==================================================================
pixel digest   ``entropy_assets pixel digest 1``    channels, ny, nx and width, 8 bytes each; then every code in
                                                    `width` bytes: by channel, row and column
random nonce   ``entropy_assets sampling nonce 1``  ``random`` and a zero byte; the image hash, 32 bytes; the time,
                                                    ns, 16 bytes; the length of the system's bytes, 8 bytes; these
fixed nonce    ``entropy_assets sampling nonce 1``  ``deterministic`` and a zero byte; the image hash, 32 bytes
draw order     ``entropy_assets draw order 1``      the nonce, 32 bytes
noise digest   ``entropy_assets noise array 1``     regions and samples per region, 8 bytes each; then the samples
=============  ===================================  ==================================================================

Nothing here can be read in two ways: each part has a fixed length, or its length is told before it, or it is the last
and its length follows from the shape. Image hashes and nonces of another length are refused. The draw order is
SHAKE-256, 8 bytes for each region: their sort keys. The others are SHA-256.

JSON
----
The *manifest hash* is SHA-256 of canonical JSON (`canonical_json`): a list with, for each file of the batch, the list
of image hash, accepted or not, pixel hash or null, source. The 8 digits at the end of a batch key are the first of the
same of a sorted list: name, image hash and size of each file. A batch from an inbox gets its key before its files are
read, so there it is name, time of change (ns, in decimal digits) and size. JSON says itself where each value ends, and
it begins with a bracket, so it is none of the inputs above. The *binding hash* of a batch is the same of a list: its
intake as it is kept, and the manifest hash. Other hashes of JSON, such as Dagster's data versions,
enter no hash.

Plain hashes
------------
The *image hash* is SHA-256 of the file as it came, and the *block hash* that of the bytes of the block, without a
domain, so that any tool can repeat them. A file could be made that is an input of this page, and then its image hash
is that value. That gives nothing: no value of one kind stands where one of another kind is expected. The uniform
numbers that spread P-values over their steps come from the block hash too: four integers of 8 bytes, of which the
upper 53 bits count.

Worked example
--------------
The genesis link of recipe ``ea-2026-1`` for a manifest whose hash is 32 bytes of ``ab``::

    0000000000000018 656e74726f70792d6173736574732f67656e657369732f31
    0000000000000009 65612d323032362d31
    0000000000000020 abababababababababababababababababababababababababababababababab
    SHA-256 = 5523e3dbf709aaf8ad6d21cb6f3266cc44f6bf5c66b32776ae7abf7bb8b66338
"""

import hashlib
import json
import struct
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from entropy_assets.errors import InputRefused

if TYPE_CHECKING:
    from hashlib import _Hash as Sha256

Readable: TypeAlias = bytes | bytearray | memoryview

GENESIS: Final = "entropy-assets/genesis/1"
SEALS: Final = "entropy-assets/seals/1"
DIGEST: Final = "entropy-assets/digest/1"
BLOCK_ID: Final = "entropy-assets/block-id/1"
LINK: Final = "entropy-assets/link/1"
BLOCK_NONCE: Final = "entropy-assets/block-nonce/1"
MIX_SEAL: Final = "entropy-assets/mix-seal/1"
MIX: Final = "entropy-assets/mix/1"
LEDGER: Final = "entropy-assets/ledger/1"

PIXELS_DOMAIN: Final = b"entropy_assets pixel digest 1\0"
NONCE_DOMAIN: Final = b"entropy_assets sampling nonce 1\0"
ORDER_DOMAIN: Final = b"entropy_assets draw order 1\0"
NOISE_DOMAIN: Final = b"entropy_assets noise array 1\0"

HASH_LEN: Final = 32
"""Length of SHA-256 digests, of seals and of nonces, bytes."""
KEY_LEN: Final = 8
"""Length of the sort key of one region in the draw order, bytes."""

_INTEGER: Final = struct.Struct(">QQ")
NAMES: Final = np.dtype("V80")
"""Two fields of a hash: those of an image and of its noise array."""
_DIGEST_HEAD: Final = np.dtype(
    [("names", NAMES), ("integers", ">u8", (3, 2)), ("seal_length", ">u8"), ("seal", "V32"), ("slice_length", ">u8")]
)
"""What stands between CONTEXT and the slice of a digest; the integers are index, first and end line."""


# Fields


def field(value: bytes) -> bytes:
    """Return `value` behind its length."""
    return len(value).to_bytes(8, "big") + value


def text(value: str) -> bytes:
    """Return the field of an ASCII string, such as a domain or the name of a recipe."""
    return field(value.encode("ascii"))


_DOMAINS: Final = {
    domain: text(domain) for domain in (GENESIS, SEALS, DIGEST, BLOCK_ID, LINK, BLOCK_NONCE, MIX_SEAL, MIX, LEDGER)
}


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


def listed(values: Sequence[Readable]) -> list[Readable]:
    """Return a list of byte strings in pieces: their number, then each behind its length. Nothing is copied."""
    return [integer(len(values)), *(piece for value in values for piece in (len(value).to_bytes(8, "big"), value))]


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
    """Return the field of a hash that is named in hex.

    Raises
    ------
    InputRefused
        Unless it is 64 lower-case hex digits.
    """
    return field(hash_bytes(hex_hash))


def context(
    *, recipe_name: str, previous_link: str, timestamp_us: int, manifest_sha256: str, index: int, nonce: str
) -> bytes:
    """Return the fields that place a block in its chain: CONTEXT in the table above.

    `nonce` is in hex; it is empty for a recipe without block nonces, and is then left out.
    """
    return (
        text(recipe_name)
        + named_hash(previous_link)
        + integer(timestamp_us)
        + named_hash(manifest_sha256)
        + integer(index)
        + (named_hash(nonce) if nonce else b"")
    )


def digest_heads(
    names: NDArray[np.void], lines: NDArray[np.int64], seals: bytes, slice_lens: NDArray[np.int64]
) -> list[bytes]:
    """Return for each digest of a block what stands between CONTEXT and its raw slice, and that slice's length.

    Parameters
    ----------
    names
        ``NAMES[n]``, the two fields of image and noise hash.
    lines
        ``int64[n, 2]``, first line and end line.
    seals
        All of them, one after the other, 32 bytes each.
    slice_lens
        ``int64[n]``, length of the raw slice, bytes.
    """
    heads, size = np.empty(len(names), _DIGEST_HEAD), _DIGEST_HEAD.itemsize
    heads["names"] = names
    heads["integers"][:, :, 0] = 8
    heads["integers"][:, 0, 1] = np.arange(len(names))
    heads["integers"][:, 1:, 1] = lines
    heads["seal_length"], heads["seal"] = HASH_LEN, np.frombuffer(seals, _DIGEST_HEAD["seal"])
    heads["slice_length"] = slice_lens
    joined = heads.tobytes()
    return [joined[at : at + size] for at in range(0, len(joined), size)]


# Hashes of fields


def sha256_of(domain: str, *pieces: Readable) -> "Sha256":
    """Return SHA-256 of the field of `domain` and then of `pieces`, which are fields; more can be added to it."""
    return hashlib.sha256(b"".join((_DOMAINS[domain], *pieces)))


def seals_of(domain: str, *pieces: Readable, count: int = 1) -> bytes:
    """Return `count` seals of 32 bytes each: BLAKE3 of the field of `domain` and then of `pieces`.

    It is one call over all of them: BLAKE3 is several times faster on one long input than on many short ones.
    """
    return blake3(b"".join((_DOMAINS[domain], *pieces))).digest(length=HASH_LEN * count)


def block_nonce(seed: bytes, manifest_sha256: str, index: int) -> str:
    """Return the nonce of the block `index` of a batch, hex: as unknown as `seed`, also to who knows other nonces."""
    return sha256_of(BLOCK_NONCE, field(seed), named_hash(manifest_sha256), integer(index)).hexdigest()


def ledger_link(kind: str, *facts: str | int) -> str:
    """Return the link of a row of the ledger, hex.

    The `kind` is ``claim``, ``publication``, ``binding``, ``loss`` or ``epoch``.
    """
    return sha256_of(LEDGER, *(field(str(fact).encode()) for fact in (kind, *facts))).hexdigest()


# Older inputs, without lengths


def pixel_hash(channels: int, ny: int, nx: int, width: int) -> "Sha256":
    """Return the SHA-256 of a pixel digest up to its shape; the codes, `width` bytes each, are to be added."""
    return hashlib.sha256(PIXELS_DOMAIN + struct.pack(">4Q", channels, ny, nx, width))


def noise_hash(*shape: int) -> "Sha256":
    """Return the SHA-256 of a noise digest up to its shape; the samples, one byte each, are to be added.

    A noise array has two axes. One that was altered may have others, and gets another digest.
    """
    return hashlib.sha256(NOISE_DOMAIN + struct.pack(f">{len(shape)}Q", *shape))


def random_nonce(image_sha256: str, time_ns: int, os_bytes: bytes) -> bytes:
    """Return the nonce of an image, a moment and bytes of the operating system.

    Raises
    ------
    InputRefused
        If `image_sha256` is no SHA-256 in hex.
    OverflowError
        If `time_ns` is negative, or has more than 16 bytes.
    """
    drawn = time_ns.to_bytes(16, "big") + field(os_bytes)
    return hashlib.sha256(NONCE_DOMAIN + b"random\0" + hash_bytes(image_sha256) + drawn).digest()


def fixed_nonce(image_sha256: str) -> bytes:
    """Return the nonce of an image alone.

    Raises
    ------
    InputRefused
        If `image_sha256` is no SHA-256 in hex.
    """
    return hashlib.sha256(NONCE_DOMAIN + b"deterministic\0" + hash_bytes(image_sha256)).digest()


def order_keys(nonce: bytes, count: int) -> bytes:
    """Return the sort keys of `count` regions, `KEY_LEN` bytes each.

    Raises
    ------
    InputRefused
        If the nonce has not 32 bytes.
    """
    if len(nonce) != HASH_LEN:
        raise InputRefused(f"a nonce has {HASH_LEN} bytes, not {len(nonce)}")
    return hashlib.shake_256(ORDER_DOMAIN + nonce).digest(KEY_LEN * count)


# JSON, and plain hashes


def canonical_json(value: Any) -> bytes:
    """Return the one encoding of `value` that is hashed: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def sha256_of_json(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`, hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def plain_sha256(data: Readable) -> "Sha256":
    """Return the SHA-256 of a file or of a block, without a domain."""
    return hashlib.sha256(data)
