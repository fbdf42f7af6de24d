"""A file to which lines of JSON are appended, by one process at a time; a line that a crash tore spoils no other."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Yield the file at `path` for reading and appending, made with its folder; nobody else has it so meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # let go when it is closed
            if not _has_name(file, path):  # whoever had it meanwhile put it aside
                continue
            file.seek(0)
            yield cast(BinaryIO, file)
            return


def _has_name(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def append_line(file: BinaryIO, row: Mapping[str, Any]) -> None:
    """Append `row` as one line, and put it on the disk."""
    torn = file.seek(0, os.SEEK_END) > 0 and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n"
    file.write((b"\n" if torn else b"") + json.dumps(row, sort_keys=True).encode("ascii") + b"\n")
    file.flush()
    os.fsync(file.fileno())


def objects_in(data: bytes) -> list[dict[str, Any]]:
    """Return the objects of a file's lines, the oldest first; lines that are none are left out."""
    return [row for row in map(_object_in, data.splitlines()) if row is not None]


def _object_in(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
