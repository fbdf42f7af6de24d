"""What a ledger asks of the database that keeps its rows: a file of SQLite, or a server of PostgreSQL.

The rules of the ledger are written once, in statements that both understand, with their values by name. A database
brings connections, transactions, and the few words in which its SQL differs.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from entropy_assets.errors import LedgerBehind, LedgerError


class LedgerPromoted(LedgerBehind):
    """Another server took over the ledger, or its data were put back, and nobody accepted that yet."""

    code = "ledger-promoted"


class LedgerUnavailable(LedgerError):
    """The ledger did not do its work, and may later: its server gave no answer in time, or its disk is full, or locked.

    What was written may be there.
    """

    code = "ledger-unavailable"


class UnsafeLedgerServer(LedgerError):
    """The ledger's server may lose what it acknowledges: no standby, or it does not wait for disk or standby."""

    code = "unsafe-ledger-server"


@dataclass(frozen=True, slots=True)
class LedgerServer:
    """Where a ledger in PostgreSQL is.

    Attributes
    ----------
    url
        ``postgresql+psycopg://user:password@host:port/database``; what is missing libpq finds (``PGPASSWORD``,
        ``PGPASSFILE``, ``PGHOST``). Secret: it may hold a password.
    is_single
        Whether the operator says that there is no standby to which anybody would fail over. Else a synchronous one is
        required: what is only on one of two servers is lost when the other takes over.
    """

    url: str = field(repr=False)
    is_single: bool = False


class Found(Protocol):
    """Rows that a statement found."""

    def fetchone(self) -> Any:
        """Return the next row, None behind the last."""

    def fetchall(self) -> Any:
        """Return the rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Statements(Protocol):
    """A connection on which statements run, their values named as ``:name``."""

    def execute(self, statement: str, values: Mapping[str, Any] = ..., /) -> Found:
        """Run a statement."""

    def executemany(self, statement: str, rows: Iterable[Mapping[str, Any]], /) -> object:
        """Run a statement for each of some rows."""


class LedgerStorage(Protocol):
    """The database of a ledger. Whatever fails in it is a `LedgerError`."""

    @property
    def name(self) -> str:
        """Name for people: a path or an address without user and password."""

    @property
    def each(self) -> str:
        """Table of the texts in the JSON list that is bound as ``:list``, as ``each (value)``."""

    def exists(self) -> bool:
        """Tell whether there is a place, with tables or without."""

    def connection(self) -> AbstractContextManager[Statements | None]:
        """Open it for a while to read; None stands for a ledger without tables."""

    def snapshot(self) -> AbstractContextManager[Statements | None]:
        """Open it to read long answers row by row, all of them as of one moment."""

    def transaction(self) -> AbstractContextManager[Statements]:
        """Hold it for writing, before anybody else; what was written is safe once the body has ended."""

    def chains_of(self, db: Statements) -> tuple[str, ...]:
        """Return the names of the chained tables that there are."""

    def refuse_if_unsafe(self) -> None:
        """Raise `UnsafeLedgerServer` if it may lose what it acknowledges."""

    def refuse_if_promoted(self) -> None:
        """Raise `LedgerPromoted` if another server took over and nobody accepted that yet."""

    def accept_promotion(self, db: Statements, time_us: int) -> None:
        """Accept the server that took over: `refuse_if_promoted` is content with it from now on."""


def fetched(storage: LedgerStorage, query: str, **values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query; none if the ledger has no tables."""
    with storage.connection() as db:
        return [] if db is None else [tuple(row) for row in db.execute(query, values)]
