"""What the ledger holds, and the links that chain it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from entropy_assets.core.encoding import ledger_link

NO_LINK: Final = "00" * 32
"""Link before the first row of each chain."""
BURNED: Final = "burned"
"""Run id of a publication that no run made: its blocks may have been served, and are never pushed."""


@dataclass(frozen=True, slots=True)
class SpentImage:
    """The first use of an image: by which batch and when (microseconds since 1970, UTC)."""

    image_sha256: str
    pixel_sha256: str | None
    batch_key: str
    spent_at_us: int


@dataclass(frozen=True, slots=True)
class LedgerBlock:
    """One published block: id, position in its batch, SHA-256 of its bytes and its link, all in hex."""

    block_id: str
    index: int
    block_sha256: str
    link: str


@dataclass(frozen=True, slots=True)
class Publication:
    """One published batch.

    Attributes
    ----------
    seq
        Position in the ledger, from 1.
    batch_key, chain_head
        The batch and the last link of its own chain.
    run_id
        The Dagster run that published it, empty outside Dagster.
    published_at_us
        Time of the append, microseconds since 1970, UTC.
    ledger_link
        SHA-256 over the previous publication's link and everything above, blocks included.
    block_count
        Blocks in it.
    """

    seq: int
    batch_key: str
    chain_head: str
    run_id: str
    published_at_us: int
    ledger_link: str
    block_count: int


@dataclass(frozen=True, slots=True)
class PublishedBlock:
    """A block together with the publication that holds it."""

    block: LedgerBlock
    publication: Publication


def publication_link(
    previous: str, batch_key: str, chain_head: str, run_id: str, time_us: int, blocks: Sequence[LedgerBlock]
) -> str:
    """Return the link of a publication, hex: it covers the previous one, the batch, run and time, and all blocks."""
    facts = [fact for block in blocks for fact in (block.block_id, block.index, block.block_sha256, block.link)]
    return ledger_link("publication", previous, batch_key, chain_head, run_id, time_us, len(blocks), *facts)


def spending_link(previous: str, spent: SpentImage) -> str:
    """Return the link of a spent image, hex: it covers the previous one and the whole row; hashed as a ``claim``."""
    facts = spent.image_sha256, spent.pixel_sha256 or "", spent.batch_key, spent.spent_at_us
    return ledger_link("claim", previous, *facts)


def binding_link(previous: str, batch_key: str, origin_sha256: str, time_us: int) -> str:
    """Return the link of the binding of a batch to what its blocks follow from, hex."""
    return ledger_link("binding", previous, batch_key, origin_sha256, time_us)


def loss_link(previous: str, lost_link: str, known_to: str, time_us: int) -> str:
    """Return the link of an accepted loss, hex: of a publication that the ledger lacks and somebody else knew of."""
    return ledger_link("loss", previous, lost_link, known_to, time_us)


def epoch_link(previous: str, system_identifier: str, timeline: int, time_us: int) -> str:
    """Return the link of an accepted epoch, hex: which server, on which of its timelines, may write the ledger."""
    return ledger_link("epoch", previous, system_identifier, timeline, time_us)
