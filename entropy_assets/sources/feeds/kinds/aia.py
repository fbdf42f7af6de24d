"""Synoptic frames of SDO's AIA at JSOC: the frames of the last days by hour, or the newest one of each wavelength."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from entropy_assets.errors import brought_by
from entropy_assets.sources.feeds.documents.answers import AnswerFields, read_json
from entropy_assets.sources.feeds.documents.index_pages import index_entries
from entropy_assets.sources.feeds.documents.times import stamp, time_in
from entropy_assets.sources.feeds.fetching import Clock, ServerFeed, is_missing, present
from entropy_assets.sources.feeds.interface import Candidate, Discovery, FeedError, Reader, WebAnswer
from entropy_assets.sources.feeds.periods import DatedPlace, Entry, Walk
from entropy_assets.sources.feeds.tables.web import JsocAiaTable

with brought_by("settings"):
    from pydantic import TypeAdapter

_FRAME: Final = re.compile(r"AIA(\d{8}_\d{4}(?:\d\d)?)_(\d{4})\.fits", re.ASCII)
_TIMES: Final = ("%Y%m%d_%H%M%S", "%Y%m%d_%H%M")
LAG: Final = timedelta(minutes=15)
"""The least time from a frame to its file: of the hour that began just now there is no folder yet."""


class _ImageTimes(AnswerFields):
    """``image_times.json``: the first and the last time of the frames beside it."""

    last: str


class JsocAiaFeed(ServerFeed):
    """See the module."""

    def __init__(self, name: str, table: JsocAiaTable, reader: Reader, clock: Clock = present) -> None:
        super().__init__(name, table, reader, clock)
        self._told = table
        self._base = f"{table.base}{table.folder}/"
        self.has_fixed_names = table.folder == "mostrecent"
        age = None if table.max_age_seconds is None else timedelta(seconds=table.max_age_seconds)
        place = DatedPlace("{year}/{month}/{day}/H{hour}00/")
        self._walk = Walk(place, self._listed, most=table.max_files, horizon=age)

    def discover(self, cursor: str) -> Discovery:
        """As `Feed.discover`."""
        if self._told.folder == "mostrecent":
            last = self.asked(_last, f"{self._base}image_times.json")
            wavelengths = [f"{self._base}AIAsynoptic{wavelength}.fits" for wavelength in self._told.wavelengths]
            return Discovery([Candidate(url=url, version=stamp(last), dated_at=stamp(last)) for url in wavelengths])
        try:
            return self._walk.discover(cursor, self.clock() - LAG)
        except ValueError as error:
            raise self.lies(str(error)) from None

    def _listed(self, place: str, after: str) -> tuple[Sequence[Entry], bool]:
        """Return the frames of an hour; an hour without a folder has none."""
        try:
            listed = self.asked(lambda answer: index_entries(answer.data, answer.url), f"{self._base}{place}")
        except FeedError as error:
            if is_missing(error):
                return (), False
            raise
        frames = [(entry, match) for entry in listed if (match := _FRAME.fullmatch(entry.name)) is not None]
        entries = [
            Entry(entry.name, Candidate(url=entry.url, dated_at=stamp(taken), size=entry.size))
            for entry, match in frames
            if match[2] in self._told.wavelengths
            and entry.name > after
            and (taken := time_in(match[1], *_TIMES)) is not None
        ]
        return sorted(entries, key=lambda entry: entry.order), False


def _last(answer: WebAnswer) -> datetime:
    told = read_json(TypeAdapter(_ImageTimes), answer.data)
    if (last := time_in(told.last, *_TIMES)) is None:
        raise ValueError("its last time is none")
    return last
