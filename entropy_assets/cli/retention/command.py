"""The command: it looks, says, and removes unless it is a dry run."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from entropy_assets.cli.retention.words import lines_of, lines_of_history
from entropy_assets.cli.shell import home_option, json_option, known_dagsters, progress_bars, settings_of, typed_errors

if TYPE_CHECKING:
    from entropy_assets.defs.retention.history import History
    from entropy_assets.settings import Settings
    from entropy_assets.stages.retention.looking import FateOf
    from entropy_assets.stages.retention.plan import RemovalPlan
    from entropy_assets.stores.home import Home
    from entropy_assets.stores.inboxes.bucket import Inbox
    from entropy_assets.stores.ledger.anchors import Anchor


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go and why the rest stays; change nothing.")
@home_option
@json_option
@typed_errors
def retention(dry_run: bool, home: Path | None, as_json: bool) -> None:
    """Remove images, noise and batches that nobody needs any more, as the settings ENTROPY_KEEP_... say.

    Without such a setting none goes. Never removed: the ledger, batches on which something is left to do, and those
    whose blocks may still be served. A block whose batch was removed says so. Of the Dagster in the home, and of that
    of DAGSTER_HOME, old runs go with their events, and the partitions of removed batches.
    """
    from entropy_assets.recipe import recipe_named
    from entropy_assets.stages.retention.limits import KeepLimits
    from entropy_assets.stages.retention.plan import plan_removal
    from entropy_assets.stages.retention.removing import remove
    from entropy_assets.stores.home import Home

    settings = settings_of(home=home)
    place, limits = Home.of(settings), KeepLimits.of(settings)
    if not place.root.exists() and settings.store_url is None:
        raise click.UsageError(f"there is no folder {place.root}: give --home, or set ENTROPY_HOME")
    inboxes = place.inboxes(
        recipe_named(settings.recipe).sources,
        settle_seconds=settings.settle_seconds,
        max_file_bytes=settings.max_file_bytes,
    )
    with ExitStack() as stack:
        stack.enter_context(place.kept_private(lambda line: click.echo(line, err=True)))
        fate_of = stack.enter_context(_asked(settings))
        now_s, dagsters = time.time(), known_dagsters(place.dagster_folder)
        anchors = [anchor for folder in dagsters for anchor in _known_in(folder)]
        plan = plan_removal(place, limits, now_s=now_s, inboxes=inboxes, fate_of=fate_of, anchors=anchors)
        histories = _histories(dagsters, settings, place, plan, inboxes, now_s)
        items = plan.going
        if not dry_run:
            move = stack.enter_context(progress_bars(quiet=as_json))
            items = remove(place, plan, inboxes=inboxes, progress=move).items
            for folder, history in histories.items():
                _forget(folder, history, move)
    if as_json:
        rows = [{"kind": item.kind, "name": item.name, "bytes": item.bytes, "why": item.why} for item in items]
        facts = {"bytes_before": plan.bytes_before, "bytes_after": plan.bytes_after, "dagster": _rows(histories)}
        click.echo(json.dumps({"dry_run": dry_run, "removed": rows, "stays": dict(plan.staying), **facts}))
        return
    for line in lines_of(items, plan.staying, is_dry=dry_run, keeps_all=limits.keep_all):
        click.echo(line)
    for folder, history in histories.items():
        for line in lines_of_history(folder, history.runs, history.partitions, is_dry=dry_run):
            click.echo(line)


def _known_in(folder: Path) -> "Iterator[Anchor]":
    from entropy_assets.defs.anchors import known_in

    return known_in(folder)


def _histories(
    folders: list[Path],
    settings: "Settings",
    place: "Home",
    plan: "RemovalPlan",
    inboxes: "Mapping[str, Inbox]",
    now_s: float,
) -> "dict[Path, History]":
    """Return what goes of the memory of each Dagster. Where there is none it is not loaded either."""
    if not folders:
        return {}
    from entropy_assets.defs.anchors import dagster_in
    from entropy_assets.defs.retention.history import KnownBatches, old_history
    from entropy_assets.stages.retention.limits import RunLimits

    known, histories = KnownBatches.of(place, plan, inboxes), {}
    for folder in folders:
        with dagster_in(folder) as instance:
            histories[folder] = old_history(instance, known, RunLimits.of(settings), now_s=now_s)
    return histories


def _forget(folder: Path, history: "History", progress: Callable[[str, int, int], object]) -> None:
    from entropy_assets.defs.anchors import dagster_in
    from entropy_assets.defs.retention.history import forget

    with dagster_in(folder) as instance:
        forget(instance, history, progress=progress)


def _rows(histories: "Mapping[Path, History]") -> list[dict[str, object]]:
    return [
        {
            "folder": str(folder),
            "runs": [{"run_id": run_id, "why": why} for run_id, why in history.runs.items()],
            "partitions": list(history.partitions),
        }
        for folder, history in histories.items()
    ]


@contextmanager
def _asked(settings: "Settings") -> "Iterator[FateOf | None]":
    """Yield who tells where a block is; nobody does where no pool is named: that of a running ``up`` is its own."""
    from entropy_assets.stores.pool.shards import pool_at

    if settings.pool_address is None:
        yield None
        return
    with closing(pool_at(settings.pool_address, prefix=settings.pool_prefix)) as pool:
        yield pool.fate_of
