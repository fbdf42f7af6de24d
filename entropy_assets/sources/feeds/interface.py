"""What every feed of images can do: say what there is, and fetch one of it with a note of where it came from.

A feed knows its server's documents and nothing of pacing, retries, quarantine or inboxes; those are the same for all.
It keeps nothing itself: what it has seen stands in the cursor that it hands back, so a round that is killed anywhere
is simply done again, and an image that comes twice is told by its hash.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from entropy_assets.errors import EntropyAssetsError
from entropy_assets.stores.inboxes.origins import Origin

LONGEST_CURSOR: Final = 2**19
"""Longest cursor, bytes: it marks a place in a listing, with a few characters for each entry that is done there."""
MARK_LENGTH: Final = 8
"""Characters of a mark. Of 20,000 marks one is that of another entry in ten billion cases."""
_MARK_BYTES: Final = MARK_LENGTH * 6 // 8


class FeedError(EntropyAssetsError):
    """Root of what a feed fails at; ``data`` has the feed and the host, never a key. It quarantines that feed alone."""

    code = "feed-error"


class FeedUnavailable(FeedError):
    """The server does not answer, or not now. ``data["retry_after_s"]`` is what it asked to wait, if it did."""

    code = "feed-unavailable"


class FeedDenied(FeedError):
    """The server refuses who asks: a key that is missing or wrong. Retries don't help."""

    code = "feed-denied"


class FeedStale(FeedError):
    """What it gives is old: the same bytes, or a date that lies too far back."""

    code = "feed-stale"


class FeedLies(FeedError):
    """What it gives is not what it says: a page for an image, another length, a redirect to where it may not lead."""

    code = "feed-lies"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An image that a feed could fetch, as its listing tells.

    Attributes
    ----------
    url
        Where it is, without a key. What it is known by: it is asked for once, unless its version changes.
    version
        What changes when its bytes do (an ETag, a time); empty if nothing is told.
    dated_at
        When it was taken or published, UTC, ``2026-11-29T08:33:00Z``; None if nothing is told.
    size
        Its length, bytes, if that is told.
    instrument, credit, licence
        What the listing tells of this image beyond the feed's configuration.
    """

    url: str
    version: str = ""
    dated_at: str | None = None
    size: int | None = None
    instrument: str | None = None
    credit: str | None = None
    licence: str | None = None

    @property
    def mark(self) -> str:
        """What stands for it where it is done, however long its URL is."""
        return mark_of(self.url, self.version)


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a feed found, and where to go on.

    Attributes
    ----------
    candidates
        The oldest first, so that a round that ends early leaves the newer ones.
    cursor
        What to hand in the next time, once these are done; `LONGEST_CURSOR` bytes at most.
    is_whole
        Whether nothing is left to be listed now. If not, it is asked again in the same round, within its limits.
    waiting
        New files that are left for a later look: they may still be written.
    left_out
        Files that are listed and do not fit the pattern, known or not.
    """

    candidates: Sequence[Candidate]
    cursor: str = ""
    is_whole: bool = True
    waiting: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class FetchedImage:
    """A file as it came, under a name that keeps its ending, with where it came from."""

    name: str
    data: bytes = field(repr=False)
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class WebAnswer:
    """What a server answered, checked and whole.

    Attributes
    ----------
    url
        Where it came from after all redirects, without a key.
    data
        Its bytes, unpacked if the server packed them.
    content_type
        Its type without parameters, in small letters; empty if none was told.
    etag, last_modified
        As they came; None if none was told.
    skew_s
        How far the server's clock is ahead of ours, seconds, by its ``Date``; None if it told no time. A time that it
        tells is as wrong as that; none of the two clocks is known to be right.
    """

    url: str
    data: bytes = field(repr=False)
    content_type: str = ""
    etag: str | None = None
    last_modified: str | None = None
    skew_s: int | None = None


class Reader(Protocol):
    """What a feed asks servers by: paced, bounded, and never led where the configuration doesn't allow.

    Both methods raise `FeedError` alone. A key goes in ``secret``, whose values are sent and never shown: in the query,
    or under a name like ``header:Authorization`` in that header.
    """

    @property
    def read_bytes(self) -> int:
        """What it has read in all, bytes: of whole answers, of those that broke off, and of refusals."""

    def document(
        self,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        secret: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> WebAnswer:
        """Return a listing, some MB at most; ``form`` makes it a POST."""

    def image(
        self, url: str, *, secret: Mapping[str, str] | None = None, known: Origin | None = None
    ) -> WebAnswer | None:
        """Return an image file; None if it still is what ``known`` says, by its ETag or time."""


class Feed(Protocol):
    """A place from which images can be had again and again.

    Both methods raise `FeedError`, and nothing else for what a server does.
    """

    @property
    def name(self) -> str:
        """Its name in the operator's configuration, ``[a-z0-9-]{1,32}``."""

    @property
    def host(self) -> str:
        """The host that it asks, or what stands for it: feeds with the same one are asked one after the other."""

    @property
    def read_bytes(self) -> int:
        """What it has read since it was made, bytes: listings of servers and images, whether they were of any use."""

    def discover(self, cursor: str) -> Discovery:
        """Return what there is beyond `cursor`; the empty one is the beginning, which is the newest images alone."""

    def fetch(self, candidate: Candidate, known: Origin | None = None) -> FetchedImage | None:
        """Return the image; None if it still is what was had from its URL the last time, which ``known`` tells of."""


def mark_of(*told: str) -> str:
    """Return a short mark that stands for some texts, whatever characters they have."""
    digest = hashlib.blake2b("\0".join(told).encode("utf-8", "surrogatepass"), digest_size=_MARK_BYTES).digest()
    return urlsafe_b64encode(digest).decode()
