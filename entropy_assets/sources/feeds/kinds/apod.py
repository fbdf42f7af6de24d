"""Astronomy Picture of the Day: one edited picture a day, human-chosen. Those that have a copyright are left out.

The server stands still for days at a time and then tells the same picture again; that brings no candidate.
"""

import json
from datetime import date, timedelta
from typing import Annotated, Final

from entropy_assets.errors import brought_by
from entropy_assets.sources.feeds.documents.answers import AnswerFields, read_json
from entropy_assets.sources.feeds.fetching import Clock, ServerFeed, present, upgraded
from entropy_assets.sources.feeds.interface import Candidate, Discovery, Reader, WebAnswer
from entropy_assets.sources.feeds.periods import Known, read_known
from entropy_assets.sources.feeds.tables.web import ApodTable

with brought_by("settings"):
    from pydantic import Field, TypeAdapter

DEMO_KEY: Final = "DEMO_KEY"
"""NASA's key for everybody, which is no secret: 30 requests an hour and 50 a day for one address."""
MOST_DAYS: Final = 30
"""Days that a look catches up with."""
FIRST: Final = date(1995, 6, 16)
"""The day of the first picture."""
LATE: Final = timedelta(days=7)
"""How long before the newest picture one may still appear."""
AHEAD: Final = timedelta(days=1)
"""A picture that is dated later than this from now says nothing: taken for the newest, it would be the last one."""


class _Picture(AnswerFields):
    """One day, as the server tells of it."""

    date: Annotated[date, Field(ge=FIRST)]
    media_type: Annotated[str, Field(max_length=40)]
    url: str = ""
    hdurl: str = ""
    copyright: str = ""


_ANSWER: Final = TypeAdapter(_Picture | Annotated[list[_Picture], Field(max_length=200)])


class ApodFeed(ServerFeed):
    """See the module.

    Parameters
    ----------
    name, table, reader, clock
        As of every feed of a server.
    key
        Key of api.nasa.gov.
    """

    def __init__(
        self, name: str, table: ApodTable, reader: Reader, clock: Clock = present, key: str | None = None
    ) -> None:
        super().__init__(name, table, reader, clock)
        self._told = table
        self._secret = {"api_key": key or DEMO_KEY}

    def discover(self, cursor: str) -> Discovery:
        """As `Feed.discover`; the cursor has marks of the days that were told, taken or not."""
        known, today = read_known(cursor), self.clock().date()
        query = None
        if known is not None:
            # the day of the server is not ours, and one that has not come is an error there: ask from one that has
            query = {"start_date": max(known.floor, f"{today - timedelta(days=MOST_DAYS)}")}
        told = self.asked(_pictures, self._told.base.rstrip("/"), query=query, secret=self._secret)
        pictures = {f"{picture.date}": picture for picture in told if picture.date <= today + AHEAD}
        if not pictures:
            return Discovery([], cursor)
        newest = max(pictures)
        before = Known(f"{date.fromisoformat(newest) - timedelta(days=1)}") if known is None else known
        marked = [(day, before.mark(day)) for day in pictures if day > before.floor]
        new = [pictures[day] for day, mark in marked if mark not in before.marks]
        reached = before.passing(marked, f"{date.fromisoformat(newest) - LATE}")
        return Discovery([self._candidate(each) for each in new if _is_free(each)], json.dumps(reached.encoded()))

    def _candidate(self, picture: _Picture) -> Candidate:
        return Candidate(url=upgraded(picture.hdurl or picture.url), dated_at=f"{picture.date}T00:00:00Z")


def _pictures(answer: WebAnswer) -> list[_Picture]:
    told = read_json(_ANSWER, answer.data)
    return sorted(told if isinstance(told, list) else [told], key=lambda picture: picture.date)


def _is_free(picture: _Picture) -> bool:
    """Tell whether it is a picture in the public domain; a video, or somebody's own, is none."""
    return picture.media_type == "image" and not picture.copyright.strip() and bool(picture.hdurl or picture.url)
