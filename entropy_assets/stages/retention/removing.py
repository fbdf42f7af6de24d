"""What a plan names is removed, in an order in which a kill at any point leaves nothing that is half told.

Of a batch its note comes first, then its intake goes, without which it is none to anybody, and then the rest. The next
plan finds what is left, and removes it. Images go when the batches that needed them are gone.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from entropy_assets.errors import BatchError, ImageAltered, ImageMissing
from entropy_assets.stages.retention.limits import GRACE_S
from entropy_assets.stages.retention.looking import files_in, is_noise
from entropy_assets.stages.retention.plan import Going, Kind, RemovalPlan
from entropy_assets.stages.state import naming_damage
from entropy_assets.stores.batches import INTAKE, Batch, BatchStore
from entropy_assets.stores.blobs.folder import drop_folder, drop_half_written
from entropy_assets.stores.blobs.together import delete_all, together
from entropy_assets.stores.home import Home
from entropy_assets.stores.images import ImageStore
from entropy_assets.stores.inboxes.bucket import Inbox
from entropy_assets.stores.inboxes.settled import delete_settled
from entropy_assets.stores.removals import keep_removal

HELD_BYTES: Final = 64 * 2**20
"""Bytes of images that are held until it is sure that no new batch needs them; one at least, however large."""
Progress = Callable[[str, int, int], object]
"""Called with the kind of what goes, how many are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed: less than was planned where a new batch turned out to need an image."""

    items: tuple[Going, ...]

    @property
    def freed(self) -> int:
        """Bytes of it."""
        return sum(item.bytes for item in self.items)

    def count(self, kind: Kind) -> int:
        """Return how many of one kind went."""
        return sum(item.kind is kind for item in self.items)


def remove(
    home: Home,
    plan: RemovalPlan,
    *,
    inboxes: Mapping[str, Inbox],
    clock: Callable[[], float] = time.time,
    progress: Progress = lambda *_: None,
) -> Removed:
    """Remove what `plan` names, and return what was removed. Repeating it removes what is left.

    Parameters
    ----------
    clock
        Seconds since 1970.

    Raises
    ------
    StoreError, OSError
        If a store does not do its work; the next plan goes on from there.
    """
    batches = home.batches()

    def settled(name: str) -> None:
        source, place, key = name.split("/")
        delete_settled(inboxes[source], place, key)

    def batch(name: str) -> None:
        if name in plan.removals:
            keep_removal(batches.blobs, plan.removals[name])
        _delete_batch(batches, name)

    def each(kind: Kind, drop: Callable[[str], object]) -> Iterator[Going]:
        items = [*plan.of(kind)]
        for done, item in enumerate(items, 1):
            drop(item.name)
            progress(kind, done, len(items))
            yield item

    # Noise first: it needs no room, and makes some for the notes where the disk is full.
    gone = [*each(Kind.NOISE, lambda name: _delete_noise(batches, name, clock)), *each(Kind.BATCH, batch)]
    gone += _removed_images(home, plan, clock, progress)
    _drop_half_written_images(home.images(), clock)
    gone += each(Kind.SETTLED, settled)
    return Removed(tuple(gone))


def _delete_batch(batches: BatchStore, key: str) -> None:
    blobs = batches.blobs
    blobs.delete(f"{key}/{INTAKE.file}")
    folders = blobs.list(key).folders
    delete_all(blobs, [blob.name for blob in files_in(batches, key)])
    for folder in folders:
        drop_folder(blobs, f"{key}/{folder}")
    drop_folder(blobs, key)


def _delete_noise(batches: BatchStore, key: str, clock: Callable[[], float]) -> None:
    """Delete the blocks first: who finds them looks for the noise behind them. What killed writers left goes too."""
    first, *others = [blob.name for blob in files_in(batches, key) if is_noise(blob)] or [""]
    if first:
        batches.blobs.delete(first)
        delete_all(batches.blobs, others)
    for folder in (key, *(f"{key}/{name}" for name in batches.blobs.list(key).folders)):
        drop_half_written(batches.blobs, folder, clock() - GRACE_S)


def _removed_images(home: Home, plan: RemovalPlan, clock: Callable[[], float], progress: Progress) -> Iterator[Going]:
    """Delete the images that the plan names, and yield those that went.

    A batch may be made meanwhile of an image that is deleted here. So images are deleted a few at once and held until
    the batches were looked at again; what a new one needs is kept again. Who makes a batch looks for its images after
    it was made (`ingest.put_lost`), so that one of the two always sees the other. An image that was put again since the
    plan is young, and is left alone.
    """
    batches, images = home.batches(), home.images()
    planned, known, done = [*plan.of(Kind.IMAGE)], set(plan.known), 0
    for chunk in _chunks(planned):
        names = [item.name for item in chunk]
        held = dict(zip(names, together(images.blobs, partial(_deleted, images, clock), names), strict=True))
        for name in held.keys() & _needed_by_new(batches, known):
            if data := held.pop(name):
                images.put(data)
        done += len(chunk)
        progress(Kind.IMAGE, done, len(planned))
        yield from (item for item in chunk if held.get(item.name) is not None)


def _drop_half_written_images(images: ImageStore, clock: Callable[[], float]) -> None:
    """Delete what killed writers left: a file as large as its image for each, and more where a start is tried again."""
    for folder in images.blobs.list().folders:
        drop_half_written(images.blobs, folder, clock() - GRACE_S)


def _deleted(images: ImageStore, clock: Callable[[], float], name: str) -> bytes | None:
    """Delete an image and return it, empty if it was altered; None if it was put again, or is gone."""
    data = b""
    with suppress(ImageMissing, ImageAltered):
        data = images.get(name)
    kept = images.find(name)
    if kept is None or clock() - kept.modified_ns / 1e9 < GRACE_S:
        return None
    images.delete(name)
    return data


def _needed_by_new(batches: BatchStore, known: set[str]) -> set[str]:
    """Return the images of the batches that are not among those `known`, and put these among them."""
    needed: set[str] = set()
    for key in set(batches.names()) - known:
        batch = Batch(batches.blobs, key)
        if batch.has(INTAKE):
            with suppress(BatchError), naming_damage(batch, INTAKE.file):
                needed.update(file.image_sha256 for file in batch.intake.files)
            known.add(key)
    return needed


def _chunks(items: list[Going]) -> Iterator[list[Going]]:
    chunk: list[Going] = []
    size = 0
    for item in items:
        if chunk and size + item.bytes > HELD_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(item)
        size += item.bytes
    if chunk:
        yield chunk
