"""What would go now, and why the rest stays: decided before anything is touched, so that a dry run says the truth."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from entropy_assets.errors import BatchError
from entropy_assets.stages.retention.limits import DAY_S, GRACE_S, KeepLimits
from entropy_assets.stages.retention.looking import FateOf, SeenBatch, Served, removal_note, seen_batches
from entropy_assets.stages.state import known_publications
from entropy_assets.stores.blobs.interface import Blob
from entropy_assets.stores.home import Home
from entropy_assets.stores.inboxes.bucket import Inbox
from entropy_assets.stores.inboxes.settled import settled_batches
from entropy_assets.stores.ledger.anchors import Anchor, refuse_if_behind
from entropy_assets.stores.removals import Removal, removed_keys

FOR_EVER: Final = "no setting says how long it is kept"
INTERRUPTED: Final = "an earlier removal of it was interrupted"
UNNEEDED: Final = "no batch that stays needs it"


class Kind(StrEnum):
    """What goes."""

    BATCH = "batch"
    NOISE = "noise"
    IMAGE = "image"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class Going:
    """One thing that goes: its name, its bytes, and why."""

    kind: Kind
    name: str
    bytes: int
    why: str


@dataclass(frozen=True, slots=True)
class RemovalPlan:
    """What goes and what stays.

    Attributes
    ----------
    going
        What goes, in the order in which it does.
    removals
        The notes of the batches that go, by their keys; one whose removal was interrupted once its intake was gone has
        its note already.
    staying
        Why each batch stays that does, by its key.
    known
        Names of all batches that were looked at: images that a newer one needs were not counted.
    bytes_before, bytes_after
        What batches and images take, bytes.
    """

    going: tuple[Going, ...] = ()
    removals: Mapping[str, Removal] = field(default_factory=dict)
    staying: Mapping[str, str] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    bytes_before: int = 0
    bytes_after: int = 0

    def of(self, kind: Kind) -> Iterator[Going]:
        """Yield what goes of one kind."""
        return (item for item in self.going if item.kind is kind)

    @property
    def freed(self) -> int:
        """Bytes of all that goes."""
        return sum(item.bytes for item in self.going)


def plan_removal(
    home: Home,
    limits: KeepLimits,
    *,
    now_s: float,
    inboxes: Mapping[str, Inbox],
    fate_of: FateOf | None = None,
    anchors: Iterable[Anchor] = (),
) -> RemovalPlan:
    """Return what goes of an installation now. Nothing is changed.

    Parameters
    ----------
    now_s
        The present, seconds since 1970.
    inboxes
        Where files may wait to be settled, by source.
    fate_of
        Asks the pool where a block is; without it young publications stay.
    anchors
        What others know of the ledger, beside the receipts.

    Raises
    ------
    LedgerBehind
        If the ledger lacks a publication that somebody knows of: by it nobody can tell what was published.
    LedgerError, StoreError, BatchError
        If ledger, store or a receipt can't be read.
    """
    if limits.keep_all:
        return RemovalPlan()
    ledger, batches = home.ledger(readonly=True), home.batches()
    refuse_if_behind(ledger, [*anchors, *known_publications(batches).values()])
    names, taken = batches.names(), {key for inbox in inboxes.values() for key in inbox.taken()}
    noted = removed_keys(batches.blobs)
    seen = seen_batches(batches, ledger, taken)
    choice = _Choice(
        limits,
        seen,
        {blob.last: blob for blob in home.images().all()} if limits.remove_batches else {},
        Served(ledger, fate_of, limits.life_s, now_s),
        lambda batch, why: removal_note(batches, batch, why, now_s),
        now_s,
    )
    choice.by_age()
    choice.by_size()
    # One that has note and intake is whole: put back, or no file of it went yet. Only its age and size decide.
    interrupted = sorted(noted.intersection(names).difference(batch.key for batch in seen))
    images = list(choice.images())
    going = [
        *choice.noise(),
        *(Going(Kind.BATCH, key, 0, INTERRUPTED) for key in interrupted),
        *choice.whole(),
        *images,
        *_settled(inboxes, limits, taken, now_s),
    ]
    return RemovalPlan(
        tuple(going), choice.removals, choice.staying(), frozenset(names), choice.before, choice.before - choice.gone
    )


class _Choice:
    """Which batches go, whole or but for what can be made again. Decided for the oldest first."""

    def __init__(
        self,
        limits: KeepLimits,
        seen: list[SeenBatch],
        images: Mapping[str, Blob],
        served: Served,
        note_of: Callable[[SeenBatch, str], Removal],
        now_s: float,
    ) -> None:
        self._limits = limits
        self._images = images
        self._served = served
        self._note_of = note_of
        self._now_s = now_s
        self._left = {batch.key: batch for batch in seen}
        self._why = {batch.key: batch.held for batch in seen if batch.held is not None}
        self._needed = Counter(image for batch in seen for image in batch.images or ())
        self._thinned: dict[str, Going] = {}
        self._whole: dict[str, Going] = {}
        self._all_known = all(batch.images is not None for batch in seen)
        self.removals: dict[str, Removal] = {}
        self.before = sum(batch.all_bytes for batch in seen) + sum(blob.size for blob in images.values())
        self.gone = sum(images[name].size for name in self._unneeded())

    def by_age(self) -> None:
        """Choose what is older than it may get."""
        for batch in list(self._left.values()):
            if (days := self._limits.batches_days) is not None and self._is_older(batch, days):
                self._remove(batch, f"{days} days are kept (ENTROPY_KEEP_BATCHES_DAYS)")
        for batch in list(self._left.values()):
            if (days := self._limits.noise_days) is not None and self._is_older(batch, days):
                self._thin(batch, f"{days} days are kept (ENTROPY_KEEP_NOISE_DAYS)")

    def by_size(self) -> None:
        """Choose the oldest, until the rest is small enough: at first what can be made again, then whole batches."""
        most = self._limits.total_bytes
        if most is None:
            return
        why = f"{most} bytes are kept (ENTROPY_KEEP_BYTES)"
        for choose in (self._thin, self._remove):
            for batch in list(self._left.values()):
                if self.before - self.gone <= most:
                    return
                if self._is_older(batch, self._limits.least_days):
                    choose(batch, why)

    def noise(self) -> Iterator[Going]:
        """Yield the batches of which only noise and blocks go."""
        return (item for key, item in self._thinned.items() if key not in self._whole)

    def whole(self) -> Iterator[Going]:
        """Yield the batches that go whole."""
        return iter(self._whole.values())

    def images(self) -> Iterator[Going]:
        """Yield the images that no batch needs."""
        return (Going(Kind.IMAGE, name, self._images[name].size, UNNEEDED) for name in self._unneeded())

    def staying(self) -> dict[str, str]:
        """Return why each batch stays, by its key."""
        return {key: self._why.get(key) or self._why_young(batch) for key, batch in self._left.items()}

    def _why_young(self, batch: SeenBatch) -> str:
        days = self._limits.batches_days
        if days is not None:
            return f"it is younger than {days} days"
        if self._limits.total_bytes is None:
            return FOR_EVER
        young = not self._is_older(batch, self._limits.least_days)
        return f"it is younger than {self._limits.least_days} days" if young else "there is room for it"

    def _is_older(self, batch: SeenBatch, days: int) -> bool:
        return self._now_s - batch.since_s >= days * DAY_S

    def _may_go(self, batch: SeenBatch) -> bool:
        if batch.key not in self._why and (why := self._served.why_not(batch)) is not None:
            self._why[batch.key] = why
        return batch.key not in self._why

    def _thin(self, batch: SeenBatch, why: str) -> None:
        if batch.key not in self._thinned and batch.noise_bytes and self._may_go(batch):
            self._thinned[batch.key] = Going(Kind.NOISE, batch.key, batch.noise_bytes, why)
            self.gone += batch.noise_bytes

    def _remove(self, batch: SeenBatch, why: str) -> None:
        if not self._may_go(batch):
            return
        try:
            self.removals[batch.key] = self._note_of(batch, why)
        except BatchError as error:
            self._why[batch.key] = f"it is damaged: {error.message}"
            return
        del self._left[batch.key]
        self._whole[batch.key] = Going(Kind.BATCH, batch.key, batch.all_bytes, why)
        self.gone += batch.all_bytes
        if (thinned := self._thinned.get(batch.key)) is not None:
            self.gone -= thinned.bytes
        self._needed -= Counter(dict.fromkeys(batch.images or (), 1))
        freed = [name for name in batch.images or () if self._may_image_go(name)]
        self.gone += sum(self._images[name].size for name in freed)

    def _unneeded(self) -> Iterator[str]:
        return filter(self._may_image_go, self._images)

    def _may_image_go(self, name: str) -> bool:
        kept = self._images.get(name)
        # while a batch can't tell its images, any of them may be one of its
        if kept is None or not self._all_known or self._needed[name]:
            return False
        return self._now_s - kept.modified_ns / 1e9 >= GRACE_S


def _settled(inboxes: Mapping[str, Inbox], limits: KeepLimits, taken: set[str], now_s: float) -> Iterator[Going]:
    if (days := limits.inbox_days) is None:
        return
    why = f"{days} days are kept (ENTROPY_KEEP_INBOX_DAYS)"
    for source, inbox in inboxes.items():
        for batch in settled_batches(inbox):
            since_s = batch.taken_s
            if batch.files and batch.key not in taken and since_s is not None and now_s - since_s >= days * DAY_S:
                yield Going(Kind.SETTLED, f"{source}/{batch.place}/{batch.key}", batch.bytes, why)
