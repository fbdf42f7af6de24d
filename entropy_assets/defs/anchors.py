"""What Dagster knows of the ledger: the head that its newest publication recorded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import dagster as dg

from entropy_assets.stores.ledger.anchors import Anchor
from entropy_assets.stores.ledger.rows import NO_LINK

_PUBLISHED: Final = dg.AssetKey("published_blocks")


def known_to_dagster(instance: dg.DagsterInstance) -> Iterator[Anchor]:
    """Yield the ledger's head as it was after the newest publication that Dagster remembers, if it does any."""
    event = instance.get_latest_materialization_event(_PUBLISHED)
    materialization = None if event is None else event.asset_materialization
    head = None if materialization is None else materialization.metadata.get("ledger_head")
    if head is not None and head.value != NO_LINK:
        yield Anchor(str(head.value), "Dagster")


def run_of_anchor(instance: dg.DagsterInstance) -> str | None:
    """Return the run that recorded what `known_to_dagster` yields; None if it yields nothing."""
    event = instance.get_latest_materialization_event(_PUBLISHED)
    return None if event is None else event.run_id


def known_in(folder: Path) -> Iterator[Anchor]:
    """Yield the same of the Dagster whose DAGSTER_HOME is `folder`; nothing where there is none."""
    if (folder / "dagster.yaml").is_file():
        with dg.DagsterInstance.from_config(str(folder)) as instance:
            yield from known_to_dagster(instance)
