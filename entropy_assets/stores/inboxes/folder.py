"""The drop folder: an inbox where people and programs leave image files.

Layout, all of it inside the inbox so that every move is one atomic rename::

    inbox/NAME                                    dropped by others
    inbox/.taken/BATCH/NAME                       being processed
    inbox/processed/BATCH/NAME                    credited
    inbox/rejected/BATCH/NAME, NAME.reason.json   refused, and why

A file is in exactly one of these places at any moment; while it is put back it may be in two. Only the inbox's own
level is read; folders that others make in it are listed as pending, never entered. So is what has the name of a folder
of the inbox's own and is none, a link too: files then stay where they are. Nothing is ever deleted. One process at a
time takes files; any number may settle different batches.
"""

import errno
import os
import re
import stat
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final, NoReturn

from entropy_assets.errors import FileStillChanging, ImageRejected, RejectionReason
from entropy_assets.recipe import DROP
from entropy_assets.stores.durable import close_to_others, has_other_names, sync_folder
from entropy_assets.stores.file_names import require_plain, safe_name
from entropy_assets.stores.inboxes.moving import (
    found,
    is_real_folder,
    link,
    make_folders,
    move,
    move_among_others,
    require_no_other,
    write_note,
)
from entropy_assets.stores.inboxes.refusals import REASON_SUFFIX, refusal_note

TAKEN: Final = ".taken"
PROCESSED: Final = "processed"
REJECTED: Final = "rejected"
PARTIAL_SUFFIXES: Final = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", "~")
BATCH_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
OWN_FOLDERS: Final = frozenset((TAKEN, PROCESSED, REJECTED))
NOT_REGULAR: Final = (errno.ELOOP, errno.ENXIO, errno.ENODEV)
"""What opening a link, a socket or a device without a driver answers."""
NOT_READABLE: Final = (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE)
"""What opening one file answers that says nothing of others."""
SAFE_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class PendingReason(StrEnum):
    """Why something in the inbox is not taken, or not yet."""

    SETTLING = "settling"
    PARTIAL = "partial"
    HIDDEN = "hidden"
    UNKNOWN_SOURCE = "unknown_source"
    NOT_A_REGULAR_FILE = "not_a_regular_file"
    IN_THE_WAY = "in_the_way"
    UNREADABLE = "unreadable"
    RESERVED_NAME = "reserved_name"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class ReadyFile:
    """A finished file, as it was when it was listed: its name as safe text, its path as it is.

    ``version`` is what an object store tells of its bytes; a folder has size and time for that.
    """

    name: str
    path: Path
    size: int
    mtime_ns: int
    version: str = ""


@dataclass(frozen=True, slots=True)
class PendingFile:
    """Something that is left alone, and why."""

    name: str
    reason: PendingReason
    detail: str


class DropFolder:
    """The inbox and the way of a file through it.

    Every method that takes a name or a batch key raises ValueError if that is a path.

    Parameters
    ----------
    inbox
        The folder; made if missing.
    settle_seconds
        How long a file must have been left alone before it is taken, seconds. A writer that pauses for longer should
        write under a partial name (``.part``, a leading dot) and rename.
    max_file_bytes
        Larger files are left alone: a file is read into memory as a whole, bytes.
    others
        Subfolders that are inboxes of their own and no concern of this one; None if it can have none. In one that can,
        every other folder was meant to be one of these.
    """

    name = DROP

    def __init__(
        self,
        inbox: Path,
        settle_seconds: float = 2.0,
        max_file_bytes: int = 256 << 20,
        others: Collection[str] | None = None,
    ) -> None:
        self.inbox = inbox
        self._others = None if others is None else frozenset(others)
        self.max_file_bytes = max_file_bytes
        self.settle_seconds = settle_seconds
        inbox.mkdir(parents=True, exist_ok=True)

    def scan(self, now: float) -> tuple[list[ReadyFile], list[PendingFile]]:
        """Return what is ready, oldest first and then by name, and what is left alone.

        Parameters
        ----------
        now
            The present, seconds since 1970-01-01 UTC.
        """
        ready: list[ReadyFile] = []
        pending: list[PendingFile] = []
        with os.scandir(self.inbox) as entries:
            for entry in entries:
                if entry.name in (*OWN_FOLDERS, *(self._others or ())) and _is_folder(entry):
                    continue
                file = self._judge(entry.name, now)
                if isinstance(file, ReadyFile):
                    ready.append(file)
                elif file is not None:
                    pending.append(file)
        ready.sort(key=lambda file: (file.mtime_ns, os.fsencode(file.name)))
        pending.sort(key=lambda file: os.fsencode(file.name))
        return ready, pending

    def ready(self, now: float) -> list[ReadyFile]:
        """Return the files that may be taken, oldest first."""
        return self.scan(now)[0]

    def pending(self, now: float) -> list[PendingFile]:
        """Return what is left alone, and why."""
        return self.scan(now)[1]

    def deposit(self, name: str, data: bytes) -> Path:
        """Put a file into the inbox in one step and return its path; an occupied name gets a number."""
        require_plain(name)
        with NamedTemporaryFile(dir=self.inbox, prefix=".", suffix=".tmp") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            path = link(Path(file.name), self.inbox / name)
        sync_folder(self.inbox)
        return path

    def take(self, files: list[ReadyFile], batch_key: str) -> list[ReadyFile]:
        """Move `files` out of the inbox and return everything that the batch holds, in order.

        Repeating it after a crash moves the rest. A file that is gone from the inbox, or is no longer the one that was
        listed, is skipped: it is in the batch already, or its owner took it back or wrote on.
        """
        folder = self._batch(TAKEN, batch_key)
        make_folders(folder.parent, folder)
        for file in files:
            if os.path.lexists(file.path) and _unchanged(file, file.path.lstat()):
                moved = move(file.path, folder / file.name)
                if not has_other_names(moved):  # else it is in somebody's archive too, which others may share
                    close_to_others(moved)
        sync_folder(folder)
        sync_folder(self.inbox)
        return self.files_of(batch_key)

    def taken(self) -> list[str]:
        """Return the keys of the batches that still hold files, sorted: what a restart has to look after."""
        folder = self.inbox / TAKEN
        keys = [path.name for path in folder.iterdir()] if is_real_folder(folder) else []
        return sorted(key for key in keys if BATCH_KEY.fullmatch(key) and self.files_of(key))

    def taken_since(self, since_s: float) -> list[str]:
        """Return those of `taken` whose files were last moved after `since_s`, seconds since 1970."""
        return [key for key in self.taken() if self._batch(TAKEN, key).stat().st_mtime > since_s]

    def files_of(self, batch_key: str) -> list[ReadyFile]:
        """Return the files of a batch that are not settled yet, oldest first."""
        files: list[ReadyFile] = []
        with suppress(FileNotFoundError, NotADirectoryError):  # the folder goes with its last file
            for path in self._held(batch_key).iterdir():
                with suppress(FileNotFoundError):  # somebody settles the batch meanwhile
                    files.append(_listed(path, path.lstat()))
        return sorted(files, key=lambda file: (file.mtime_ns, os.fsencode(file.name)))

    def read(self, file: ReadyFile) -> bytes:
        """Return the bytes of a listed file.

        Raises
        ------
        ImageRejected
            ``NOT_A_REGULAR_FILE`` if something else now has its name.
        FileStillChanging
            If it is not the file that was listed, changed while it was read, or has grown over the limit.
        """
        try:
            descriptor = os.open(file.path, SAFE_OPEN)
        except OSError as error:
            if error.errno in NOT_REGULAR:
                raise _irregular(file.name) from error
            raise
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise _irregular(file.name)
            with os.fdopen(descriptor, "rb", closefd=False) as stream:
                is_whole = _unchanged(file, before) and file.size <= self.max_file_bytes
                data = stream.read(file.size) if is_whole else b""
            if len(data) != file.size or not _unchanged(file, os.fstat(descriptor)):
                message = f"{file.name!r} changed after it was listed; leave it and list it again"
                raise FileStillChanging(message, name=file.name)
        finally:
            os.close(descriptor)
        return data

    def settle(
        self, batch_key: str, name: str, accepted: bool, reason: str | None = None, detail: str | None = None
    ) -> Path:
        """Move a file of a batch to where it stays, and return that path. Repeating it changes nothing.

        Parameters
        ----------
        batch_key, name
            As `taken` and `files_of` give them.
        accepted
            Whether it was credited.
        reason, detail
            Why not, for the file beside it; written before the file moves, so that no refusal is unexplained.

        Raises
        ------
        FileNotFoundError
            If the batch never held such a file.
        NotADirectoryError
            If something else has the name of the folder; the file stays where it is.
        """
        require_plain(name)
        folder = self._batch(PROCESSED if accepted else REJECTED, batch_key)
        if (source := found(self._held(batch_key), name)) is not None:
            make_folders(folder.parent, folder)
            if not accepted:
                write_note(folder, name, refusal_note(name, reason, detail))
            target = move(source, folder / name)
            sync_folder(folder)
        else:
            target = found(folder, name) or _absent(batch_key, name)
        self._forget_if_empty(batch_key)
        return target

    def put_back(self, batch_key: str, name: str) -> Path:
        """Move a taken file back to the inbox, for instance one that still changed, and return its path."""
        require_plain(name)
        source = found(self._held(batch_key), name) or _absent(batch_key, name)
        path = move_among_others(source, self.inbox / name)
        self._forget_if_empty(batch_key)
        return path

    def _judge(self, name: str, now: float) -> ReadyFile | PendingFile | None:
        """Return what one entry is; None if it vanished meanwhile."""
        path = self.inbox / name
        try:
            state = os.lstat(path)
            if (reason := self._hindrance(name, state, now)) is None:
                _probe(path, state)
                return _listed(path, state)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno not in (*NOT_REGULAR, *NOT_READABLE):
                raise
            reason = PendingReason.UNREADABLE if error.errno in NOT_READABLE else PendingReason.NOT_A_REGULAR_FILE
        return PendingFile(safe_name(name), reason, DETAILS[reason])

    def _hindrance(self, name: str, state: os.stat_result, now: float) -> PendingReason | None:
        if name in OWN_FOLDERS:
            return PendingReason.IN_THE_WAY
        if stat.S_ISDIR(state.st_mode) and self._others is not None and not name.startswith("."):
            return PendingReason.UNKNOWN_SOURCE
        if not stat.S_ISREG(state.st_mode):
            return PendingReason.NOT_A_REGULAR_FILE
        if (reason := hindrance_of_name(name)) is not None:
            return reason
        if state.st_size > self.max_file_bytes:
            return PendingReason.TOO_LARGE
        # a copied modification time may lie in the future; the change time can't be set by anybody
        changed = state.st_mtime if state.st_mtime <= now else state.st_ctime
        return PendingReason.SETTLING if now - changed < self.settle_seconds else None

    def _batch(self, place: str, batch_key: str) -> Path:
        if not BATCH_KEY.fullmatch(batch_key):
            raise ValueError(f"{batch_key!r} is no batch key: letters, digits, '_' and '-' only")
        return self.inbox / place / batch_key

    def _held(self, batch_key: str) -> Path:
        """Return where the files of a batch are as long as they are not settled."""
        folder = self._batch(TAKEN, batch_key)
        require_no_other(folder.parent, folder)
        return folder

    def _forget_if_empty(self, batch_key: str) -> None:
        try:
            self._batch(TAKEN, batch_key).rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                raise


def inboxes(
    folder: Path, sources: Collection[str], settle_seconds: float, max_file_bytes: int
) -> dict[str, DropFolder]:
    """Return the inbox at `folder` as source ``drop``, and its subfolder of each of `sources` that is there.

    Who puts a file into a subfolder declares where it comes from; what a declared source vouches for stands in the
    recipe.
    """
    by_source = {DROP: DropFolder(folder, settle_seconds, max_file_bytes, others=sources)}
    for source in sources:
        if (folder / source).is_dir() and not (folder / source).is_symlink():
            by_source[source] = DropFolder(folder / source, settle_seconds, max_file_bytes)
    return by_source


DETAILS: Final = {
    PendingReason.SETTLING: "still being written, or finished a moment ago",
    PendingReason.PARTIAL: "a partial name: it is taken once its writer renames it",
    PendingReason.HIDDEN: "a hidden name: it is never taken",
    PendingReason.UNKNOWN_SOURCE: "a folder of no source that the recipe lists: rename it, or move its files out of it",
    PendingReason.NOT_A_REGULAR_FILE: "a folder, link, pipe or device: only regular files are taken",
    PendingReason.IN_THE_WAY: "the inbox needs a folder of this name, and leaves files where they are: rename it",
    PendingReason.UNREADABLE: "this process can't read it: change its permissions, or look at the disk",
    PendingReason.RESERVED_NAME: f"names ending in {REASON_SUFFIX} are kept for the reasons of refusals",
    PendingReason.TOO_LARGE: "larger than the limit: raise the limit or take the file away",
}


def hindrance_of_name(name: str) -> PendingReason | None:
    """Return why a file of that name is left alone; None if the name is no hindrance."""
    if name.startswith("."):
        return PendingReason.HIDDEN
    if name.lower().endswith(PARTIAL_SUFFIXES):
        return PendingReason.PARTIAL
    return PendingReason.RESERVED_NAME if name.endswith(REASON_SUFFIX) else None


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    return entry.is_dir(follow_symlinks=False)


def _listed(path: Path, state: os.stat_result) -> ReadyFile:
    return ReadyFile(safe_name(path.name), path, state.st_size, state.st_mtime_ns)


def _absent(batch_key: str, name: str) -> NoReturn:
    raise FileNotFoundError(errno.ENOENT, f"batch {batch_key} holds no file {name!r}")


def _unchanged(file: ReadyFile, state: os.stat_result) -> bool:
    return (state.st_size, state.st_mtime_ns) == (file.size, file.mtime_ns)


def _probe(path: Path, state: os.stat_result) -> None:
    """Raise OSError unless `path` opens as the very file that was looked at."""
    descriptor = os.open(path, SAFE_OPEN)
    try:
        if not os.path.samestat(state, os.fstat(descriptor)):
            raise FileNotFoundError(errno.ENOENT, "replaced while it was listed", str(path))
    finally:
        os.close(descriptor)


def _irregular(name: str) -> ImageRejected:
    message = f"{name!r} is no regular file: links, folders, pipes and devices are not read"
    return ImageRejected(RejectionReason.NOT_A_REGULAR_FILE, message, name=name)
