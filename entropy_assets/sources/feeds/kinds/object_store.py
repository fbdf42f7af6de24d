"""A prefix of an object store: S3 and what speaks its protocol, Google Cloud Storage, Azure.

Its credentials are those of the store's own tools, by the environment, and need list and get. Nothing is written there.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import quote, unquote

from entropy_assets.sources.feeds.documents.times import stamp_of
from entropy_assets.sources.feeds.fetching import Clock, file_name, origin_of, present
from entropy_assets.sources.feeds.interface import (
    Candidate,
    Discovery,
    FeedDenied,
    FeedError,
    FeedLies,
    FeedUnavailable,
    FetchedImage,
)
from entropy_assets.sources.feeds.periods import DatedPlace, Entry, Walk
from entropy_assets.sources.feeds.tables.local import ObjectStoreTable
from entropy_assets.stores.blobs.interface import Blob, Blobs
from entropy_assets.stores.blobs.refusals import BlobMissing, StoreDenied, StoreError, StoreUnavailable
from entropy_assets.stores.file_names import printable
from entropy_assets.stores.inboxes.folder import hindrance_of_name
from entropy_assets.stores.inboxes.origins import Origin

SETTLE: Final = timedelta(seconds=5)
"""How long an object waits: until its second is over, so that objects come in the order of their times."""
MOST_OBJECTS: Final = 100_000
"""Most objects of one folder: who has more keeps them in folders by day."""


class ObjectStoreFeed:
    """See the module.

    Parameters
    ----------
    name, table
        The feed.
    blobs
        What lies at its address.
    clock
        Tells the present.
    """

    def __init__(self, name: str, table: ObjectStoreTable, blobs: Blobs, clock: Clock = present) -> None:
        self.name = name
        self.clock = clock
        self.read_bytes = 0
        self._table = table
        self._blobs = blobs
        self._left_out = 0
        self._walk = Walk(
            DatedPlace(table.folder.strip("/")),
            self._listed,
            most=table.max_files,
            horizon=None if table.max_age_seconds is None else timedelta(seconds=table.max_age_seconds),
            from_the_oldest=table.from_the_oldest,
        )

    @property
    def host(self) -> str:
        """The bucket."""
        return self._table.host

    def discover(self, cursor: str) -> Discovery:
        """As `Feed.discover`: objects come in the order in which they were kept."""
        try:
            with self._feed_errors():
                self._left_out = 0
                return replace(self._walk.discover(cursor, self.clock()), left_out=self._left_out)
        except ValueError as error:
            raise FeedLies(str(error), feed=self.name, host=self.host) from None

    def fetch(self, candidate: Candidate, known: Origin | None = None) -> FetchedImage | None:
        """As `Feed.fetch`; an object that was replaced meanwhile is another one, and comes the next time."""
        name = unquote(candidate.url.removeprefix(f"{self._table.url}/"))
        if known is not None and candidate.version and known.etag == candidate.version:
            return None
        with self._feed_errors():
            size = candidate.size or 0
            is_listed = 0 < size <= self._table.max_file_bytes
            data = self._blobs.read_listed(name, candidate.version, size) if is_listed else None
            if data is None:
                message = f"an object ({printable(name)}) is gone, or was replaced since it was listed"
                raise FeedError(message, feed=self.name, host=self.host)
            self.read_bytes += len(data)
        now = self.clock()
        return FetchedImage(file_name(candidate.url), data, origin_of(self.name, self._table, candidate, now, None))

    def _listed(self, folder: str, after: str) -> tuple[Sequence[Entry], bool]:
        blobs = self._blobs.list(folder).blobs
        if len(blobs) > MOST_OBJECTS:
            raise ValueError(f"its folder has more than {MOST_OBJECTS} objects; use folders by day")
        settled_ns = (self.clock() - SETTLE).timestamp() * 10**9
        wanted = [blob for blob in blobs if self._is_wanted(blob)]
        self._left_out += len(blobs) - len(wanted)
        entries = (self._entry(blob, waits=blob.modified_ns > settled_ns) for blob in wanted)
        return sorted((entry for entry in entries if entry.order > after), key=lambda entry: entry.order), False

    def _is_wanted(self, blob: Blob) -> bool:
        fits = fnmatchcase(blob.last.lower(), self._table.pattern.lower()) and hindrance_of_name(blob.last) is None
        return fits and 0 < blob.size <= self._table.max_file_bytes

    def _entry(self, blob: Blob, *, waits: bool) -> Entry:
        kept = stamp_of(blob.modified_ns // 10**9)
        url = f"{self._table.url}/{quote(blob.name)}"
        candidate = Candidate(url=url, version=blob.version, dated_at=kept, size=blob.size)
        return Entry(f"{blob.modified_ns:020d} {blob.last}", candidate, waits=waits)

    @contextmanager
    def _feed_errors(self) -> Iterator[None]:
        """Turn what a store fails at into what a feed fails at."""
        try:
            yield
        except StoreError as error:
            kinds = {StoreUnavailable: FeedUnavailable, StoreDenied: FeedDenied, BlobMissing: FeedError}
            kind = next((kinds[each] for each in type(error).__mro__ if each in kinds), FeedError)
            raise kind(error.message, feed=self.name, host=self.host) from error
        except OSError as error:
            raise FeedUnavailable(f"its folder can't be read: {error}", feed=self.name, host=self.host) from error
