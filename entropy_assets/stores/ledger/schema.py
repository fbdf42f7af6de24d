"""The ledger's tables, and the triggers that let rows of the record be added only."""

import sqlite3
from typing import Final

SCHEMA_VERSION: Final = 3
_APPLICATION_ID: Final = 0x45414C44  # "EALD", seen by file(1)
_FIRST: Final = """
CREATE TABLE image_claims (
    seq INTEGER PRIMARY KEY, image_sha256 TEXT NOT NULL UNIQUE, pixel_sha256 TEXT UNIQUE,
    batch_key TEXT NOT NULL, claimed_at_us INTEGER NOT NULL, ledger_link TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE batches (
    seq INTEGER PRIMARY KEY, batch_key TEXT NOT NULL UNIQUE, chain_head TEXT NOT NULL, run_id TEXT NOT NULL,
    published_at_us INTEGER NOT NULL, ledger_link TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE blocks (
    block_id TEXT PRIMARY KEY, batch_key TEXT NOT NULL REFERENCES batches (batch_key), position INTEGER NOT NULL,
    block_sha256 TEXT NOT NULL UNIQUE, link TEXT NOT NULL, UNIQUE (batch_key, position)
) STRICT;
"""
_SECOND: Final = """
CREATE TABLE bindings (
    seq INTEGER PRIMARY KEY, batch_key TEXT NOT NULL UNIQUE, origin_sha256 TEXT NOT NULL,
    bound_at_us INTEGER NOT NULL, ledger_link TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE losses (
    seq INTEGER PRIMARY KEY, lost_link TEXT NOT NULL UNIQUE, known_to TEXT NOT NULL,
    accepted_at_us INTEGER NOT NULL, ledger_link TEXT NOT NULL UNIQUE
) STRICT;
"""
_THIRD: Final = """
CREATE TABLE sketches (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, image_sha256 TEXT NOT NULL UNIQUE, sensor TEXT NOT NULL,
    live_pixels INTEGER NOT NULL, lookup BLOB NOT NULL, is_restored INTEGER NOT NULL
) STRICT;
CREATE TABLE folds (seq INTEGER PRIMARY KEY, folds BLOB NOT NULL) STRICT;
"""
_VERSIONS: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    (_FIRST, {"image_claims": "image_sha256", "batches": "batch_key", "blocks": "block_id"}),
    (_SECOND, {"bindings": "batch_key", "losses": "lost_link"}),
    (_THIRD, {}),  # a working memory, not a record: the oldest rows of it are dropped
)
"""What each version added: its tables, and where rows may only be added, the column by which a row is known.

Nothing was ever changed."""


def _guards(table: str, key: str) -> list[str]:
    """Return the triggers that let rows be added only; REPLACE deletes without firing the second, hence the third."""
    stop = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;"
    present = f"EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})"  # noqa: S608 - the names are those above
    return [
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {stop}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {stop}",
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {present} {stop}",
    ]


def chains_in(version: int) -> tuple[str, ...]:
    """Return the names of the chained tables of a version."""
    return ("image_claims", "batches", *(("bindings", "losses") if version > 1 else ()))


def version_of(db: sqlite3.Connection) -> int:
    """Return the version of the tables, 0 when there are none."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def bring_up_to_date(db: sqlite3.Connection) -> None:
    """Make the tables that are missing, once, however many processes open the file at the same moment."""
    if version_of(db) == 0:
        db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN IMMEDIATE")
    for version, (tables, keys) in enumerate(_VERSIONS, 1):
        if version_of(db) >= version:
            continue
        for statement in tables.split(";\n"):
            db.execute(statement)
        for table, key in keys.items():
            for trigger in _guards(table, key):
                db.execute(trigger)
        db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {version}")
    db.execute("COMMIT")
