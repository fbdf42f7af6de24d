"""The file of the ledger: made by who writes first, left alone by who reads, and every failure one of the ledger."""

import resource
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from entropy_assets.errors import LedgerError
from entropy_assets.stores.ledger.file import LedgerFile
from entropy_assets.stores.ledger.schema import SCHEMA_VERSION, version_of
from entropy_assets.stores.ledger.storage import LedgerUnavailable, fetched


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


@contextmanager
def without_room(over_bytes: int = 0) -> Iterator[None]:
    """Let nothing be written, as on a full disk or a read-only medium: no file of this process may grow.

    Over `over_bytes`, that is; then what is small may still have room.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (over_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, heard)


def with_a_row(path: Path) -> LedgerFile:
    """Make a ledger with one row, and give it to a reader."""
    with LedgerFile(path, readonly=False, busy_timeout_s=1.0).transaction() as db:
        db.execute("INSERT INTO folds (seq, folds) VALUES (1, x'00')")
    return LedgerFile(path, readonly=True, busy_timeout_s=1.0)


def test_it_is_read_where_nothing_can_be_written_beside_it(tmp_path: Path) -> None:
    """A full disk, a backup that is mounted read-only: an auditor and `/blocks` only read."""
    reader = with_a_row(tmp_path / "ledger.sqlite")
    with without_room():
        assert fetched(reader, "SELECT seq FROM folds") == [(1,)]
    assert fetched(reader, "SELECT seq FROM folds") == [(1,)]


def test_rows_that_only_its_log_has_are_never_passed_over(tmp_path: Path) -> None:
    """What a power cut left: without them a block that was published would be unknown."""
    with_a_row(tmp_path / "ledger.sqlite")
    copy = tmp_path / "copy"
    copy.mkdir()
    with LedgerFile(tmp_path / "ledger.sqlite", readonly=False, busy_timeout_s=1.0).connection() as db:
        assert db is not None
        db.execute("INSERT INTO folds (seq, folds) VALUES (2, x'00')")
        for name in ("ledger.sqlite", "ledger.sqlite-wal"):
            shutil.copy(tmp_path / name, copy / name)
    reader = LedgerFile(copy / "ledger.sqlite", readonly=True, busy_timeout_s=1.0)
    with without_room(), pytest.raises(LedgerError, match=r"newest rows are in ledger\.sqlite-wal"):
        fetched(reader, "SELECT seq FROM folds")
    assert fetched(reader, "SELECT seq FROM folds ORDER BY seq") == [(1,), (2,)]


@pytest.mark.parametrize("others", [0, 1])
def test_who_reads_so_while_somebody_else_writes_is_told(tmp_path: Path, others: int) -> None:
    """A service may see through a read-only mount what a publisher writes through another one.

    Where others have it open, a row stays in the log beside the file.
    """
    reader = with_a_row(tmp_path / "ledger.sqlite")
    writer = LedgerFile(tmp_path / "ledger.sqlite", readonly=False, busy_timeout_s=1.0)
    open_beside = [sqlite3.connect(tmp_path / "ledger.sqlite")]
    with closing(open_beside[0]), ExitStack() as stack:
        with without_room():
            db = stack.enter_context(reader.connection())
        assert db is not None
        assert len(db.execute("SELECT seq FROM folds").fetchall()) == 1
        for beside in open_beside[:others]:
            beside.execute("SELECT seq FROM folds").fetchall()
        with writer.transaction() as other:
            other.execute("INSERT INTO folds (seq, folds) VALUES (2, x'00')")
        with pytest.raises(LedgerError, match="written while it was read"):
            stack.close()


def test_what_another_process_or_the_disk_stops_may_pass_and_what_is_wrong_with_the_file_does_not(
    tmp_path: Path,
) -> None:
    file = LedgerFile(tmp_path / "ledger.sqlite", readonly=False, busy_timeout_s=0.0)
    with file.transaction(), pytest.raises(LedgerUnavailable, match="locked"), file.transaction():
        pass
    with without_room(), pytest.raises(LedgerUnavailable, match="can't be used"), file.transaction() as db:
        db.execute("INSERT INTO folds (seq, folds) VALUES (1, x'00')")
    with pytest.raises(LedgerError, match="no such table") as caught:
        fetched(file, "SELECT * FROM absent")
    assert type(caught.value) is LedgerError
    (tmp_path / "ledger.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(LedgerError, match="not a database") as caught:
        fetched(file, "SELECT 1")
    assert type(caught.value) is LedgerError


def test_a_place_that_can_not_be_looked_at_is_no_missing_ledger(tmp_path: Path) -> None:
    """As a home that was closed; nobody may take it for an empty one, nor be stopped by what he isn't ready for."""
    reader = LedgerFile(tmp_path / ("x" * 300) / "ledger.sqlite", readonly=True, busy_timeout_s=1.0)
    with pytest.raises(LedgerUnavailable, match="File name too long; look at its disk"):
        reader.exists()
    with pytest.raises(LedgerUnavailable):
        fetched(reader, "SELECT 1")
