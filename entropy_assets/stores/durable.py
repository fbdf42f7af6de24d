"""Files that appear whole or not at all, stay after a power cut, and are nobody else's to read or to have written."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

PRIVATE_UMASK: Final = 0o077
"""What others may not do with this user's files: anything."""
MOST_LINKS: Final = 40
"""Links on the way to one file; Linux follows as many."""
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_FOLDER: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def private_files() -> Iterator[None]:
    """Let what this process, all its threads, and its children make inside ``with`` be its user's alone."""
    before = os.umask(PRIVATE_UMASK)
    try:
        yield
    finally:
        os.umask(before)


def write_durably(path: Path, data: bytes, *, unless: Path | None = None) -> bool:
    """Write `path`, or replace it: readers see all of the old or all of the new file.

    If the file `unless` is there by then, nothing is changed. Return whether something was. The look is the last step
    before the rename: on a slow disk all that takes long lies before it, but the two are not one step.
    """
    temporary = _written_beside(path, data)
    try:
        if unless is not None and unless.exists():
            temporary.unlink()
            return False
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return True


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


def is_written_by_others(path: Path) -> bool:
    """Tell whether others may write to what is there; what is gone or a link nobody writes to."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    return bool(mode & _WRITABLE_BY_OTHERS) and not stat.S_ISLNK(mode)


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


def open_trusted(path: Path) -> int:
    """Return a descriptor of a regular file that nobody but this user and root can have written or exchanged.

    File, links and folders on the way must belong to one of the two, and others may write to none of them; a folder
    like ``/tmp``, in which everybody may only touch what is theirs, will do. No pipe or device is waited for.

    Raises
    ------
    OSError
        If it is another file than that, or none; ``filename`` is what is wrong, ``strerror`` says how to mend it.
    """
    names, place, links = [*reversed(path.absolute().parts[1:])], Path("/"), 0
    folder = os.open("/", _FOLDER)
    try:
        while True:
            _require_ours(os.fstat(folder), place)
            if not names:
                raise IsADirectoryError(errno.EISDIR, "is a folder", str(place))
            name = names.pop()
            here = place / name
            if stat.S_ISLNK((state := _state_in(folder, name, here, links)).st_mode):
                links += 1
                if links > MOST_LINKS:
                    raise OSError(errno.ELOOP, "too many links lead on from here", str(here))
                _require_ours(state, here)
                target = Path(os.readlink(name, dir_fd=folder))
                names += reversed(target.parts[1:] if target.is_absolute() else target.parts)
                following = os.open("/", _FOLDER) if target.is_absolute() else os.dup(folder)
                place = Path("/") if target.is_absolute() else place
            elif names:
                following, place = os.open(name, _FOLDER, dir_fd=folder), here
            else:
                return _opened(folder, name, here)
            os.close(folder)
            folder = following
    finally:
        os.close(folder)


def read_trusted(path: Path, most_bytes: int) -> bytes:
    """Return what `open_trusted` opens, of `most_bytes` at most.

    Raises
    ------
    OSError
        If it can't be read, or is longer.
    """
    with os.fdopen(open_trusted(path), "rb") as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"is longer than {most_bytes} bytes", str(path))
    return data


def _state_in(folder: int, name: str, here: Path, links: int) -> os.stat_result:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError as error:
        if links:
            raise OSError(errno.ELOOP, "a link leads here, where nothing is", str(here)) from error
        raise


def _opened(folder: int, name: str, here: Path) -> int:
    file = os.open(name, _FILE, dir_fd=folder)
    try:
        _require_regular(os.fstat(file), here)
        _require_ours(os.fstat(file), here)
    except BaseException:
        os.close(file)
        raise
    return file


def _require_regular(state: os.stat_result, here: Path) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise OSError(errno.EINVAL, "is no regular file", str(here))


def _require_ours(state: os.stat_result, here: Path) -> None:
    if state.st_uid not in (0, os.geteuid()):
        raise PermissionError(errno.EPERM, "belongs to somebody else: chown it", str(here))
    is_link, is_shared = stat.S_ISLNK(state.st_mode), stat.S_ISDIR(state.st_mode) and state.st_mode & stat.S_ISVTX
    if state.st_mode & _WRITABLE_BY_OTHERS and not is_link and not is_shared:
        raise PermissionError(errno.EPERM, "others may write to it: chmod go-w it", str(here))
