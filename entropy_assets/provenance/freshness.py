"""How fresh the supply is: when the last image was accepted, the last block published, the last health test failed.

Batches are looked at newest first, each until it is assessed and then never again, and one call reads for a bounded
time. So what is recent is known at once, and the rest of a long history within some calls.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

from entropy_assets.errors import BatchError, LedgerError, RejectionReason
from entropy_assets.provenance.standing import LOOK_S, MOST_NAMED, Standing
from entropy_assets.stages.state import naming_damage
from entropy_assets.stores.batches import MANIFEST, NOISE, Batch, BatchStore, moment_of
from entropy_assets.stores.blobs.refusals import BlobUnreadable, StoreError
from entropy_assets.stores.ledger.record import Ledger

READ_S: Final = 0.05
"""Time for reading batches that one call may spend, seconds; one batch is read in any case."""
UNKNOWN: Final = "unknown"
"""What is told of a reason that is none of `RejectionReason`: so there are not more of them, whatever a file says."""
_REASONS: Final = frozenset(map(str, RejectionReason))


@dataclass(frozen=True, slots=True)
class _Assessed:
    """What one batch says: when it was taken in, ns since 1970, whether it gave anything, and why what was not.

    `credit_bits` is by feed, `refusals` by feed and reason; images that no feed brought are in neither.
    """

    time_ns: int
    accepted: bool
    reasons: Counter[str]
    credit_bits: Counter[str] = field(default_factory=Counter)
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)


class SupplyAges(TypedDict):
    """How old the supply is: ages in seconds, None where there is no such event.

    Attributes
    ----------
    image_age_s
        Since the intake of the last batch with an accepted image.
    block_age_s
        Since the last publication.
    health_test_failure_age_s
        Since the intake of the last batch with an image that failed the health tests.
    rejected_images
        How many by reason, over all batches; None until all were read.
    problem
        A sentence if the ledger can't be read.
    doubts
        What else is wrong with the supply, each as a code and a sentence.
    feeds
        What each feed yielded, by name: counts by their names, ages in seconds.
    rejected_of_feeds
        How many images of each feed were not credited, by reason; empty while not all batches are counted.
    """

    image_age_s: float | None
    block_age_s: float | None
    health_test_failure_age_s: float | None
    rejected_images: dict[str, int] | None
    problem: str | None
    doubts: list[tuple[str, str]]
    feeds: dict[str, dict[str, float]]
    rejected_of_feeds: dict[str, dict[str, int]]


@dataclass(slots=True)
class Freshness:
    """The ages of the supply; remembers what it read, so keep one and ask it again. Not for several threads at once.

    Attributes
    ----------
    batches, ledger
        Where to look.
    clock
        Nanoseconds since 1970.
    """

    batches: BatchStore
    ledger: Ledger
    clock: Callable[[], int] = time.time_ns
    _read: set[str] = field(default_factory=set)
    _unreadable: dict[str, str] = field(default_factory=dict)
    _rejected: Counter[str] = field(default_factory=Counter)
    _credit_bits: Counter[str] = field(default_factory=Counter)
    _refusals: Counter[tuple[str, str]] = field(default_factory=Counter)
    _image_ns: int | None = None
    _failure_ns: int | None = None
    _standing: Standing = field(init=False)

    def __post_init__(self) -> None:
        self._standing = Standing(self.batches, self.ledger, every_s=LOOK_S, clock=self._now_s)

    def now(self) -> SupplyAges:
        """Return the ages; what was not found yet counts as not there."""
        complete, doubts = self._looked()
        published_us, problem = self._published_us()
        now_ns = self.clock()
        return {
            "image_age_s": _age_s(now_ns, self._image_ns),
            "block_age_s": _age_s(now_ns, None if published_us is None else published_us * 1000),
            "health_test_failure_age_s": _age_s(now_ns, self._failure_ns),
            "rejected_images": dict(self._rejected) if complete else None,
            "problem": problem,
            "doubts": [*doubts, *self._standing.doubts()],
            "feeds": {feed: {"credit_bits": float(bits)} for feed, bits in self._credit_bits.items() if complete},
            "rejected_of_feeds": self._refused() if complete else {},
        }

    def _refused(self) -> dict[str, dict[str, int]]:
        told: dict[str, dict[str, int]] = {}
        for (feed, reason), images in self._refusals.items():
            told.setdefault(feed, {})[reason] = images
        return told

    def _now_s(self) -> float:
        return self.clock() / 1e9

    def _published_us(self) -> tuple[int | None, str | None]:
        try:
            return self.ledger.last_published_us(), None
        except LedgerError as error:
            return None, error.public_message

    def _looked(self) -> tuple[bool, list[tuple[str, str]]]:
        try:
            complete = self._look()
        except StoreError as error:
            return False, [(error.code, error.public_message)]
        return complete and not self._unreadable, _told(self._unreadable)

    def _look(self) -> bool:
        """Read the newest batches that were not; return whether none was left for another call."""
        deadline = time.monotonic() + READ_S
        for key in self._unread():
            try:
                assessed = _assessed(Batch(self.batches.blobs, key))
            except BlobUnreadable as error:
                self._unreadable[key] = error.public_message
            else:
                self._unreadable.pop(key, None)
                if assessed is not None:
                    self._read.add(key)
                    self._remember(assessed)
            if time.monotonic() > deadline:
                return False
        return True

    def _unread(self) -> list[str]:
        """Return the batches to read, newest first; those that could not be read last, since a bad disk is slow."""
        keys = [key for key in self.batches.names() if key not in self._read]
        self._unreadable = {key: self._unreadable[key] for key in keys if key in self._unreadable}
        return sorted(keys, key=lambda key: (key not in self._unreadable, moment_of(key)), reverse=True)

    def _remember(self, assessed: _Assessed) -> None:
        self._rejected.update(assessed.reasons)
        self._credit_bits.update(assessed.credit_bits)
        self._refusals.update(assessed.refusals)
        if assessed.accepted:
            self._image_ns = max(self._image_ns or 0, assessed.time_ns)
        if assessed.reasons[RejectionReason.HEALTH_TEST_FAILED.value]:
            self._failure_ns = max(self._failure_ns or 0, assessed.time_ns)


def _assessed(batch: Batch) -> _Assessed | None:
    """Return what the batch says, None before its noise was assessed. A damaged one says nothing, and is done.

    Raises
    ------
    BlobUnreadable
        If the system does not let a file of it be read; somebody may mend that.
    """
    if not batch.has(NOISE):
        return None
    try:
        with naming_damage(batch):
            noise = batch.read_json(NOISE)["rows"]
            seen = batch.read_json(MANIFEST)["rows"]
            refused = [row for row in (*seen, *noise) if not row["accepted"]]
            reasons = Counter(str(row["reason"]) for row in refused)
            feeds = {row["image_sha256"]: str(row["origin"]["feed"]) for row in seen if "origin" in row}
            return _Assessed(
                int(batch.intake.time_ns),
                any(row["accepted"] for row in noise),
                reasons,
                _credits(feeds, noise),
                Counter(
                    (feeds[row["image_sha256"]], row["reason"] if row["reason"] in _REASONS else UNKNOWN)
                    for row in refused
                    if row.get("image_sha256") in feeds
                ),
            )
    except BatchError:
        return _Assessed(0, False, Counter())


def _told(unreadable: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what to tell of batches that can't be read, by their keys why."""
    if not unreadable:
        return []
    newest = sorted(unreadable, key=moment_of, reverse=True)
    named = "; ".join(unreadable[key] for key in newest[:MOST_NAMED])
    return [(BlobUnreadable.code, f"{len(newest)} batches can't be read: {named}" if len(newest) > 1 else named)]


def _credits(feeds: Mapping[str, str], noise: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Return the bits that the images of each feed were credited; zero for a feed whose images gave none."""
    bits = Counter(dict.fromkeys(feeds.values(), 0))
    for row in noise:
        if row.get("image_sha256") in feeds:
            bits[feeds[row["image_sha256"]]] += int(row["credit_bits"])
    return bits


def _age_s(now_ns: int, then_ns: int | None) -> float | None:
    """Return the seconds between; 0 for what lies in the future, as after a step of the clock."""
    return None if then_ns is None else max(0, now_ns - then_ns) / 1e9
