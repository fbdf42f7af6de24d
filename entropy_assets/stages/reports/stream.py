"""The public stream: the bytes of the published blocks of the public lane, in the order of the ledger, in sequences.

A block is taken into it only if it is the one that the ledger has. The private lane is not looked at, and of nothing
that is read here is more kept than counts of P-values.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from entropy_assets.errors import BatchError, LedgerError, RecipeUnknown
from entropy_assets.recipe import recipe_named
from entropy_assets.stages.state import naming_damage
from entropy_assets.stores.batches import BLOCKS, Batch, BatchStore
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import Publication

SEQUENCE_BITS: Final = 1_000_000
"""Length of a sequence, bits: what SP 800-22 2.9, 2.10, 2.14 and 2.15 need at least."""
SEQUENCE_BYTES: Final = SEQUENCE_BITS // 8


class Place(NamedTuple):
    """A place in the stream.

    Attributes
    ----------
    batch
        Key of a published batch.
    offset
        Bytes of its published blocks that lie before the place.
    """

    batch: str
    offset: int


@dataclass(frozen=True, slots=True)
class StreamPart:
    """The published blocks of one batch of the public lane, `length` bytes from `start` on."""

    batch: Batch
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class StreamAhead:
    """What of the stream was not looked at yet.

    Attributes
    ----------
    parts
        The batches that it lies in.
    missing
        Published batches whose files are gone or damaged: they may have been of the public lane, and are left out.
    """

    parts: tuple[StreamPart, ...]
    missing: tuple[str, ...] = ()

    @property
    def sequences(self) -> int:
        """Whole sequences."""
        return sum(part.length for part in self.parts) // SEQUENCE_BYTES

    def place_after(self, sequences: int) -> Place:
        """Return the place at which that many sequences end, one at least."""
        left = sequences * SEQUENCE_BYTES
        for part in self.parts:
            if left <= part.length:
                return Place(part.batch.key, part.start + left)
            left -= part.length
        raise ValueError(f"there are {self.sequences} sequences, not {sequences}")

    def newest(self, most: int, ledger: Ledger) -> Iterator[bytes]:
        """Yield the newest `most` of the whole sequences, the oldest first; one is in memory at a time.

        Raises
        ------
        BatchError
            If blocks are missing, or are not those that were published.
        """
        skipped = max(0, self.sequences - most) * SEQUENCE_BYTES
        held = b""
        for part in self.parts:
            if skipped >= part.length:
                skipped -= part.length
                continue
            held += published_bytes(part.batch, ledger)[part.start + skipped : part.start + part.length]
            skipped = 0
            while len(held) >= SEQUENCE_BYTES:
                yield held[:SEQUENCE_BYTES]
                held = held[SEQUENCE_BYTES:]


def stream_after(place: Place | None, batches: BatchStore, ledger: Ledger) -> StreamAhead:
    """Return what of the stream lies after `place`, or all of it. No block is read.

    Raises
    ------
    LedgerError
        If the ledger can't be read, or does not know the batch of `place`.
    """
    before, start = 0, 0
    if place is not None:
        publication = ledger.publication_of(place.batch)
        if publication is None:
            raise LedgerError(
                f"the report on the public stream stands at batch {place.batch}, which this ledger does not know; to"
                " begin the report anew, move stream_nights.jsonl away",
                batch=place.batch,
            )
        before, start = publication.seq - 1, place.offset
    parts: list[StreamPart] = []
    missing: list[str] = []
    for publication in ledger.every_publication(before):
        begin = start if place is not None and publication.batch_key == place.batch else 0
        try:
            parts += _part_of(publication, batches, begin)
        except (BatchError, RecipeUnknown):
            missing.append(publication.batch_key)
    return StreamAhead(tuple(parts), tuple(missing))


def _part_of(publication: Publication, batches: BatchStore, start: int) -> list[StreamPart]:
    """Return what of a publication is of the public lane, a part or none.

    Raises
    ------
    BatchError
        If the batch is gone or damaged.
    RecipeUnknown
        If it was made by a recipe that this release does not have.
    """
    batch = batches.batch(publication.batch_key, frozen=True)
    with naming_damage(batch):
        if batch.intake.lane != "public":
            return []
        length = publication.block_count * recipe_named(batch.intake.recipe).block_len - start
    if not batch.has(BLOCKS):
        raise BatchError(f"the blocks of batch {batch.key} are gone", batch=batch.key)
    return [StreamPart(batch, start, length)] if length else []


def published_bytes(batch: Batch, ledger: Ledger) -> bytes:
    """Return the bytes of the blocks of a batch that the ledger has, in its order.

    Raises
    ------
    BatchError
        If the blocks are missing, or are not those that were published.
    """
    blocks = batch.read_array(BLOCKS)
    found: list[bytes] = []
    for row in ledger.published_blocks(batch.key):
        block = blocks[row.index].tobytes() if row.index < len(blocks) else b""
        if hashlib.sha256(block).hexdigest() != row.block_sha256:
            raise BatchError(
                f"block {row.block_id} of batch {batch.key} is not the one that was published; put its files back, or"
                " move the folder of the batch away to have the report go on without it",
                batch=batch.key,
                file=BLOCKS.file,
            )
        found.append(block)
    return b"".join(found)
