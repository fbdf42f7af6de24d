"""The command: it looks, says, and removes unless it is a dry run."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from entropy_assets.cli.retention.words import lines_of
from entropy_assets.cli.shell import json_option, progress_bars, settings_of, typed_errors

if TYPE_CHECKING:
    from entropy_assets.settings import Settings
    from entropy_assets.stages.retention.looking import FateOf


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go and why the rest stays; change nothing.")
@click.option(
    "--home", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Folder of the installation."
)
@json_option
@typed_errors
def retention(dry_run: bool, home: Path | None, as_json: bool) -> None:
    """Remove images, noise and batches that nobody needs any more, as the settings ENTROPY_KEEP_... say.

    Without such a setting nothing goes. Never removed: the ledger, batches on which something is left to do, and those
    whose blocks may still be served. A block whose batch was removed says so. Runs and events that Dagster keeps are
    removed by its own job of the same name.
    """
    from entropy_assets.recipe import recipe_named
    from entropy_assets.stages.retention.limits import KeepLimits
    from entropy_assets.stages.retention.plan import plan_removal
    from entropy_assets.stages.retention.removing import remove
    from entropy_assets.stores.home import Home

    settings = settings_of(home=home)
    place, limits = Home.of(settings), KeepLimits.of(settings)
    inboxes = place.inboxes(
        recipe_named(settings.recipe).sources,
        settle_seconds=settings.settle_seconds,
        max_file_bytes=settings.max_file_bytes,
    )
    with ExitStack() as stack:
        stack.enter_context(place.kept_private(lambda line: click.echo(line, err=True)))
        fate_of = stack.enter_context(_asked(settings))
        plan = plan_removal(place, limits, now_s=time.time(), inboxes=inboxes, fate_of=fate_of)
        items = plan.going
        if not dry_run:
            move = stack.enter_context(progress_bars(quiet=as_json))
            items = remove(place, plan, inboxes=inboxes, progress=move).items
    if as_json:
        rows = [{"kind": item.kind, "name": item.name, "bytes": item.bytes, "why": item.why} for item in items]
        facts = {"bytes_before": plan.bytes_before, "bytes_after": plan.bytes_after}
        click.echo(json.dumps({"dry_run": dry_run, "removed": rows, "stays": dict(plan.staying), **facts}))
        return
    for line in lines_of(items, plan.staying, is_dry=dry_run, keeps_all=limits.keep_all):
        click.echo(line)


@contextmanager
def _asked(settings: "Settings") -> "Iterator[FateOf | None]":
    """Yield who tells where a block is; nobody does where no pool is named: that of a running ``up`` is its own."""
    from entropy_assets.stores.pool.shards import pool_at

    if settings.pool_address is None:
        yield None
        return
    with closing(pool_at(settings.pool_address, prefix=settings.pool_prefix)) as pool:
        yield pool.fate_of
