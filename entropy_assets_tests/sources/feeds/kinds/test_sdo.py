"""SDO's newest pictures are asked for once in a quarter of an hour, and by the archive when a times file is told."""

from datetime import timedelta

import pytest

from entropy_assets.sources.feeds.interface import FeedLies
from entropy_assets.sources.feeds.kinds.sdo import SdoLatestFeed
from entropy_assets_tests.sources.feeds.replaying import NOW, Replay, clock, picture, served, table_of

BASE = "https://sdo.gsfc.nasa.gov/assets/img"  # documented, DATA.md 2
LATEST = f"{BASE}/latest/latest_4096_0171.jpg"
TIMES = f"{BASE}/times/0171.txt"


def test_each_channel_is_a_candidate_under_its_documented_name() -> None:
    feed = SdoLatestFeed("mine", table_of("sdo-latest", channels=["0171", "HMIIC"], size=512), Replay({}), clock)
    names = [candidate.url for candidate in feed.discover("").candidates]
    assert names == [f"{BASE}/latest/latest_512_0171.jpg", f"{BASE}/latest/latest_512_HMIIC.jpg"]


def test_a_picture_is_new_in_each_quarter_of_an_hour_and_no_sooner() -> None:
    """The server's advice: at most once per 15 minutes and image (DATA.md 2)."""
    times = [NOW + timedelta(minutes=minute) for minute in range(120)]
    feeds = [SdoLatestFeed("mine", table_of("sdo-latest"), Replay({}), lambda now=now: now) for now in times]
    versions = [feed.discover("").candidates[0].version for feed in feeds]
    assert len(set(versions)) == 120 // 15 + 1
    assert max(map(versions.count, versions)) == 15


def test_a_picture_that_did_not_change_is_not_fetched_again() -> None:
    feed = SdoLatestFeed("mine", table_of("sdo-latest"), Replay({LATEST: picture("JPEG")}), clock)
    [candidate] = feed.discover("").candidates
    fetched = feed.fetch(candidate)
    assert fetched is not None
    assert fetched.name == "latest_4096_0171-20261129T083305Z.jpg"
    assert fetched.origin.dated_at == "2026-11-29T08:00:00Z"
    assert fetched.origin.credit == "Courtesy of NASA/SDO and the AIA, EVE, and HMI science teams"
    assert feed.fetch(candidate, fetched.origin) is None


@pytest.mark.parametrize(
    "told",
    [b"20261129_081009\n20261129_082209\n20261128_235957\n", b"0171 2026-11-29\n20261129 082209 4096\n99999999_999999"],
)
def test_by_its_times_file_a_picture_is_the_dated_one(told) -> None:
    """The form of the times file is not documented: any stamp in it counts, the newest first."""
    feed = SdoLatestFeed("mine", table_of("sdo-latest", times="times/{channel}.txt"), Replay({TIMES: told}), clock)
    [candidate] = feed.discover("").candidates
    assert candidate.url == f"{BASE}/browse/2026/11/29/20261129_082209_4096_0171.jpg"
    assert (candidate.version, candidate.dated_at) == ("", "2026-11-29T08:22:09Z")


@pytest.mark.parametrize("told", [b"", b"<html>Under maintenance</html>", b"20261399_000000", b"1234567890123456"])
def test_a_times_file_without_a_time_is_a_lie(told) -> None:
    feed = SdoLatestFeed("mine", table_of("sdo-latest", times="times/{channel}.txt"), Replay({TIMES: told}), clock)
    with pytest.raises(FeedLies, match="no time stands in its times file"):
        feed.discover("")


def test_over_http() -> None:
    """The same by the real reader, over TLS; the second time the server says that nothing changed."""
    table = table_of("sdo-latest", times="times/{channel}.txt")
    dated = f"{BASE}/browse/2026/11/29/20261129_082209_4096_0171.jpg"
    answers = {TIMES: b"20261129_082209", dated: picture("JPEG")}
    with served(table, answers) as (reader, targets):
        feed = SdoLatestFeed("mine", table, reader, clock)
        fetched = feed.fetch(feed.discover("").candidates[0])
    assert fetched is not None
    assert fetched.data == picture("JPEG")
    assert targets == ["/assets/img/times/0171.txt", "/assets/img/browse/2026/11/29/20261129_082209_4096_0171.jpg"]
