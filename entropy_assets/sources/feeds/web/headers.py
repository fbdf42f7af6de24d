"""What headers of answers say, read strictly: what is no value of its kind says nothing.

Nothing here raises for what a server sends.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple, Self

LONGEST_VALUE: Final = 1024
"""Longest header whose value is read, characters."""
LONGEST_RETRY_S: Final = 7 * 86_400
"""Longest that a server may ask to wait, seconds: what asks for more is asked again after a week."""
WINDOW_S: Final = 3600
"""Time over which a limit of requests is counted where nothing is told: api.nasa.gov counts by the rolling hour."""

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH: Final = "(?P<month>" + "|".join(_MONTHS) + ")"
_TIME: Final = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_DATES: Final = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",
        rf"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT",
        rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) {_MONTH} (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
    )
)
_SECONDS: Final = re.compile(r"\d{1,12}(?:\.\d{1,9})?", re.ASCII)
_COUNT: Final = re.compile(r"\d{1,18}", re.ASCII)
_RANGE: Final = re.compile(r"bytes (?P<first>\d{1,18})-(?P<last>\d{1,18})/(?P<total>\d{1,18}|\*)", re.ASCII)
_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}", re.ASCII)
_ETAG: Final = re.compile(r"(?:W/)?\"[\x21\x23-\x7e]*\"", re.ASCII)


def http_date(text: str) -> int | None:
    """Return the time that an HTTP date means, seconds since 1970; None if it is none (RFC 9110, 5.6.7).

    A year of two digits is from 1970 to 2069.
    """
    for form in _DATES:
        if len(text) <= LONGEST_VALUE and (parts := form.fullmatch(text.strip())) is not None:
            year = int(parts["year"])
            if len(parts["year"]) == 2:
                year += 1900 if year >= 70 else 2000
            day, hour, minute, second = (int(parts[name]) for name in ("day", "hour", "minute", "second"))
            if second == 60:  # a leap second is the one before it
                second = 59
            try:
                time = datetime(year, 1 + _MONTHS.index(parts["month"]), day, hour, minute, second, tzinfo=UTC)
            except ValueError:
                return None
            return int(time.timestamp())
    return None


def told_time(text: str | None) -> str | None:
    """Return an HTTP date as an `Origin` has times, ``2026-11-29T08:33:00Z``; None if it is none."""
    if text is None or (seconds := http_date(text)) is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").zfill(20)


def retry_after_s(text: str | None, *, now: float, server_now: int | None) -> int | None:
    """Return how long ``Retry-After`` asks to wait, whole seconds up to `LONGEST_RETRY_S`; None if it says nothing.

    Parameters
    ----------
    text
        Seconds, or an HTTP date (RFC 9110, 10.2.3).
    now
        Our time, seconds since 1970.
    server_now
        The server's by its ``Date``: its own clock is what its dates are by. None if it told none.
    """
    if text is None:
        return None
    text = text.strip()
    if _SECONDS.fullmatch(text):
        wait = float(text)
    elif (until := http_date(text)) is not None:
        wait = until - (now if server_now is None else server_now)
    else:
        return None
    return max(0, min(LONGEST_RETRY_S, -int(-wait // 1)))


class ContentRange(NamedTuple):
    """Which bytes of a file came: the first, the last, and how many there are in all, if that is told."""

    first: int
    last: int
    total: int | None

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Return the range that ``Content-Range`` tells; None if it is none (RFC 9110, 14.4)."""
        if (parts := _RANGE.fullmatch(text.strip())) is None:
            return None
        first, last = int(parts["first"]), int(parts["last"])
        total = None if parts["total"] == "*" else int(parts["total"])
        if last < first or (total is not None and total <= last):
            return None
        return cls(first, last, total)


class Headers:
    """The headers of one answer.

    Parameters
    ----------
    pairs
        Names and values as they came.
    now
        Our time when they came, seconds since 1970.
    """

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]], now: float) -> None:
        self._values: dict[str, list[str]] = {}
        self.now = now
        for name, value in pairs:
            self._values.setdefault(name.decode("latin-1").lower(), []).append(_text(value))

    def all_of(self, name: str) -> list[str]:
        """Return the values of all headers of a name, given in small letters."""
        return self._values.get(name, [])

    def one(self, name: str) -> str | None:
        """Return the value of the one header of a name; None if there is none, several, or a very long one."""
        values = self.all_of(name)
        return values[0] if len(values) == 1 and len(values[0]) <= LONGEST_VALUE else None

    @property
    def content_type(self) -> str:
        """The type without parameters, in small letters; empty if none is told."""
        told = (self.one("content-type") or "").partition(";")[0].strip().lower()
        return told if _TYPE.fullmatch(told) else ""

    @property
    def codings(self) -> list[str]:
        """How the content is packed, in order, without what changes nothing."""
        told = (coding.strip().lower() for value in self.all_of("content-encoding") for coding in value.split(","))
        return [coding for coding in told if coding not in ("", "identity")]

    @property
    def length(self) -> int | None:
        """How many bytes are announced, as they come."""
        told = self.one("content-length")
        return int(told) if told is not None and _COUNT.fullmatch(told) else None

    @property
    def etag(self) -> str | None:
        """The ETag, if it is one."""
        told = self.one("etag")
        return told if told is not None and is_etag(told) else None

    @property
    def last_modified(self) -> str | None:
        """When this version was made, as told, if that is a date."""
        told = self.one("last-modified")
        return told if told is not None and http_date(told) is not None else None

    @property
    def led_to(self) -> str | None:
        """Where a redirect leads, as told; None if it tells nothing, or several places."""
        values = self.all_of("location")
        return values[0] if len(values) == 1 else None

    @property
    def validator(self) -> str | None:
        """What names these very bytes, for ``If-Range``; None if nothing does (RFC 9110, 8.8.2.2 and 13.1.5)."""
        if self.etag is not None:
            return None if self.etag.startswith("W/") else self.etag
        made, sent = http_date(self.last_modified or ""), http_date(self.one("date") or "")
        return self.last_modified if made is not None and sent is not None and sent - made >= 60 else None

    @property
    def server_now(self) -> int | None:
        """The server's time, seconds since 1970, if it told one: of an answer out of a cache, with its age."""
        if (sent := http_date(self.one("date") or "")) is None:
            return None
        age = self.one("age") or ""
        return sent + (int(age) if _COUNT.fullmatch(age) else 0)

    @property
    def skew_s(self) -> int | None:
        """How far the server's clock is ahead of ours, seconds; None if it told no time."""
        return None if self.server_now is None else self.server_now - round(self.now)

    @property
    def retry_after_s(self) -> int | None:
        """How long the server asks to wait, seconds."""
        return retry_after_s(self.one("retry-after"), now=self.now, server_now=self.server_now)

    @property
    def rate_limit(self) -> "RateLimit | None":
        """How many requests are left of how many, if that is told."""
        left, limit = (self.one(f"x-ratelimit-{name}") or "" for name in ("remaining", "limit"))
        if not _COUNT.fullmatch(left):
            return None
        return RateLimit(int(left), int(limit) if _COUNT.fullmatch(limit) else None)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many requests a server still lets pass, and of how many.

    `X-RateLimit-Reset` isn't read: some mean a time by it, some seconds, and api.nasa.gov sends none.
    """

    left: int
    limit: int | None

    @property
    def rest_s(self) -> float:
        """How long to leave the server alone now, seconds: by a rolling window, what was used comes back evenly.

        While more than a tenth is left, not at all; then as long as one request takes to come back; with none left,
        until a tenth has.
        """
        if self.limit is None or self.limit < 1:
            return 0.0 if self.left else float(WINDOW_S)
        if self.left > self.limit // 10:
            return 0.0
        share = WINDOW_S / self.limit
        return share if self.left else max(share, WINDOW_S / 10)


def conditions(etag: str | None, last_modified: str | None) -> list[tuple[str, str]]:
    """Return the headers that ask for a body only if it is another version than this one (RFC 9110, 13.1)."""
    told = []
    if etag is not None and is_etag(etag):
        told.append(("If-None-Match", etag))
    if last_modified is not None and http_date(last_modified) is not None:
        told.append(("If-Modified-Since", last_modified))
    return told


def is_etag(text: str) -> bool:
    """Tell whether this is an ETag, and may be sent back as it is."""
    return len(text) <= LONGEST_VALUE and _ETAG.fullmatch(text) is not None


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8").strip(" \t")
    except UnicodeDecodeError:
        return value.decode("latin-1").strip(" \t")
