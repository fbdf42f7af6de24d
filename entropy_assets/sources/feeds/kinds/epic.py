"""Pictures of the whole Earth by EPIC on the satellite DSCOVR: a listing of the newest day, and one of each before.

The satellite was silent for months at a time, and the newest day stays listed then. So the date of a picture counts,
and what is too old is told as stale by whoever asks.
"""

from datetime import date, datetime, timedelta
from typing import Annotated, Final

from entropy_assets.errors import brought_by
from entropy_assets.sources.feeds.documents.answers import AnswerFields, read_json
from entropy_assets.sources.feeds.documents.times import stamp, time_in
from entropy_assets.sources.feeds.fetching import Clock, ServerFeed, present
from entropy_assets.sources.feeds.interface import Candidate, Discovery, Reader, WebAnswer
from entropy_assets.sources.feeds.tables.web import EpicTable

with brought_by("settings"):
    from pydantic import Field, TypeAdapter

KEYED_BASE: Final = "https://api.nasa.gov/EPIC/"
"""Where the listing is asked with a key."""
MOST_DAYS: Final = 10
"""Days that one look catches up with; further back it begins with the newest ones again."""
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
        """As `Feed.discover`; the cursor is the time of the last picture that was had."""
        since = time_in(cursor, _FORM)
        newest = self._listed("")
        if since is None or not newest or newest[-1][0] <= since:
            # what is listed is no newer, or it is the first look
            newer = newest[-self._told.max_files :] if since is None else []
            return Discovery([picture for _, picture in newer], _cursor(newer, cursor))
        first, last = since.date(), newest[-1][0].date()
        if newest[0][0] <= since or (last - first).days > MOST_DAYS:
            return self._after(since, newest, is_whole=True)
        for day in _days(first, last):
            pictures = newest if day == last else self._listed(f"/date/{day}")
            if pictures and pictures[-1][0] > since:
                return self._after(since, pictures, is_whole=day == last)
        return Discovery([], cursor)

    def _after(self, since: datetime, pictures: list[tuple[datetime, Candidate]], *, is_whole: bool) -> Discovery:
        newer = [(taken, picture) for taken, picture in pictures if taken > since]
        return Discovery([picture for _, picture in newer], _cursor(newer, ""), is_whole=is_whole)

    def _listed(self, day: str) -> list[tuple[datetime, Candidate]]:
        """Return the pictures of a day, the newest if none is named, in the order of their times."""
        pictures = self.asked(_pictures, f"{self._listing}{day}", secret=self._secret)
        return [(taken, self._candidate(picture, taken)) for taken, picture in pictures]

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


def _cursor(pictures: list[tuple[datetime, Candidate]], before: str) -> str:
    return pictures[-1][0].strftime(_FORM) if pictures else before


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=day) for day in range((last - first).days + 1)]
