"""How a file changes its place: inside of the inbox, whatever links others lay there, and never over another file."""

import errno
import os
from contextlib import suppress
from pathlib import Path

from entropy_assets.stores.durable import sync_folder
from entropy_assets.stores.file_names import numbered, safe_name, temporary_name, with_suffix
from entropy_assets.stores.inboxes.refusals import REASON_SUFFIX


def is_real_folder(path: Path) -> bool:
    """Tell whether a folder has this name: a link to one is none, since it may lead anywhere."""
    return path.is_dir() and not path.is_symlink()


def require_no_other(*folders: Path) -> None:
    """Check that what has the names of `folders`, if anything has, are folders.

    Raises
    ------
    NotADirectoryError
        If something else has one, a link to a folder too.
    """
    for folder in folders:
        if os.path.lexists(folder) and not is_real_folder(folder):
            raise NotADirectoryError(errno.ENOTDIR, "something else has the name of a folder", str(folder))


def make_folders(*folders: Path) -> None:
    """Make each of `folders` that is not there; raises as `require_no_other`."""
    for folder in folders:
        with suppress(FileExistsError):
            folder.mkdir()
        require_no_other(folder)


def found(folder: Path, name: str) -> Path | None:
    """Return the path of the file that is listed as `name`; what an older version moved kept the name it came with."""
    if os.path.lexists(folder / name):
        return folder / name
    return next((path for path in folder.glob("*") if safe_name(path.name) == name), None)


def move(source: Path, target: Path) -> Path:
    """Rename `source` to the first free name for `target`, in a folder in which nobody else makes files."""
    free = next(path for path in numbered(target) if not os.path.lexists(path))
    source.rename(free)
    return free


def link(source: Path, target: Path) -> Path:
    """Link `source` to the first free name for `target`; no writer at the same moment can take the same one."""
    for free in numbered(target):
        try:
            free.hardlink_to(source)
        except FileExistsError:
            continue
        return free
    raise AssertionError("the numbers never end")


def move_among_others(source: Path, target: Path) -> Path:
    """Move `source` to the first free name for `target`, and never over what somebody drops there at that moment.

    Who is killed in the middle leaves the file under both names; a repetition ends it. Where a file can't be linked -
    some file systems have no links, and some systems give none of a file of somebody else's - it is renamed, and then
    only the drop of the very same name in that moment is lost.
    """
    for free in numbered(target):
        try:
            os.link(source, free, follow_symlinks=False)
        except FileExistsError:
            if not _are_one(source, free):
                continue
        except OSError:
            return move(source, target)
        sync_folder(free.parent)
        source.unlink()
        return free
    raise AssertionError("the numbers never end")


def write_note(folder: Path, name: str, note: bytes) -> None:
    """Write the note on the file `name` beside where it will be."""
    temporary = folder / temporary_name(name)
    temporary.write_bytes(note)
    temporary.replace(folder / with_suffix(name, REASON_SUFFIX))


def _are_one(one: Path, other: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(one.lstat(), other.lstat())
    return False
