"""Places that change with the time, as folders by day or hour do, and the way through what is listed in them.

A walk goes from period to period, the oldest first, and in each it takes the entries that it does not know. A period
stays open for some time after its end, since what is taken in its last minutes arrives later.

No order of names or dates tells what is new: ``bias_1.fits`` may come after ``light_1.fits``, a copy keeps its old
date, and many a page tells none. So a cursor has the marks of what is done in each period that is open. It is bounded
all the same: of a place with more than `REMEMBERED` entries, and of a listing in many pages, only the last ones are
known so, and of all others the place in their order up to which all is done.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, Self

from entropy_assets.sources.feeds.documents.times import iso_time
from entropy_assets.sources.feeds.interface import LONGEST_CURSOR, MARK_LENGTH, Candidate, Discovery, mark_of

LATE: Final = {"hour": timedelta(hours=1)}
"""How long after its end a period may still get entries, by its unit."""
LATE_AT_MOST: Final = timedelta(days=1)
"""The same for a day and all that is longer: the night of a telescope ends in the morning."""
REMEMBERED: Final = 20_000
"""Entries of a place that are known by their marks, those that come last in its order."""
HORIZON: Final = timedelta(days=7)
"""How far back a walk goes that was away, unless the age of its images is limited."""
LONGEST_HORIZON: Final = timedelta(days=31)
LOOKS_BACK: Final = 4
"""Periods in which the newest images are looked for at first."""
MOST_PAGES: Final = 10
"""Pages that one call asks for."""
PAGES_AGAIN: Final = 2
"""Pages of a long listing that each look asks for again, the last ones."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a listing.

    Attributes
    ----------
    order
        By what the entries of a place are ordered.
    candidate
        What is there; None if it is no image, and only marks how far the listing was read.
    told
        What is another one when the entry is, beyond ``order``.
    waits
        Whether it is left for a later look if it is new.
    """

    order: str
    candidate: Candidate | None
    told: str = ""
    waits: bool = False

    @property
    def mark(self) -> str:
        """What it is known by."""
        return mark_of(self.order, self.told)


@dataclass(frozen=True, slots=True)
class Known:
    """What is done in a place.

    Attributes
    ----------
    floor
        All entries up to this one in their order are done, or passed over.
    marks
        Marks of those behind it that are done, those that were listed last at the end. What is listed no more is known
        for some time: a disk that is away for an hour has nothing new when it is back.
    """

    floor: str = ""
    marks: tuple[str, ...] = ()

    @classmethod
    def read(cls, told: object) -> Self | None:
        """Return what stands in a cursor; None if nothing does."""
        match told:
            case str(floor):
                return cls(floor)
            case [str(floor), str(marks)]:
                places = range(0, len(marks), MARK_LENGTH)
                return cls(floor, tuple(marks[place : place + MARK_LENGTH] for place in places))
        return None

    def encoded(self) -> list[str]:
        """Return it as a cursor has it."""
        return [self.floor, "".join(self.marks)]

    def passing(self, passed: Sequence[tuple[str, str]], floor: str = "") -> Self:
        """Return it after a look.

        Parameters
        ----------
        passed
            Order and mark of all entries that were listed and are done, in their order.
        floor
            Up to where no mark is kept.
        """
        if len(passed) > REMEMBERED:
            floor = max(floor, passed[-REMEMBERED - 1][0])
        floor = max(floor, self.floor)
        listed = {mark for _, mark in passed}
        marks = [mark for mark in self.marks if mark not in listed]
        marks += [mark for order, mark in passed if order > floor]
        return type(self)(floor, tuple(marks[-REMEMBERED - REMEMBERED // 4 :]))


def read_known(cursor: str) -> Known | None:
    """Return what a cursor has that is of one place; None of one that is none, and of the empty one."""
    try:
        return Known.read(json.loads(cursor))
    except ValueError:
        return None


Listing = Callable[[str, str], tuple[Sequence[Entry], bool]]
"""Takes a place and the order behind which to list; returns what is there, in its order, and whether more follows."""


class DatedPlace:
    """A place with times in braces, like ``{year}/{month}/{day}/``; without any it is one for all times."""

    def __init__(self, template: str) -> None:
        self.template = template
        units = ("hour", "day", "month", "year")
        names = template.replace("{yearday}", "{day}")
        self.unit = next((unit for unit in units if f"{{{unit}}}" in names), "")

    def at(self, period: datetime) -> str:
        """Return the place of the period that begins then."""
        # the braces were checked where they were read, and text in them is never given
        told = {"year": "%Y", "month": "%m", "day": "%d", "yearday": "%j", "hour": "%H"}
        place = self.template
        for name, form in told.items():
            place = place.replace(f"{{{name}}}", period.strftime(form))
        return place

    def begin(self, moment: datetime) -> datetime:
        """Return the beginning of the period that a moment lies in; for an undated place, of all times."""
        hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        match self.unit:
            case "hour":
                return hour
            case "day":
                return hour.replace(hour=0)
            case "month":
                return hour.replace(hour=0, day=1)
            case "year":
                return hour.replace(hour=0, day=1, month=1)
        return datetime(1970, 1, 1, tzinfo=UTC)

    def end(self, period: datetime) -> datetime:
        """Return the beginning of the next period; an undated place has none, and never ends."""
        match self.unit:
            case "hour":
                return period + timedelta(hours=1)
            case "day":
                return period + timedelta(days=1)
            case "month" | "year":
                return self.begin(period + timedelta(days=32 if self.unit == "month" else 370))
        return datetime.max.replace(tzinfo=UTC)

    def is_closed(self, period: datetime, now: datetime) -> bool:
        """Tell whether a period gets no entry any more."""
        return self.end(period) + LATE.get(self.unit, LATE_AT_MOST) <= now

    def periods(self, first: datetime, last: datetime) -> Iterator[datetime]:
        """Yield the beginnings of the periods from one to another."""
        while first <= last:
            yield first
            first = self.end(first)


class Walk:
    """The way through a dated place.

    Parameters
    ----------
    place
        Where listings are.
    listing
        Gives a page of one.
    most
        Candidates that one call gives at most.
    horizon
        How far back it goes; None for `HORIZON`.
    from_the_oldest
        Whether the first call begins with the oldest entry instead of the newest ones; of a dated place, with the
        oldest of the present period.
    """

    def __init__(
        self,
        place: DatedPlace,
        listing: Listing,
        *,
        most: int,
        horizon: timedelta | None = None,
        from_the_oldest: bool = False,
    ) -> None:
        self._place = place
        self._listing = listing
        self._most = most
        self._horizon = min(HORIZON if horizon is None else horizon, LONGEST_HORIZON)
        self._from_the_oldest = from_the_oldest

    def discover(self, cursor: str, now: datetime) -> Discovery:
        """Return what there is beyond `cursor`, as `Feed.discover` does.

        Raises
        ------
        ValueError
            If a listing does not go on, or its names are too long to be remembered.
        """
        known = _read(cursor)
        present = self._place.begin(now)
        if not known and not self._from_the_oldest:
            return self._newest(present)
        known = known or {present: Known()}
        first = max(min(known), self._place.begin(now - self._horizon)) if self._place.unit else present
        return self._onwards({period: each for period, each in known.items() if period >= first}, first, present, now)

    def _newest(self, present: datetime) -> Discovery:
        period, waiting = present, 0
        for _ in range(LOOKS_BACK):
            way = _Way(self, period, Known(), MOST_PAGES)
            newest = way.new()[-self._most :]
            waiting += way.waiting
            if newest or not self._place.unit:
                return Discovery(newest, _cursor({period: way.known()}), waiting=waiting)
            period = self._place.begin(period - timedelta(seconds=1))
        return Discovery([], _cursor({present: Known()}), waiting=waiting)

    def _onwards(self, known: dict[datetime, Known], first: datetime, present: datetime, now: datetime) -> Discovery:
        """Return the next entries, from the oldest period that is open."""
        found: list[Candidate] = []
        pages, waiting = MOST_PAGES, 0
        for period in self._place.periods(first, present):
            way = _Way(self, period, known.get(period, Known()), pages)
            found += way.new(self._most - len(found))
            known[period] = way.known()
            pages, waiting = way.pages, waiting + way.waiting
            if not way.is_whole:
                return Discovery(found, _cursor(known), is_whole=False, waiting=waiting)
            if period != present and self._place.is_closed(period, now):
                del known[period]
        return Discovery(found, _cursor(known), waiting=waiting)

    def page(self, period: datetime, after: str) -> tuple[Sequence[Entry], bool]:
        """Return a page of what lies behind `after`; a server that leads in a circle is found out."""
        page, more = self._listing(self._place.at(period), after)
        orders = [after, *(entry.order for entry in page)]
        if any(later <= earlier for earlier, later in pairwise(orders)):
            raise ValueError("its listing does not go on from where it was: it leads in a circle, or is out of order")
        if more and not page:
            raise ValueError("its listing says that more follows, and gives nothing")
        return page, more


class _Way:
    """The way through one period, as far as it is gone.

    Parameters
    ----------
    walk, period
        Where.
    before
        What is done there.
    pages
        How many may be asked for; what is left of them when it ends.
    """

    def __init__(self, walk: Walk, period: datetime, before: Known, pages: int) -> None:
        self.pages = pages
        self.waiting = 0
        self.is_whole = False
        self._walk = walk
        self._period = period
        self._before = before
        self._passed: list[tuple[str, str]] = []
        self._starts = [before.floor]

    def new(self, most: int | None = None) -> list[Candidate]:
        """Return what is not known, in its order, and `most` at most: the rest is left for the next time."""
        found: list[Candidate] = []
        marks = frozenset(self._before.marks)
        more = True
        while more and self.pages:
            page, more = self._walk.page(self._period, self._starts[-1])
            self.pages -= 1
            for entry in page:
                mark = entry.mark
                is_new = mark not in marks
                if is_new and entry.waits:
                    self.waiting += 1
                    continue
                if is_new and len(found) == most:
                    return found
                if is_new and entry.candidate is not None:
                    found.append(entry.candidate)
                self._passed.append((entry.order, mark))
            if more:
                self._starts.append(page[-1].order)
        self.is_whole = not more
        return found

    def known(self) -> Known:
        """Return what is done there now."""
        floor = self._starts[-PAGES_AGAIN] if len(self._starts) > PAGES_AGAIN else ""
        return self._before.passing(self._passed, floor)


def _read(cursor: str) -> dict[datetime, Known]:
    """Return what is done in each period, by a cursor; of one that is none, nothing: the walk begins anew."""
    try:
        told = json.loads(cursor) if cursor else {}
    except ValueError:
        return {}
    if not isinstance(told, dict):
        return {}
    known = {iso_time(period): Known.read(each) for period, each in told.items()}
    return {period: each for period, each in known.items() if period is not None and each is not None}


def _cursor(known: dict[datetime, Known]) -> str:
    cursor = json.dumps({f"{period:%Y-%m-%dT%H:%MZ}": each.encoded() for period, each in sorted(known.items())})
    if len(cursor) > LONGEST_CURSOR:
        raise ValueError("its names are too long, or too many, to be remembered; use folders by day")
    return cursor
