"""The SQLite file of the ledger: opened for each call, brought up to date, and every failure one of the ledger."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

from entropy_assets.errors import LedgerError
from entropy_assets.stores.ledger.schema import SCHEMA_VERSION, bring_up_to_date, chains_in, version_of
from entropy_assets.stores.ledger.storage import LedgerUnavailable, Statements

_NO_INDEX: Final = {"SQLITE_CANTOPEN", "SQLITE_IOERR_SHMOPEN", "SQLITE_IOERR_SHMSIZE"}
"""What SQLite says to a reader who can't make the index beside the file: on a disk that is full or read-only."""


class LedgerFile:
    """The file, safe to use from several threads and processes: each call opens its own connection.

    Parameters
    ----------
    path
        The file; on a local disk, since WAL does not work over a network file system.
    readonly, busy_timeout_s
        As of the ledger.
    """

    each = "json_each(:list) AS each"

    def __init__(self, path: Path, readonly: bool, busy_timeout_s: float) -> None:
        self.path = path
        self.readonly = readonly
        self._busy_timeout_s = busy_timeout_s

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def exists(self) -> bool:
        """Tell whether there is a file."""
        with self._reaching():
            return _moment(self.path) is not None

    def chains_of(self, db: Statements) -> tuple[str, ...]:
        """Return the names of the chained tables that there are: a file of an older version has fewer."""
        return chains_in(version_of(cast("sqlite3.Connection", db)))

    def refuse_if_unsafe(self) -> None:
        """Do nothing: what is written is on the disk, by the settings of each connection."""

    def refuse_if_promoted(self) -> None:
        """Do nothing: no other server takes over from a file."""

    def accept_promotion(self, db: Statements, time_us: int) -> None:
        """Do nothing, for the same reason."""

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the file for writing; what was written is on the disk once the body has ended."""
        if self.readonly:
            raise LedgerError("the ledger is opened for reading only", path=str(self.path))
        with self.connection() as db:
            if db is None:
                raise LedgerError("the ledger has no tables", path=str(self.path))
            db.execute("BEGIN IMMEDIATE")  # the write lock first: what is read below can't change before the insert
            try:
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection | None]:
        """Open the file for a while, and see it as it is now."""
        with self.connection() as db:
            if db is not None:
                db.execute("BEGIN")  # ends with the connection
            yield db

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection | None]:
        """Open the file for a while; None stands for a ledger without tables."""
        if self.readonly and not self.exists():
            yield None
            return
        try:
            with self._reaching():
                before = _moment(self.path)
                db, is_alone = self._open()
            try:
                yield db if version_of(db) else None
                if is_alone and (_moment(self.path) != before or self._has_log()):
                    raise LedgerError(
                        f"the ledger {self.path} was written while it was read; ask again", path=str(self.path)
                    )
            finally:
                db.close()
        except sqlite3.Error as error:
            kind = LedgerUnavailable if _may_pass(error) else LedgerError
            raise kind(f"the ledger {self.path} can't be used: {error}", path=str(self.path)) from error

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turn what the system says of a place that can't be looked at into a failure of the ledger.

        A file that nobody may see is not a file that is missing.
        """
        try:
            yield
        except OSError as error:
            raise LedgerUnavailable(
                f"the ledger {self.path} can't be used: {error.strerror or type(error).__name__}; look at its disk, and"
                " at owner and mode of the folders above it",
                path=str(self.path),
            ) from error

    def _open(self) -> tuple[sqlite3.Connection, bool]:
        """Return a connection, and whether it passes over what others may write meanwhile."""
        if not self.readonly:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        is_alone = False
        db = self._connected("rw" if self.readonly else "rwc")  # a reader of a WAL file needs its index, so not "ro"
        try:
            version_of(db)
        except sqlite3.OperationalError as error:
            db.close()
            if not self.readonly or error.sqlite_errorname not in _NO_INDEX:
                raise
            self._refuse_unread_log(error)
            is_alone = True
            db = self._connected("ro&immutable=1")
        db.execute("PRAGMA synchronous = FULL")
        if self.readonly:
            db.execute("PRAGMA query_only = ON")
        elif version_of(db) < SCHEMA_VERSION:
            bring_up_to_date(db)
        if version_of(db) > SCHEMA_VERSION:
            db.close()
            raise LedgerError(
                f"the ledger {self.path} was written by a newer version of this package", path=str(self.path)
            )
        return db, is_alone

    @property
    def _log(self) -> Path:
        """SQLite's write-ahead log: rows that are not in the file yet."""
        return self.path.with_name(f"{self.path.name}-wal")

    def _has_log(self) -> bool:
        return self._log.exists() and self._log.stat().st_size > 0

    def _connected(self, mode: str) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, timeout=self._busy_timeout_s, isolation_level=None)

    def _refuse_unread_log(self, error: sqlite3.OperationalError) -> None:
        """Raise if there are rows in the log beside the file: without its index they would be missing."""
        if self._has_log():
            raise LedgerError(
                f"the ledger {self.path} can't be used: {error}. Its newest rows are in {self._log.name}, and nothing"
                " can be written beside it: copy both to where there is room, and look there",
                path=str(self.path),
            ) from error


def _may_pass(error: sqlite3.Error) -> bool:
    """Tell whether the system or another process stopped it: a full disk, a lock, a mode. Else it is the file itself.

    A table that is missing is an OperationalError too, with the code SQLITE_ERROR, and text that is none has no code.
    """
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    return isinstance(error, sqlite3.OperationalError) and code != sqlite3.SQLITE_ERROR


def _moment(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is written, moved or replaced."""
    try:
        state = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return state.st_ino, state.st_size, state.st_mtime_ns
