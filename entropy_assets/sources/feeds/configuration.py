"""The operator's file of feeds, ``sources.toml``: read, checked against a recipe, and refused with line and advice.

Trusted as the operator is: it says what each feed's images are vouched for as. It never holds a key, only the names of
variables of the environment, so it can be shown, kept in a repository and sent to others.
"""

import errno
import json
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, get_args

from entropy_assets.errors import EntropyAssetsError, brought_by
from entropy_assets.recipe import Recipe
from entropy_assets.sources.feeds.tables.claims import wrong_claims, wrong_lanes
from entropy_assets.sources.feeds.tables.fields import FeedName, FeedTable, WebTable
from entropy_assets.sources.feeds.tables.keys import keys_of
from entropy_assets.sources.feeds.tables.local import CommandTable, FolderTable, ObjectStoreTable, SimulatedTable
from entropy_assets.sources.feeds.tables.web import (
    ApodTable,
    DirectoryTable,
    EpicTable,
    GoesCcor1Table,
    GoesSuviTable,
    JsocAiaTable,
    MastTable,
    NasaImagesTable,
    PublicBucketTable,
    SdoLatestTable,
)
from entropy_assets.sources.feeds.web.hosts import rules_of
from entropy_assets.sources.feeds.web.urls import WebUrl
from entropy_assets.stores.durable import open_trusted
from entropy_assets.stores.home import Home
from entropy_assets.stores.lanes import Lane

with brought_by("settings"):
    from pydantic import BaseModel, ConfigDict, Field, ValidationError

SCHEMA_FILE: Final = "sources.schema.json"
EXAMPLE_FILE: Final = "sources.example.toml"
SCHEMA_ID: Final = "urn:entropy-assets:sources:1"
LARGEST_FILE: Final = 2**20
"""Longest file that is read, bytes."""
MOST_TOLD: Final = 20
"""Faults of a file that are told."""
LONGEST_TOLD: Final = 1000
"""Longest sentence on one of them, characters; what is longer is cut off."""
NUMBER_FAULTS: Final = ("int_", "float_", "greater_", "less_")
"""How the types of faults begin that are of a number."""
ENDLESS: Final = r"[0-9_]{4301}|0x[0-9A-Fa-f_]{3500}"
"""Digits of a whole number that Python doesn't read or write, unless it is told otherwise."""

AnyTable = Annotated[
    SdoLatestTable
    | JsocAiaTable
    | GoesCcor1Table
    | GoesSuviTable
    | PublicBucketTable
    | EpicTable
    | NasaImagesTable
    | ApodTable
    | MastTable
    | DirectoryTable
    | ObjectStoreTable
    | FolderTable
    | CommandTable
    | SimulatedTable,
    Field(discriminator="kind"),
]


class SourcesRefused(EntropyAssetsError):
    """A file of feeds that can't be read or used; ``data["problems"]`` has a sentence for each fault, with its line."""

    code = "sources-refused"


class _Document(BaseModel):
    """Feeds of images, a table for each: ``[feed.NAME]``."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="sources.toml", hide_input_in_errors=True)

    feed: dict[FeedName, AnyTable] = Field(default_factory=dict, max_length=1000)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The feeds of an installation.

    Attributes
    ----------
    feeds
        The table of each by its name, in the order of the file; those that are not enabled too.
    doubt
        Who else could have written the file, in a sentence that says what to do: no program is started and no key sent
        for it. Empty if nobody but this user and root could.
    """

    feeds: Mapping[str, FeedTable]
    doubt: str = ""

    @property
    def enabled(self) -> dict[str, FeedTable]:
        """Those that are looked at."""
        return {name: table for name, table in self.feeds.items() if table.enabled}

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables of the environment that the enabled ones need, sorted."""
        return tuple(sorted({name for table in self.enabled.values() for name in table.variables}))

    def lane_of(self, claim: str) -> Lane | None:
        """Return the lane that the feeds with a claim want, for all files under it; None leaves it to demand."""
        return next((table.lane for table in self.enabled.values() if table.claim == claim), None)


NO_FEEDS: Final = Configuration({})


def place_of(told: Path | None, home: Home) -> Path | None:
    """Return where the file of feeds is: as somebody told, or in the home if anything lies there; None if nothing does.

    A folder, a pipe or a link that leads nowhere was meant for one, and not for the wish to have no feeds.
    """
    if told is not None:
        return told
    return home.sources_file if os.path.lexists(home.sources_file) else None


def configuration_of(told: Path | None, home: Home, recipe: Recipe) -> Configuration:
    """Return the feeds of an installation, as `read_configuration` does; `NO_FEEDS` if it has no file of them."""
    path = place_of(told, home)
    return NO_FEEDS if path is None else read_configuration(path, recipe)


def read_configuration(path: Path, recipe: Recipe) -> Configuration:
    """Return the feeds that the file at `path` names, and whether it may start programs.

    Raises
    ------
    SourcesRefused
        If it can't be read, or is not what it must be.
    """
    try:
        descriptor, doubt = _opened(path)
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise SourcesRefused(
            f"the file of feeds {path} can't be read ({error.strerror}); write one, take away what lies there, "
            "or unset ENTROPY_SOURCES if that names it",
            path=str(path),
            problems=[],
        ) from error
    try:
        return replace(parsed(data, recipe), doubt=doubt)
    except SourcesRefused as error:
        raise SourcesRefused(f"{path}: {error.message}", path=str(path), **error.data) from None


def _opened(path: Path) -> tuple[int, str]:
    """Open a regular file, and tell who else could have written it: a pipe would keep each tick of a daemon waiting."""
    try:
        return open_trusted(path), ""
    except OSError as error:
        doubt = f"{error.filename}: {error.strerror}"
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file")
    return descriptor, doubt


def parsed(data: bytes, recipe: Recipe) -> Configuration:
    """Return the feeds that a file with these bytes names.

    Raises
    ------
    SourcesRefused
        If it is not what it must be.
    """
    if len(data) > LARGEST_FILE:
        raise _refused([f"it is longer than {LARGEST_FILE} bytes"])
    try:
        text = data.decode("utf-8-sig")  # editors on Windows put a byte order mark before it
    except UnicodeDecodeError as error:
        raise _refused([f"byte {error.start} is no UTF-8; save the file as UTF-8"]) from None
    places = _Places(text)
    try:
        told = tomllib.loads(text)
        repr(told)  # fails for what is too deep to be told, and for a number in hex that is too long to be
    except RecursionError:
        raise _refused(["it is no TOML that is read here: lists or tables lie too deep in each other"]) from None
    except tomllib.TOMLDecodeError as error:
        raise _refused([f"it is no TOML: {error}{_advice(str(error))}"]) from None
    except ValueError:  # of Python's own: a whole number with more digits than it reads
        raise _refused([f"{places.of_endless_number()} has too many digits; write a shorter number"]) from None
    try:
        document = _Document.model_validate(told)
    except ValidationError as error:
        found = [*_told(error, places), *_wrong(_but_for_numbers(told, error), recipe, places)]
        raise _refused(sorted(found, key=_line_in)) from None
    if problems := list(_wrong(document.feed, recipe, places)):
        raise _refused(problems)
    return Configuration(dict(document.feed))


def schema() -> dict[str, Any]:
    """Return the JSON schema of the file, made from the tables; the package ships it."""
    made = _Document.model_json_schema()
    made["properties"]["feed"]["additionalProperties"] = False  # else a name that is none would go unchecked
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **made}


def schema_text() -> str:
    """Return the JSON schema that the package ships; `schema` makes it."""
    return _shipped(SCHEMA_FILE)


def example() -> str:
    """Return the example that the package ships: a table of each kind, with all that it may say."""
    return _shipped(EXAMPLE_FILE)


def rendered(made: Mapping[str, Any]) -> str:
    """Return a schema as it lies in the package."""
    return json.dumps(made, indent=1) + "\n"


def _shipped(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _advice(fault: str) -> str:
    """Return what to do about a fault that the parser tells in words of its own."""
    if "hex value" in fault or "Unescaped '\\'" in fault:
        return "; write \\ as / or put the text in '"
    if fault.startswith("Invalid value"):
        return "; text stands in straight quotes, and yes and no are true and false"
    if "end of a table declaration" in fault:
        return "; a feed is a table [feed.NAME], whose name has up to 32 small letters, digits, hyphens, and no space"
    return ""


def _refused(problems: list[str]) -> SourcesRefused:
    more = len(problems) - MOST_TOLD
    problems = [each[:LONGEST_TOLD] for each in problems[:MOST_TOLD]]  # each tick tells it again, and Dagster keeps it
    if more > 0:
        problems.append(f"and {more} more")
    return SourcesRefused("; ".join(problems), problems=problems)


class _Places:
    """Where tables and fields begin in the text of a file: lines from 1, or 0 where that is not seen.

    The parser tells none. A table in a table, or one written inline, has the line of what is found of it.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: dict[tuple[str, ...], int] = {}
        table: tuple[str, ...] = ()
        for number, whole in enumerate(text.splitlines(), start=1):
            line = whole[:LONGEST_TOLD]  # more of it would be looked at for minutes
            if (header := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?$", line)) is not None:
                table = tuple(part.strip(" \t\"'") for part in header[1].split("."))
                self._lines.setdefault(table, number)
            elif (key := re.match(r"\s*[\"']?([A-Za-z0-9_-]+)[\"']?\s*=", line)) is not None:
                self._lines.setdefault((*table, key[1]), number)

    def told(self, feed: str, field: str = "") -> str:
        """Return the beginning of a sentence on a feed and a field of it."""
        line = self._lines.get(("feed", feed, field)) or self._lines.get(("feed", feed), 0)
        where = f"line {line}: " if line else ""
        return f"{where}feed {feed}{', ' * bool(field)}{field}"

    def of_endless_number(self) -> str:
        """Return the beginning of a sentence on the first number that is longer than Python reads."""
        lines = enumerate(self._text.splitlines(), start=1)
        number = next((number for number, line in lines if re.search(ENDLESS, line)), 0)
        before = [place for place, line in self._lines.items() if line <= number and place[:1] == ("feed",)]
        match before[-1:]:
            case [(_, feed, field, *_)] if self._lines["feed", feed, field] == number:
                return self.told(feed, field)
            case [(_, feed, *_)]:
                return f"line {number}: feed {feed}: a number"
        return f"line {number}: a number"


def _told(error: ValidationError, places: _Places) -> list[str]:
    told: dict[tuple[Any, ...], str] = {}  # of several faults of one field the first, from which the others follow
    for fault in error.errors(include_url=False, include_context=True):
        told.setdefault(tuple(fault["loc"][:4]), _sentence(fault, places))
    return list(told.values())


def _but_for_numbers(told: Mapping[str, Any], error: ValidationError) -> dict[str, FeedTable]:
    """Return the feeds that would be right with other numbers: those keep no other fault from being told."""
    faults = [fault for fault in error.errors(include_url=False) if fault["type"].startswith(NUMBER_FAULTS)]
    numbers = {(fault["loc"][1], fault["loc"][3]) for fault in faults if len(fault["loc"]) == 4}
    found: dict[str, FeedTable] = {}
    tables = told.get("feed")
    for name, table in tables.items() if isinstance(tables, dict) else ():
        with suppress(ValidationError, AttributeError):
            rest = {field: value for field, value in table.items() if (name, field) not in numbers}
            found |= _Document.model_validate({"feed": {name: rest}}).feed
    return found


def _wrong(feeds: Mapping[str, FeedTable], recipe: Recipe, places: _Places) -> Iterable[str]:
    """Yield what is wrong with feeds whose tables are each what its kind takes."""
    yield from wrong_claims(feeds, recipe, places.told)
    yield from _wrong_hosts(feeds, places)
    yield from wrong_lanes(feeds, places.told)


def _sentence(fault: Mapping[str, Any], places: _Places) -> str:
    """Return what is wrong and what to do. What was written is never repeated: it may be a key in the wrong place."""
    place = [str(part) for part in fault["loc"]]
    if place[:1] != ["feed"] or len(place) < 2:
        return f"{'.'.join(place) or 'the file'} is not known here; a feed is a table [feed.NAME]"
    name, kind, rest = place[1], place[2] if len(place) > 2 else "", place[3:]
    if kind == "[key]":
        return f"{places.told(name)} has no usable name; one has up to 32 small letters, digits and hyphens"
    if fault["type"] == "union_tag_not_found":
        return f"{places.told(name, 'kind')} is missing: it must be one of {', '.join(KINDS)}"
    if fault["type"] == "union_tag_invalid":
        meant = _meant(str(fault.get("ctx", {}).get("tag", "")), KINDS)
        return f"{places.told(name, 'kind')} must be one of {', '.join(KINDS)}{meant}"
    field = ".".join(rest)
    table = KINDS.get(kind)
    if fault["type"] == "extra_forbidden" and table is not None:
        takes = sorted(table.model_fields)
        which = f"{', '.join(takes)}{_meant(field, takes)}"
        return f"{places.told(name, field)} is nothing that {kind} takes; it takes {which}"
    if fault["type"] == "missing":
        return f"{places.told(name, field)} is missing; {kind} needs it"
    if fault["type"] == "tuple_type":
        return f'{places.told(name, field)}: should be a valid list, like ["one", "two"]'
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    word = message.partition(" ")[0]
    if not rest and table is not None and word in table.model_fields:  # fields that don't fit each other: the first
        return f"{places.told(name, word)}{message.removeprefix(word)}"
    advice = "; give the name of a variable of the environment, not the key" if field.endswith("_env") else ""
    if table is not None and fault["type"].startswith(NUMBER_FAULTS):
        advice = "".join(f". {key.meaning} {key.bounds}".rstrip() for key in keys_of(table) if key.name == field)
    return f"{places.told(name, rest[0] if rest else '')}: {message}{advice}"


def _meant(written: str, known: Iterable[str]) -> str:
    """Return which of the `known` words was meant, perhaps, as the end of a sentence. What was written is not told."""
    near = get_close_matches(written, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _line_in(problem: str) -> int:
    """Return the line that a problem is told of; 0 if none is."""
    found = re.match(r"line (\d+):", problem)
    return int(found[1]) if found is not None else 0


def _wrong_hosts(feeds: Mapping[str, FeedTable], places: _Places) -> Iterable[str]:
    """Yield what is wrong with the addresses and hosts: it would end each look in which a feed of the file is opened.

    Their words repeat what was written, so they are not told.
    """
    for name, table in feeds.items():
        if not isinstance(table, WebTable):
            continue
        field = "url" if isinstance(table, DirectoryTable) else "base"
        try:
            WebUrl.read(table.address)
            field = "hosts" if table.hosts else field
            rules_of(table)
        except ValueError:
            yield (
                f"{places.told(name, field)} has a host, port or letter that can't be asked: write a name as DNS has it"
                " (xn-- for letters beyond ASCII), or a whole address like 192.0.2.1 or [2001:db8::1], a port from 1 to"
                " 65535, and * only before a domain of somebody, like *.example.org"
            )


KINDS: Final[Mapping[str, type[FeedTable]]] = {
    get_args(table.model_fields["kind"].annotation)[0]: table for table in get_args(get_args(AnyTable)[0])
}
"""The table of each kind."""
