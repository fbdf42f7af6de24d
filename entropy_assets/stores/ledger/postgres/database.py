"""The database of the ledger on a server: its connections, its lock, and every failure one of the ledger.

A writing transaction takes the one lock of the ledger first and looks at the server next, so what it reads afterwards
can't change before it ends; nobody ever has to repeat one. It is READ COMMITTED: each of its statements sees what was
committed before the lock was had.
"""

import os
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from types import MappingProxyType
from typing import Any, Final, cast

import psycopg
import sqlalchemy as sa
from psycopg.errors import Diagnostic

from entropy_assets.errors import LedgerError
from entropy_assets.stores.ledger.chains import append_row
from entropy_assets.stores.ledger.postgres.safety import (
    Epoch,
    ServerState,
    accepted_epoch,
    refuse_promoted,
    refuse_unsafe,
)
from entropy_assets.stores.ledger.postgres.schema import bring_up_to_date, newest_version, version_of
from entropy_assets.stores.ledger.rows import epoch_link
from entropy_assets.stores.ledger.storage import Found, LedgerServer, LedgerUnavailable, Statements

CHAINS: Final = ("image_claims", "batches", "bindings", "losses", "epochs")
_DRIVER: Final = "postgresql+psycopg"
_LOCK: Final = sa.text("SELECT pg_advisory_xact_lock(4990538841)")  # "EALD" and a byte, in this database alone
# That a commit was not waited for is told by a warning and by nothing else; server or user may have it kept back.
_HEAR: Final = sa.text("SELECT set_config('client_min_messages', 'warning', true)")
_STATEMENT_S: Final = 30.0
"""Longest wait for one statement, seconds: the wait of a commit for a standby that went away ends by it too."""
_CONNECTING: Final[Mapping[str, str | int]] = MappingProxyType(
    {
        "application_name": "entropy-assets ledger",
        "connect_timeout": 10,  # seconds, for each address
        # A server whose machine is gone is noticed within half a minute.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 4,
        "tcp_user_timeout": 30_000,  # milliseconds
    }
)
"""What a connection is made with, unless the address says otherwise."""
_AWAY: Final = (sa.exc.OperationalError, sa.exc.TimeoutError, psycopg.OperationalError)
"""What driver and pool raise of a connection, lock or server that may be there the next time."""
_ROWS_HELD: Final = 1000
"""Rows of a long answer that are fetched at a time."""
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class _Session:
    """Statements on a connection of SQLAlchemy."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self._found: list[sa.CursorResult[Any]] = []

    def execute(self, statement: str, values: Mapping[str, Any] = _NOTHING, /) -> Found:
        self._found.append(self.connection.execute(sa.text(statement), dict(values)))
        return cast("Found", self._found[-1])

    def close(self) -> None:
        """End the answers that nobody read to their end."""
        for found in self._found:
            found.close()

    def executemany(self, statement: str, rows: Iterable[Mapping[str, Any]], /) -> None:
        if given := [dict(row) for row in rows]:
            self.connection.execute(sa.text(statement), given)


class LedgerDatabase:
    """The database, safe to use from several threads and processes, each of which opens connections of its own.

    Parameters
    ----------
    server
        Where it is.
    readonly, busy_timeout_s, accepts
        As of the ledger.

    Raises
    ------
    LedgerError
        If the address is none; it is not repeated, since it may hold a password.
    """

    each = "json_array_elements_text(CAST(:list AS json)) AS each (value)"

    def __init__(self, server: LedgerServer, readonly: bool, busy_timeout_s: float, accepts: str | None) -> None:
        self._given = (server, readonly, busy_timeout_s, accepts)
        self._server = server
        self._readonly = readonly
        self._busy_timeout_s = busy_timeout_s
        self._accepts = accepts
        self._url = _address(server.url)
        self._opened: tuple[int, sa.Engine] | None = None
        self._has_tables = False

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self._given

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def name(self) -> str:
        """The address without user, password and options."""
        url = self._url
        place = url.host or url.query.get("host") or ""
        place = place if isinstance(place, str) else ",".join(place)
        return f"postgresql://{place}{f':{url.port}' if url.port else ''}/{url.database or ''}"

    def exists(self) -> bool:
        """Tell whether there are tables."""
        with self.connection() as db:
            return db is not None

    def chains_of(self, db: Statements) -> tuple[str, ...]:
        """Return the names of the chained tables: every version has them all."""
        return CHAINS

    @contextmanager
    def connection(self) -> Iterator[_Session | None]:
        """Open a connection to read; None stands for a ledger without tables."""
        with self._failures(), self._engine().connect() as connection:
            yield self._readable(connection)

    @contextmanager
    def snapshot(self) -> Iterator[_Session | None]:
        """Open a connection whose rows come as they are asked for, all of them as of one moment."""
        with self._failures(), self._engine().connect() as connection:
            has_tables = self._readable(connection) is not None
            connection.rollback()  # that was a transaction, and the next one has another mode
            if not has_tables:
                yield None
                return
            connection.execution_options(isolation_level="REPEATABLE READ")
            connection.execute(sa.text("SET LOCAL statement_timeout = 0"))  # the first row of a long answer takes long
            with closing(_Session(connection.execution_options(stream_results=True, yield_per=_ROWS_HELD))) as session:
                yield session

    @contextmanager
    def transaction(self) -> Iterator[_Session]:
        """Hold the ledger for writing; what was written is safe once the body has ended.

        Raises
        ------
        LedgerError
            If the server did not say that all is safe. Then nothing is to be done on the strength of it, though the
            rows may be there: whoever tries again finds them.
        UnsafeLedgerServer, LedgerPromoted
            If it must not be written; nothing was.
        """
        if self._readonly:
            raise LedgerError("the ledger is opened for reading only", path=self.name)
        with self._failures(), self._engine().connect() as connection:
            with connection.begin():
                connection.execute(_LOCK)
                connection.execute(_HEAR)
                self._refuse_unless_fit(connection)
                yield _Session(connection)
                said = _said_by(connection)
                said.clear()
            if said:
                raise LedgerError(
                    f"the ledger {self.name} was written, and its server gave up waiting for a standby: {said[0]}. That"
                    " counts as a failure: nothing is pushed to the pool",
                    path=self.name,
                )

    def refuse_if_promoted(self) -> None:
        """Raise `LedgerPromoted` if another server took over and nobody accepted that yet."""
        with self.connection() as db:
            if db is not None:
                refuse_promoted(db.connection, ServerState.of(db.connection).epoch, self.name, self._accepts)

    def accept_promotion(self, db: Statements, time_us: int) -> None:
        """Accept the epoch that the server is in, unless it is the accepted one."""
        session = cast("_Session", db)
        present = ServerState.of(session.connection).epoch
        if present is not None and present != accepted_epoch(session.connection):
            _keep_epoch(session, present, time_us)

    def refuse_if_unsafe(self) -> None:
        """Raise `UnsafeLedgerServer` unless the server keeps what it acknowledges."""
        with self._failures(), self._engine().connect() as connection:
            refuse_unsafe(ServerState.of(connection), self.name, is_single=self._server.is_single)

    def _readable(self, connection: sa.Connection) -> _Session | None:
        """Return the session of a connection; None if there are no tables yet."""
        if not self._has_tables:
            version = version_of(connection)
            self._refuse_newer(version)
            self._has_tables = version > 0
        return _Session(connection) if self._has_tables else None

    def _refuse_unless_fit(self, connection: sa.Connection) -> None:
        """Raise unless the ledger may be written here and now; make the tables that are missing."""
        version = version_of(connection, is_there=self._has_tables)
        self._refuse_newer(version)
        state = ServerState.of(connection)
        refuse_unsafe(state, self.name, is_single=self._server.is_single)
        if version < newest_version():
            bring_up_to_date(connection)
        if version == 0 and state.epoch is not None:
            _keep_epoch(_Session(connection), state.epoch, time.time_ns() // 1000)
        refuse_promoted(connection, state.epoch, self.name, self._accepts)

    def _refuse_newer(self, version: int) -> None:
        if version > newest_version():
            raise LedgerError(f"the ledger {self.name} was written by a newer version of this package", path=self.name)

    def _engine(self) -> sa.Engine:
        """Return the pool of connections of this process: what a parent opened is the parent's."""
        process = os.getpid()
        if self._opened is None or self._opened[0] != process:
            engine = self._new_engine()
            weakref.finalize(self, _dispose, engine, process)
            self._opened = process, engine
        return self._opened[1]

    def _new_engine(self) -> sa.Engine:
        lacking = {name: value for name, value in _CONNECTING.items() if name not in self._url.query}
        engine = sa.create_engine(
            self._url,
            isolation_level="READ COMMITTED",
            pool_size=1,
            max_overflow=15,
            pool_pre_ping=True,
            pool_recycle=300,
            hide_parameters=True,
            connect_args=lacking,
        )
        # Nothing of the engine holds this object: its connections end with it.
        sa.event.listen(engine, "connect", partial(_prepare, self._busy_timeout_s, self._readonly))
        return engine

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn the failures of driver and pool into those of the ledger."""
        try:
            yield
        except (sa.exc.SQLAlchemyError, psycopg.Error) as error:
            kind = LedgerUnavailable if isinstance(error, _AWAY) else LedgerError
            raise kind(f"the ledger {self.name} can't be used: {_reason(error)}", path=self.name) from error


def _prepare(busy_timeout_s: float, readonly: bool, connection: psycopg.Connection, record: Any) -> None:
    """Set what holds for the whole connection, and hear what the server says beside its answers."""
    said: list[str] = []
    record.info["said"] = said

    def hear(diagnostic: Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            said.append(diagnostic.message_primary or "a warning")

    connection.add_notice_handler(hear)
    connection.execute(
        "SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false),"
        " set_config('idle_in_transaction_session_timeout', '60000', false),"
        " set_config('default_transaction_read_only', %s, false)",
        (str(int(busy_timeout_s * 1000)), str(int(_STATEMENT_S * 1000)), "on" if readonly else "off"),
    )
    connection.commit()


def _said_by(connection: sa.Connection) -> list[str]:
    return cast("list[str]", connection.info["said"])


def _keep_epoch(session: _Session, epoch: Epoch, time_us: int) -> None:
    facts = epoch.system_identifier, epoch.timeline, time_us
    append_row(
        session,
        "epochs",
        lambda previous: epoch_link(previous, *facts),
        **dict(zip(("system_identifier", "timeline", "accepted_at_us"), facts, strict=True)),
    )


def _address(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        parsed = None
    if parsed is None or parsed.drivername not in (_DRIVER, "postgresql"):
        raise LedgerError(
            "the ledger has no address of PostgreSQL: it is postgresql+psycopg://user:password@host:port/database, with"
            " signs that mean something in an address as %40"
        )
    return parsed.set(drivername=_DRIVER)


def _reason(error: Exception) -> str:
    """Return what the server or the driver says, without the address and the statement."""
    driver = getattr(error, "orig", None) or error
    said = driver.diag.message_primary if isinstance(driver, psycopg.Error) else None
    # Of several addresses each has a line, and its own name stands before "failed".
    return said or (str(driver).splitlines() or [type(driver).__name__])[0].rpartition("failed: ")[2]


def _dispose(engine: sa.Engine, process: int) -> None:
    engine.dispose(close=os.getpid() == process)
