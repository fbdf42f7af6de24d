"""The chains of the ledger's rows, walked again: where each ends, and whether each row follows from the one before."""

import sqlite3
from collections.abc import Callable
from typing import Final

from entropy_assets.errors import LedgerError
from entropy_assets.stores.ledger.rows import (
    NO_LINK,
    LedgerBlock,
    SpentImage,
    binding_link,
    loss_link,
    publication_link,
    spending_link,
)
from entropy_assets.stores.ledger.schema import version_of

BLOCKS_OF_BATCH: Final = (
    "SELECT block_id, position, block_sha256, link FROM blocks WHERE batch_key = ? ORDER BY position"
)
_LAST_LINK: Final = {
    table: f"SELECT ledger_link FROM {table} ORDER BY seq DESC LIMIT 1"  # noqa: S608 - the names are these
    for table in ("image_claims", "batches", "bindings", "losses")
}
_PLAIN: Final[dict[str, tuple[str, Callable[..., str]]]] = {
    "bindings": ("SELECT seq, ledger_link, batch_key, origin_sha256, bound_at_us FROM bindings", binding_link),
    "losses": ("SELECT seq, ledger_link, lost_link, known_to, accepted_at_us FROM losses", loss_link),
}


def last_link(db: sqlite3.Connection, table: str) -> str:
    """Return the link of the newest row of `table`, hex; `NO_LINK` when there is none."""
    row = db.execute(_LAST_LINK[table]).fetchone()
    return str(row[0]) if row else NO_LINK


def verified(db: sqlite3.Connection) -> str:
    """Walk all chains and return the newest publication's link.

    Raises
    ------
    LedgerError
        At the first row that does not follow from the one before; ``data`` names ``table`` and ``seq``.
    """
    _verify_spent(db)
    if version_of(db) > 1:
        for table, (query, link_of) in _PLAIN.items():
            _verify_plain(db, table, query, link_of)
    return _verify_publications(db)


def _verify_plain(db: sqlite3.Connection, table: str, query: str, link_of: Callable[..., str]) -> None:
    previous = NO_LINK
    for expected_seq, (seq, link, *fields) in enumerate(db.execute(f"{query} ORDER BY seq"), 1):
        if seq != expected_seq or link != link_of(previous, *fields):
            raise LedgerError(f"row {expected_seq} of {table} does not verify", table=table, seq=expected_seq)
        previous = link


def _verify_spent(db: sqlite3.Connection) -> None:
    previous = NO_LINK
    rows = db.execute(
        "SELECT seq, ledger_link, image_sha256, pixel_sha256, batch_key, claimed_at_us FROM image_claims ORDER BY seq"
    )
    for expected_seq, (seq, link, *fields) in enumerate(rows, 1):
        if seq != expected_seq or link != spending_link(previous, SpentImage(*fields)):
            raise LedgerError(f"image claim {expected_seq} does not verify", table="image_claims", seq=expected_seq)
        previous = link


def _verify_publications(db: sqlite3.Connection) -> str:
    previous = NO_LINK
    counted = 0
    rows = db.execute(
        "SELECT seq, ledger_link, batch_key, chain_head, run_id, published_at_us FROM batches ORDER BY seq"
    )
    for expected_seq, (seq, link, batch_key, chain_head, run_id, time_us) in enumerate(rows.fetchall(), 1):
        blocks = [LedgerBlock(*row) for row in db.execute(BLOCKS_OF_BATCH, (batch_key,))]
        counted += len(blocks)
        expected = publication_link(previous, batch_key, chain_head, run_id, time_us, blocks)
        if (seq, link) != (expected_seq, expected):
            raise LedgerError(f"publication {expected_seq} does not verify", table="batches", seq=expected_seq)
        previous = link
    if counted != db.execute("SELECT count(*) FROM blocks").fetchone()[0]:
        raise LedgerError("there are blocks that no publication holds", table="blocks", seq=0)
    return previous
