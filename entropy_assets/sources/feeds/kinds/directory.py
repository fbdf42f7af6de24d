"""A folder that a web server lists: any observatory's, or the own one's.

Files come in the order of the times that the page tells, or of their names if it tells none. One that appears with an
older time or name than others is new all the same; one whose time or length changes is another version.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import quote

from entropy_assets.sources.feeds.documents.index_pages import IndexEntry, index_entries
from entropy_assets.sources.feeds.documents.times import stamp
from entropy_assets.sources.feeds.fetching import Clock, ServerFeed, is_missing, present
from entropy_assets.sources.feeds.interface import Candidate, Discovery, FeedError, Reader, WebAnswer
from entropy_assets.sources.feeds.periods import DatedPlace, Entry, Walk
from entropy_assets.sources.feeds.tables.web import DirectoryTable
from entropy_assets.stores.inboxes.folder import hindrance_of_name

SETTLE: Final = timedelta(minutes=2)
"""How long the newest files wait: a page tells minutes, and within one a file may still be written."""
ZONES: Final = timedelta(minutes=15)
"""A page tells no zone. By how much zones differ: a time is as old as it looks, but for some of these."""


class DirectoryFeed(ServerFeed):
    """See the module."""

    def __init__(self, name: str, table: DirectoryTable, reader: Reader, clock: Clock = present) -> None:
        super().__init__(name, table, reader, clock)
        self._told = table
        self._left_out = 0
        self._walk = Walk(
            DatedPlace(table.url),
            self._listed,
            most=table.max_files,
            horizon=None if table.max_age_seconds is None else timedelta(seconds=table.max_age_seconds),
            from_the_oldest=table.from_the_oldest,
        )

    def discover(self, cursor: str) -> Discovery:
        """As `Feed.discover`."""
        try:
            self._left_out = 0
            return replace(self._walk.discover(cursor, self.clock()), left_out=self._left_out)
        except ValueError as error:
            raise self.lies(str(error)) from None

    def _listed(self, url: str, after: str) -> tuple[Sequence[Entry], bool]:
        """Return the files of a folder behind `after`; of a folder by date that is not there yet, none."""
        try:
            listed = self.asked(_entries, quote(url, safe="/:%~[]"))
        except FeedError as error:
            if is_missing(error) and url != self._told.url:
                return (), False
            raise
        newest = self._unsettled(listed)
        wanted = [_entry(each, waits=newest is not None and each.modified == newest) for each in listed]
        entries = [entry for each, entry in zip(listed, wanted, strict=True) if self._is_wanted(each.name)]
        self._left_out += len(listed) - len(entries)
        return sorted((entry for entry in entries if entry.order > after), key=lambda entry: entry.order), False

    def _unsettled(self, listed: Sequence[IndexEntry]) -> datetime | None:
        """Return the time of the newest files, if that is the present minute: more bytes of them may follow."""
        newest = max((entry.modified for entry in listed if entry.modified is not None), default=None)
        if newest is None or (self.clock() + SETTLE / 2 - newest) % ZONES >= SETTLE * 3 / 2:
            return None
        return newest

    def _is_wanted(self, name: str) -> bool:
        return fnmatchcase(name.lower(), self._told.pattern.lower()) and hindrance_of_name(name) is None


def _entries(answer: WebAnswer) -> tuple[IndexEntry, ...]:
    return index_entries(answer.data, answer.url)


def _entry(told: IndexEntry, *, waits: bool) -> Entry:
    # what else the page tells of it, as how often it was fetched, does not make it another one
    dated = None if told.modified is None else stamp(told.modified)
    candidate = Candidate(url=told.url, version=told.told, dated_at=dated, size=told.size)
    return Entry(f"{dated or ''} {told.name}", candidate, told=f"{told.size}", waits=waits)
