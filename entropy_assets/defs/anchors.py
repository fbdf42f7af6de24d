"""What Dagster knows of the ledger: the head that its newest publication recorded."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._check import CheckError

from entropy_assets.errors import EntropyAssetsError
from entropy_assets.stores.ledger.anchors import Anchor
from entropy_assets.stores.ledger.rows import NO_LINK

_LONGEST_REASON: Final = 300
"""Of what Dagster says of a configuration, which may be its whole schema, characters."""
_OF_ITS_PACKAGES: Final = (
    ("dagster_postgres.utils", "DagsterPostgresException"),
    ("sqlalchemy.exc", "SQLAlchemyError"),
    ("yaml", "YAMLError"),
)
"""What comes through Dagster unchanged. It loads these modules itself, the first only if ``dagster.yaml`` names it."""
_PUBLISHED: Final = dg.AssetKey("published_blocks")


class DagsterUnreadable(EntropyAssetsError):
    """A Dagster that can't be asked: its database gives no answer, or its ``dagster.yaml`` can't be used."""

    code = "dagster-unreadable"


def known_to_dagster(instance: dg.DagsterInstance) -> Iterator[Anchor]:
    """Yield the ledger's head as it was after the newest publication that Dagster remembers, if it does any."""
    event = instance.get_latest_materialization_event(_PUBLISHED)
    materialization = None if event is None else event.asset_materialization
    head = None if materialization is None else materialization.metadata.get("ledger_head")
    if head is not None and head.value != NO_LINK:
        yield Anchor(str(head.value), "Dagster")


def known_in(folder: Path) -> Iterator[Anchor]:
    """Yield the same of the Dagster whose DAGSTER_HOME is `folder`; nothing where there is none.

    Raises
    ------
    DagsterUnreadable
        If there is one and it can't be asked.
    """
    if (folder / "dagster.yaml").is_file():
        with dagster_in(folder) as instance:
            known = list(known_to_dagster(instance))
        yield from known


@contextmanager
def dagster_in(folder: Path) -> Iterator[dg.DagsterInstance]:
    """Give the Dagster whose DAGSTER_HOME is `folder`. What it raises, and any OSError, is told as its own failure.

    Raises
    ------
    DagsterUnreadable
        If it can't be asked.
    """
    with _failures(folder), dg.DagsterInstance.from_config(str(folder)) as instance:
        yield instance


@contextmanager
def _failures(folder: Path) -> Iterator[None]:
    """Turn what Dagster, its storage and its database raise into `DagsterUnreadable`."""
    root = logging.getLogger()
    root.addFilter(_is_no_retry)
    try:
        yield
    except _raised_by_dagster() as error:
        raise DagsterUnreadable(
            f"the Dagster in {folder} can't be asked: {_reason(error)}; start its database,"
            " or mend dagster.yaml or what it names, and give the command again",
            path=str(folder),
        ) from error
    finally:
        root.removeFilter(_is_no_retry)


def _is_no_retry(record: logging.LogRecord) -> bool:
    """Keep back what Dagster's storage says of each of its six tries: the error says it once."""
    return not str(record.msg).startswith("Retrying failed database connection")


def _raised_by_dagster() -> tuple[type[Exception], ...]:
    loaded = [getattr(sys.modules[module], name) for module, name in _OF_ITS_PACKAGES if module in sys.modules]
    return (dg.DagsterError, CheckError, OSError, *loaded)


def _reason(error: Exception) -> str:
    """Return what the driver says, without address and statement, or what is wrong with the configuration."""
    if isinstance(error, dg.DagsterInvalidConfigError):
        said = "; ".join(each.message for each in error.errors)
    else:
        cause = error.__cause__ or error
        said = str(getattr(cause, "orig", None) or cause)
    return " ".join(said.split())[:_LONGEST_REASON]
