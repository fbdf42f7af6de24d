"""What the feeds yield and where each stands, as their journals tell, and what their newest images were worth."""

from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final, TypedDict

from entropy_assets.errors import BatchError
from entropy_assets.sources.feeds.journal import FeedJournal, FeedJournalDamaged, FeedJournals, Yield, day_of
from entropy_assets.stages.assessments import noise_rows
from entropy_assets.stages.manifest import Manifest
from entropy_assets.stages.state import naming_damage
from entropy_assets.stores.batches import NOISE, Batch, BatchStore

MOST_BATCHES: Final = 200
"""Batches that are read for the worth of the newest images, the newest first."""


class FeedFacts(TypedDict):
    """Where a feed stands. Times are seconds since 1970.

    Attributes
    ----------
    state
        ``well``, ``quarantine``, ``never asked`` or ``damaged``.
    trouble, words, since_s, times
        What ails it, in a code and a sentence, since when, and in how many rounds; None if nothing does.
    due_s
        When it is to be asked again.
    last_new_s, newest
        When it last brought a new image, and its SHA-256; None if it never did.
    total, today
        What it yielded since it was first asked, and on this day, UTC.
    """

    feed: str
    state: str
    trouble: str | None
    words: str | None
    since_s: float | None
    times: int
    due_s: float | None
    last_new_s: float | None
    newest: str | None
    total: dict[str, int]
    today: dict[str, int]


def facts_of(journal: FeedJournal, now_s: float) -> FeedFacts:
    """Return where a feed stands."""
    trouble, newest = journal.trouble, journal.newest[-1] if journal.newest else None
    asked = "never asked" if journal.last_new_s is None else "well"
    return {
        "feed": journal.name,
        "state": asked if trouble is None else "quarantine",
        "trouble": None if trouble is None else trouble.kind,
        "words": None if trouble is None else trouble.words,
        "since_s": None if trouble is None else trouble.since_s,
        "times": 0 if trouble is None else trouble.times,
        "due_s": journal.due_s or None,
        "last_new_s": journal.last_new_s if newest else None,
        "newest": newest,
        "total": asdict(journal.total),
        "today": asdict(dict(journal.days).get(day_of(now_s), Yield())),
    }


def facts_of_all(journals: FeedJournals, names: Collection[str], now_s: float) -> list[FeedFacts]:
    """Return where each of the feeds stands, in their order; of a damaged journal that it is damaged."""
    return [_read(journals, name, now_s) for name in names]


def _read(journals: FeedJournals, name: str, now_s: float) -> FeedFacts:
    try:
        return facts_of(journals.read(name), now_s)
    except FeedJournalDamaged as error:
        nothing = facts_of(FeedJournal(name=name), now_s)
        return {**nothing, "state": "damaged", "trouble": error.code, "words": error.message}


@dataclass(frozen=True, slots=True)
class Worth:
    """What images were worth, as far as they were assessed.

    Attributes
    ----------
    assessed
        How many were.
    credited
        How many of those were credited.
    credit_bits
        What they were credited together.
    reasons
        How many were refused, by reason.
    """

    assessed: int
    credited: int
    credit_bits: int
    reasons: dict[str, int]


def worth_of(batches: BatchStore, image_sha256s: Collection[str]) -> Worth:
    """Return what those images were worth, from the newest `MOST_BATCHES` batches. A damaged batch tells nothing."""
    wanted, found = set(image_sha256s), dict[str, _Assessed]()
    # the end of a key is its time and its hash
    for key in sorted(batches.names(), key=lambda key: key.split("-")[-2:], reverse=True)[:MOST_BATCHES]:
        if found.keys() == wanted:
            break
        with suppress(BatchError):
            found |= {sha256: row for sha256, row in _assessed(Batch(batches.blobs, key)).items() if sha256 in wanted}
    credited = [row.credit_bits for row in found.values() if row.reason is None]
    reasons = Counter(row.reason for row in found.values() if row.reason is not None)
    return Worth(len(found), len(credited), sum(credited), dict(reasons))


@dataclass(frozen=True, slots=True)
class _Assessed:
    credit_bits: int
    reason: str | None


def _assessed(batch: Batch) -> dict[str, _Assessed]:
    """Return what became of each image of a batch; of one that is not assessed yet nothing."""
    if not batch.has(NOISE):
        return {}
    with naming_damage(batch):
        unreadable = [row for row in Manifest.of(batch).rows if not row.accepted]
        rows = {row.image_sha256: _Assessed(0, str(row.reason)) for row in unreadable}
        for noise in noise_rows(batch):
            rows[noise.image_sha256] = _Assessed(noise.credit_bits, None if noise.accepted else str(noise.reason))
        return rows
