"""The chains of the ledger's rows: how one grows, and whether each row of it follows from the one before."""

from collections.abc import Callable, Collection, Iterator
from itertools import groupby
from typing import Any, Final

from entropy_assets.errors import LedgerError
from entropy_assets.stores.ledger.rows import (
    NO_LINK,
    LedgerBlock,
    SpentImage,
    binding_link,
    epoch_link,
    loss_link,
    publication_link,
    spending_link,
)
from entropy_assets.stores.ledger.storage import Statements

_LAST: Final = {
    table: f"SELECT seq, ledger_link FROM {table} ORDER BY seq DESC LIMIT 1"  # noqa: S608 - the names are these
    for table in ("image_claims", "batches", "bindings", "losses", "epochs")
}
_PLAIN: Final[dict[str, tuple[str, Callable[..., str]]]] = {
    "bindings": ("SELECT seq, ledger_link, batch_key, origin_sha256, bound_at_us FROM bindings", binding_link),
    "losses": ("SELECT seq, ledger_link, lost_link, known_to, accepted_at_us FROM losses", loss_link),
    "epochs": ("SELECT seq, ledger_link, system_identifier, timeline, accepted_at_us FROM epochs", epoch_link),
}
_PUBLICATIONS_WITH_BLOCKS: Final = (
    "SELECT b.seq, b.ledger_link, b.batch_key, b.chain_head, b.run_id, b.published_at_us,"
    " k.block_id, k.position, k.block_sha256, k.link"
    " FROM batches b LEFT JOIN blocks k ON k.batch_key = b.batch_key ORDER BY b.seq, k.position"
)


def last_link(db: Statements, table: str) -> str:
    """Return the link of the newest row of `table`, hex; `NO_LINK` when there is none."""
    return _last(db, table)[1]


def append_row(db: Statements, table: str, link_of: Callable[[str], str], **fields: Any) -> int:
    """Append a row to the chain of `table`; return its place, from 1.

    Parameters
    ----------
    link_of
        Gives the link of the row, hex, from that of the row before.
    **fields
        The other columns.
    """
    seq, previous = _last(db, table)
    row = {"seq": seq + 1, **fields, "ledger_link": link_of(previous)}
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({values})", row)  # noqa: S608 - names of the package's own
    return seq + 1


def _last(db: Statements, table: str) -> tuple[int, str]:
    row = db.execute(_LAST[table]).fetchone()
    return (int(row[0]), str(row[1])) if row else (0, NO_LINK)


def verified(db: Statements, chains: Collection[str]) -> str:
    """Walk all `chains`, row by row whatever their length, and return the newest publication's link.

    Raises
    ------
    LedgerError
        At the first row that does not follow from the one before; ``data`` names ``table`` and ``seq``.
    """
    _verify_spent(db)
    for table, (query, link_of) in _PLAIN.items():
        if table in chains:
            _verify_plain(db, table, query, link_of)
    return _verify_publications(db)


def _verify_plain(db: Statements, table: str, query: str, link_of: Callable[..., str]) -> None:
    previous = NO_LINK
    for expected_seq, (seq, link, *fields) in enumerate(db.execute(f"{query} ORDER BY seq"), 1):
        if seq != expected_seq or link != link_of(previous, *fields):
            raise LedgerError(f"row {expected_seq} of {table} does not verify", table=table, seq=expected_seq)
        previous = link


def _verify_spent(db: Statements) -> None:
    previous = NO_LINK
    rows = db.execute(
        "SELECT seq, ledger_link, image_sha256, pixel_sha256, batch_key, claimed_at_us FROM image_claims ORDER BY seq"
    )
    for expected_seq, (seq, link, *fields) in enumerate(rows, 1):
        if seq != expected_seq or link != spending_link(previous, SpentImage(*fields)):
            raise LedgerError(f"image claim {expected_seq} does not verify", table="image_claims", seq=expected_seq)
        previous = link


def _verify_publications(db: Statements) -> str:
    previous = NO_LINK
    counted = 0
    for expected_seq, (publication, blocks) in enumerate(_publications(db), 1):
        seq, link, batch_key, chain_head, run_id, time_us = publication
        counted += len(blocks)
        expected = publication_link(previous, batch_key, chain_head, run_id, time_us, blocks)
        if (seq, link) != (expected_seq, expected):
            raise LedgerError(f"publication {expected_seq} does not verify", table="batches", seq=expected_seq)
        previous = str(link)
    ((held,),) = db.execute("SELECT count(*) FROM blocks")
    if counted != held:
        raise LedgerError("there are blocks that no publication holds", table="blocks", seq=0)
    return previous


def _publications(db: Statements) -> Iterator[tuple[tuple[Any, ...], list[LedgerBlock]]]:
    """Yield each publication with its blocks, of which there is one batch in memory at a time."""
    rows = db.execute(_PUBLICATIONS_WITH_BLOCKS)
    for publication, found in groupby(rows, key=lambda row: tuple(row[:6])):
        yield publication, [LedgerBlock(*row[6:]) for row in found if row[6] is not None]
