"""``entropy-assets ledger``: whether the ledger is the one that it should be, and how to go on when it is not."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from entropy_assets.cli.shell import EXIT_ERROR, home_option, json_option, known_dagsters, settings_of, typed_errors

if TYPE_CHECKING:
    from entropy_assets.settings import Settings
    from entropy_assets.stores.ledger.anchors import Anchor


@click.group()
def ledger() -> None:
    """Check the ledger, go on with one that lacks publications, or move it into PostgreSQL.

    Batches, the pool's server and Dagster each know some of what was published. While the ledger lacks any of it,
    nothing is published: blocks that were served could be served again.
    """


@ledger.command("check")
@home_option
@json_option
@typed_errors
def check_ledger(home: Path | None, as_json: bool) -> None:
    """Walk the chains of the ledger again, and look whether it has all that others know of. Exit code 1 if not.

    The same code says that another server took over, and that nobody accepted it yet.
    """
    from entropy_assets.stores.home import Home
    from entropy_assets.stores.ledger.anchors import lacking
    from entropy_assets.stores.ledger.storage import LedgerPromoted

    settings = settings_of(home=home)
    anchors = list(_known(settings))  # before the ledger is looked at
    place = Home.of(settings)
    if place.ledger_server is None and not place.ledger_file.exists():
        elsewhere = "set ENTROPY_HOME or ENTROPY_LEDGER_URL if it is elsewhere"
        click.echo(f"there is no ledger: no file {place.ledger_file}; {elsewhere}", err=True)
    kept = place.ledger(readonly=True)
    head, newest, lacks = kept.verify(), kept.newest(), lacking(kept, anchors)
    count = newest.seq if newest else 0
    promoted = None
    try:
        kept.refuse_if_promoted()
    except LedgerPromoted as error:
        promoted = error
    if as_json:
        epochs = None if promoted is None else {name: promoted.data[name] for name in ("accepted", "present")}
        click.echo(json.dumps({"head": head, "publications": count, "lacks": lacks, "promoted": epochs}))
    else:
        click.echo(f"{count} publications, head {head}")
        for link, known_to in lacks.items():
            click.echo(f"  lacks {link}, known to {known_to}")
        if promoted is not None:
            click.echo(promoted.message)
    if lacks or promoted is not None:
        sys.exit(EXIT_ERROR)


@ledger.command("accept")
@click.option(
    "--head", required=True, help="Head of the ledger as it is now, as 'ledger check' and the refusal name it."
)
@click.option("--epoch", help="Of a server that took over, as 'ledger check' and the refusal name it.")
@click.option(
    "--restored",
    "is_restored",
    is_flag=True,
    help="Batches were put back from a backup, with the ledger or without it: burn each that was not finished in it.",
)
@home_option
@json_option
@typed_errors
def accept_ledger(head: str, epoch: str | None, is_restored: bool, home: Path | None, as_json: bool) -> None:
    """Go on with a ledger that lacks publications, or whose server was replaced: burn every batch that may be lost.

    Their blocks and images are entered in the ledger, so that neither is ever used again; each is named. Stop
    'entropy-assets up' and everything else that publishes first. If the right ledger can be found, put that back
    instead.
    """
    from entropy_assets.stages.extraction import remember_again
    from entropy_assets.stages.publication import accept_losses
    from entropy_assets.stores.home import Home
    from entropy_assets.supervisor.installation import sole_owner

    settings = settings_of(home=home)
    place = Home.of(settings)
    with place.kept_private(lambda line: click.echo(line, err=True)), sole_owner(place):
        remember = partial(remember_again, images=place.images(), ledger=place.ledger(accepts=epoch))
        known, now_us = list(_known(settings)), time.time_ns() // 1000
        burned, lost = accept_losses(place, head, known, now_us, remember, epoch, is_restored=is_restored)
    now = place.ledger(readonly=True).head()
    if as_json:
        click.echo(json.dumps({"burned": burned, "given_up": lost, "head": now}))
    elif lost or epoch or is_restored:
        for key in burned:
            click.echo(f"  burned {key}")
        click.echo(f"{len(burned)} batches are burned, {len(lost)} publications are given up; the head is now {now}")
    else:
        click.echo("the ledger lacks nothing that anybody knows of; nothing was changed")


@ledger.command("move")
@home_option
@json_option
@typed_errors
def move_ledger(home: Path | None, as_json: bool) -> None:
    """Move the ledger from its file in the home into the PostgreSQL of ENTROPY_LEDGER_URL, and prove its chains there.

    Stop everything that publishes first. Nothing else may be in the target. The file is sealed, so that nobody writes
    it any more, and kept as ledger.sqlite.moved. If it is interrupted, give the command again.
    """
    from entropy_assets.stores.home import Home
    from entropy_assets.stores.ledger.moving import move
    from entropy_assets.supervisor.installation import sole_owner

    place = Home.of(settings_of(home=home))
    if place.ledger_server is None:
        raise click.UsageError("say where to: ENTROPY_LEDGER_URL=postgresql+psycopg://user@host/database")
    with place.kept_private(lambda line: click.echo(line, err=True)), sole_owner(place):
        moved = move(place.ledger_file, place.ledger())
    if as_json:
        click.echo(json.dumps({"head": moved.head, "rows": moved.rows, "sealed": str(moved.sealed)}))
        return
    click.echo(", ".join(f"{count} {table}" for table, count in moved.rows.items()))
    click.echo(f"all chains verify there, and end alike; head {moved.head}; the file is sealed: {moved.sealed}")


def _known(settings: "Settings") -> Iterator["Anchor"]:
    """Yield what batches, pool and Dagster know of the ledger; the pool of a running ``up`` is its own alone."""
    from entropy_assets.stages.state import known_publications
    from entropy_assets.stores.home import Home
    from entropy_assets.stores.ledger.anchors import Anchor
    from entropy_assets.stores.pool.shards import pool_at

    home = Home.of(settings)
    yield from known_publications(home.batches()).values()
    if settings.pool_address is not None:
        with closing(pool_at(settings.pool_address, prefix=settings.pool_prefix)) as pool:
            for link in pool.ledger_links():
                yield Anchor(link, "the pool's server")
    yield from _known_to_dagster(home.dagster_folder)


def _known_to_dagster(of_the_home: Path) -> Iterator["Anchor"]:
    """Yield what each Dagster knows. What the one of an installation that left ``up`` knows stays true."""
    if found := known_dagsters(of_the_home):
        from entropy_assets.defs.anchors import known_in

        for place in found:
            yield from known_in(place)
