"""Files that appear whole or not at all, and stay after a power cut."""

import os
from pathlib import Path
from tempfile import NamedTemporaryFile


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
