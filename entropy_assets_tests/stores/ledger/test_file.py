"""The file of the ledger: made by who writes first, left alone by who reads, and every failure one of the ledger."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from entropy_assets.errors import LedgerError
from entropy_assets.stores.ledger.file import LedgerFile
from entropy_assets.stores.ledger.schema import SCHEMA_VERSION, version_of
from entropy_assets.stores.ledger.storage import fetched


def test_a_reader_makes_no_file_and_sees_nothing(tmp_path: Path) -> None:
    file = LedgerFile(tmp_path / "ledger.sqlite", readonly=True, busy_timeout_s=1.0)
    assert fetched(file, "SELECT * FROM batches") == []
    assert not file.path.exists()
    with pytest.raises(LedgerError, match="reading only"), file.transaction():
        pass


def test_what_fails_in_a_transaction_is_undone(tmp_path: Path) -> None:
    file = LedgerFile(tmp_path / "ledger.sqlite", readonly=False, busy_timeout_s=1.0)
    twice = [(1, b"0"), (1, b"0")]
    with pytest.raises(LedgerError), file.transaction() as db:
        db.executemany("INSERT INTO folds (seq, folds) VALUES (?, ?)", twice)
    assert fetched(file, "SELECT * FROM folds") == []
    with file.transaction() as db:
        db.execute("INSERT INTO folds (seq, folds) VALUES (1, x'00')")
    assert fetched(file, "SELECT seq FROM folds") == [(1,)]
    with closing(sqlite3.connect(file.path)) as db:
        assert version_of(db) == SCHEMA_VERSION


def test_a_file_that_is_none_of_sqlites_is_an_error_of_the_ledger(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(LedgerError, match="can't be used"):
        fetched(LedgerFile(tmp_path / "ledger.sqlite", readonly=False, busy_timeout_s=1.0), "SELECT 1")
