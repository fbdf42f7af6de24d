"""The schema of a ledger in PostgreSQL: its version, and the steps of Alembic that bring it up to date."""

from functools import cache
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

VERSION_TABLE: Final = "ledger_version"
"""Where Alembic keeps the version; a name of its own, since Dagster's tables may lie in the same database."""


@cache
def newest_version() -> int:
    """Return the version that the package brings the schema to."""
    return int(_steps().get_current_head() or 0)


def version_of(connection: sa.Connection, *, is_there: bool = False) -> int:
    """Return the version of the schema, 0 when there is none; of one that `is_there` that is not asked first."""
    if not is_there and connection.scalar(sa.text("SELECT to_regclass(:name)"), {"name": VERSION_TABLE}) is None:
        return 0
    return int(connection.scalar(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")) or 0)  # noqa: S608 - the name above


def bring_up_to_date(connection: sa.Connection, through: int | None = None) -> None:
    """Take the steps that are missing, in the transaction of `connection`, whose owner holds the ledger's lock.

    Parameters
    ----------
    through
        The last version to make; by default the newest.
    """
    steps = _steps()
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    begun_at = version_of(connection)
    through = newest_version() if through is None else through
    missing = [step for step in steps.walk_revisions() if begun_at < int(step.revision) <= through]
    with Operations.context(context):
        for step in reversed(missing):
            step.module.upgrade()
            context.stamp(steps, step.revision)


def _steps() -> ScriptDirectory:
    return ScriptDirectory(str(Path(__file__).parent))
