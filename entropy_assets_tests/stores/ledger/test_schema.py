"""The ledger's tables take rows and never give one up."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.schema import SCHEMA_VERSION, bring_up_to_date, version_of

COLUMNS = {
    "image_claims": "seq image_sha256 pixel_sha256 batch_key claimed_at_us ledger_link",
    "batches": "seq batch_key chain_head run_id published_at_us ledger_link",
    "blocks": "block_id batch_key position block_sha256 link",
    "bindings": "seq batch_key origin_sha256 bound_at_us ledger_link",
    "losses": "seq lost_link known_to accepted_at_us ledger_link",
}
ROWS = {
    "image_claims": (1, "image", "pixels", "batch", 1, "link"),
    "batches": (1, "batch", "head", "run", 1, "link"),
    "blocks": ("block", "batch", 0, "sha", "link"),
    "bindings": (1, "batch", "origin", 1, "link"),
    "losses": (1, "lost", "a witness", 1, "link"),
}
LINK = "8d69e85fd762cfb3131750db9ad3706b4b0c8fee427c33665c07592bdaad3f52"
FIRST_VERSION = """CREATE TABLE image_claims (seq INTEGER PRIMARY KEY, image_sha256 TEXT NOT NULL UNIQUE, pixel_sha256 TEXT UNIQUE, batch_key TEXT NOT NULL, claimed_at_us INTEGER NOT NULL, ledger_link TEXT NOT NULL UNIQUE) STRICT
CREATE TABLE batches (seq INTEGER PRIMARY KEY, batch_key TEXT NOT NULL UNIQUE, chain_head TEXT NOT NULL, run_id TEXT NOT NULL, published_at_us INTEGER NOT NULL, ledger_link TEXT NOT NULL UNIQUE) STRICT
CREATE TABLE blocks (block_id TEXT PRIMARY KEY, batch_key TEXT NOT NULL REFERENCES batches (batch_key), position INTEGER NOT NULL, block_sha256 TEXT NOT NULL UNIQUE, link TEXT NOT NULL, UNIQUE (batch_key, position)) STRICT
INSERT INTO batches VALUES (1, 'batch', 'head', 'run', 1, 'LINK')
PRAGMA user_version = 1"""  # noqa: E501 - a statement a line
"""What the first release wrote, with the link of its one publication."""
INSERT = "INSERT INTO {} VALUES ({})"
SELECT = "SELECT * FROM {}"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Give the tables with one row in each."""
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as db:
        bring_up_to_date(db)
        for table, row in ROWS.items():
            db.execute(INSERT.format(table, ", ".join("?" * len(row))), row)
        yield db


def test_an_empty_file_has_version_0_and_a_made_one_the_schemas(tmp_path: Path, db: sqlite3.Connection) -> None:
    """file(1) knows it by its application id."""
    with closing(sqlite3.connect(tmp_path / "empty.sqlite")) as empty:
        assert version_of(empty) == 0
    assert version_of(db) == SCHEMA_VERSION == 3
    assert db.execute("PRAGMA application_id").fetchone()[0].to_bytes(4, "big") == b"EALD"


def test_the_columns_are_those_of_every_ledger_that_was_ever_written(db: sqlite3.Connection) -> None:
    """A ledger outlives the release that made it, so another schema needs another version."""
    for table, columns in COLUMNS.items():
        assert " ".join(row[1] for row in db.execute(f"PRAGMA table_info({table})")) == columns


def test_making_the_tables_again_changes_nothing(db: sqlite3.Connection) -> None:
    """Of several processes that open a new file, each makes them."""
    bring_up_to_date(db)
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


@pytest.mark.parametrize(
    "table, column", [("image_claims", 4), ("batches", 4), ("blocks", 2), ("bindings", 3), ("losses", 3)]
)
def test_a_number_is_a_number(table: str, column: int, db: sqlite3.Connection) -> None:
    """The tables are strict: a text where a time or a position belongs is refused."""
    row = ["new" if isinstance(value, str) else value + 1 for value in ROWS[table]]
    row[column] = "soon"
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT"):
        db.execute(INSERT.format(table, ", ".join("?" * len(row))), row)


def test_a_ledger_of_the_first_version_gets_what_is_missing_and_keeps_its_rows(tmp_path: Path) -> None:
    """A reader takes it as it is; the first who writes brings it up to date."""
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in FIRST_VERSION.replace("LINK", LINK).split("\n"):
            db.execute(statement)
    reader, writer = Ledger(path, readonly=True), Ledger(path)
    assert [row.batch_key for row in reader.publications()] == ["batch"]
    assert reader.lacks([LINK, "other"]) == ("other",)
    assert reader.verify() == LINK
    with closing(sqlite3.connect(path)) as db:
        assert version_of(db) == 1
    writer.bind_batch("batch", "origin")
    writer.accept_losses({"other": "a witness"})
    assert (writer.head(), reader.lacks([LINK, "other"]), reader.verify()) == (LINK, (), LINK)
    with closing(sqlite3.connect(path)) as db:
        assert version_of(db) == 3
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute("DELETE FROM bindings")
