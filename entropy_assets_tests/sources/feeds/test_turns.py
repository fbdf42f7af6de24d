"""A turn brings each image that its server has, once, within its terms, wherever it is killed."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from entropy_assets.sources.feeds.interface import (
    Candidate,
    Discovery,
    FeedDenied,
    FeedLies,
)
from entropy_assets.sources.feeds.rounds import Member
from entropy_assets.sources.feeds.turns import (
    CLOCK_SLACK_S,
)
from entropy_assets_tests.sources.feeds.scripted import (
    NOON_S,
    TERMS,
    LatestFeed,
    ScriptedFeed,
    Site,
    frames,
    hashes,
    utc,
)

LIE = FeedLies("a page came for an image", feed="sky")


def test_everything_listed_comes_once_with_its_origin(tmp_path: Path) -> None:
    site, feed = Site(tmp_path), ScriptedFeed(page=4)
    feed.images = frames(10)
    assert site.ask(feed) == [("well", "10 new images")]
    assert site.deposited() == hashes(feed.images)
    assert all(site.home.origins().of(each).feed == "sky" for each in hashes(feed.images))
    feed.images |= frames(2, first=10)
    assert site.ask(feed) == [("well", "2 new images")]
    assert site.ask(feed) == [("well", "nothing new")]
    assert site.deposited() == hashes(feed.images)
    assert feed.asked == sorted(feed.images)


def test_what_is_listed_before_others_that_are_done_is_not_passed_over(tmp_path: Path) -> None:
    """A page that is half done is listed again, and meanwhile a name that sorts before the others was added to it."""
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.images = frames(4, first=10)
    site.ask(feed, terms=replace(TERMS, images_per_turn=2))
    feed.images = frames(1) | feed.images
    for _ in range(4):
        site.ask(feed, terms=replace(TERMS, images_per_turn=2))
    assert site.deposited() == hashes(feed.images)
    assert sorted(feed.asked) == sorted(feed.images)


def test_what_is_done_behind_an_image_that_fails_is_not_asked_for_again(tmp_path: Path) -> None:
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.images = frames(4)
    feed.errors = {"f00000.fits": LIE}
    site.ask(feed)
    site.ask(feed)
    assert sorted(feed.asked) == ["f00000.fits", *sorted(feed.images)]


def killed_at(fsync: int, site: Site, feed: ScriptedFeed) -> bool:
    """Let a child take a turn and die, by SIGKILL, when it puts something on the disk for that time; tell if it did."""
    child = os.fork()
    if child == 0:
        left, real = [fsync], os.fsync

        def fatal(descriptor: int) -> None:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            real(descriptor)

        os.fsync = fatal
        try:
            site.ask(feed)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_who_is_killed_anywhere_loses_no_image_and_has_none_twice(tmp_path: Path) -> None:
    """A kill at each of the writes of a turn, each between bytes and name too, and then a turn that ends."""
    step = 0
    while True:
        site, feed = Site(tmp_path / str(step)), ScriptedFeed(page=2)
        feed.images = frames(2) | {"g-again.fits": b"frame 0"}
        died = killed_at(step, site, feed)
        site.ask(feed)
        assert site.deposited() == hashes(frames(2)), step
        assert site.journal().total.images == 2, step
        assert site.journal().begun == (), step
        if not died:
            break
        step += 1
    assert step > 2 * 8


def test_a_turn_that_ends_early_goes_on_where_it_ended(tmp_path: Path) -> None:
    """Ten thousand entries within eight images a turn: each is asked for once, and none is left out."""
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.images = frames(10_000)
    terms = replace(TERMS, images_per_turn=8)
    for _ in range(5):
        site.ask(feed, terms=terms)
    assert feed.asked == sorted(feed.images)[:40]
    assert len(site.deposited()) == 40


def test_bytes_of_a_day_and_time_of_a_turn_are_bounded(tmp_path: Path) -> None:
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.images = frames(10)
    assert site.ask(feed, terms=replace(TERMS, bytes_per_day=14)) == [
        ("spent", "2 new images; the bytes of this day are used up")
    ]
    assert site.journal().due_s == NOON_S + 12 * 3600
    site.clock.now += 12 * 3600
    feed.before_fetch = lambda name: setattr(site.clock, "now", site.clock.now + 50.0)
    assert site.ask(feed) == [("well", "3 new images")]


def test_all_that_is_read_counts_for_the_day(tmp_path: Path) -> None:
    """Duplicates cost a server as much as new images do: else one that has nothing new is read without a bound."""
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.images = dict.fromkeys(frames(10), b"7 bytes")
    assert site.ask(feed, terms=replace(TERMS, bytes_per_day=21)) == [
        ("spent", "1 new image, 2 known already; the bytes of this day are used up")
    ]
    total = site.journal().total
    assert (total.bytes, total.read_bytes, len(feed.asked)) == (7, 21, 3)


def test_what_was_read_before_a_feed_failed_counts_too(tmp_path: Path) -> None:
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.images = frames(1)

    def read_in_vain(name: str) -> None:
        feed.read_bytes += 1000
        raise FeedLies("a page came for an image", feed="sky")

    feed.before_fetch = read_in_vain
    assert site.ask(feed)[0][0] == "quarantine"
    assert site.journal().total.read_bytes == 1000
    assert site.ask(feed, terms=replace(TERMS, bytes_per_day=1000))[0][0] != "well"
    assert len(feed.asked) == 1


@pytest.mark.parametrize("bound", [{"most_waiting": 4}, {"most_waiting_bytes": 4 * 7}])
def test_nothing_is_fetched_while_a_heap_waits_in_the_inbox(bound: dict[str, int], tmp_path: Path) -> None:
    """The pipeline stands still; what it has not taken in, or not settled, waits, and no server is asked for more."""
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.images = frames(10)
    terms = replace(TERMS, **bound)
    heap = "4 files wait in its inbox: nothing more is fetched until batches take them in"
    assert site.ask(feed, terms=terms) == [("inbox full", f"4 new images; {heap}")]
    listed = feed.listed
    assert site.ask(feed, terms=terms) == [("inbox full", f"nothing new; {heap}")]
    site.inbox.take(site.inbox.ready(2 * NOON_S), "batch")
    assert site.ask(feed, terms=terms) == [("inbox full", f"nothing new; {heap}")], "taken, and nothing made of it yet"
    assert feed.listed == listed
    for file in site.inbox.files_of("batch"):
        site.inbox.settle("batch", file.name, accepted=True)
    assert site.ask(feed, terms=terms) == [("inbox full", f"4 new images; {heap}")]
    assert feed.asked == sorted(feed.images)[:8]


@pytest.mark.parametrize("bound", [{"most_waiting": 4}, {"most_waiting_bytes": 4 * 7}])
def test_who_fills_an_inbox_has_his_part_of_it_and_the_others_theirs(bound: dict[str, int], tmp_path: Path) -> None:
    """Its server chooses the names of its images, and it must not be able to fill the part of another feed by them."""
    site, greedy, modest = Site(tmp_path), ScriptedFeed("sky"), ScriptedFeed("sky-2")
    greedy.images = {f"2-{name}": data for name, data in frames(9).items()}
    modest.images = {name: b"modest" + data[-1:] for name, data in frames(9).items()}
    terms = replace(TERMS, **bound, sharing=2)
    heap = "2 files of its own wait in its inbox: nothing more is fetched until batches take them in"
    assert site.ask(greedy, terms=terms) == [("inbox full", f"2 new images; {heap}")]
    assert site.ask(greedy, terms=terms) == [("inbox full", f"nothing new; {heap}")]
    [(state, words)] = site.ask(modest, terms=terms)
    assert (state, words.partition(";")[0]) == ("inbox full", "2 new images")
    site.inbox.take(site.inbox.ready(2 * NOON_S), "batch")
    for file in site.inbox.files_of("batch"):
        if file.name.startswith("sky-2_"):
            site.inbox.settle("batch", file.name, accepted=True)
    assert [words.partition(";")[0] for _, words in site.ask(greedy, modest, terms=terms)] == [
        "nothing new",
        "2 new images",
    ]


def test_a_full_inbox_makes_no_feed_stale(tmp_path: Path) -> None:
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.images = frames(2)
    terms = replace(TERMS, most_waiting=2, stale_after_s=3600.0)
    site.ask(feed, terms=terms)
    site.clock.now += 10 * 3600
    assert site.ask(feed, terms=terms)[0][0] == "inbox full"
    assert site.alarms() == []


def test_a_feed_in_trouble_is_not_well_since_its_inbox_is_full(tmp_path: Path) -> None:
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.images, feed.error = frames(2), FeedDenied("the key is wrong", feed="sky")
    site.ask(feed)
    site.inbox.deposit("by-hand.fits", b"somebody else's")
    assert site.ask(feed, terms=replace(TERMS, most_waiting=1))[0][0] == "inbox full"
    assert len(site.alarms()) == 1, "nobody knows that it is well"
    feed.error = None
    assert site.ask(feed) == [("well", "2 new images")]
    assert len(site.alarms()) == 2


def test_the_same_bytes_under_another_name_are_not_deposited(tmp_path: Path) -> None:
    site, one, other = Site(tmp_path), ScriptedFeed("one"), ScriptedFeed("other")
    one.images = frames(3)
    other.images = {"copy.fits": b"frame 1"}
    assert site.ask(one) == [("well", "3 new images")]
    assert site.ask(other) == [("well", "1 known already")]
    assert site.deposited() == hashes(one.images)
    assert site.home.origins().of(hashes([b"frame 1"])[0]).feed == "one"


def test_an_image_that_was_dropped_by_hand_is_not_deposited_again(tmp_path: Path) -> None:
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.images = frames(1)
    site.home.images().put(b"frame 0")
    assert site.ask(feed) == [("well", "1 known already")]
    assert not site.home.inbox_folder.exists() or site.deposited() == []


def test_of_two_that_bring_the_same_bytes_at_once_one_deposits_them(tmp_path: Path) -> None:
    site, one, other = Site(tmp_path), ScriptedFeed("one"), ScriptedFeed("other")
    one.images = other.images = frames(5)
    site.ask(one, other)
    assert site.deposited() == hashes(one.images)
    totals = [site.journal(name).total for name in ("one", "other")]
    assert (sum(each.images for each in totals), sum(each.duplicates for each in totals)) == (5, 5)


def test_one_url_with_ever_new_bytes(tmp_path: Path) -> None:
    site, feed = Site(tmp_path), LatestFeed()
    for number in (0, 0, 1):
        feed.images = {"latest.jpg": b"frame %d" % number}
        site.ask(feed)
    total = site.journal().total
    assert (total.images, total.unchanged) == (2, 1)
    assert len(site.deposited()) == 2


def test_a_version_that_is_known_is_not_asked_for(tmp_path: Path) -> None:
    site, feed = Site(tmp_path), LatestFeed()
    feed.images, feed.versions = {"latest.jpg": b"frame"}, {"latest.jpg": "1"}
    site.ask(feed)
    site.ask(feed)
    assert feed.asked == ["latest.jpg"]
    feed.versions["latest.jpg"] = "2"
    assert site.ask(feed) == [("well", "1 unchanged")]


class CircularFeed(ScriptedFeed):
    def discover(self, cursor: str) -> Discovery:
        self.listed += 1
        return Discovery([], str(self.listed % 3), is_whole=False)


class EndlessFeed(ScriptedFeed):
    def discover(self, cursor: str) -> Discovery:
        self.listed += 1
        return Discovery([], cursor="x" * self.listed * 10_000, is_whole=False)


@pytest.mark.parametrize("kind, words", [(CircularFeed, "goes in a circle"), (EndlessFeed, "has no end")])
def test_a_listing_without_an_end_is_left(kind: type[ScriptedFeed], words: str, tmp_path: Path) -> None:
    site, feed = Site(tmp_path), kind()
    [(state, told)] = site.ask(feed)
    assert state == "quarantine"
    assert words in told
    assert feed.listed < 100


@pytest.mark.parametrize("url", ["https://sky.example/" + "a" * 1000, "https://sky.example/\x1b[2J"])
def test_an_address_that_is_none_is_left_and_keeps_no_other_waiting(url: str, tmp_path: Path) -> None:
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.images = frames(1)
    feed.discover = lambda cursor: Discovery([Candidate(url=url), Candidate(url="https://sky.example/f00000.fits")])
    assert site.ask(feed) == [("well", "1 new image, 1 refused")]


def test_old_images_are_no_news(tmp_path: Path) -> None:
    """A server that is frozen since July gives nothing, also where only the image itself tells its date."""
    site, listed, told = Site(tmp_path), ScriptedFeed("listed"), LatestFeed("told")
    terms = replace(TERMS, stale_after_s=7200.0)
    july = utc(NOON_S - 140 * 86_400)
    listed.images, listed.dates = frames(2), dict.fromkeys(frames(2), july)
    told.images = frames(1, first=5)
    told.fetch = lambda candidate, known=None: replaced_date(told, candidate, july)
    assert [state for state, _ in site.ask(listed, told, terms=terms)] == ["quarantine", "quarantine"]
    assert site.journal("listed").trouble.words == f"the newest image of listed is of {july}"
    assert site.journal("told").trouble.kind == "feed-stale"
    assert site.deposited() == []
    listed.images |= frames(1, first=2)
    listed.dates |= {"f00002.fits": utc(NOON_S - 60)}
    assert site.ask(listed, terms=terms) == [("well", "1 new image, 2 refused")]


def replaced_date(feed: ScriptedFeed, candidate: Candidate, date: str):
    image = ScriptedFeed.fetch(feed, candidate)
    return replace(image, origin=replace(image.origin, dated_at=date))


def test_a_date_in_the_future_proves_nothing(tmp_path: Path) -> None:
    """One of two clocks is wrong, and nobody knows which: the image is taken, and its hash tells whether it is new."""
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.images, feed.dates = frames(1), dict.fromkeys(frames(1), utc(NOON_S + 2 * CLOCK_SLACK_S))
    assert site.ask(feed, terms=replace(TERMS, stale_after_s=60.0)) == [("well", "1 new image")]


def test_an_image_that_no_inbox_would_take_in_is_not_put_there(tmp_path: Path) -> None:
    """It would lie there for ever, and be counted by no bound of what waits."""
    site, feed = Site(tmp_path), ScriptedFeed()
    site.inbox.max_file_bytes = 7
    feed.images = frames(1) | {"large.fits": b"8 bytes."}
    [(_, words)] = site.ask(feed)
    assert words.startswith("1 new image; an inbox takes files of 7 bytes at most, and https://sky.example/large.fits")
    assert site.deposited() == hashes(frames(1))
    assert site.home.origins().of(hashes([b"8 bytes."])[0]) is None
    assert [site.ask(feed)[0][0] for _ in range(3)][-1] == "well", "it is passed over like any that can't be had"


def test_an_empty_file_is_no_image(tmp_path: Path) -> None:
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.images = {"a.fits": b""}
    assert site.ask(feed)[0][1].startswith("https://sky.example/a.fits is empty")


def test_steps_are_told(tmp_path: Path) -> None:
    site, feed, told = Site(tmp_path), ScriptedFeed(), []
    feed.images = frames(2)
    site.rounds.ask([Member(feed, TERMS)], steps=lambda *step: told.append(step))
    assert told == [("sky", 0, 2), ("sky", 1, 2), ("sky", 2, 2)]
