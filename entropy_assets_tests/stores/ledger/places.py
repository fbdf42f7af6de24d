"""Where the ledgers of the tests lie: each test of the rules is made on a file of SQLite and on a real PostgreSQL."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import NO_LINK, epoch_link
from entropy_assets.stores.ledger.storage import LedgerServer, fetched
from entropy_assets_tests.postgres_server import PostgresServer

GUARDS = (
    "SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
    " WHERE relnamespace = current_schema()::regnamespace AND NOT tgisinternal"
)


class Places:
    """Places for ledgers, of one kind.

    Parameters
    ----------
    folder
        Where files go.
    server
        Where schemas go, if they are to be no files.
    """

    def __init__(self, folder: Path, server: PostgresServer | None) -> None:
        self.folder = folder
        self.server = server
        self._schemas: dict[str, str] = {}

    def of(self, name: str = "ledger") -> Path | LedgerServer:
        """Give the place of that name; nothing is in it."""
        if self.server is None:
            return self.folder / "home" / name
        if name not in self._schemas:
            self._schemas[name] = f"test_{uuid4().hex[:12]}"
            self.server.ask(f"CREATE SCHEMA {self._schemas[name]}")
        return LedgerServer(self.server.url(self._schemas[name]), is_single=True)

    def run(self, *statements: str, name: str = "ledger") -> list[tuple[Any, ...]]:
        """Run statements as somebody with the file or the superuser's password; return the rows of the last."""
        rows: list[tuple[Any, ...]] = []
        if self.server is None:
            path = self.of(name)
            assert isinstance(path, Path)
            with closing(sqlite3.connect(path, isolation_level=None)) as db:
                for statement in statements:
                    rows = db.execute(statement).fetchall()
            return rows
        self.of(name)
        options = f"-c search_path={self._schemas[name]}"
        with psycopg.connect(self.server.dsn, options=options, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)  # type: ignore[arg-type]
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def tamper(self, *statements: str) -> None:
        """Do what somebody can who has the file, or owns the tables: drop the guards, then change rows."""
        if self.server is None:
            triggers = self.run("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            drops = [f"DROP TRIGGER {trigger}" for (trigger,) in triggers]
        else:
            drops = [f"DROP TRIGGER {trigger} ON {table}" for trigger, table in self.run(GUARDS)]
            drops.append("ALTER TABLE blocks DROP CONSTRAINT blocks_batch_key_fkey")
        self.run(*drops, *statements)

    def clear(self) -> None:
        for schema in self._schemas.values():
            assert self.server is not None
            self.server.ask(f"DROP SCHEMA {schema} CASCADE")


def lose_rows(ledger: Ledger, postgres: PostgresServer, *statements: str) -> None:
    """Run statements on the tables of a ledger, as if their guards had never been."""
    ((schema,),) = fetched(ledger.storage, "SELECT current_schema()")
    postgres.ask(
        f"SET search_path = {schema}; SET session_replication_role = replica; {'; '.join(statements)}"
    )  # a replica fires no triggers, and checks no references


def as_promoted(ledger: Ledger, postgres: PostgresServer, *, timeline: int = 7, system: str = "") -> str:
    """Make the accepted epoch of a ledger another one than that of its server; return the server's."""
    ((present, number, time_us),) = fetched(
        ledger.storage, "SELECT system_identifier, timeline, accepted_at_us FROM epochs"
    )
    kept = system or present
    link = epoch_link(NO_LINK, kept, timeline, time_us)
    change = f"timeline = {timeline}, system_identifier = '{kept}', ledger_link = '{link}'"
    lose_rows(ledger, postgres, f"UPDATE epochs SET {change}")  # noqa: S608 - values of the tests' own
    return f"{present}/{number}"
