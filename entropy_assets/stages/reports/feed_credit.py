"""What the images of each feed were credited, by day: a running sum in one bounded blob; each batch is read once.

It lies beside the journals of the feeds, so all machines that share a store have one sum. Trusted for nothing, and
shown to people alone. Where the blob is lost or damaged, the sum begins anew with the newest batches.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self

from entropy_assets.errors import BatchError
from entropy_assets.stages.manifest import Manifest
from entropy_assets.stages.reports.worth import assessed_images
from entropy_assets.stages.state import naming_damage
from entropy_assets.stores.batches import NOISE, Batch, BatchStore, moment_of
from entropy_assets.stores.blobs.interface import Blobs
from entropy_assets.stores.blobs.refusals import BlobMissing

FILE: Final = ".credit.json"
"""Its name among the journals of the feeds; that of no feed begins with a dot."""
MOST_AT_ONCE: Final = 200
"""New batches that one call reads, the newest; older ones that are new as well are never counted."""
MOST_DAYS: Final = 60
"""Days of a feed that are kept, as its journal does."""
MOST_OPEN: Final = 64
"""Batches that are waited for until they are assessed; beyond them the oldest are given up."""


@dataclass(frozen=True, slots=True)
class DayCredit:
    """What became of the images of a feed whose batches were taken in on one day: bits, images with and without any."""

    bits: int = 0
    credited: int = 0
    refused: int = 0

    def __add__(self, other: "DayCredit") -> "DayCredit":
        return DayCredit(self.bits + other.bits, self.credited + other.credited, self.refused + other.refused)


@dataclass(slots=True)
class _Sums:
    """What the blob holds: the newest batch that was looked at, those to look at again, and days by feed."""

    newest: str = ""
    open: list[str] = field(default_factory=list)
    days: dict[str, dict[str, DayCredit]] = field(default_factory=dict)

    @classmethod
    def read(cls, data: bytes) -> Self:
        try:
            told = json.loads(data)
            days = {
                str(feed): {str(day): DayCredit(**each) for day, each in by_day.items()}
                for feed, by_day in told["days"].items()
            }
            return cls(str(told["newest"]), [str(key) for key in told["open"]], days)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls()

    def add(self, batch: Batch) -> None:
        """Count what the images of a batch were worth to their feeds."""
        with naming_damage(batch):
            day = datetime.fromtimestamp(batch.intake.time_ns / 1e9, UTC).date().isoformat()
            feeds = {row.image_sha256: row.origin.feed for row in Manifest.of(batch).rows if row.origin is not None}
            for sha256, image in assessed_images(batch).items():
                if sha256 in feeds:
                    is_credited = image.reason is None
                    by_day = self.days.setdefault(feeds[sha256], {})
                    more = DayCredit(image.credit_bits if is_credited else 0, is_credited, not is_credited)
                    by_day[day] = by_day.get(day, DayCredit()) + more

    def encoded(self) -> bytes:
        kept = {feed: dict(sorted(by_day.items())[-MOST_DAYS:]) for feed, by_day in self.days.items()}
        told: dict[str, Any] = {"newest": self.newest, "open": self.open, "days": kept}
        return json.dumps(told, default=asdict, sort_keys=True).encode()


def credit_by_day(feeds: Blobs, batches: BatchStore) -> Mapping[str, Mapping[str, DayCredit]]:
    """Count the batches that are new or newly assessed; return what each feed's images were credited, by day in UTC.

    Several processes may call it at once, on several machines: what is written says of itself which batches are in it,
    so of two sums each is whole, and the last to be written stays. A damaged batch tells nothing.

    Parameters
    ----------
    feeds
        What is remembered of the feeds.

    Raises
    ------
    StoreError, OSError
        If it can't be kept there.
    """
    try:
        before = feeds.read(FILE)
    except BlobMissing:
        before = b""
    sums = _Sums.read(before)
    names = set(batches.names())
    new = sorted((key for key in names if moment_of(key) > moment_of(sums.newest)), key=moment_of)[-MOST_AT_ONCE:]
    waiting = []
    for key in (*(key for key in sums.open if key in names), *new):
        batch = Batch(batches.blobs, key)
        if not batch.has(NOISE):
            waiting.append(key)
            continue
        with suppress(BatchError):
            sums.add(batch)
    sums.newest, sums.open = new[-1] if new else sums.newest, waiting[-MOST_OPEN:]
    if (data := sums.encoded()) != before:
        feeds.replace(FILE, data)
    return sums.days
