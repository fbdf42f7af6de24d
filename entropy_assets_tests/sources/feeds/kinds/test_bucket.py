"""Buckets that everybody may list: GOES-19's CCOR-1 and SUVI by day and hour, page by page, and never in a circle."""

import hashlib
from html import escape

import httpx
import pytest

from entropy_assets.sources.feeds.interface import FeedLies
from entropy_assets.sources.feeds.kinds.bucket import BucketFeed
from entropy_assets_tests.sources.feeds.replaying import Question, Replay, at, clock, fits, served, table_of
from entropy_assets_tests.stores.blobs.servers import BUCKET, put_as_it_is

CCOR = "https://noaa-nesdis-swfo-ccor-1-pds.s3.amazonaws.com/"  # documented, DATA.md 2
SUVI = "https://noaa-goes19.s3.amazonaws.com/"
DAY = "SWFO/GOES-19/CCOR-1/ccor1-l1a_science/2026/11/29/"


def ccor(hour: int, minute: int) -> str:
    """Return a name like that of DATA.md 2, ``sci_ccor1-l3_g19_s20250225T000020Z_e..._p..._pub.fits``, of level 1a."""
    taken = f"20261129T{hour:02}{minute:02}20Z"
    return f"{DAY}sci_ccor1-l1a_g19_s{taken}_e{taken}_p{taken}_pub.fits"


class Bucket:
    """Answers as ListObjectsV2 does (S3 API reference): keys behind ``start-after``, ``max-keys`` of them."""

    def __init__(self, *keys: str, page: int = 1000) -> None:
        self.keys = sorted(keys)
        self.page = page

    def __call__(self, asked: Question) -> bytes:
        assert asked.query["list-type"] == "2"
        after = asked.query.get("start-after", "")
        found = [key for key in sorted(self.keys) if key.startswith(asked.query["prefix"]) and key > after]
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-11-29T08:30:00.000Z</LastModified>"
            f"<ETag>&quot;{key[-9:]}&quot;</ETag><Size>{0 if 'empty' in key else 2102400}</Size></Contents>"
            for key in found[: self.page]
        )
        more = str(len(found) > self.page).lower()
        token = "<NextContinuationToken>1ueGcxLPRx1Tr</NextContinuationToken>" if more == "true" else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{more}</IsTruncated>{token}{rows}</ListBucketResult>"
        ).encode()


def names(discovery) -> list[str]:
    return [candidate.url for candidate in discovery.candidates]


def test_the_newest_of_a_day_come_first_and_then_each_new_one() -> None:
    bucket = Bucket(*(ccor(hour, minute) for hour in range(8) for minute in (0, 15, 30, 45)), DAY, f"{DAY}empty.fits")
    feed = BucketFeed("mine", table_of("goes19-ccor1", max_files=2), Replay({CCOR: bucket}), clock)
    first = feed.discover("")
    assert names(first) == [CCOR + ccor(7, 30), CCOR + ccor(7, 45)]
    assert first.candidates[0].dated_at == "2026-11-29T07:30:20Z"
    assert first.candidates[0].size == 2102400
    bucket.keys += [ccor(8, 0), ccor(8, 15), f"{DAY}readme.txt"]
    assert names(feed.discover(first.cursor)) == [CCOR + ccor(8, 0), CCOR + ccor(8, 15)]


def test_a_key_that_sorts_before_those_that_were_had_is_taken() -> None:
    table = table_of("public-bucket", base="https://frames.example.org/", prefix="raw/", claim="raw-ccd")
    bucket = Bucket("raw/light_1.fits", "raw/light_2.fits")
    feed = BucketFeed("mine", table, Replay({table.base: bucket}), clock)
    first = feed.discover("")
    assert len(first.candidates) == 2
    bucket.keys += ["raw/bias_1.fits"]
    second = feed.discover(first.cursor)
    assert names(second) == [f"{table.base}raw/bias_1.fits"]
    assert names(feed.discover(second.cursor)) == []


def test_suvi_is_listed_by_hour_and_the_day_of_the_year() -> None:
    key = "SUVI-L1b-Fe195/2026/333/08/OR_SUVI-L1b-Fe195_G19_s20263330820105_e20263330820115_c20263330820321.fits.gz"
    feed = BucketFeed(
        "mine", table_of("goes19-suvi", product="Fe195"), Replay({SUVI: Bucket(key, key + ".md5")}), clock
    )
    [candidate] = feed.discover("").candidates
    assert (candidate.url, candidate.dated_at) == (SUVI + key, "2026-11-29T08:20:10Z")


def test_a_day_that_ended_is_read_to_its_end() -> None:
    bucket = Bucket(ccor(23, 30), ccor(23, 45))
    table = table_of("goes19-ccor1")
    cursor = BucketFeed("mine", table, Replay({CCOR: bucket}), at("2026-11-29T23:50:00+00:00")).discover("").cursor
    late = ccor(23, 59)
    following = ccor(0, 15).replace("/2026/11/29/", "/2026/11/30/")
    bucket.keys += [late, following]
    after = BucketFeed("mine", table, Replay({CCOR: bucket}), at("2026-11-30T00:30:00+00:00")).discover(cursor)
    assert names(after) == [CCOR + late, CCOR + following]


def test_pages_are_followed_by_key_and_no_token_is_sent() -> None:
    keys = [ccor(hour, minute) for hour in range(8) for minute in range(0, 60, 5)]
    reader = Replay({CCOR: Bucket(*keys, page=10)})
    feed = BucketFeed("mine", table_of("goes19-ccor1", max_files=3), reader, clock)
    assert names(feed.discover("")) == [CCOR + key for key in keys[-3:]]
    assert len(reader.asked) == 10
    assert all("continuation-token" not in question.query for question in reader.asked)


def test_keys_with_spaces_and_signs_are_quoted() -> None:
    key = f"{DAY}sci ccor1 & a+b #1?.fits"
    feed = BucketFeed("mine", table_of("goes19-ccor1"), Replay({CCOR: Bucket(key)}), clock)
    assert names(feed.discover("")) == [f"{CCOR}{DAY}sci%20ccor1%20%26%20a%2Bb%20%231%3F.fits"]


def test_a_listing_that_loops_is_a_lie() -> None:
    """The server gives its first page whatever it is asked, and says that more follows."""
    bucket = Bucket(*(ccor(0, minute) for minute in range(20)), page=10)
    first = bucket(Question(CCOR, {"list-type": "2", "prefix": DAY}, {}, {}))
    reader = Replay({CCOR: first})
    with pytest.raises(FeedLies, match="leads in a circle"):
        BucketFeed("mine", table_of("goes19-ccor1"), reader, clock).discover("")
    assert len(reader.asked) == 2


@pytest.mark.parametrize(
    "answer, told",
    [
        (b"<html>captive portal</html>", "no listing of a bucket"),
        (b"<Error><Code>NoSuchBucket</Code></Error>", "no listing of a bucket"),
        (Bucket("SWFO/elsewhere.fits")(Question(CCOR, {"list-type": "2", "prefix": ""}, {}, {})), "not asked for"),
        (b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", "gives nothing"),
    ],
)
def test_what_is_no_listing_of_what_was_asked_is_a_lie(answer, told) -> None:
    with pytest.raises(FeedLies, match=told):
        BucketFeed("mine", table_of("goes19-ccor1"), Replay({CCOR: answer}), clock).discover("")


def test_a_long_listing_is_walked_in_bounded_steps() -> None:
    keys = [f"all/{n:05}.fits" for n in range(3000)]
    told = {"base": SUVI, "prefix": "all/", "claim": "drop", "max_files": 1000}
    feed = BucketFeed("mine", table_of("public-bucket", **told), Replay({SUVI: Bucket(*keys)}), clock)
    seen, found = [], feed.discover('{"1970-01-01T00:00Z": ""}')
    while not found.is_whole:
        seen, found = seen + names(found), feed.discover(found.cursor)
    assert [*seen, *names(found)] == [SUVI + key for key in keys]


def test_the_listing_of_a_real_server_is_walked_page_by_page(object_store, s3_address) -> None:
    """moto answers ListObjectsV2 five keys at a time, whatever they hold."""
    prefix = object_store.removeprefix(f"s3://{BUCKET}/") + "/"
    keys = [f"{n:02} a&b+c.fits" for n in range(12)]
    for key in (*keys, "notes.txt"):
        put_as_it_is(s3_address, object_store, f"/{key}", b"frame")

    def listed(asked: Question) -> bytes:
        return httpx.get(f"{s3_address}/{BUCKET}", params=dict(asked.query), trust_env=False).content

    reader = Replay({SUVI: listed})
    table = table_of("public-bucket", base=SUVI, prefix=prefix, claim="drop", max_files=100)
    found = BucketFeed("mine", table, reader, clock).discover("")
    assert names(found) == [f"{SUVI}{prefix}{n:02}%20a%26b%2Bc.fits" for n in range(12)]
    assert {candidate.size for candidate in found.candidates} == {5}
    assert {candidate.version for candidate in found.candidates} == {
        hashlib.md5(b"frame", usedforsecurity=False).hexdigest()
    }
    assert len(reader.asked) == 3


def test_over_http() -> None:
    table = table_of("goes19-ccor1")
    key = f"{DAY}a b_s20261129T081500Z.fits"
    with served(table, {CCOR: Bucket(key), f"{CCOR}{DAY}a%20b_s20261129T081500Z.fits": fits()}) as (reader, targets):
        feed = BucketFeed("mine", table, reader, clock)
        fetched = feed.fetch(feed.discover("").candidates[0])
    assert fetched is not None
    assert (fetched.name, fetched.data) == ("a b_s20261129T081500Z.fits", fits())
    assert targets[1] == f"/{DAY}a%20b_s20261129T081500Z.fits"
