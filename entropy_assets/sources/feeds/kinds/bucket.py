"""Buckets on S3 that everybody may list: GOES-19's coronagraph CCOR-1 and imager SUVI, and any other.

The next page is asked for by the last key of the one before, never by a token of the server's: a key shows whether the
listing goes on, and stays good for months, while a token may lead in a circle. Of a prefix with thousands of keys only
the last pages are listed at each look, so a key that appears there and sorts before them is not seen.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from entropy_assets.sources.feeds.documents.bucket_listings import BucketObject, BucketPage, bucket_page
from entropy_assets.sources.feeds.documents.times import iso_time, stamp, time_in
from entropy_assets.sources.feeds.fetching import Clock, ServerFeed, present
from entropy_assets.sources.feeds.interface import Candidate, Discovery, Reader, WebAnswer
from entropy_assets.sources.feeds.periods import DatedPlace, Entry, Walk
from entropy_assets.sources.feeds.tables.web import BucketTable

_TAKEN: Final = re.compile(r"_s(\d{8}T\d{6})Z|_s(\d{13})", re.ASCII)
"""When it began, in a name of NOAA: ``_s20250225T000020Z``, or ``_s20263262310205`` with the day of the year."""


class BucketFeed(ServerFeed):
    """See the module."""

    def __init__(self, name: str, table: BucketTable, reader: Reader, clock: Clock = present) -> None:
        super().__init__(name, table, reader, clock)
        self._told = table
        age = None if table.max_age_seconds is None else timedelta(seconds=table.max_age_seconds)
        self._walk = Walk(DatedPlace(table.dated_prefix), self._listed, most=table.max_files, horizon=age)

    def discover(self, cursor: str) -> Discovery:
        """As `Feed.discover`."""
        try:
            return self._walk.discover(cursor, self.clock())
        except ValueError as error:
            raise self.lies(str(error)) from None

    def _listed(self, prefix: str, after: str) -> tuple[Sequence[Entry], bool]:
        """Return a page of what begins with `prefix`, from behind the key that ends with `after`."""
        query = {"list-type": "2", "prefix": prefix} | ({"start-after": prefix + after} if after else {})
        page = self.asked(_page, self._told.base, query=query)
        # consoles make an empty object for a folder, under the very prefix
        return [self._entry(prefix, each) for each in page.objects if each.key != prefix], page.is_truncated

    def _entry(self, prefix: str, told: BucketObject) -> Entry:
        """Return an object as an entry; one that is no image is one too, so that the walk gets past it."""
        if not told.key.startswith(prefix):
            raise self.lies("its listing holds keys that were not asked for")
        order = told.key.removeprefix(prefix)
        if not told.key.lower().endswith(self._told.endings) or told.size == 0:
            return Entry(order, None)
        taken = _taken(told.key) or iso_time(told.modified)
        return Entry(
            order,
            Candidate(
                url=f"{self._told.base}{quote(told.key)}",
                version=told.etag,
                dated_at=None if taken is None else stamp(taken),
                size=told.size,
            ),
            told=told.etag,
        )


def _page(answer: WebAnswer) -> BucketPage:
    return bucket_page(answer.data)


def _taken(key: str) -> datetime | None:
    """Return when an exposure began, as its name tells; tenths of a second are cut off."""
    match = _TAKEN.search(key)
    return None if match is None else time_in(match[1] or match[2], "%Y%m%dT%H%M%S", "%Y%j%H%M%S")
