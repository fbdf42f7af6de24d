"""What is remembered of each feed, one file each: where it stands, what was had, what it yields, and what ails it.

Each file is replaced as a whole and is bounded for ever, whatever a server tells: `MOST_BYTES`. They lie where images
do, so that every machine knows what another one had. Trusted for pacing and for telling people. Who loses it loses no
image and has none credited twice: the feed begins anew with its newest images, and what is known already is told by
its hash.
"""

import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from entropy_assets.sources.feeds.interface import Candidate, FeedError
from entropy_assets.stores.blobs.folder import FolderBlobs
from entropy_assets.stores.blobs.interface import Blobs
from entropy_assets.stores.blobs.leases import leased
from entropy_assets.stores.blobs.refusals import BlobMissing
from entropy_assets.stores.file_names import SHORT_NAME, printable
from entropy_assets.stores.inboxes.origins import Origin

MOST_SEEN: Final = 256
"""URLs of which is remembered what was had there; beyond them a cursor tells what is done."""
MOST_FAILED: Final = 64
"""URLs of which is remembered that they could not be had."""
MOST_OPEN: Final = 8
"""Images that are remembered as begun to be put into an inbox."""
MOST_DAYS: Final = 60
"""Days of which the yield is kept."""
LONGEST_KEPT: Final = 1000
"""Longest text that is remembered of an image, its URL among it, characters."""
MOST_DONE: Final = 20_000
"""Images of a page that are remembered as done while others of it are not."""
MOST_BYTES: Final = 3 << 20
"""Largest file of a feed, bytes. What real servers tell makes it some ten thousand, and 8 for each file listed."""
LEASE_S: Final = 1800.0
"""After how long a feed that a killed worker asked can be asked by another machine: no turn takes as long, seconds."""
_LONGEST_TAG: Final = 200
_MARK_DIGITS: Final = 20
_NAME: Final = re.compile(SHORT_NAME, re.ASCII)


class FeedJournalDamaged(FeedError):
    """What is kept of a feed can't be read; ``data["path"]`` is its file."""

    code = "feed-journal-damaged"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was had at a URL the last time: its version there, its hash, and what the server called it."""

    url: str
    version: str
    image_sha256: str
    fetched_at: str
    etag: str | None = None
    last_modified: str | None = None

    @classmethod
    def of(cls, candidate: Candidate, image_sha256: str, origin: Origin) -> Self:
        """Return what to remember; a tag that is too long is forgotten, so that the image is asked for in full."""
        return cls(
            candidate.url,
            version_of(candidate),
            image_sha256,
            origin.fetched_at,
            _kept(origin.etag),
            _kept(origin.last_modified),
        )

    def origin(self, feed: str) -> Origin:
        """Return it as a reader wants it, which asks only for what has changed."""
        return Origin(
            feed=feed,
            url=self.url,
            fetched_at=self.fetched_at,
            etag=self.etag,
            last_modified=self.last_modified,
        )


@dataclass(frozen=True, slots=True)
class FeedTrouble:
    """Why a feed is in quarantine.

    Attributes
    ----------
    kind
        Code of the error, like ``feed-unavailable``.
    words
        The error in a sentence.
    since_s
        When the trouble began, seconds since 1970.
    times
        Rounds in a row that ended in it.
    alarmed
        Kinds for which an alarm was raised since then.
    """

    kind: str
    words: str
    since_s: float
    times: int = 1
    alarmed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Yield:
    """What a feed brought in some time.

    Attributes
    ----------
    images, bytes
        What was put into an inbox.
    read_bytes
        What was read for it: the images that were put into an inbox and all others, and what servers list.
    unchanged
        Images that were asked for and are what they were.
    duplicates
        Images whose bytes were known already, from elsewhere or under another name; not put into an inbox.
    refused
        Images that are old, or could not be had in several rounds in which others could.
    failures
        Rounds that ended in trouble.
    """

    images: int = 0
    bytes: int = 0
    read_bytes: int = 0
    unchanged: int = 0
    duplicates: int = 0
    refused: int = 0
    failures: int = 0

    @property
    def answered(self) -> bool:
        """Whether any image was what it says, new or not."""
        return self.images + self.unchanged + self.duplicates > 0

    def __add__(self, other: "Yield") -> "Yield":
        """Return both together."""
        mine, its = asdict(self), asdict(other)
        return Yield(**{name: mine[name] + its[name] for name in mine})


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedJournal:
    """What is remembered of a feed.

    Attributes
    ----------
    name
        The feed.
    cursor
        What it is asked with the next time.
    done
        `mark_of` each candidate behind the cursor that is done, in no order of a listing: what comes late is not done.
    seen
        What was had, the oldest first.
    failed
        URLs that could not be had though they are listed, and in how many rounds.
    begun
        Hashes of images whose origin is or will be kept, and that may not be in the inbox yet.
    newest
        Hashes of the newest images that it brought, the newest last.
    last_new_s
        When it last brought one, or when it was first asked, seconds since 1970.
    due_s
        When it is to be asked again, seconds since 1970.
    trouble
        What ails it; None if nothing does.
    backlog
        What waited in its inbox at its last look, in a sentence, if that was too much to fetch more; else empty.
    days
        What it yielded, by day in UTC like ``2026-11-29``, the oldest first.
    total
        What it yielded since it was first asked.
    """

    name: str
    cursor: str = ""
    done: tuple[str, ...] = ()
    seen: tuple[Seen, ...] = ()
    failed: tuple[tuple[str, int], ...] = ()
    begun: tuple[str, ...] = ()
    newest: tuple[str, ...] = ()
    last_new_s: float | None = None
    due_s: float = 0.0
    trouble: FeedTrouble | None = None
    backlog: str = ""
    days: tuple[tuple[str, Yield], ...] = ()
    total: Yield = Yield()

    def seen_at(self, url: str) -> Seen | None:
        """Return what was had at `url`; None if nothing was, or that is forgotten."""
        return next((each for each in self.seen if each.url == url), None)

    def failures_of(self, url: str) -> int:
        """Return in how many rounds `url` could not be had though others could."""
        return dict(self.failed).get(url, 0)

    def read_on(self, day: str) -> int:
        """Return the bytes that were read on that day."""
        return dict(self.days).get(day, Yield()).read_bytes

    def with_begun(self, image_sha256: str) -> Self:
        """Return it with an image that is about to be put into an inbox."""
        others = tuple(each for each in self.begun if each != image_sha256)
        return replace(self, begun=(*others, image_sha256)[-MOST_OPEN:])

    def with_seen(self, seen: Seen) -> Self:
        """Return it with what was had at a URL; of an image that was begun this tells that it is done."""
        others = tuple(each for each in self.seen if each.url != seen.url)
        return replace(
            self,
            seen=(*others, seen)[-MOST_SEEN:],
            failed=self.without_failure(seen.url).failed,
            begun=tuple(each for each in self.begun if each != seen.image_sha256),
        )

    def with_failure(self, url: str) -> Self:
        """Return it with one more round in which `url` alone could not be had."""
        others = tuple(each for each in self.failed if each[0] != url)
        return replace(self, failed=(*others, (url, self.failures_of(url) + 1))[-MOST_FAILED:])

    def without_failure(self, url: str) -> Self:
        """Return it without what is remembered of failures at `url`."""
        return replace(self, failed=tuple(each for each in self.failed if each[0] != url))

    def with_yield(self, day: str, more: Yield) -> Self:
        """Return it with what was yielded on `day`."""
        by_day = dict(self.days)
        by_day[day] = by_day.get(day, Yield()) + more
        # The newest days are kept by their dates: a clock that was set back makes no day the newest.
        days = sorted(by_day.items())[-MOST_DAYS:]
        return replace(self, days=tuple(days), total=self.total + more)

    def encoded(self) -> bytes:
        """Return it as a file holds it."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False).encode()

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Return what a file holds.

        Raises
        ------
        ValueError
            If it is no journal of a feed.
        """
        try:
            told: dict[str, Any] = json.loads(data)
            trouble = told.pop("trouble")
            return cls(
                seen=tuple(Seen(**each) for each in told.pop("seen")),
                failed=tuple((str(url), int(times)) for url, times in told.pop("failed")),
                begun=tuple(map(str, told.pop("begun"))),
                done=tuple(map(str, told.pop("done"))),
                newest=tuple(map(str, told.pop("newest"))),
                trouble=None if trouble is None else FeedTrouble(**trouble | {"alarmed": tuple(trouble["alarmed"])}),
                days=tuple((str(day), Yield(**each)) for day, each in told.pop("days")),
                total=Yield(**told.pop("total")),
                **told,
            )
        except (TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
            raise ValueError(f"no journal of a feed: {error}") from None


class FeedJournals:
    """The journals of all feeds: ``NAME.json``, and a lock for who asks the feed.

    Parameters
    ----------
    place
        Where they are: a local folder, made when first written to, or the blobs of any store.
    """

    def __init__(self, place: Path | Blobs) -> None:
        self.blobs = FolderBlobs(place) if isinstance(place, Path) else place

    def place(self, name: str) -> str:
        """Return where the journal of a feed is, for people.

        Raises
        ------
        ValueError
            If that is no name of a feed.
        """
        blob = _blob_of(name)
        return str(self.blobs.path(blob)) if isinstance(self.blobs, FolderBlobs) else f"feeds/{blob} of the store"

    def version(self, name: str) -> str:
        """Return what changes when the journal of a feed does; empty if there is none."""
        blob = self.blobs.find(_blob_of(name))
        return "" if blob is None else blob.version

    def names(self) -> list[str]:
        """Return the names of all feeds that were ever asked, sorted, also of those that are configured no more."""
        stems = (blob.name.removesuffix(".json") for blob in self.blobs.list().blobs if blob.name.endswith(".json"))
        return sorted(filter(_NAME.fullmatch, stems))

    def read(self, name: str) -> FeedJournal:
        """Return what is remembered of a feed; of one that was never asked nothing.

        Raises
        ------
        FeedJournalDamaged
            If its file is none.
        """
        blob = _blob_of(name)
        try:
            return FeedJournal.read(self.blobs.read(blob))
        except BlobMissing:
            return FeedJournal(name=name)
        except ValueError as error:
            path = self.place(name)
            message = f"{path} can't be read ({error}): remove it, and the feed begins anew; no image is credited twice"
            raise FeedJournalDamaged(message, feed=name, path=path) from error

    def write(self, journal: FeedJournal) -> FeedJournal:
        """Keep what is remembered of a feed in the place of what was; return it."""
        self.blobs.replace(_blob_of(journal.name), journal.encoded())
        return journal

    @contextmanager
    def held(self, name: str) -> Iterator[bool]:
        """Yield whether the feed is this caller's alone to ask meanwhile; false if somebody else asks it just now.

        In a folder that ends with its process; in a store it ends after `LEASE_S`, if who asked it was killed.
        """
        if not isinstance(self.blobs, FolderBlobs):
            with leased(self.blobs, f"asking/{_blob_of(name).removesuffix('.json')}", LEASE_S, time.time) as is_free:
                yield is_free
            return
        path = self.blobs.path(_blob_of(name)).with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)


def _blob_of(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a feed")
    return f"{name}.json"


def day_of(now_s: float) -> str:
    """Return the day in UTC: ``2026-11-29``."""
    return datetime.fromtimestamp(now_s, UTC).date().isoformat()


def version_of(candidate: Candidate) -> str:
    """Return the version of a candidate as it is remembered: its hash, if it is long or not printable."""
    version = candidate.version
    if len(version) <= _LONGEST_TAG and version.isprintable():
        return version
    return hashlib.sha256(version.encode("utf-8", "surrogatepass")).hexdigest()


def mark_of(candidate: Candidate) -> str:
    """Return what stands for a candidate, however long its URL is: a short hash of that and of its version."""
    told = f"{candidate.url}\0{candidate.version}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(told).hexdigest()[:_MARK_DIGITS]


def short(text: str) -> str:
    """Return printable text that is no longer than what is remembered of anything."""
    return printable(text)[:LONGEST_KEPT]


def _kept(tag: str | None) -> str | None:
    return None if tag is None or len(tag) > _LONGEST_TAG else tag
