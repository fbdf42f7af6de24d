"""What feeds of servers share: how they ask, how a wrong answer is told, the note of where an image came from."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from entropy_assets.sources.feeds.documents.times import stamp
from entropy_assets.sources.feeds.interface import (
    Candidate,
    FeedError,
    FeedLies,
    FeedUnavailable,
    FetchedImage,
    Reader,
    WebAnswer,
)
from entropy_assets.sources.feeds.tables.fields import FeedTable, WebTable
from entropy_assets.sources.feeds.web.faults import Fault
from entropy_assets.sources.feeds.web.headers import told_time
from entropy_assets.stores.file_names import printable
from entropy_assets.stores.inboxes.folder import hindrance_of_name
from entropy_assets.stores.inboxes.origins import Origin

LONGEST_NAME: Final = 200
"""Longest name of a file, bytes; of a longer one the end is kept."""
LONGEST_LISTINGS_S: Final = 300.0
"""Time that the documents of a look may take in all, seconds: each has its own bound, and a look may ask for many."""
LOOK_ENDS_S: Final = 600.0
"""Time without a document after which the next one is that of another look, seconds: longer than an image takes."""
Told = TypeVar("Told")
Clock = Callable[[], datetime]
"""Tells the present, with its zone."""


def present() -> datetime:
    """Return the present, UTC."""
    return datetime.now(UTC)


def file_name(url: str, at: datetime | None = None) -> str:
    """Return a name for what lies at `url`, with its ending; with a time in it, for places that stay the same."""
    last = unquote(urlsplit(url).path.rpartition("/")[2], errors="replace").replace("/", "_")
    shown = printable(last.strip().lstrip(".")).encode()[-LONGEST_NAME:]
    name = shown.decode(errors="ignore") or "image"
    if at is not None:
        suffixes = "".join(PurePosixPath(name).suffixes[-2:])
        name = f"{name.removesuffix(suffixes)}-{at:%Y%m%dT%H%M%SZ}{suffixes}"
    return name if hindrance_of_name(name) is None else f"{name}.image"


def upgraded(url: str) -> str:
    """Return `url` with https for http: some listings still tell the old scheme of hosts that have both."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(scheme="https")) if parts.scheme == "http" else url


def origin_of(name: str, table: FeedTable, candidate: Candidate, now: datetime, answer: WebAnswer | None) -> Origin:
    """Return the note of where an image came from: what its listing tells goes before what the operator wrote.

    Its address is that of the listing, where it can be asked for again: what it led to may be of the moment.
    """
    return Origin(
        feed=name,
        url=candidate.url,
        fetched_at=stamp(now),
        dated_at=candidate.dated_at or (None if answer is None else told_time(answer.last_modified)),
        instrument=candidate.instrument or table.instrument,
        credit=candidate.credit or table.credit,
        licence=candidate.licence or table.licence,
        etag=(candidate.version or None) if answer is None else answer.etag,
        last_modified=None if answer is None else answer.last_modified,
    )


class ServerFeed:
    """What a feed of a server is besides its listing.

    Parameters
    ----------
    name
        Its name.
    table
        Its table.
    reader
        Asks its server.
    clock
        Tells the present.
    """

    has_fixed_names = False
    """Whether its images come under the same name again and again."""

    def __init__(self, name: str, table: WebTable, reader: Reader, clock: Clock = present) -> None:
        self.name = name
        self.reader = reader
        self.clock = clock
        self._table = table
        self._spent_s = 0.0
        self._last = clock()

    @property
    def host(self) -> str:
        """The host of its listing."""
        return self._table.host

    @property
    def read_bytes(self) -> int:
        """What its server was made to send."""
        return self.reader.read_bytes

    def fetch(self, candidate: Candidate, known: Origin | None = None) -> FetchedImage | None:
        """As `Feed.fetch`."""
        answer = self.reader.image(candidate.url, known=known)
        return None if answer is None else self.image(candidate, answer)

    def image(self, candidate: Candidate, answer: WebAnswer) -> FetchedImage:
        """Return the image of an answer under the name of its place, with the note of where it came from."""
        now = self.clock()
        origin = origin_of(self.name, self._table, candidate, now, answer)
        return FetchedImage(file_name(candidate.url, now if self.has_fixed_names else None), answer.data, origin)

    def asked(
        self,
        read: Callable[[WebAnswer], Told],
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        secret: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Told:
        """Ask for a document and return what `read` makes of it.

        Raises
        ------
        FeedError
            If there is no answer, or `read` raises ValueError: the document is not what it should be. If the documents
            of this look took so long that the other feeds of a run would wait behind them.
        """
        self._refuse_if_slow()
        try:
            answer = self.reader.document(url, query=query, secret=secret, form=form)
        finally:
            began, self._last = self._last, self.clock()
            self._spent_s += max(0.0, (self._last - began).total_seconds())
        try:
            return read(answer)
        except ValueError as error:
            raise self.lies(f"what {self.host} sent as a listing is none: {error}") from None

    def _refuse_if_slow(self) -> None:
        now = self.clock()
        if (now - self._last).total_seconds() > LOOK_ENDS_S:
            self._spent_s = 0.0
        self._last = now
        if self._spent_s > LONGEST_LISTINGS_S:
            message = (
                f"{self.host} took {self._spent_s:.0f} s for its listings, and others wait; it is asked again later"
            )
            raise FeedUnavailable(message, feed=self.name, host=self.host)

    def lies(self, message: str) -> FeedLies:
        """Return the error of a server whose answer is not what it should be."""
        return FeedLies(message, feed=self.name, host=self.host)


def is_missing(error: FeedError) -> bool:
    """Tell whether a server answered that there is nothing."""
    return error.data.get("fault") == Fault.MISSING
