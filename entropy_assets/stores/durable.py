"""Files that appear whole or not at all, stay after a power cut, and are nobody else's to read."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

PRIVATE_UMASK: Final = 0o077
"""What others may not do with this user's files: anything."""


@contextmanager
def private_files() -> Iterator[None]:
    """Let what this process, all its threads, and its children make inside ``with`` be its user's alone."""
    before = os.umask(PRIVATE_UMASK)
    try:
        yield
    finally:
        os.umask(before)


def write_durably(path: Path, data: bytes) -> None:
    """Write `path`, or replace it: readers see all of the old or all of the new file."""
    temporary = _written_beside(path, data)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def create_durably(path: Path, data: bytes) -> bool:
    """Write `path` unless it exists; of several writers at once one wins. Return whether this one did."""
    temporary = _written_beside(path, data)
    try:
        # A link is made whole and never replaces what is there.
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    sync_folder(path.parent)
    return True


def _written_beside(path: Path, data: bytes) -> Path:
    with NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".tmp", delete=False) as file:
        temporary = Path(file.name)
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    return temporary


def sync_folder(folder: Path) -> None:
    """Put the names in `folder` on the disk: of files that were made, renamed or removed there."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_open_to_others(path: Path) -> bool:
    """Tell whether others may read, write or enter this regular file or folder; what is gone or a link is not open."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    return bool(mode & PRIVATE_UMASK) and (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def has_other_names(path: Path) -> bool:
    """Tell whether a regular file can be reached by another name too: who closes it here closes it there."""
    try:
        state = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(state.st_mode) and state.st_nlink > 1


def close_to_others(path: Path) -> bool:
    """Take from others what they may do with `path`, and tell whether that could be done; only its owner can."""
    try:
        state = path.lstat()
        if state.st_uid != os.geteuid():
            return False
        path.chmod(stat.S_IMODE(state.st_mode) & ~PRIVATE_UMASK)
    except OSError:
        return False
    return True
