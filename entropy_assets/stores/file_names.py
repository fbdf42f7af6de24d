"""Names of files: shown whatever bytes they hold, kept inside their folder, and no longer than a disk takes.

Trusted for nothing: a name is whatever somebody called a file.
"""

import hashlib
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

NAME_LIMIT: Final = 255
"""Longest file name, bytes: NAME_MAX of the usual Linux file systems."""
_MARK_DIGITS: Final = 16
"""Hex digits of the hash that stands for what was cut off a name."""


def printable(name: str) -> str:
    """Return `name` without surrogates, so that any encoder takes it."""
    return os.fsencode(name).decode("utf-8", errors="backslashreplace")


def require_plain(name: str) -> None:
    """Check that `name` names a file inside of a folder, whatever the folder.

    Raises
    ------
    ValueError
        If it is empty, leads to another folder, or holds a zero.
    """
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} is no plain file name")


def with_suffix(name: str, suffix: str) -> str:
    """Return `name` with `suffix`, cut and marked with its hash where it would be longer than a file name may be."""
    raw = os.fsencode(name)
    if len(raw) + len(suffix) <= NAME_LIMIT:
        return name + suffix
    mark = "~" + hashlib.sha256(raw).hexdigest()[:_MARK_DIGITS]
    return os.fsdecode(raw[: NAME_LIMIT - len(suffix) - len(mark)]) + mark + suffix


def temporary_name(name: str) -> str:
    """Return a hidden name for what will be called `name`, the same each time: a repeated step leaves one file."""
    return f".{hashlib.sha256(os.fsencode(name)).hexdigest()}.tmp"


def numbered(path: Path) -> Iterator[Path]:
    """Yield `path`, then numbered names beside it, without end."""
    yield path
    for number in count(1):
        yield path.with_name(with_suffix(path.name, f"~{number}"))
