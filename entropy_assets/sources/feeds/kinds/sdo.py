"""The newest pictures of the Solar Dynamics Observatory: fixed names, or dated ones by the server's times file.

The server asks to be asked once in 15 minutes for each picture. So a picture is a new candidate in each quarter of an
hour and no sooner, and whether it changed is asked by its ETag or time.
"""

import re
from datetime import datetime, timedelta
from typing import Final

from entropy_assets.sources.feeds.documents.times import stamp, time_in
from entropy_assets.sources.feeds.fetching import Clock, ServerFeed, present
from entropy_assets.sources.feeds.interface import Candidate, Discovery, Reader, WebAnswer
from entropy_assets.sources.feeds.tables.web import SdoLatestTable

QUARTER: Final = timedelta(minutes=15)
_STAMPS: Final = re.compile(r"(?<!\d)(\d{8})[_T ]?(\d{6})(?!\d)", re.ASCII)
MOST_STAMPS: Final = 10_000


class SdoLatestFeed(ServerFeed):
    """See the module."""

    def __init__(self, name: str, table: SdoLatestTable, reader: Reader, clock: Clock = present) -> None:
        super().__init__(name, table, reader, clock)
        self._told = table
        self.has_fixed_names = table.times is None

    def discover(self, cursor: str) -> Discovery:
        """As `Feed.discover`; what was had is told by the versions alone."""
        return Discovery([self._candidate(channel) for channel in self._told.channels], cursor)

    def _candidate(self, channel: str) -> Candidate:
        if self._told.times is None:
            quarter = self.clock().timestamp() // QUARTER.total_seconds()
            return Candidate(
                url=f"{self._told.base}latest/latest_{self._told.size}_{channel}.jpg", version=f"quarter {quarter:.0f}"
            )
        times = f"{self._told.base}{self._told.times.replace('{channel}', channel)}"
        taken = self.asked(_newest, times)
        name = f"{taken:%Y/%m/%d/%Y%m%d_%H%M%S}_{self._told.size}_{channel}.jpg"
        return Candidate(url=f"{self._told.base}browse/{name}", dated_at=stamp(taken))


def _newest(answer: WebAnswer) -> datetime:
    """Return the newest time of a times file: the first 10,000 stamps like ``20261129_083300`` are looked at."""
    found = _STAMPS.findall(answer.data.decode("ascii", errors="replace"))[:MOST_STAMPS]
    times = [time for day, clock in found if (time := time_in(f"{day}{clock}", "%Y%m%d%H%M%S")) is not None]
    if not times:
        raise ValueError("no time stands in its times file")
    return max(times)
