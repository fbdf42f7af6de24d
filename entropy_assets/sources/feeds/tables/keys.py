"""What a table may say, key by key, told from the models themselves: for whoever writes one."""

import json
import textwrap
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from entropy_assets.sources.feeds.tables.fields import FeedTable

WIDTH: Final = 110
"""Columns of a line of comment."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a table.

    Attributes
    ----------
    name
        What stands before the ``=``.
    meaning
        Sentences, with its unit.
    default
        What is taken anyway, as TOML; empty if nothing is, or it must be said.
    is_needed
        Whether it must be said.
    bounds
        What may stand there, as far as that is short to tell: choices, or the least and the greatest number.
    """

    name: str
    meaning: str
    default: str
    is_needed: bool
    bounds: str


def keys_of(table: type[FeedTable]) -> Iterator[Key]:
    """Yield the keys of the tables of a kind, but for the kind itself: first what must be said."""
    schema = table.model_json_schema()
    needed = set(schema.get("required", ()))
    names = [name for name in schema["properties"] if name != "kind"]
    for name in sorted(names, key=lambda name: name not in needed):
        field = schema["properties"][name]
        parts = [field, *field.get("anyOf", ()), field.get("items", {})]
        meaning = next((part["description"] for part in parts if "description" in part), "")
        default = "" if name in needed or field.get("default") is None else as_toml(field["default"])
        yield Key(name, " ".join(meaning.split()), default, name in needed, _bounds(parts))


def commented(table: type[FeedTable], said: Collection[str]) -> str:
    """Return the keys of a kind that are not `said`, as lines of comment below a table: all that it may say besides."""
    lines = []
    for key in keys_of(table):
        if key.name in said:
            continue
        told = (key.meaning, key.bounds, "" if key.default else "Not set.")
        lines += textwrap.wrap(" ".join(filter(None, told)), WIDTH, initial_indent="# ", subsequent_indent="# ")
        lines.append(f"#{key.name} = {key.default}".rstrip())
    return "\n".join(lines) + "\n" if lines else ""


def common_keys(table: type[FeedTable] = FeedTable) -> str:
    """Return the keys that every kind takes, as rows of a page."""
    rows = [
        f"| `{key.name}` | {f'`{key.default}`' if key.default else 'needed' if key.is_needed else 'not set'} |"
        f" {key.meaning} {key.bounds}".rstrip()
        + " |"
        for key in keys_of(table)
    ]
    return "\n".join(["| key | without it | what it says |", "|---|---|---|", *rows]) + "\n"


def as_toml(value: object) -> str:
    """Return a value of a table as TOML has it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:_}" if value >= 10_000 else f"{value}"
    if isinstance(value, list):
        return f"[{', '.join(map(as_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _bounds(parts: Collection[Mapping[str, Any]]) -> str:
    """Return what may stand there, as a sentence; nothing if that is long to tell."""
    for part in parts:
        if "enum" in part:
            return f"One of {', '.join(map(as_toml, part['enum']))}."
        if "minimum" in part or "maximum" in part:
            least = [f"{as_toml(part['minimum'])} at least"] if "minimum" in part else []
            most = [f"{as_toml(part['maximum'])} at most"] if "maximum" in part else []
            return f"{', '.join([*least, *most])}."
    return ""
