"""What the pool takes and gives: blocks, leases, and the truth about itself."""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from entropy_assets.core.chain import block_id_of
from entropy_assets.errors import BlockRefused

__all__ = ["Lease", "LeasedBlock", "PoolBlock", "PoolDepth", "PoolHealth", "PoolStats", "PushResult", "block_id_of"]

_EPOCH_START: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
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

    def to_document(self) -> str:
        """Return the JSON that the pool keeps."""
        return json.dumps(
            {
                "data": base64.b64encode(self.data).decode(),
                "hash": self.sha256,
                "quality": self.quality,
                "timestamp": (_EPOCH_START + timedelta(microseconds=self.timestamp_us)).isoformat(),
                "source_images": self.source_images,
                "batch": self.batch_key,
                "index": self.index,
                "link": self.link,
                "simulated": self.simulated,
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_document(cls, block_id: str, document: bytes) -> Self:
        """Read what `to_document` wrote.

        Raises
        ------
        BlockRefused
            If the document is not one of ours, or its bytes, hash and id do not belong together.
        """
        try:
            fields = json.loads(document)
            block = cls(
                block_id=block_id,
                data=binascii.a2b_base64(fields["data"], strict_mode=True),
                sha256=fields["hash"],
                quality=float(fields["quality"]),
                timestamp_us=(datetime.fromisoformat(fields["timestamp"]) - _EPOCH_START) // timedelta(microseconds=1),
                source_images=tuple(fields["source_images"]),
                batch_key=fields["batch"],
                index=fields["index"],
                simulated=fields["simulated"],
                link=fields["link"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BlockRefused(f"block {block_id} is not readable: {error}", block_id=block_id) from error
        block.verify()
        return block

    def verify(self) -> None:
        """Check that bytes, hash and id belong together.

        Raises
        ------
        BlockRefused
            If they do not.
        """
        if hashlib.sha256(self.data).hexdigest() != self.sha256 or block_id_of(self.sha256) != self.block_id:
            raise BlockRefused(f"block {self.block_id} does not match its hash", block_id=self.block_id)


@dataclass(frozen=True, slots=True)
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
class PushResult:
    """Ids that entered the pool, and those that could not: ``present``, or ``consumed`` when they were here before."""

    pushed: tuple[str, ...]
    refused: dict[str, str]


@dataclass(frozen=True, slots=True)
class PoolStats:
    """The truth about the pool at one moment.

    Counters count since the epoch began; pushed = leased + expired + ghost + ready, in blocks and in bytes.

    Attributes
    ----------
    blocks, bytes
        Ready now; zero when ``epoch_ok`` is false, since nothing may be leased then.
    epoch, run_id, epoch_ok
        The server process that the pool was filled on, the one that answers, and whether they are the same.
    soonest_expiry_s
        Life left of the block that expires first, seconds.
    epoch_age_s
        Seconds since the epoch began; None before the first push.
    since_last_push_s, since_last_lease_s
        Seconds; None if there was none in this epoch.
    ghost_blocks
        Blocks whose key was gone before its time; altered: leased ones whose bytes did not match their hash.
    inherited_blocks
        Blocks of an earlier server process that were dropped.
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
class PoolHealth:
    """Whether the pool can serve, why not, and how long the one round trip took, seconds."""

    reasons: tuple[str, ...]
    stats: PoolStats | None
    round_trip_s: float

    @property
    def ok(self) -> bool:
        """Whether the pool answers and may be leased from."""
        return not self.reasons
