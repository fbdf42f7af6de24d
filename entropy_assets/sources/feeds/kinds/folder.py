"""A folder that something else fills, as the software of a telescope does: copied from, and never written to.

Files come in the order in which they last changed, by the time that nobody can set (ctime). What is new is told by
name, length and date, whatever that is. A file that was not left alone for long enough waits. Links are not followed.
"""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatchcase
from heapq import nlargest, nsmallest
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from entropy_assets.sources.feeds.documents.times import stamp_of
from entropy_assets.sources.feeds.fetching import Clock, file_name, origin_of, present
from entropy_assets.sources.feeds.interface import (
    Candidate,
    Discovery,
    FeedError,
    FeedUnavailable,
    FetchedImage,
)
from entropy_assets.sources.feeds.periods import Known, read_known
from entropy_assets.sources.feeds.tables.local import FolderTable
from entropy_assets.stores.file_names import printable
from entropy_assets.stores.inboxes.folder import SAFE_OPEN, hindrance_of_name
from entropy_assets.stores.inboxes.origins import Origin

NS: Final = 10**9
MOST_FILES: Final = 500_000
"""Most files of one folder: each costs some 700 bytes of memory while it is listed."""


@dataclass(frozen=True, slots=True, order=True)
class _Seen:
    """A file as it was listed, in the order in which files are taken."""

    changed_ns: int
    name: str
    size: int
    modified_ns: int

    @property
    def version(self) -> str:
        return f"{self.modified_ns} {self.size}"

    @property
    def order(self) -> str:
        return f"{self.changed_ns:020d} {self.name}"

    @property
    def told(self) -> str:
        return f"{self.name}\0{self.version}"


class FolderFeed:
    """See the module.

    Parameters
    ----------
    name, table
        The feed.
    clock
        Tells the present.
    """

    def __init__(self, name: str, table: FolderTable, clock: Clock = present) -> None:
        self.name = name
        self.clock = clock
        self.read_bytes = 0
        self._table = table
        self._left_out = 0

    @property
    def host(self) -> str:
        """What stands for this folder: no other feed waits for it."""
        return f"{self._table.host}:{self.name}"

    def discover(self, cursor: str) -> Discovery:
        """As `Feed.discover`."""
        self._left_out = 0
        known = read_known(cursor)
        before, most = known or Known(), self._table.max_files
        marks = frozenset(before.marks)
        latest_ns = int((self.clock().timestamp() - self._table.settle_seconds) * NS)
        listed = [(seen, before.mark(seen.told)) for seen in self._files() if seen.order > before.floor]
        waiting = [seen for seen, mark in listed if mark not in marks and seen.changed_ns > latest_ns]
        new = [seen for seen, mark in listed if mark not in marks and seen.changed_ns <= latest_ns]
        onwards = known is not None or self._table.from_the_oldest
        taken = nsmallest(most, new) if onwards else sorted(nlargest(most, new))
        done = {seen.name for seen in (taken if onwards else new)}
        passed = sorted((seen.order, mark) for seen, mark in listed if mark in marks or seen.name in done)
        candidates = [self._candidate(seen) for seen in taken]
        is_whole = not onwards or len(taken) == len(new)
        reached = _cursor(before.passing(passed))
        return Discovery(candidates, reached, is_whole, waiting=len(waiting), left_out=self._left_out)

    def fetch(self, candidate: Candidate, known: Origin | None = None) -> FetchedImage | None:
        """As `Feed.fetch`; a file that changed since it was listed is left for the next look."""
        if known is not None and candidate.version and known.etag == candidate.version:
            return None
        name = os.fsdecode(unquote(candidate.url.removeprefix(self._place), encoding="utf-8", errors="surrogateescape"))
        try:
            data = _read(self._table.path, name, candidate.version, self._table.max_file_bytes)
        except (OSError, ValueError) as error:
            raise self._error(f"{printable(name)} can't be taken: {error}") from error
        self.read_bytes += len(data)
        origin = origin_of(self.name, self._table, candidate, self.clock(), None)
        return FetchedImage(file_name(candidate.url), data, origin)

    @property
    def _place(self) -> str:
        """What the addresses of its files begin with: the feed's name, for the folder's own is nobody's business."""
        return f"folder:{self.name}/"

    def _candidate(self, seen: _Seen) -> Candidate:
        url = f"{self._place}{quote(os.fsencode(seen.name))}"
        return Candidate(url=url, version=seen.version, dated_at=stamp_of(seen.modified_ns // NS), size=seen.size)

    def _files(self) -> Iterator[_Seen]:
        """Yield the files of the folder, and of those in it as deep as the table says."""
        try:
            with ExitStack() as stack:
                for count, seen in enumerate(self._below(_opened(stack, self._table.path), "", self._table.depth)):
                    if count == MOST_FILES:
                        raise self._error(f"{self._table.path} has more than {MOST_FILES:,} files: make feeds of parts")
                    yield seen
        except OSError as error:
            raise FeedUnavailable(
                f"the folder {self._table.path} can't be listed ({error.strerror}); see that it is there, and readable",
                feed=self.name,
                host=self.host,
            ) from error

    def _below(self, descriptor: int, folder: str, depth: int) -> Iterator[_Seen]:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                name = f"{folder}{entry.name}"
                try:
                    if depth and not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                        with ExitStack() as stack:
                            inner = _opened(stack, entry.name, descriptor)
                            yield from self._below(inner, f"{name}/", depth - 1)
                        continue
                    state = entry.stat(follow_symlinks=False)
                except (FileNotFoundError, NotADirectoryError):  # it went away meanwhile, or a link is in its place
                    continue
                except PermissionError:  # a folder of somebody else's hides none of the others
                    self._left_out += 1
                    continue
                if not stat.S_ISREG(state.st_mode):
                    continue
                if self._is_wanted(entry.name, state.st_size):
                    yield _Seen(state.st_ctime_ns, name, state.st_size, state.st_mtime_ns)
                else:
                    self._left_out += 1

    def _is_wanted(self, name: str, size: int) -> bool:
        fits = fnmatchcase(name.lower(), self._table.pattern.lower()) and hindrance_of_name(name) is None
        return fits and 0 < size <= self._table.max_file_bytes

    def _error(self, message: str) -> FeedError:
        return FeedError(message, feed=self.name, host=self.host)


def _opened(stack: ExitStack, path: Path | str, within: int | None = None) -> int:
    """Return a descriptor of a folder; `within` another one it is opened only if it is no link."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if within is None else os.O_NOFOLLOW)
    descriptor = os.open(path, flags, dir_fd=within)
    stack.callback(os.close, descriptor)
    return descriptor


def _read(top: Path, name: str, version: str, most: int) -> bytes:
    """Return a file below `top` as a whole if it still is what was listed: its time moves with each write.

    Raises
    ------
    ValueError
        If it is another one, or still changes.
    OSError
        If it can't be read, or a link leads there, be it in the place of a folder.
    """
    *folders, last = name.split("/")
    with ExitStack() as stack:
        folder = _opened(stack, top)
        for part in folders:
            folder = _opened(stack, part, folder)
        descriptor = os.open(last, SAFE_OPEN, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(most + 1)
        if _version(descriptor) != version or len(data) != os.fstat(descriptor).st_size:
            raise ValueError("it changed since it was listed")
    return data


def _version(descriptor: int) -> str:
    state = os.fstat(descriptor)
    return f"{state.st_mtime_ns} {state.st_size}" if stat.S_ISREG(state.st_mode) else ""


def _cursor(known: Known) -> str:
    return json.dumps(known.encoded())
