"""What an installation has of each batch, since when it is done, and what speaks against letting it go."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Final

from entropy_assets.errors import BatchError, PoolError
from entropy_assets.stages.assessments import noise_rows
from entropy_assets.stages.manifest import ImageRow, Manifest
from entropy_assets.stages.retention.limits import LONGEST_LIFE_S, SLACK_S
from entropy_assets.stages.state import naming_damage, state_of
from entropy_assets.stores.batches import (
    BLOCKS,
    INTAKE,
    MANIFEST,
    NOISE,
    RECEIPT,
    RECORDS,
    VERDICTS,
    Batch,
    BatchStore,
    moment_of,
)
from entropy_assets.stores.blobs.interface import Blob
from entropy_assets.stores.blobs.together import together
from entropy_assets.stores.lanes import Fate
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import Publication
from entropy_assets.stores.removals import BatchRemoved, Removal, RemovedFile

FateOf = Callable[[str], Fate]
"""Tells by a block's id where the pool has it; `PoolError` if no pool answers."""
NEWEST: Final = "its receipt tells that the ledger is whole: that of the newest publication always stays"
UNSETTLED: Final = "its files wait in the inbox to be settled"
UNFINISHED: Final = "something is left to do on it"
UNSERVED: Final = "its blocks may still be served"
_KEPT: Final = frozenset(document.file for document in (INTAKE, MANIFEST, NOISE, BLOCKS, RECORDS, VERDICTS, RECEIPT))
"""By any of these a folder is that of a batch, and by any noise."""
LOST_INTAKE: Final = f"it is damaged: it has no {INTAKE.file}, and that was no removal"
NO_POOL: Final = "the pool can't be asked whether its blocks are still served"


@dataclass(frozen=True, slots=True)
class SeenBatch:
    """A batch as retention sees it.

    Attributes
    ----------
    key
        The batch.
    since_s
        When it was published, or taken in if nothing of it was, seconds since 1970.
    publication
        What the ledger has of it.
    held
        Why it may not go whatever its age, in words; None if nothing speaks against it.
    noise
        Its noise arrays, their maps, and its blocks: what can be made again from its images.
    rest
        Its other files.
    images
        Its images; None if nobody can tell.
    """

    key: str
    since_s: float
    publication: Publication | None
    held: str | None
    noise: tuple[Blob, ...]
    rest: tuple[Blob, ...]
    images: frozenset[str] | None

    @property
    def noise_bytes(self) -> int:
        """Bytes of its noise and blocks."""
        return sum(blob.size for blob in self.noise)

    @property
    def all_bytes(self) -> int:
        """Bytes of all its files."""
        return self.noise_bytes + sum(blob.size for blob in self.rest)


def seen_batches(batches: BatchStore, ledger: Ledger, taken: Collection[str]) -> list[SeenBatch]:
    """Return all batches, the oldest first by the time in their keys; one that lost its intake is a damaged one.

    Parameters
    ----------
    taken
        Keys of the batches with files that are not settled in an inbox.

    Raises
    ------
    LedgerError, StoreError
        If ledger or store does not answer.
    """
    published = {publication.batch_key: publication for publication in ledger.every_publication()}
    look = partial(_seen, batches, ledger, published, taken)
    keys = sorted(batches.names(), key=moment_of)
    found = [batch for batch in together(batches.blobs, look, keys) if batch is not None]
    newest = {batch.key for batch in _of_newest_receipts(found)}
    return [replace(batch, held=batch.held or NEWEST) if batch.key in newest else batch for batch in found]


def files_in(batches: BatchStore, key: str) -> list[Blob]:
    """Return all files of a batch; `BLOCKS` first, without which nobody looks for the noise behind them."""
    top = batches.blobs.list(key)
    inner = chain.from_iterable(batches.blobs.list(f"{key}/{folder}").blobs for folder in top.folders)
    return sorted([*top.blobs, *inner], key=lambda blob: (blob.last != BLOCKS.file, blob.name))


def is_noise(blob: Blob) -> bool:
    """Tell whether a file of a batch is noise, a map or blocks: all arrays, and nothing else."""
    return blob.last.endswith(".npy")


def _seen(
    batches: BatchStore, ledger: Ledger, published: Mapping[str, Publication], taken: Collection[str], key: str
) -> SeenBatch | None:
    batch, files, publication = Batch(batches.blobs, key), files_in(batches, key), published.get(key)
    if not any(blob.last in _KEPT or is_noise(blob) for blob in files):
        return None  # it is being made, or is no batch of anybody
    since_s, held, images = 0.0, None, None
    try:
        with naming_damage(batch, INTAKE.file):
            since_s = batch.intake.time_ns / 1e9
            images = frozenset(file.image_sha256 for file in batch.intake.files)
        if publication is not None:
            since_s = max(since_s, publication.published_at_us / 1e6)
        elif not state_of(batch, ledger).is_finished:
            held = UNFINISHED
    except BatchRemoved:
        return None
    except BatchError as error:
        held = f"it is damaged: {error.message}" if batch.has(INTAKE) else LOST_INTAKE
    noise, rest = tuple(filter(is_noise, files)), tuple(blob for blob in files if not is_noise(blob))
    return SeenBatch(key, since_s, publication, UNSETTLED if key in taken else held, noise, rest, images)


def _of_newest_receipts(found: list[SeenBatch]) -> Iterator[SeenBatch]:
    """Yield the batch of the newest publication, and those before it up to one that has its receipt."""
    published = [batch for batch in found if batch.publication is not None]
    for batch in sorted(published, key=lambda batch: batch.publication.seq if batch.publication else 0, reverse=True):
        yield batch
        if any(blob.last == RECEIPT.file for blob in batch.rest):
            return


class Served:
    """Whether blocks of a batch may still be served. A pool that did not answer once is not asked again.

    Parameters
    ----------
    ledger
        Has the ids of the blocks.
    fate_of
        Asks the pool; None if there is none to ask.
    life_s
        Life of a block, seconds.
    now_s
        The present, seconds since 1970.
    """

    def __init__(self, ledger: Ledger, fate_of: FateOf | None, life_s: float, now_s: float) -> None:
        self._ledger = ledger
        self._fate_of = fate_of
        self._life_s = life_s
        self._now_s = now_s

    def why_not(self, batch: SeenBatch) -> str | None:
        """Return why a batch must stay for its blocks' sake; None if none of them can be served any more.

        By then each public one has revealed, and whoever drew it had its time to walk back.
        """
        if batch.publication is None:
            return None
        age_s = self._now_s - batch.since_s
        if age_s < self._life_s + SLACK_S:
            return UNSERVED
        if age_s >= LONGEST_LIFE_S + SLACK_S:
            return None
        # The life of a block may have been longer when it was pushed. A private one that a worker holds is gone for the
        # pool: docs/retention.md says what to do when the life is made shorter. To wait for the longest life instead
        # would keep the noise of every private batch for a month.
        for block in self._ledger.published_blocks(batch.key):
            state = self._state_of(block.block_id)
            if state is None:
                return NO_POOL
            if state in ("ready", "open"):
                return UNSERVED
        return None

    def _state_of(self, block_id: str) -> str | None:
        if self._fate_of is None:
            return None
        try:
            return self._fate_of(block_id).state
        except PoolError:
            self._fate_of = None
            return None


def removal_note(batches: BatchStore, seen: SeenBatch, why: str, now_s: float) -> Removal:
    """Return the note that is left of a batch.

    Raises
    ------
    BatchError
        If its intake, its manifest or the rows of its noise can't be read.
    """
    batch = batches.batch(seen.key)
    with naming_damage(batch):
        intake = batch.intake
        manifest = Manifest.of(batch) if batch.has(MANIFEST) else None
        noise = iter(noise_rows(batch)) if batch.has(NOISE) else None
        rows: list[ImageRow | None] = [None] * len(intake.files) if manifest is None else [*manifest.rows]
        files = []
        for item, row in zip(intake.files, rows, strict=True):
            last = next(noise, None) if noise is not None and row is not None and row.accepted else row
            files.append(
                RemovedFile(
                    file=item.file,
                    image_sha256=item.image_sha256,
                    pixel_sha256=None if row is None else row.pixel_sha256,
                    accepted=noise is not None and last is not None and last.accepted,
                    reason=None if last is None else last.reason,
                )
            )
    return Removal(
        key=seen.key,
        source=intake.source,
        recipe=intake.recipe,
        lane=intake.lane,
        time_ns=intake.time_ns,
        manifest_sha256=None if manifest is None else manifest.sha256,
        ledger_link=None if seen.publication is None else seen.publication.ledger_link,
        files=tuple(files),
        removed_at_us=int(now_s * 1e6),
        why=why,
    )
