"""Pictures of the whole Earth by EPIC on the satellite DSCOVR: a listing of the newest day, and one of each before.

The satellite was silent for months at a time, and the newest day stays listed then. So the date of a picture counts,
and what is too old is told as stale by whoever asks. The present of the walk through its days is that of the newest
picture: a day is published a day late or two, and looked at until the second day after it has pictures.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final

from entropy_assets.errors import brought_by
from entropy_assets.sources.feeds.documents.answers import AnswerFields, read_json
from entropy_assets.sources.feeds.documents.times import stamp, time_in
from entropy_assets.sources.feeds.fetching import Clock, ServerFeed, present
from entropy_assets.sources.feeds.interface import Candidate, Discovery, Reader, WebAnswer
from entropy_assets.sources.feeds.periods import DatedPlace, Entry, Walk
from entropy_assets.sources.feeds.tables.web import EpicTable

with brought_by("settings"):
    from pydantic import Field, TypeAdapter

KEYED_BASE: Final = "https://api.nasa.gov/EPIC/"
"""Where the listing is asked with a key."""
CATCHES_UP: Final = timedelta(days=10)
"""How far before the newest pictures who was away begins."""
AHEAD: Final = timedelta(days=1)
"""A picture that is dated later than this from now says nothing: taken for the newest, it would end the walk."""
_FORM: Final = "%Y-%m-%d %H:%M:%S"


class _Picture(AnswerFields):
    """One picture, as ``api/natural`` tells of it."""

    image: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,100}$")]
    date: Annotated[str, Field(max_length=40)]
    version: Annotated[str, Field(max_length=40)] = ""


_LISTING: Final = TypeAdapter(Annotated[list[_Picture], Field(max_length=1000)])


class EpicFeed(ServerFeed):
    """See the module.

    Parameters
    ----------
    name, table, reader, clock
        As of every feed of a server.
    key
        Key of api.nasa.gov; None to ask EPIC's own server, which wants none.
    """

    def __init__(
        self, name: str, table: EpicTable, reader: Reader, clock: Clock = present, key: str | None = None
    ) -> None:
        super().__init__(name, table, reader, clock)
        self._told = table
        self._listing = f"{table.base if key is None else KEYED_BASE}api/{table.collection}"
        self._secret = None if key is None else {"api_key": key}

    def discover(self, cursor: str) -> Discovery:
        """As `Feed.discover`; the cursor has marks of the pictures that are done in each day that is open."""
        latest = self.clock() + AHEAD
        newest = [pair for pair in self._pictures("") if pair[0] <= latest]
        if not newest:
            return Discovery([], cursor)
        present = newest[-1][0]

        def listed(day: str, after: str) -> tuple[Sequence[Entry], bool]:
            pictures = newest if day == f"{present:%Y-%m-%d}" else self._pictures(f"/date/{day}")
            entries = {entry.order: entry for entry in (self._entry(*pair) for pair in pictures) if entry.order > after}
            return list(entries.values()), False

        walk = Walk(DatedPlace("{year}-{month}-{day}"), listed, most=self._told.max_files, horizon=CATCHES_UP)
        try:
            return walk.discover(cursor, present)
        except ValueError as error:
            raise self.lies(str(error)) from None

    def _pictures(self, day: str) -> Sequence[tuple[datetime, _Picture]]:
        """Return the pictures of a day, the newest if none is named, in the order of their times."""
        return self.asked(_pictures, f"{self._listing}{day}", secret=self._secret)

    def _entry(self, taken: datetime, picture: _Picture) -> Entry:
        return Entry(f"{taken:{_FORM}} {picture.image}", self._candidate(picture, taken))

    def _candidate(self, picture: _Picture, taken: datetime) -> Candidate:
        place = f"archive/{self._told.collection}/{taken:%Y/%m/%d}/{self._told.form}"
        url = f"{self._told.base}{place}/{picture.image}.{self._told.form}"
        return Candidate(url=url, version=picture.version, dated_at=stamp(taken))


def _pictures(answer: WebAnswer) -> list[tuple[datetime, _Picture]]:
    pictures = [(time_in(picture.date, _FORM), picture) for picture in read_json(_LISTING, answer.data)]
    dated = [(taken, picture) for taken, picture in pictures if taken is not None]
    if len(dated) < len(pictures):
        raise ValueError("a date in it is none")
    return sorted(dated, key=lambda pair: (pair[0], pair[1].image))
