"""Places that change with the time, as folders by day or hour do, and the way through what is listed in them.

A walk goes from period to period, the oldest first, and in each from the last entry that it had on. A period stays open
for an hour after its end, since what is taken in its last minutes arrives later. Its cursor is bounded however long
the listings are: it has the last entry of each period that is open, and no more.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from entropy_assets.sources.feeds.documents.times import iso_time
from entropy_assets.sources.feeds.interface import LONGEST_CURSOR, Candidate, Discovery

LATE: Final = timedelta(hours=1)
"""How long after its end a period may still get entries."""
HORIZON: Final = timedelta(days=7)
"""How far back a walk goes that was away, unless the age of its images is limited."""
LONGEST_HORIZON: Final = timedelta(days=31)
LOOKS_BACK: Final = 4
"""Periods in which the newest images are looked for at first."""
MOST_PAGES: Final = 10
"""Pages that one call asks for."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a listing: entries of a place come in the order of ``order``, and later ones sort behind.

    Without a candidate it is no image, and only marks how far the listing was read.
    """

    order: str
    candidate: Candidate | None


Listing = Callable[[str, str], tuple[Sequence[Entry], bool]]
"""Takes a place and the order after which to go on; returns what is there, in order, and whether more follows."""


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
        marks = _marks(cursor)
        present = self._place.begin(now)
        if not marks and not self._from_the_oldest:
            return self._newest(present)
        marks = marks or {present: ""}
        first = max(min(marks), self._place.begin(now - self._horizon)) if self._place.unit else present
        return self._onwards({period: mark for period, mark in marks.items() if period >= first}, first, present, now)

    def _newest(self, present: datetime) -> Discovery:
        period = present
        for _ in range(LOOKS_BACK):
            newest: deque[Candidate] = deque(maxlen=self._most)
            mark = ""
            for page in self._pages(period):
                newest.extend(entry.candidate for entry in page if entry.candidate is not None)
                mark = page[-1].order if page else mark
            if newest or not self._place.unit:
                return Discovery(list(newest), _cursor({period: mark}))
            period = self._place.begin(period - timedelta(seconds=1))
        return Discovery([], _cursor({present: ""}))

    def _pages(self, period: datetime) -> Iterator[Sequence[Entry]]:
        mark = ""
        for _ in range(MOST_PAGES):
            page, more = self._page(period, mark)
            yield page
            if not more:
                return
            mark = page[-1].order

    def _onwards(self, marks: dict[datetime, str], first: datetime, present: datetime, now: datetime) -> Discovery:
        """Return the next entries, from the oldest period that is open."""
        found: list[Candidate] = []
        asked = 0
        for period in self._place.periods(first, present):
            more = True
            while more:
                marks.setdefault(period, "")
                if asked == MOST_PAGES or len(found) >= self._most:
                    return Discovery(found, _cursor(marks), is_whole=False)
                page, more = self._page(period, marks[period])
                asked += 1
                for entry in page:
                    if len(found) == self._most:
                        more = True
                        break
                    marks[period] = entry.order
                    found += [] if entry.candidate is None else [entry.candidate]
            if period != present and self._place.end(period) + LATE <= now:
                del marks[period]
        return Discovery(found, _cursor(marks))

    def _page(self, period: datetime, mark: str) -> tuple[Sequence[Entry], bool]:
        """Return a page that goes on from `mark`; a server that leads in a circle is found out."""
        page, more = self._listing(self._place.at(period), mark)
        orders = [mark, *(entry.order for entry in page)]
        if any(later <= earlier for earlier, later in pairwise(orders)):
            raise ValueError("its listing does not go on from where it was: it leads in a circle, or is out of order")
        if more and not page:
            raise ValueError("its listing says that more follows, and gives nothing")
        return page, more


def _marks(cursor: str) -> dict[datetime, str]:
    """Return the last entries in a cursor; of one that is none, nothing: the walk begins anew."""
    try:
        told = json.loads(cursor) if cursor else {}
    except ValueError:
        return {}
    if not isinstance(told, dict):
        return {}
    marks = {iso_time(period): mark for period, mark in told.items()}
    return {period: mark for period, mark in marks.items() if period is not None and isinstance(mark, str)}


def _cursor(marks: dict[datetime, str]) -> str:
    cursor = json.dumps({f"{period:%Y-%m-%dT%H:%MZ}": mark for period, mark in sorted(marks.items())})
    if len(cursor) > LONGEST_CURSOR:
        raise ValueError("its names are too long to be remembered")
    return cursor
