"""What the pool takes and gives: blocks, leases, and the truth about itself."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final

import orjson
import pybase64

from entropy_assets.core.conditioning.records import block_id_of
from entropy_assets.errors import BlockRefused
from entropy_assets.stores.lanes import Lane

_EPOCH_START: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_HASH_STEP: Final = 2047
"""Bytes that `hashlib` takes in without giving up the interpreter. A thread that gives it up beside a busy event loop
waits up to 5 ms to get it back, for every block of a lease."""


# Not frozen: that would cost a microsecond for each block of every lease, a tenth of its reading.
@dataclass(slots=True)
class PoolBlock:
    """One block on its way through the pool.

    Attributes
    ----------
    block_id
        UUID derived from ``sha256``, see `block_id_of`.
    data
        The block, bytes.
    sha256
        Its SHA-256, hex.
    quality
        Score from 0 to 10; its whole part is the band that decides who is leased first.
    timestamp_us
        When the block was made, microseconds since 1970, UTC.
    source_images
        SHA-256 of the images behind it, hex.
    batch_key, index, link
        Where the block stands in its batch; empty for a block that came without one.
    simulated
        Whether a simulated camera is behind it.
    lane
        Which answers it may serve.
    """

    block_id: str
    data: bytes
    sha256: str
    quality: float
    timestamp_us: int
    source_images: tuple[str, ...] = ()
    batch_key: str = ""
    index: int = 0
    simulated: bool = False
    link: str = ""
    lane: Lane = "private"

    def to_document(self) -> bytes:
        """Return the JSON that the pool keeps."""
        return orjson.dumps(
            {
                "data": pybase64.b64encode_as_string(self.data),
                "hash": self.sha256,
                "quality": self.quality,
                "timestamp": (_EPOCH_START + timedelta(microseconds=self.timestamp_us)).isoformat(),
                "source_images": self.source_images,
                "batch": self.batch_key,
                "index": self.index,
                "link": self.link,
                "simulated": self.simulated,
                "lane": self.lane,
            }
        )

    def verify(self) -> None:
        """Check that bytes, hash and id belong together.

        Raises
        ------
        BlockRefused
            If they do not.
        """
        if _sha256(self.data) != self.sha256 or block_id_of(self.sha256) != self.block_id:
            raise BlockRefused(f"block {self.block_id} does not match its hash", block_id=self.block_id)


def read_documents(entries: Sequence[tuple[str, bytes]]) -> list[PoolBlock | None]:
    """Read what `PoolBlock.to_document` wrote, many (block id, document) at once.

    None stands for a document that is not one of ours, or whose bytes, hash and id do not belong together.
    """
    fields = [_fields_of(document) for _, document in entries]
    parts = _decoded([_text_of(field) for field in fields])
    return [
        _block_of(block_id, field, data)
        for (block_id, _), field, data in zip(entries, fields, parts, strict=True)
    ]  # fmt: skip


def _fields_of(document: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(document)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _text_of(fields: Mapping[str, Any]) -> str:
    text = fields.get("data")
    return text if isinstance(text, str) and len(text) % 4 == 0 else ""


def _decoded(texts: Sequence[str]) -> list[bytes]:
    """Decode all `texts` in one call, since each call gives up the interpreter (see `_HASH_STEP`).

    Padding in the middle would end the text, so it becomes zero bits, and the bytes made of them are cut off. Where a
    text is not base64 at all its bytes are empty.
    """
    try:
        whole = pybase64.b64decode("".join(texts).replace("=", "A"), validate=True)
    except ValueError:
        return [part for text in texts for part in _decoded([text])] if len(texts) > 1 else [b""]
    ends = list(accumulate(len(text) // 4 * 3 for text in texts))
    return [
        whole[start : end - text.count("=", -2)]
        for start, end, text in zip([0, *ends], ends, texts, strict=False)
    ]  # fmt: skip


def _block_of(block_id: str, fields: Mapping[str, Any], data: bytes) -> PoolBlock | None:
    try:
        block = PoolBlock(
            block_id,
            data,
            fields["hash"],
            float(fields["quality"]),
            _microseconds(fields["timestamp"]),
            tuple(fields["source_images"]),
            fields["batch"],
            fields["index"],
            fields["simulated"],
            fields["link"],
            fields["lane"],
        )
        block.verify()
    except (ValueError, KeyError, TypeError, BlockRefused):
        return None
    return block


@lru_cache(maxsize=64)
def _microseconds(timestamp: str) -> int:
    """Return microseconds since 1970; the blocks of a batch all have the same."""
    return (datetime.fromisoformat(timestamp) - _EPOCH_START) // _MICROSECOND


def _sha256(data: bytes) -> str:
    view = memoryview(data)
    digest = hashlib.sha256(view[:_HASH_STEP])
    for start in range(_HASH_STEP, len(view), _HASH_STEP):
        digest.update(view[start : start + _HASH_STEP])
    return digest.hexdigest()


@dataclass(slots=True)
class LeasedBlock:
    """A block that belongs to whoever leased it, and for how long it may still be used, seconds."""

    block: PoolBlock
    expires_in_s: float


@dataclass(frozen=True, slots=True)
class PoolDepth:
    """What is ready at this moment."""

    blocks: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The blocks of one lease, and what was ready after it (all that is ready, when none was leased)."""

    blocks: tuple[LeasedBlock, ...]
    left: PoolDepth
    altered: int = 0


@dataclass(frozen=True, slots=True)
class SealedLease:
    """A lease as it came, whose documents are read by whoever has the time for it.

    Attributes
    ----------
    entries
        Id, expiry by the server's clock in ms, and document of each block.
    now_ms
        The server's clock, ms.
    spent_s
        Time that the lease took, seconds.
    left
        What is ready after it in its lane.
    lane
        The lane of which it is.
    """

    entries: tuple[tuple[bytes, bytes, bytes], ...]
    now_ms: float
    spent_s: float
    left: PoolDepth
    lane: Lane = "private"

    def opened(self, start: int = 0, end: int | None = None) -> Lease:
        """Return the blocks of the entries from `start` to `end`.

        One whose bytes do not match its hash is dropped, and one that says it is of the other lane.
        """
        part = self.entries[start:end]
        blocks = read_documents([(block_id.decode(), document) for block_id, _, document in part])
        # the server read its clock after the lease began, so a deadline from there is never too late
        leased = [
            LeasedBlock(block, (float(expires_ms) - self.now_ms) / 1000 - self.spent_s)
            for block, (_, expires_ms, _) in zip(blocks, part, strict=True)
            if block is not None and block.lane == self.lane
        ]
        return Lease(tuple(leased), self.left, len(part) - len(leased))


@dataclass(frozen=True, slots=True)
class PushResult:
    """Ids that entered the pool, and those that could not, with the reason.

    That is ``present``, ``consumed`` when they were here before, or ``late`` when they would have expired by now.
    """

    pushed: tuple[str, ...]
    refused: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneStats:
    """One lane of the pool, in the words of `PoolStats`: its blocks and bytes."""

    blocks: int
    bytes: int
    pushed_blocks: int
    pushed_bytes: int
    leased_blocks: int
    leased_bytes: int
    expired_blocks: int
    expired_bytes: int
    ghost_blocks: int
    ghost_bytes: int
    refused_blocks: int
    altered_blocks: int
    inherited_blocks: int
    inherited_bytes: int


@dataclass(frozen=True, slots=True)
class PoolStats:
    """The truth about the pool at one moment.

    Counters count since the epoch began; pushed = leased + expired + ghost + ready, in blocks and in bytes, in each
    lane and over both.

    Attributes
    ----------
    blocks, bytes
        Ready now; zero when ``epoch_ok`` is false, since nothing may be leased then.
    epoch, run_id, epoch_ok
        The server that the pool was filled on, the one that answers, and whether they are the same; each is its
        process, the history of its data and the layout of the keys, ``<run_id>-<master_replid>-lanes``.
    tombstones
        Ids that may not enter the pool again.
    soonest_expiry_s
        Life left of the block that expires first, seconds; None if there is no block.
    epoch_age_s
        Seconds since the epoch began; None before the first push.
    since_last_push_s, since_last_lease_s
        Seconds; None if there was none in this epoch.
    ahead_s
        By how much the server's clock is ahead of this machine's, seconds.
    ghost_blocks, ghost_bytes
        Of blocks whose key was gone before its time.
    refused_blocks
        Pushes of a block that was in the pool, or had been.
    altered_blocks
        Leased blocks, counted as such, whose bytes did not match their hash.
    inherited_blocks, inherited_bytes
        Of blocks that were pushed to an earlier server process and dropped; the one count that outlives its epoch.
    lanes
        The same for each lane.
    shards
        The same for each shard, where there are several; all of the above is then of those that are well. What has an
        age is as old as in the youngest of them, but the epoch, which is as old as in the oldest; the clock is that
        which differs most.
    """

    blocks: int
    bytes: int
    epoch: str
    run_id: str
    epoch_ok: bool
    tombstones: int
    soonest_expiry_s: float | None
    epoch_age_s: float | None
    since_last_push_s: float | None
    since_last_lease_s: float | None
    ahead_s: float
    pushed_blocks: int
    pushed_bytes: int
    leased_blocks: int
    leased_bytes: int
    expired_blocks: int
    expired_bytes: int
    ghost_blocks: int
    ghost_bytes: int
    refused_blocks: int
    altered_blocks: int
    inherited_blocks: int
    inherited_bytes: int
    lanes: Mapping[Lane, LaneStats]
    shards: tuple["ShardState", ...] = ()


@dataclass(frozen=True, slots=True)
class ShardState:
    """One shard of several: its place among the addresses, why it is left out if it is, and what it says of itself."""

    place: int
    problem: str | None
    stats: PoolStats | None

    @property
    def reason(self) -> str | None:
        """Why nothing can be leased from it; None if something can."""
        if self.problem is not None or self.stats is None:
            return self.problem or "it did not answer"
        return None if self.stats.epoch_ok else EPOCH_CHANGED


EPOCH_CHANGED: Final = "the pool was filled on another server process, or lost its epoch"


@dataclass(frozen=True, slots=True)
class PoolHealth:
    """Whether the pool can serve, why not, and how long the one round trip took, seconds."""

    reasons: tuple[str, ...]
    stats: PoolStats | None
    round_trip_s: float

    @property
    def ok(self) -> bool:
        """Tell whether the pool answers and may be leased from."""
        return not self.reasons


def band_of(quality: float) -> int:
    """Return the band of a quality score: its whole part, 0 to 10."""
    return min(10, max(0, int(quality)))


def chunks_of(blocks: Sequence[PoolBlock], most_blocks: int, most_bytes: int) -> Iterator[list[PoolBlock]]:
    """Yield `blocks` in parts of so many blocks and bytes at most; one block at least, however long."""
    chunk: list[PoolBlock] = []
    size = 0
    for block in blocks:
        if chunk and (len(chunk) == most_blocks or size + len(block.data) > most_bytes):
            yield chunk
            chunk, size = [], 0
        chunk.append(block)
        size += len(block.data)
    if chunk:
        yield chunk
