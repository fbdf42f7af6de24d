"""The turn of one feed: what is listed is fetched, kept and remembered, image by image, within its terms.

What is written, and in which order: that an image is begun; its origin; its file in the inbox; that it is done. The
cursor moves when all that was listed is done. Who is killed between two of these writes lists and fetches again, so an
image that its server still has is not lost; one that is found to be there already is not deposited again.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from entropy_assets.sources.feeds.depot import Arrival, Backlog, Depot
from entropy_assets.sources.feeds.interface import (
    LONGEST_CURSOR,
    Candidate,
    Discovery,
    Feed,
    FeedDenied,
    FeedError,
    FeedLies,
    FeedStale,
    FeedUnavailable,
    FetchedImage,
)
from entropy_assets.sources.feeds.journal import (
    LONGEST_KEPT,
    MOST_DONE,
    FeedJournal,
    FeedJournals,
    Seen,
    Yield,
    day_of,
    mark_of,
    version_of,
)
from entropy_assets.stores.inboxes.origins import Origin

MOST_NEWEST: Final = 32
"""Hashes of the newest images of a feed that are remembered, to look up what they were worth."""
MOST_PAGES: Final = 100
"""Pages of a listing that are asked for in one turn."""
MOST_CANDIDATES: Final = MOST_DONE
"""Longest page of a listing, images."""
MOST_LIES: Final = 3
"""Images in a row that are not what they say before a turn ends."""
PASSED_OVER_AFTER: Final = 3
"""Turns in which an image is not what it says, after which it is passed over if others come."""
PASSED_OVER_AWAY: Final = 12
"""The same for an image whose server does not answer for it."""
PASSED_OVER_ALONE: Final = 24
"""The same for an image in turns that bring nothing at all: two days in quarantine. A page of such images would else
hide for ever what is listed behind it."""
CLOCK_SLACK_S: Final = 3600.0
"""A date that lies further ahead than this says nothing: one of the two clocks is wrong."""

Steps = Callable[[str, int, int], None]
"""Called with the feed, the candidates done and the candidates in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms a feed is asked.

    Attributes
    ----------
    claim
        Source of the recipe whose inbox its images enter.
    cadence_s
        Time from one look to the next, seconds.
    stale_after_s
        Age of its newest image beyond which it is stale, seconds; None for an archive, which never is.
    images_per_turn
        Most images that are fetched in a turn.
    bytes_per_day
        Bytes read in a day, UTC, after which nothing more is fetched; the image that reaches it still is.
    most_waiting, most_waiting_bytes
        Files that wait in the inbox of the claim, and their bytes, from which on nothing more is fetched.
    sharing
        Feeds of that claim. Each has an equal part of what may wait: one that fills its own starves no other.
    turn_s
        Time after which a turn begins no other image, seconds.
    """

    claim: str
    cadence_s: float
    stale_after_s: float | None = None
    images_per_turn: int = 16
    bytes_per_day: int = 4 << 30
    most_waiting: int = 1024
    most_waiting_bytes: int = 8 << 30
    sharing: int = 1
    turn_s: float = 120.0


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """What a turn came to.

    Attributes
    ----------
    journal
        What is remembered of the feed, as far as it is kept already.
    brought
        What it yielded.
    error
        What ended it, or why not all came; None if nothing is wrong.
    is_spent
        Whether the day's bytes are used up.
    backlog
        What waits in its inbox, in a sentence, if it is too much to fetch more; else empty.
    waiting
        Files that may still be written, and are left for a later look.
    """

    journal: FeedJournal
    brought: Yield
    error: FeedError | None
    is_spent: bool = False
    backlog: str = ""
    waiting: int = 0

    @property
    def answered(self) -> bool:
        """Whether the feed gave any image that is what it says, new or not."""
        return self.brought.answered


class Turn:
    """One feed, asked once.

    Parameters
    ----------
    feed, terms
        The feed.
    journals
        Where is kept what is remembered.
    depot
        Where its images go.
    now
        The present, seconds since 1970.
    steps
        What is told of the progress.
    """

    def __init__(
        self, feed: Feed, terms: Terms, journals: FeedJournals, depot: Depot, now: Callable[[], float], steps: Steps
    ) -> None:
        self._feed = feed
        self._terms = terms
        self._journals = journals
        self._depot = depot
        self._now = now
        self._steps = steps
        self._journal = journals.read(feed.name)
        self._brought = Yield()
        self._fetched = 0
        self._error: FeedError | None = None
        self._waiting = 0
        self._began_s = now()
        self._read_before = feed.read_bytes
        self._found = Backlog()

    def taken(self) -> TurnOutcome:
        """Take the turn and return what it came to. Its yield is counted and kept with each image.

        Raises
        ------
        StoreError, OSError
            If a place of ours can't be written: no fault of the feed's.
        """
        if self._journal.last_new_s is None:
            self._journal = replace(self._journal, last_new_s=self._began_s)
        is_spent = self._is_spent()
        self._found = self._depot.backlog(self._terms.claim, self._feed.name)
        if not (is_spent or self._heap()):
            try:
                self._look()
            except FeedError as error:
                self._error = error
            self._count_read()
            is_spent = self._is_spent()
        return TurnOutcome(self._journal, self._brought, self._error, is_spent, self._heap(), self._waiting)

    def _look(self) -> None:
        cursors = {_digest(self._journal.cursor)}
        for _ in range(MOST_PAGES):
            page = self._checked(self._feed.discover(self._journal.cursor))
            self._waiting = page.waiting
            if not self._is_done(page):
                return
            self._count_read()
            self._journal = self._journals.write(replace(self._journal, cursor=page.cursor, done=()))
            if page.is_whole or self._is_over():
                return
            if _digest(page.cursor) in cursors:
                raise FeedLies(f"the listing of {self._feed.name} goes in a circle", feed=self._feed.name)
            cursors.add(_digest(page.cursor))

    def _checked(self, page: Discovery) -> Discovery:
        """Return a page that can be remembered.

        Raises
        ------
        FeedLies
            If it is endless.
        FeedStale
            If its newest image is too old.
        """
        name = self._feed.name
        if len(page.cursor.encode()) > LONGEST_CURSOR or len(page.candidates) > MOST_CANDIDATES:
            raise FeedLies(f"the listing of {name} has no end: {len(page.candidates)} images", feed=name)
        if page.is_whole and page.candidates and all(map(self._is_old, page.candidates)):
            raise _stale(self._feed.name, max(str(candidate.dated_at) for candidate in page.candidates))
        return page

    def _is_done(self, page: Discovery) -> bool:
        """Go through the candidates of a page; tell whether each of them is done."""
        before = frozenset(self._journal.done)
        rest = [each for each in page.candidates if mark_of(each) not in before]
        # What failed before comes last: it keeps no new image waiting.
        order = sorted(range(len(rest)), key=lambda place: self._journal.failures_of(rest[place].url))
        done = lies = 0
        for count, place in enumerate(order):
            self._steps(self._feed.name, count, len(rest))
            self._count_read()
            if self._is_over() or lies == MOST_LIES:
                break
            try:
                self._bring(rest[place])
                lies = 0
            except (FeedUnavailable, FeedDenied):
                if self._is_passed_over(rest[place], PASSED_OVER_AWAY):
                    self._mark(rest[place])
                raise
            except FeedError as error:
                lies += 1
                self._error = error
                if not self._is_passed_over(rest[place], PASSED_OVER_AFTER):
                    continue
            done += 1
            self._mark(rest[place])
        self._steps(self._feed.name, done, len(rest))
        return done == len(rest)

    def _bring(self, candidate: Candidate) -> None:
        """Fetch a candidate, unless what it is now was had already, and put it into the inbox.

        One with a URL that can't be remembered is left.
        """
        if len(candidate.url) > LONGEST_KEPT or not candidate.url.isprintable():
            self._count(Yield(refused=1))
            return
        seen = self._journal.seen_at(candidate.url)
        if seen is not None and candidate.version and seen.version == version_of(candidate):
            return
        if self._is_old(candidate):
            self._count(Yield(refused=1))
            return
        self._fetched += 1
        image = self._feed.fetch(candidate, None if seen is None else seen.origin(self._feed.name))
        if image is None:
            self._count(Yield(unchanged=1))
            return
        if not image.data:
            raise FeedLies(f"{candidate.url} is empty", feed=self._feed.name)
        if len(image.data) > (most := self._depot.most_bytes(self._terms.claim)):
            message = f"an inbox takes files of {most} bytes at most, and {candidate.url} has {len(image.data)}"
            raise FeedError(f"{message}: raise ENTROPY_MAX_FILE_BYTES, or lower max_file_bytes", feed=self._feed.name)
        if self._is_old(image.origin):
            raise _stale(self._feed.name, str(image.origin.dated_at))
        self._keep(candidate, image)

    def _keep(self, candidate: Candidate, image: FetchedImage) -> None:
        image_sha256 = hashlib.sha256(image.data).hexdigest()
        seen, was_begun = Seen.of(candidate, image_sha256, image.origin), image_sha256 in self._journal.begun
        if not was_begun and self._depot.knows(image_sha256):
            self._journal = self._journal.with_seen(seen)
            self._count(Yield(duplicates=1))
            return
        self._journal = self._journals.write(self._journal.with_begun(image_sha256))
        arrival = self._depot.deposit(image, image_sha256, self._terms.claim, was_begun=was_begun, now_s=self._now())
        self._journal = self._journal.with_seen(seen)
        if arrival is Arrival.DUPLICATE:
            self._count(Yield(duplicates=1))
            return
        newest = (*self._journal.newest, image_sha256)[-MOST_NEWEST:]
        self._journal = replace(self._journal, newest=newest, last_new_s=self._now())
        self._count(Yield(images=1, bytes=len(image.data)))
        self._journals.write(self._journal)

    def _count(self, more: Yield) -> None:
        self._brought += more
        self._journal = self._journal.with_yield(day_of(self._now()), more)

    def _count_read(self) -> None:
        """Count what was read since it was counted last, whatever came of it."""
        read, self._read_before = self._feed.read_bytes - self._read_before, self._feed.read_bytes
        if read:
            self._count(Yield(read_bytes=read))

    def _mark(self, candidate: Candidate) -> None:
        """Remember that one is done, while others of its page are not."""
        self._journal = replace(self._journal, done=(*self._journal.done, mark_of(candidate))[-MOST_DONE:])

    def _is_passed_over(self, candidate: Candidate, most: int) -> bool:
        """Count a failure of a candidate; tell whether it is given up, so that it keeps no other waiting.

        While nothing else comes either it is not given up for long: what ails the whole server says nothing of its
        images. What failed before comes last, so by then all others were asked for; if there was none, what was had
        last is.
        """
        times = self._journal.failures_of(candidate.url) + 1
        is_alone = times < PASSED_OVER_ALONE and not self._brought.answered
        if times < most or (is_alone and not self._still_gives()):
            self._journal = self._journal.with_failure(candidate.url)
            return False
        self._journal = self._journal.without_failure(candidate.url)
        self._count(Yield(refused=1))
        return True

    def _still_gives(self) -> bool:
        """Tell whether what was had last can be had again: else a page that nothing is added to is never done."""
        if not self._journal.seen:
            return False
        last = self._journal.seen[-1]
        try:
            # In full, for a place that only says that it is the same may not be able to give it.
            self._feed.fetch(Candidate(url=last.url, version=last.version))
        except FeedError:
            return False
        self._count(Yield(unchanged=1))
        return True

    def _is_over(self) -> bool:
        return (
            self._fetched >= self._terms.images_per_turn
            or abs(self._now() - self._began_s) >= self._terms.turn_s
            or self._is_spent()
            or bool(self._heap())
        )

    def _is_spent(self) -> bool:
        return self._journal.read_on(day_of(self._now())) >= self._terms.bytes_per_day

    def _heap(self) -> str:
        """Return what waits in the inbox, in a sentence, if whoever takes it in does not keep up, or is away.

        That is too much in all, or of this feed alone, which has its part of it.
        """
        found, new, terms = self._found, self._brought, self._terms
        for files, size, parts, whose in (
            (found.files, found.bytes, 1, ""),
            (found.own_files, found.own_bytes, terms.sharing, " of its own"),
        ):
            is_full = (files + new.images) * parts >= terms.most_waiting
            if is_full or (size + new.bytes) * parts >= terms.most_waiting_bytes:
                waits = f"{files + new.images} files{whose} wait in its inbox"
                return f"{waits}: nothing more is fetched until batches take them in"
        return ""

    def _is_old(self, told: Candidate | Origin) -> bool:
        age_s = self._age_s(told.dated_at)
        return self._terms.stale_after_s is not None and age_s is not None and age_s > self._terms.stale_after_s

    def _age_s(self, dated_at: str | None) -> float | None:
        if dated_at is None:
            return None
        age_s = self._now() - datetime.fromisoformat(dated_at).astimezone(UTC).timestamp()
        return None if age_s < -CLOCK_SLACK_S else age_s


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _stale(name: str, dated_at: str) -> FeedStale:
    return FeedStale(f"the newest image of {name} is of {dated_at}", feed=name, dated_at=dated_at)
