"""Names of files: safe text whatever bytes they hold, kept inside their folder, and no longer than a disk takes.

Trusted for nothing: a name is whatever somebody called a file. It becomes safe text once, where it enters: the inbox
lists safe names, and the rows of a batch hold no others, whoever wrote them.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, Final

NAME_LIMIT: Final = 255
"""Longest file name, bytes: NAME_MAX of the usual Linux file systems."""
SHORT_NAME: Final = "[a-z0-9-]{1,32}"
"""What the names of sources and feeds match (ASCII): they stand in names of files, batches and assets."""
_MARK_DIGITS: Final = 16
"""Hex digits of the hash that stands for what was cut off a name."""


_SURROGATE_BYTES: Final = range(0xDC80, 0xDD00)
"""Code points that stand for the bytes 0x80 to 0xFF of a name that is not UTF-8 (PEP 383)."""


def printable(text: str) -> str:
    """Return `text` with everything that a terminal would obey, or that no encoder takes, written as an escape.

    Names and the words of others, sent on as they are, could rewrite the lines above them or name the window. Text
    that is printable stays as it is, so to do it again changes nothing. Line ends are escaped too: a program puts its
    own between the lines.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    if ord(character) in _SURROGATE_BYTES:
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def safe_name(name: str) -> str:
    """Return `name` as `printable` text that is no longer than a file name may be."""
    return with_suffix(printable(name), "")


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
    # a character that the cut divides is left out: its half would be no text
    return raw[: NAME_LIMIT - len(suffix) - len(mark)].decode("utf-8", errors="ignore") + mark + suffix


def temporary_name(name: str) -> str:
    """Return a hidden name for what will be called `name`, the same each time: a repeated step leaves one file."""
    return f".{hashlib.sha256(os.fsencode(name)).hexdigest()}.tmp"


def numbered(path: Path) -> Iterator[Path]:
    """Yield `path`, then numbered names beside it, without end."""
    yield path
    for number in count(1):
        yield path.with_name(with_suffix(path.name, f"~{number}"))


def same_but_for_names(kept: bytes, data: bytes) -> bool:
    """Tell whether two documents differ only in what safe text makes alike: older versions kept names as they came."""
    try:
        return bool(_with_safe_text(json.loads(kept)) == _with_safe_text(json.loads(data)))
    except ValueError:
        return False


def _with_safe_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: safe_name(item) if name == "file" and isinstance(item, str) else _with_safe_text(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_with_safe_text(item) for item in value]
    return printable(value) if isinstance(value, str) else value
