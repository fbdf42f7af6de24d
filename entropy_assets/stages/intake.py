"""From the inboxes into batches: files are grouped, taken, and fixed in an intake. A crash at any point loses none."""

import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Final

from entropy_assets.errors import FileStillChanging
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.recipe import DROP
from entropy_assets.stages.ingest import open_batch
from entropy_assets.stores.batches import batch_key
from entropy_assets.stores.home import Home
from entropy_assets.stores.inbox import DropFolder, ReadyFile


def first_group(files: list[ReadyFile], max_files: int, max_bytes: int) -> list[ReadyFile]:
    """Return the longest start of `files` within the limits of one batch; one file at least, however large."""
    total = 0
    for count, file in enumerate(files):
        total += file.size
        if count and (count == max_files or total > max_bytes):
            return files[:count]
    return files


PER_SOURCE: Final = 8
"""Batches of one source that are under way before a heap of its files waits in the inbox, and not in others' way."""
UNDER_WAY_S: Final = 600.0
"""A batch whose files were not moved for this long makes way for the next one: its run failed, or takes its time."""


def take_batches(inboxes: Mapping[str, DropFolder], *, max_files: int, max_bytes: int, now: float) -> None:
    """Move the ready files of each source's inbox into groups, each under the key of its batch to be.

    Files move before anything else is done with them, so a crash at any point leaves each file either in the inbox or
    in a group that `finish_intakes` finds. Listed sources come first, and of those the ones with fewer files. Of a heap
    no more is taken than `PER_SOURCE` groups at once, so junk in one inbox keeps no other waiting.

    Parameters
    ----------
    now
        The present, seconds since 1970-01-01 UTC.
    """
    waiting = {source: inbox.ready(now) for source, inbox in inboxes.items()}
    for source in sorted(waiting, key=lambda source: (source == DROP, len(waiting[source]), source)):
        inbox, files = inboxes[source], waiting[source]
        under_way = len(inbox.taken_since(now - UNDER_WAY_S))
        while files:
            group = first_group(files, max_files, max_bytes)
            if len(group) < len(files) and under_way >= PER_SOURCE:
                break
            files = files[len(group) :]
            under_way += 1
            listed = [(file.name, str(file.mtime_ns), file.size) for file in group]
            inbox.take(group, batch_key(source, time.time_ns(), listed))


def urgency_of(source: str, files: int, max_files: int) -> int:
    """Return how urgent a batch is, 0 to 3: more for a listed source, and more if it is not full, so no heap's part."""
    return 2 * (source != DROP) + (files < max_files)


def finish_intakes(
    home: Home, inboxes: Mapping[str, DropFolder], *, recipe: str, limits: DecodeLimits
) -> Iterator[str]:
    """Yield the keys of the batches with files that are not settled, each with its intake fixed.

    Parameters
    ----------
    recipe, limits
        Those of a batch that is fixed now.
    """
    batches = home.batches()
    for source, inbox in inboxes.items():
        for key in inbox.taken():
            if not batches.has(key):
                open_batch(
                    batches,
                    home.images(),
                    _contents(inbox, key),
                    key=key,
                    source=source,
                    time_ns=time.time_ns(),
                    os_bytes=secrets.token_bytes(32),
                    recipe=recipe,
                    limits=limits,
                )
            yield key


def _contents(inbox: DropFolder, key: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each file of a group; one that still changes goes back to the inbox."""
    for file in inbox.files_of(key):
        try:
            yield file.name, inbox.read(file)
        except FileStillChanging:
            inbox.put_back(key, file.name)
