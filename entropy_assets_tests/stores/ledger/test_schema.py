"""The ledger's tables take rows and never give one up."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from entropy_assets.stores.ledger.schema import SCHEMA_VERSION, create, version_of

COLUMNS = {
    "image_claims": "seq image_sha256 pixel_sha256 batch_key claimed_at_us ledger_link",
    "batches": "seq batch_key chain_head run_id published_at_us ledger_link",
    "blocks": "block_id batch_key position block_sha256 link",
}
ROWS = {
    "image_claims": (1, "image", "pixels", "batch", 1, "link"),
    "batches": (1, "batch", "head", "run", 1, "link"),
    "blocks": ("block", "batch", 0, "sha", "link"),
}
INSERT = "INSERT INTO {} VALUES ({})"
SELECT = "SELECT * FROM {}"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Give the tables with one row in each."""
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as db:
        create(db)
        for table, row in ROWS.items():
            db.execute(INSERT.format(table, ", ".join("?" * len(row))), row)
        yield db


def test_an_empty_file_has_version_0_and_a_made_one_the_schemas(tmp_path: Path, db: sqlite3.Connection) -> None:
    """file(1) knows it by its application id."""
    with closing(sqlite3.connect(tmp_path / "empty.sqlite")) as empty:
        assert version_of(empty) == 0
    assert version_of(db) == SCHEMA_VERSION == 1
    assert db.execute("PRAGMA application_id").fetchone()[0].to_bytes(4, "big") == b"EALD"


def test_the_columns_are_those_of_every_ledger_that_was_ever_written(db: sqlite3.Connection) -> None:
    """A ledger outlives the release that made it, so another schema needs another version."""
    for table, columns in COLUMNS.items():
        assert " ".join(row[1] for row in db.execute(f"PRAGMA table_info({table})")) == columns


def test_making_the_tables_again_changes_nothing(db: sqlite3.Connection) -> None:
    """Of several processes that open a new file, each makes them."""
    create(db)
    assert [db.execute(SELECT.format(table)).fetchall() for table in ROWS] == [[row] for row in ROWS.values()]


@pytest.mark.parametrize("table", ROWS)
@pytest.mark.parametrize(
    "statement",
    ["UPDATE {} SET rowid = rowid + 10", "DELETE FROM {}", "INSERT OR REPLACE INTO {0} SELECT * FROM {0}"],
)
def test_rows_can_be_added_only(table: str, statement: str, db: sqlite3.Connection) -> None:
    """Every statement that would take a row away, or put another in its place, is refused."""
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(statement.format(table))


@pytest.mark.parametrize("table, column", [("image_claims", 4), ("batches", 4), ("blocks", 2)])
def test_a_number_is_a_number(table: str, column: int, db: sqlite3.Connection) -> None:
    """The tables are strict: a text where a time or a position belongs is refused."""
    row = ["new" if isinstance(value, str) else value + 1 for value in ROWS[table]]
    row[column] = "soon"
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT"):
        db.execute(INSERT.format(table, ", ".join("?" * len(row))), row)
