"""What waits in the inboxes: what nobody will take as it is, and a queue. Told to people in plain words."""

import math
import os
import time
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Final

from entropy_assets.recipe import DROP, recipe_named
from entropy_assets.stores.blobs.refusals import StoreError
from entropy_assets.stores.home import Home
from entropy_assets.stores.inboxes.bucket import Inbox
from entropy_assets.stores.inboxes.folder import PendingFile, PendingReason, ReadyFile

LOOK_S: Final = 15.0
"""Seconds between two looks of those who are asked all the time: a heap of files takes a second to look at."""
PATIENCE_S: Final = 600.0
"""Seconds for which something may stay unfinished before it counts as left alone."""
MOST_NAMED: Final = 3
"""Entries that one sentence names; it counts all."""
LONG_QUEUE: Final = 4
"""Batches whose files wait before it is told."""
_MAY_BE_UNFINISHED: Final = (PendingReason.PARTIAL, PendingReason.SETTLING)


class Waiting:
    """What waits in the inboxes of an installation; keep one and ask it again. Not for several threads at once.

    It makes no folder, and can be sent to another process.

    Parameters
    ----------
    home, recipe
        The installation, and the recipe that lists its sources.
    batch_files
        Files that a batch holds at most.
    max_file_bytes, settle_seconds
        As `DropFolder` takes them.
    every_s
        Seconds between two looks; in between the last answer is given again.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        home: Home,
        recipe: str,
        *,
        batch_files: int,
        max_file_bytes: int,
        settle_seconds: float,
        every_s: float = LOOK_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._home = home
        self._sources = recipe_named(recipe).sources
        self._batch_files = batch_files
        self._max_file_bytes = max_file_bytes
        self._settle_seconds = settle_seconds
        self._every_s = every_s
        self._clock = clock
        self._first_seen: dict[tuple[str, str], float] = {}
        self._next_look = -math.inf
        self._last: list[tuple[str, str]] = []

    def doubts(self) -> list[tuple[str, str]]:
        """Return what to tell, each as a code and a sentence. Names in it are as safe as the inbox gives them."""
        if time.monotonic() >= self._next_look:
            self._last = self._look()
            self._next_look = time.monotonic() + self._every_s
        return self._last

    def _inboxes(self) -> Mapping[str, Inbox]:
        # A service of another user, or on a folder that it only reads, could not take a file, so it judges none.
        folder = self._home.inbox_folder
        if self._home.inbox_url is None and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            return {}
        return self._home.inboxes(
            self._sources, settle_seconds=self._settle_seconds, max_file_bytes=self._max_file_bytes
        )

    def _look(self) -> list[tuple[str, str]]:
        now = self._clock()
        try:
            scans = {source: inbox.scan(now) for source, inbox in self._inboxes().items()}
        except OSError as error:
            return [("inbox-unreadable", f"the inbox can't be read: {error.strerror}")]
        except StoreError as error:
            return [("inbox-unreadable", f"the inbox can't be read: {error.public_message}")]
        alone = [
            (source, entry) for source, (_, pending) in scans.items() for entry in pending if entry.reason != "hidden"
        ]
        self._first_seen = {
            (source, entry.name): self._first_seen.get((source, entry.name), now) for source, entry in alone
        }
        told = [self._told(source, entry) for source, entry in alone if self._is_left_alone(source, entry, now)]
        queues = [
            (source, files) for source, (files, _) in scans.items() if len(files) > LONG_QUEUE * self._batch_files
        ]
        return [*_left_alone(told), *(self._queue(source, files) for source, files in queues)]

    def _is_left_alone(self, source: str, entry: PendingFile, now: float) -> bool:
        patience = PATIENCE_S if entry.reason in _MAY_BE_UNFINISHED else 0.0
        return now - self._first_seen[source, entry.name] >= patience

    def _told(self, source: str, entry: PendingFile) -> str:
        place = entry.name if source == DROP else f"{source}/{entry.name}"
        meant = get_close_matches(entry.name.lower(), self._sources, n=1)
        unknown = entry.reason is PendingReason.UNKNOWN_SOURCE
        return f"{place} ({entry.detail}{f'; perhaps {meant[0]} was meant' if unknown and meant else ''})"

    def _queue(self, source: str, files: list[ReadyFile]) -> tuple[str, str]:
        batches = math.ceil(len(files) / self._batch_files)
        place = "the inbox" if source == DROP else f"the inbox of {source}"
        return "inbox-queue", f"{len(files)} files wait in {place}, for some {batches} batches; other sources go before"


def _left_alone(told: list[str]) -> list[tuple[str, str]]:
    if not told:
        return []
    more = f" and {len(told) - MOST_NAMED} more" if len(told) > MOST_NAMED else ""
    what = "an entry" if len(told) == 1 else f"{len(told)} entries"
    return [("inbox-left-alone", f"{what} of the inbox will not be taken: {'; '.join(islice(told, MOST_NAMED))}{more}")]
