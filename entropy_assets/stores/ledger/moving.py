"""A ledger moved from its file into another database: row by row, its links as they are, and proved there.

The file is held for writing all the while. It is sealed only once the other database has everything, so whoever is
interrupted has the old ledger still, and can begin again. A sealed file goes to no other database: where it was moved,
more may have been published since.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from entropy_assets.errors import LedgerError
from entropy_assets.stores.durable import sync_folder
from entropy_assets.stores.ledger.chains import last_link, verified
from entropy_assets.stores.ledger.file import LedgerFile
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.storage import Statements

_COLUMNS: Final = {
    "image_claims": ("seq", "image_sha256", "pixel_sha256", "batch_key", "claimed_at_us", "ledger_link"),
    "batches": ("seq", "batch_key", "chain_head", "run_id", "published_at_us", "ledger_link"),
    "blocks": ("block_id", "batch_key", "position", "block_sha256", "link"),
    "bindings": ("seq", "batch_key", "origin_sha256", "bound_at_us", "ledger_link"),
    "losses": ("seq", "lost_link", "known_to", "accepted_at_us", "ledger_link"),
    "sketches": ("seq", "image_sha256", "sensor", "live_pixels", "lookup", "is_restored"),
    "folds": ("seq", "folds"),
}
"""Every table that is moved; of those with a link the chain is proved."""
_ROWS_AT_A_TIME: Final = 1000
_BUSY_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved.

    Attributes
    ----------
    head
        The newest publication's link, hex, the same before and after.
    rows
        Rows by table.
    sealed
        Where the old file lies now; nobody can write it any more.
    """

    head: str
    rows: dict[str, int]
    sealed: Path


def move(file: Path, target: Ledger) -> Moved:
    """Move the ledger in `file` to `target`, where nothing is yet or exactly this ledger, and seal the file.

    Raises
    ------
    LedgerError
        If there is no file, somebody writes it, the target has other rows, the file is sealed and the target lacks its
        rows, or a chain does not verify on either side. The file is as it was then.
    """
    source = LedgerFile(file, readonly=False, busy_timeout_s=_BUSY_S)
    if not source.exists():
        aside = _aside(file)
        done = f"; it was moved already, and lies in {aside}" if aside.exists() else ""
        raise LedgerError(f"there is no ledger to move: {file} is missing{done}", path=str(file))
    with source.transaction() as old:
        head = verified(old, source.chains_of(old))
        with target.storage.transaction() as new:
            is_sealed = _is_sealed(old)
            if not is_sealed and not any(_counted(new).values()):
                _copy(old, new)
            if _ends(old) != _ends(new):
                why = "it was moved already" if is_sealed else "a ledger is moved to where nothing is yet"
                raise LedgerError(f"the ledger {target.name} has other rows than {file}: {why}", path=target.name)
            rows = _counted(new)
        if target.verify() != head:
            raise LedgerError(f"the chains of {target.name} end otherwise than those of {file}", path=target.name)
        for table in _COLUMNS:
            old.execute(
                f"CREATE TRIGGER IF NOT EXISTS {table}_moved BEFORE INSERT ON {table}"
                " BEGIN SELECT RAISE(ABORT, 'this ledger was moved'); END"
            )
    return Moved(head, rows, _put_aside(source))


def _is_sealed(old: Statements) -> bool:
    names = {name for (name,) in old.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")}
    return any(f"{table}_moved" in names for table in _COLUMNS)


def _copy(old: Statements, new: Statements) -> None:
    for table, columns in _COLUMNS.items():
        names, values = ", ".join(columns), ", ".join(f":{column}" for column in columns)
        found = iter(old.execute(f"SELECT {names} FROM {table} ORDER BY {columns[0]}"))  # noqa: S608 - the names above
        while chunk := list(islice(_named(columns, found), _ROWS_AT_A_TIME)):
            new.executemany(f"INSERT INTO {table} ({names}) VALUES ({values})", chunk)  # noqa: S608 - the names above


def _named(columns: tuple[str, ...], rows: Iterator[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    for values in rows:
        row = dict(zip(columns, values, strict=True))
        yield row | {"is_restored": bool(row["is_restored"])} if "is_restored" in row else row


def _counted(db: Statements) -> dict[str, int]:
    return {
        table: int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - the names above
        for table in _COLUMNS
    }


def _ends(db: Statements) -> tuple[dict[str, int], dict[str, str]]:
    """Return what tells two ledgers apart: how many rows each table has, and where its chain ends."""
    chains = [table for table, columns in _COLUMNS.items() if "ledger_link" in columns]
    return _counted(db), {table: last_link(db, table) for table in chains}


def _put_aside(source: LedgerFile) -> Path:
    """Rename the file, so that who still looks for it there finds none, and no older one is ever taken for it."""
    aside = _aside(source.path)
    with source.connection() as db:
        if db is not None:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for suffix in ("", "-wal", "-shm"):
        companion = source.path.with_name(source.path.name + suffix)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + suffix))
    sync_folder(source.path.parent)
    return aside


def _aside(file: Path) -> Path:
    return file.with_name(f"{file.name}.moved")
