"""Headers say what they say, or nothing; nothing that a server sends raises anything."""

import datetime as dt
from email.utils import format_datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from entropy_assets.sources.feeds.web.headers import (
    LONGEST_RETRY_S,
    WINDOW_S,
    ContentRange,
    Headers,
    RateLimit,
    conditions,
    http_date,
    is_etag,
    retry_after_s,
    told_time,
)

quick = settings(max_examples=40, deadline=None)
NOW = 1_795_993_600
TIMES = st.integers(0, 3_155_759_999)
"""The years from 1970 to 2069, which two digits mean."""
NAMES = (
    *(b"date", b"age", b"etag", b"location", b"content-length", b"content-type", b"content-encoding", b"retry-after"),
    *(b"last-modified", b"x-ratelimit-remaining", b"x-ratelimit-limit"),
)
JUNK = st.text(st.sampled_from("0123456789 ,:;-+.GMTSunNov Monday\x00é\u0663"), max_size=40)


def headers(**told: str | bytes) -> Headers:
    pairs = ((name.replace("_", "-"), value) for name, value in told.items())
    return Headers([(n.encode(), v if isinstance(v, bytes) else v.encode("latin-1")) for n, v in pairs], NOW)


@quick
@given(TIMES)
def test_a_date_is_read_in_each_of_its_three_forms(seconds: int) -> None:
    utc = dt.datetime.fromtimestamp(seconds, dt.UTC)
    assert http_date(format_datetime(utc, usegmt=True)) == seconds
    assert http_date(utc.strftime("%A, %d-%b-%y %H:%M:%S GMT")) == seconds
    assert http_date(utc.strftime("%a %b ") + f"{utc.day:2}" + utc.strftime(" %H:%M:%S %Y")) == seconds
    assert told_time(format_datetime(utc, usegmt=True)) == utc.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_dates_of_the_standard_are_read() -> None:
    """RFC 9110, section 5.6.7 has one moment in three forms."""
    for text in ("Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"):
        assert http_date(text) == 784_111_777


@quick
@given(JUNK | st.text(max_size=40))
@example("Sun, 31 Feb 2026 08:49:37 GMT")
@example("Sun, 06 Nov 1994 24:49:37 GMT")
@example("Sun, 06 Nov 0000 08:49:37 GMT")
@example("Sun, 06 Nov 1994 08:49:37 +0000")
@example("Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT")
def test_what_is_no_date_says_nothing(text: str) -> None:
    assert http_date(text) is None
    assert told_time(text) is None


def test_leap_seconds_and_the_last_year_are_read() -> None:
    assert http_date("Sat, 31 Dec 2016 23:59:60 GMT") == http_date("Sat, 31 Dec 2016 23:59:59 GMT")
    assert told_time("Fri, 31 Dec 9999 23:59:59 GMT") == "9999-12-31T23:59:59Z"
    assert told_time("Mon, 01 Jan 0001 00:00:00 GMT") == "0001-01-01T00:00:00Z"
    assert told_time(None) is None


@quick
@given(st.integers(0, 10**11), st.sampled_from(["{}", " {} ", "{}.0", "{}.000000"]))
def test_seconds_to_wait_are_seconds(seconds: int, form: str) -> None:
    assert retry_after_s(form.format(seconds), now=NOW, server_now=None) == min(seconds, LONGEST_RETRY_S)


@quick
@given(st.integers(-(10**8), 10**8), st.integers(-(10**8), 10**8) | st.none())
def test_a_date_to_wait_for_is_by_the_servers_own_clock(wait: int, skew: int | None) -> None:
    """If it tells its time; by ours else. Never below zero, never above a week."""
    server_now = None if skew is None else NOW + skew
    until = dt.datetime.fromtimestamp((NOW if server_now is None else server_now) + wait, dt.UTC)
    told = retry_after_s(format_datetime(until, usegmt=True), now=NOW, server_now=server_now)
    assert told == max(0, min(wait, LONGEST_RETRY_S))


@quick
@given(JUNK | st.text(max_size=30))
@example("-1")
@example("1e9")
@example("inf")
@example("nan")
@example("9" * 400)
@example("\u0661")
def test_a_wait_is_a_whole_number_within_a_week_or_nothing(text: str) -> None:
    told = retry_after_s(text, now=NOW + 0.5, server_now=None)
    assert told is None or (isinstance(told, int) and 0 <= told <= LONGEST_RETRY_S)
    if told is None:
        assert not text.strip().isascii() or not text.strip().isdecimal() or len(text.strip()) > 12


def test_a_wait_is_rounded_up() -> None:
    assert retry_after_s("0.2", now=NOW, server_now=None) == 1
    assert headers(retry_after="Sun, 29 Nov 2026 23:06:41 GMT").retry_after_s == 1
    assert headers().retry_after_s is None


@quick
@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_ranges_are_read(first: int, more: int, rest: int) -> None:
    last = first + more
    assert ContentRange.read(f"bytes {first}-{last}/{last + 1 + rest}") == (first, last, last + 1 + rest)
    assert ContentRange.read(f"bytes {first}-{last}/*") == (first, last, None)
    assert ContentRange.read(f"bytes {first}-{last}/{last}") is None
    assert ContentRange.read(f"bytes {last + 1}-{first}/*") is None


@quick
@given(st.text(st.sampled_from("bytes 0123456789-/*,="), max_size=30))
@example("bytes */100")
@example("bytes=0-1/2")
@example("bytes 0-1/2, 3-4/5")
def test_what_is_no_range_says_nothing(text: str) -> None:
    told = ContentRange.read(text)
    assert told is None or f"bytes {text.strip()[6:]}" == text.strip()


@quick
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.binary(max_size=20)), max_size=8))
def test_nothing_that_a_server_sends_raises_anything(pairs: list[tuple[bytes, bytes]]) -> None:
    told = Headers(pairs, NOW)
    seen = (told.content_type, told.codings, told.length, told.etag, told.last_modified, told.led_to, told.validator)
    assert len(seen) == 7
    assert told.skew_s is None or isinstance(told.skew_s, int)
    assert told.rate_limit is None or told.rate_limit.rest_s >= 0
    for _, value in conditions(told.etag, told.last_modified):
        assert value.isascii()
        assert value.isprintable()


def test_a_header_that_comes_twice_says_nothing() -> None:
    twice = Headers([(b"ETag", b'"1"'), (b"etag", b'"2"'), (b"Date", b"x" * 2000)], NOW)
    assert (twice.etag, twice.one("date"), twice.one("etag")) == (None, None, None)


@pytest.mark.parametrize(
    "told, kind",
    [
        ("image/PNG", "image/png"),
        ("text/html;charset=utf-8", "text/html"),
        ("application/fits ; x", "application/fits"),
        ("image", ""),
        ("a/b/c", ""),
        ("", ""),
        ("image/\u202epng", ""),
    ],
)
def test_types_are_types(told: str, kind: str) -> None:
    assert headers(content_type=told.encode()).content_type == kind


@pytest.mark.parametrize("etag", ['"1"', '""', 'W/"a-b:c"', '"!#~"'])
def test_etags_are_sent_back(etag: str) -> None:
    assert is_etag(etag)
    assert conditions(etag, None) == [("If-None-Match", etag)]


@pytest.mark.parametrize(
    "etag", ["1", 'w/"1"', '"a"b"', '"a b"', '"\x7f"', '"é"', '"1", "2"', "*", '"' + "x" * 2000 + '"']
)
def test_what_is_no_etag_is_not(etag: str) -> None:
    assert not is_etag(etag)
    assert conditions(etag, "never") == []


@pytest.mark.parametrize(
    "left, limit, rest",
    [
        (1000, 1000, 0),
        (101, 1000, 0),
        (100, 1000, 3.6),
        (1, 1000, 3.6),
        (0, 1000, 360),
        (4, 30, 0),
        (3, 30, 120),
        (0, 5, 720),
        (0, None, WINDOW_S),
        (1, None, 0),
        (1, 0, 0),
    ],
)
def test_what_is_left_is_spread_over_the_hour(left: int, limit: int | None, rest: float) -> None:
    """1000 an hour is api.nasa.gov's limit of a key, 30 that of its DEMO_KEY."""
    assert RateLimit(left, limit).rest_s == rest
    told = {"x_ratelimit_remaining": str(left)} | ({} if limit is None else {"x_ratelimit_limit": str(limit)})
    assert headers(**told).rate_limit == RateLimit(left, limit)
