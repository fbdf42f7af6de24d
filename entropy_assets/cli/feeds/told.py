"""What is told of feeds, for people and machines: the file, where each stands, and what one answers."""

import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from entropy_assets.errors import EntropyAssetsError

if TYPE_CHECKING:
    from entropy_assets.settings import Settings
    from entropy_assets.sources.feeds.configuration import Configuration
    from entropy_assets.sources.feeds.interface import Feed
    from entropy_assets.sources.feeds.tables.fields import FeedTable


def feeds_of(settings: "Settings") -> "Configuration":
    """Return the feeds of the installation; `NO_FEEDS` if it has no file of them.

    Raises
    ------
    SourcesRefused
        If the file is not what it must be.
    """
    from entropy_assets.recipe import recipe_named
    from entropy_assets.sources.feeds.configuration import configuration_of
    from entropy_assets.stores.home import Home

    return configuration_of(settings.sources, Home.of(settings), recipe_named(settings.recipe))


def required_feeds(settings: "Settings") -> "Configuration":
    """Return the same.

    Raises
    ------
    SourcesRefused
        If the file is not what it must be.
    click.UsageError
        If there is none.
    """
    from entropy_assets.sources.feeds.configuration import NO_FEEDS
    from entropy_assets.stores.home import Home

    configuration = feeds_of(settings)
    if configuration is NO_FEEDS:
        file = Home.of(settings).sources_file
        raise click.UsageError(f"there is no {file}: add a feed with 'entropy-assets sources add KIND'")
    return configuration


def standing(settings: "Settings") -> Iterator[dict[str, Any]]:
    """Yield where each feed stands, those of the file first, and those that only left a journal after them."""
    from entropy_assets.sources.feeds.facts import facts_of_all
    from entropy_assets.sources.feeds.roster import journals_of
    from entropy_assets.stores.home import Home

    configuration, journals = feeds_of(settings), journals_of(Home.of(settings))
    left = [name for name in journals.names() if name not in configuration.feeds]
    for facts in facts_of_all(journals, [*configuration.feeds, *left], time.time()):
        table = configuration.feeds.get(facts["feed"])
        if table is None:
            yield {**facts, "kind": "-", "host": None, "claim": None, "state": "not in the file"}
            continue
        state = facts["state"] if table.enabled else "not enabled"
        kind = str(getattr(table, "kind", ""))
        yield {**facts, "kind": kind, "host": table.host, "claim": table.claim, "state": state}


def tables_of(text: str) -> list[tuple[str, str, str]]:
    """Return kind, name and text of each table of the example."""
    found = []
    for paragraph in re.split(r"\n\n+", text):
        name = re.search(r"^\[feed\.([a-z0-9-]+)\]$", paragraph, re.MULTILINE)
        kind = re.search(r'^kind = "([a-z0-9-]+)"', paragraph, re.MULTILINE)
        if name and kind:
            found.append((kind[1], name[1], paragraph.strip("\n") + "\n"))
    return found


def template(found: tuple[str, str, str], name: str) -> str:
    """Return the table that `tables_of` found, under another name, with all other keys of its kind in comments."""
    from entropy_assets.sources.feeds.configuration import KINDS
    from entropy_assets.sources.feeds.tables.keys import commented

    kind, example_name, text = found
    # what the example explains in a line of its own comment stays; what it shows as taken anyway is told by the model
    lines = [line for line in text.splitlines() if not re.match(r"#[a-z_]+ =", line)]
    said = [match[1] for line in lines if (match := re.match(r"([a-z_]+) =", line))]
    table = "\n".join(lines).replace(f"[feed.{example_name}]", f"[feed.{name}]", 1)
    return f"{table}\n{commented(KINDS[kind], said)}"


def free_name(name: str, configuration: "Configuration") -> str:
    """Return the first name after `name` that no feed has."""
    return next(
        each for each in (name, *(f"{name}-{number}" for number in range(2, 10_000))) if each not in configuration.feeds
    )


def answer_of(feed: "Feed", table: "FeedTable") -> dict[str, Any]:
    """Return what the feed of a table says when it is asked for its newest images."""
    try:
        page = feed.discover("")
    except EntropyAssetsError as error:
        nothing = {"images": None, "newest": None, "waiting": None, "left_out": None}
        return {"feed": feed.name, **nothing, "error": error.code, "words": error.message}
    dates = [candidate.dated_at for candidate in page.candidates if candidate.dated_at is not None]
    newest = max(dates, default=None)
    images = len(page.candidates)
    words = f"answers with {counted(images, 'image')}" + (f", the newest of {newest}" if newest else "")
    if page.waiting:
        words += f"; {counted(page.waiting, 'newer file')} may still be written: look again in some minutes"
    if page.left_out:
        words += (
            f"; {counted(page.left_out, 'other file')} left out, by pattern ({getattr(table, 'pattern', '')}) or size"
        )
    elif not images and not page.waiting and (pattern := getattr(table, "pattern", None)) is not None:
        words += f"; its pattern is {pattern}"
    found = {"images": images, "newest": newest, "waiting": page.waiting, "left_out": page.left_out}
    return {"feed": feed.name, **found, "error": None, "words": words}


def utc(seconds: float | None) -> str:
    """Return a time as people read it."""
    return "-" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%m-%d %H:%MZ}"


def how_often(facts: Mapping[str, Any]) -> str:
    """Return for how many looks a feed has been in trouble, and since when, in brackets; nothing if nobody knows."""
    if facts["since_s"] is None:
        return ""
    return f" ({counted(facts['times'], 'look')} in vain since {utc(facts['since_s'])})"


def counted(count: int, name: str) -> str:
    """Return how many of something there are."""
    return f"{count:,} {name}{'s' * (count != 1)}"
