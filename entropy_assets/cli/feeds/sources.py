"""``entropy-assets sources``: which feeds are asked for images, how they do, and one more of them."""

import json
import os
import re
import shlex
import sys
from dataclasses import asdict
from pathlib import Path

import click

from entropy_assets.cli.feeds.told import (
    answer_of,
    counted,
    feeds_of,
    free_name,
    how_often,
    required_feeds,
    standing,
    tables_of,
    template,
    utc,
)
from entropy_assets.cli.shell import EXIT_ERROR, any_home_option, json_option, progress_bars, settings_of, typed_errors
from entropy_assets.errors import EntropyAssetsError, require_extra
from entropy_assets.stores.file_names import SHORT_NAME, printable

NARROWEST = 120
"""Columns of the table of feeds, also where a terminal has fewer."""


@click.group()
@typed_errors
def sources() -> None:
    """Say which feeds are asked for images, how they do, ask one of them now, or add one.

    They stand in one file, sources.toml in the installation's folder, or where ENTROPY_SOURCES says.
    """
    require_extra("feeds", "httpx", "pydantic", "tenacity")


def _feeds_known(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the feeds whose name begins so, for who completes words, but for those that were named before."""
    try:
        known = feeds_of(settings_of(home=context.params.get("home"))).feeds
    except (click.UsageError, EntropyAssetsError):
        return []  # the command itself says what is wrong with the file
    return [name for name in known if name.startswith(begun) and name not in (context.params.get("names") or ())]


def _kinds_known(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the kinds that `add` takes whose name begins so, for who completes words."""
    from entropy_assets.sources.feeds.configuration import KINDS

    return [kind for kind in (*KINDS, *_cameras()) if kind.startswith(begun)]


@sources.command("list")
@any_home_option
@json_option
@typed_errors
def list_feeds(home: Path | None, as_json: bool) -> None:
    """Show each feed: how it does, what it brought, why it is in quarantine, and when it is asked again.

    No server is asked. With --json it is a list, with an object for each feed.
    """
    from entropy_assets.sources.feeds.roster import journals_of
    from entropy_assets.stores.home import Home

    if home is not None and not home.is_dir():
        raise click.UsageError(f"there is no folder {home}")
    settings = settings_of(home=home)
    told = list(standing(settings))
    if as_json:
        click.echo(json.dumps(told))
        return
    if not told:
        click.echo("no feed: add one with 'entropy-assets sources add KIND'")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for column in ("feed", "kind", "state", "images", "last", "next look"):
        table.add_column(column, no_wrap=True, overflow="ignore")
    for facts in told:
        texts = (facts["feed"], facts["kind"], facts["state"], f"{facts['total']['images']:,}")
        table.add_row(*texts, utc(facts["last_new_s"]), utc(facts["due_s"]))
    # a narrow terminal wraps a line; a figure that is cut would be another one
    Console(width=max(Console().width, NARROWEST)).print(table)
    troubled = [facts for facts in told if facts["words"] and facts["state"] in ("quarantine", "damaged")]
    held_back = [facts for facts in told if facts["state"] == "inbox full"]
    for facts in (*troubled, *held_back):
        click.echo(f"{facts['feed']}: {printable(facts['words'])}{how_often(facts)}")
    click.echo(
        "images are those that arrived; what they were credited is shown by the feed's asset in Dagster", err=True
    )
    if any(facts["state"] == "not in the file" for facts in told):
        left = next(facts["feed"] for facts in told if facts["state"] == "not in the file")
        place = journals_of(Home.of(settings)).place(left)
        click.echo(f"what is remembered of {left}, which left the file, is {place}: remove that", err=True)
    if troubled:
        click.echo(f"ask one again now, when that is mended: entropy-assets sources fetch NAME{_told(home)}", err=True)


@sources.command("check")
@click.option("--connect", is_flag=True, help="Ask each feed what it has; nothing is put into an inbox.")
@any_home_option
@json_option
@typed_errors
def check_feeds(connect: bool, home: Path | None, as_json: bool) -> None:
    """Say whether the file of feeds is what it must be, and with --connect whether each feed answers.

    Exit code 1 if not.
    """
    from entropy_assets.settings import variables
    from entropy_assets.sources.feeds.roster import opened_feeds
    from entropy_assets.stores.home import Home

    settings = settings_of(home=home)
    configuration = required_feeds(settings)
    keys = variables(configuration.variables)
    unset = sorted(set(configuration.variables) - keys.keys())
    feeds = opened_feeds(configuration, configuration.enabled, keys, Home.of(settings)) if connect else []
    answers = [answer_of(feed, configuration.feeds[feed.name]) for feed in feeds]
    doubt = configuration.doubt if any(table.needs_own_file for table in configuration.enabled.values()) else ""
    failed = bool(unset or doubt) or any(answer["error"] for answer in answers)
    caveats = {name: table.caveat for name, table in configuration.enabled.items() if table.caveat}
    if as_json:
        found = {"feeds": list(configuration.feeds), "enabled": list(configuration.enabled)}
        click.echo(
            json.dumps({**found, "unset_variables": unset, "doubt": doubt, "caveats": caveats, "answers": answers})
        )
    else:
        named = counted(len(configuration.feeds), "feed")
        click.echo(f"{named}, {len(configuration.enabled)} enabled; the file is well")
        for name in unset:
            click.echo(f"  set {name} where the pipeline is started; without it its feed is not asked")
        if doubt:
            click.echo(f"  no program is started and no key is sent as others could have chosen: {printable(doubt)}")
        for name, caveat in caveats.items():
            click.echo(f"  {name}: {caveat}")
        for answer in answers:
            click.echo(f"  {answer['feed']}: {printable(answer['words'])}")
        if configuration.enabled and not connect:
            click.echo(f"see what they have: entropy-assets sources check --connect{_told(home)}", err=True)
    if failed:
        sys.exit(EXIT_ERROR)


@sources.command("fetch")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=_feeds_known)
@any_home_option
@json_option
@typed_errors
def fetch_feeds(names: tuple[str, ...], home: Path | None, as_json: bool) -> None:
    """Ask each feed NAME now, due or not, and put what is new into its inbox.

    With --json an object for each, a line each. Exit code 1 if one of them is in trouble; the others are asked all the
    same.
    """
    from entropy_assets.recipe import recipe_named
    from entropy_assets.settings import variables
    from entropy_assets.sources.feeds.roster import members_of, opened_feeds, rounds_of
    from entropy_assets.sources.feeds.rounds import State
    from entropy_assets.stores.home import Home

    settings = settings_of(home=home)
    configuration = required_feeds(settings)
    if unknown := [name for name in names if name not in configuration.feeds]:
        known = ", ".join(configuration.feeds) or "none; add one with 'entropy-assets sources add KIND'"
        raise click.UsageError(f"no feed is called {unknown[0]!r}; there are: {known}")
    tables = {name: table for name, table in configuration.feeds.items() if name in names}
    place = Home.of(settings)
    rounds = rounds_of(
        place,
        recipe_named(settings.recipe).sources,
        settle_seconds=settings.settle_seconds,
        max_file_bytes=settings.max_file_bytes,
    )
    for name, table in tables.items():
        if not table.enabled:
            click.echo(f"{name} is not enabled in the file: it is asked this once", err=True)
    needed = {variable for table in tables.values() for variable in table.variables}
    with place.kept_private(lambda line: click.echo(line, err=True)), progress_bars(quiet=as_json) as steps:
        feeds = opened_feeds(configuration, tables, variables(sorted(needed)), place)
        looks = rounds.ask(members_of(configuration, feeds), at_once=True, steps=steps)
    for look in looks:
        if as_json:
            told = {"feed": look.feed, "claim": tables[look.feed].claim, "state": look.state, "words": look.words}
            click.echo(json.dumps({**told, **asdict(look.brought)}))
        else:
            click.echo(f"{look.feed}: {printable(look.words)}")
    brought = [tables[look.feed].claim for look in looks if look.brought.images]
    if brought and not as_json:
        inboxes = f"inbox of {' and of '.join(dict.fromkeys(brought))}"
        click.echo(f"what came waits in the {inboxes} for the pipeline: entropy-assets up", err=True)
    if any(look.state is State.QUARANTINE for look in looks):
        sys.exit(EXIT_ERROR)


@sources.command("schema")
@typed_errors
def print_schema() -> None:
    """Print the JSON schema of the file of feeds, by which an editor completes and checks it."""
    from entropy_assets.sources.feeds.configuration import schema_text

    click.echo(schema_text(), nl=False)


@sources.command("add")
@click.argument("kind", shell_complete=_kinds_known)
@click.option(
    "--name", help="Name of the feed, up to 32 small letters, digits and hyphens; by default that of the example."
)
@any_home_option
@json_option
@typed_errors
def add_feed(kind: str, name: str | None, home: Path | None, as_json: bool) -> None:
    """Append a table for a feed of KIND to the file of feeds, with all that it may say in comments.

    What stands in the file stays as it is. KIND is sdo-latest, jsoc-aia, goes19-ccor1, goes19-suvi, public-bucket,
    epic, nasa-images, apod, mast, http-directory, object-store, folder, command or simulated; for cameras also allsky,
    dslr, indi or gate, which are tables of command.
    """
    from entropy_assets.recipe import recipe_named
    from entropy_assets.settings import variables
    from entropy_assets.sources.feeds.configuration import KINDS, NO_FEEDS, example, parsed, read_configuration
    from entropy_assets.stores.home import Home

    settings = settings_of(home=home)
    place, recipe = Home.of(settings), recipe_named(settings.recipe)
    path = settings.sources or place.sources_file
    tables = tables_of(example())
    found = next((each for each in tables if kind in each[:2]), None)
    if found is None:
        cameras = ", ".join(_cameras())
        raise click.UsageError(f"no kind is called {kind!r}; there are: {', '.join(KINDS)}; of command also {cameras}")
    before = read_configuration(path, recipe) if path.exists() else NO_FEEDS
    chosen = name or free_name(found[1], before)
    if not re.fullmatch(SHORT_NAME, chosen, re.ASCII):
        raise click.UsageError(f"{chosen!r} is no name of a feed: use up to 32 small letters, digits and hyphens")
    if chosen in before.feeds:
        raise click.UsageError(f"a feed is called {chosen!r} already: choose another name with --name")
    text = template(found, chosen)
    with place.kept_private(lambda line: click.echo(line, err=True)):
        path.parent.mkdir(parents=True, exist_ok=True)
        now = path.read_bytes() if path.exists() else b""
        added = (b"" if not now or now.endswith(b"\n") else b"\n") + (b"\n" if now else b"") + text.encode()
        after = parsed(now + added, recipe)  # nothing is written that would not be read
        with path.open("ab") as file:
            file.write(added)
            file.flush()
            os.fsync(file.fileno())
    needed = after.feeds[chosen].variables
    unset = sorted(set(needed) - variables(needed).keys())
    if as_json:
        click.echo(json.dumps({"path": str(path), "feed": chosen, "table": text, "unset_variables": unset}))
        return
    click.echo(text)
    click.echo(f"added to {path}; edit it there, then: entropy-assets sources check --connect{_told(home)}", err=True)
    click.echo("a pipeline that runs asks it at its next look; start it again, and its asset is shown too", err=True)
    if caveat := after.feeds[chosen].caveat:
        click.echo(f"{chosen}: {caveat}", err=True)
    for variable in unset:
        click.echo(f"set {variable} where the pipeline is started: the file holds no key", err=True)


def _cameras() -> list[str]:
    """Return the names of the example's tables of `command`."""
    from entropy_assets.sources.feeds.configuration import example

    return [table for kind, table, _ in tables_of(example()) if kind == "command"]


def _told(home: Path | None) -> str:
    """Return the option that names the installation, as a command shown to people has it."""
    return "" if home is None else f" --home {shlex.quote(str(home))}"
