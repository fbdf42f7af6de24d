"""A feed in trouble is left alone for longer and longer, is told of once, comes back by itself, and stops no other."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from entropy_assets.sources.feeds.interface import (
    FeedDenied,
    FeedError,
    FeedLies,
    FeedStale,
    FeedUnavailable,
)
from entropy_assets.sources.feeds.rounds import (
    FIRST_WAIT_S,
    JITTER,
    LONGEST_ASKED_S,
    LONGEST_AWAY_S,
    LONGEST_WAIT_S,
    PATIENCE,
    Member,
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

HOUR = 3600.0
TROUBLES = {
    "down": FeedUnavailable("sky.example does not answer", feed="sky"),
    "denied": FeedDenied("sky.example refuses the key", feed="sky"),
    "lying": FeedLies("a page came for a listing", feed="sky"),
    "stale": FeedStale("the newest image of sky is of July", feed="sky"),
}


@pytest.mark.parametrize("error", TROUBLES.values(), ids=TROUBLES)
def test_a_feed_in_trouble_stops_no_other_is_told_of_once_and_comes_back(error: FeedError, tmp_path: Path) -> None:
    """Two feeds of the same host and one of another: they go on as if nothing were. Two alarms in all: in, and out."""
    site = Site(tmp_path)
    sick, neighbour, other = ScriptedFeed("sky"), ScriptedFeed("near", "sky.example"), ScriptedFeed("far")
    sick.error = error
    for number in range(10):
        neighbour.images[f"n{number}.fits"] = b"near %d" % number
        other.images[f"o{number}.fits"] = b"far %d" % number
        assert [state for state, _ in site.ask(sick, neighbour, other)] == ["quarantine", "well", "well"]
        site.clock.now += HOUR
    assert site.alarms() == [f"sky is in quarantine: {error.message}"]
    assert len(site.deposited()) == 20
    sick.error, sick.images = None, frames(1)
    assert site.ask(sick) == [("well", "1 new image")]
    assert site.ask(sick) == [("well", "nothing new")]
    assert site.alarms()[1:] == ["sky is well again after 10.0 h"]
    assert site.journal().total.failures == 10


def test_a_moment_without_answer_raises_no_alarm(tmp_path: Path) -> None:
    """Servers restart: it waits, and tells nobody before it has waited some times."""
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.error = TROUBLES["down"]
    for _ in range(PATIENCE[FeedUnavailable.code] - 1):
        site.ask(feed)
    feed.error = None
    site.ask(feed)
    assert site.alarms() == []


def test_each_kind_of_trouble_is_told_of_once_until_all_are_over(tmp_path: Path) -> None:
    """A feed that changes between two troubles does not fill the log."""
    site, feed = Site(tmp_path), ScriptedFeed()
    for _ in range(5):
        for name in ("lying", "denied"):
            feed.error = TROUBLES[name]
            site.ask(feed)
    assert len(site.alarms()) == 2


@pytest.mark.parametrize(
    "trouble, cadence_s, longest_s",
    [
        ("denied", 600.0, LONGEST_WAIT_S),
        ("lying", 600.0, LONGEST_WAIT_S),
        ("down", 600.0, LONGEST_AWAY_S),
        ("down", 1800.0, 1800.0),
        ("down", 86_400.0, LONGEST_WAIT_S),
    ],
)
@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_the_wait_grows_to_a_bound_and_chance_varies_it(
    trouble: str, cadence_s: float, longest_s: float, chance: float, tmp_path: Path
) -> None:
    """Who only doesn't answer is asked as on a good day: when a network is back, a dry pool waits for nobody."""
    site, feed = Site(tmp_path, chance=lambda: chance), ScriptedFeed()
    feed.error = TROUBLES[trouble]
    waits = []
    for _ in range(30):
        site.ask(feed, terms=replace(TERMS, cadence_s=cadence_s))
        waits.append(site.journal().due_s - site.clock.now)
    varied = 1 + JITTER * (2 * chance - 1)
    grown = [min(longest_s, FIRST_WAIT_S * factor) * varied for factor in (1, 2, 4)]
    assert waits[:3] == pytest.approx(grown)
    assert waits[-1] == pytest.approx(longest_s * varied)


def test_it_is_asked_again_when_its_wait_is_over_and_not_before(tmp_path: Path) -> None:
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.error = TROUBLES["down"]
    site.ask(feed, at_once=False)
    site.clock.now += FIRST_WAIT_S - 1
    words = "sky.example does not answer; asked again in 1 s"
    assert site.ask(feed, at_once=False) == [("quarantine", words)]
    assert feed.listed == 1
    site.clock.now += 1
    site.ask(feed, at_once=False)
    assert feed.listed == 2


@pytest.mark.parametrize("asked, least", [(2870, 2870), (10**9, LONGEST_ASKED_S), ("soon", 0), (-5, 0), (None, 0)])
def test_a_server_that_asks_to_be_left_alone_is(asked: object, least: float, tmp_path: Path) -> None:
    """Never for less than it asks, and never for more than a day: what a server says can't put a feed to sleep."""
    site, feed = Site(tmp_path, chance=lambda: 0.0), ScriptedFeed()
    feed.error = FeedUnavailable("too many", feed="sky", retry_after_s=asked)
    site.ask(feed)
    wait = site.journal().due_s - NOON_S
    assert least <= wait <= max(least, FIRST_WAIT_S)


def test_it_is_left_alone_too_if_some_images_came_before_it_asked(tmp_path: Path) -> None:
    """That is no trouble: the rest comes the next time."""
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.images = frames(3)
    feed.errors = {"f00002.fits": FeedUnavailable("too many", feed="sky", retry_after_s=2870)}
    assert site.ask(feed) == [("well", "2 new images; too many")]
    assert site.journal().due_s - NOON_S >= 2870


def test_the_same_picture_for_days_is_stale_until_a_new_one_comes(tmp_path: Path) -> None:
    """A frozen server answers well. A page that then answers nothing at all is no recovery; a new image is."""
    site, feed, terms = Site(tmp_path), LatestFeed(), replace(TERMS, stale_after_s=6 * HOUR)
    feed.images = {"latest.jpg": b"frame"}
    for _ in range(48):
        site.ask(feed, terms=terms)
        site.clock.now += HOUR
    assert site.alarms() == ["sky is in quarantine: sky has brought nothing new for 7.0 h"]
    feed.images = {}
    assert site.ask(feed, terms=terms)[0][0] == "quarantine"
    feed.images = {"latest.jpg": b"another"}
    assert site.ask(feed, terms=terms) == [("well", "1 new image")]
    assert len(site.alarms()) == 2


def test_an_empty_listing_is_no_recovery_from_an_old_date(tmp_path: Path) -> None:
    site, feed, terms = Site(tmp_path), ScriptedFeed(), replace(TERMS, stale_after_s=HOUR)
    feed.images, feed.dates = frames(1), {"f00000.fits": utc(NOON_S - 2 * HOUR)}
    assert site.ask(feed, terms=terms)[0][0] == "quarantine"
    feed.images = {}
    assert site.ask(feed, terms=terms)[0][0] == "quarantine"
    feed.images, feed.dates = frames(1), {}
    assert site.ask(feed, terms=terms) == [("well", "1 new image")]


def test_an_archive_is_never_stale(tmp_path: Path) -> None:
    site, feed = Site(tmp_path), ScriptedFeed()
    site.ask(feed)
    site.clock.now += 365 * 24 * HOUR
    assert site.ask(feed) == [("well", "nothing new")]


def test_feeds_of_one_host_are_asked_one_after_the_other_and_others_beside_them(tmp_path: Path) -> None:
    """Both hosts must be asked at the same time for either to go on; of one host never two."""
    site, both, most = Site(tmp_path), threading.Barrier(2, timeout=20), [0]
    feeds = [ScriptedFeed(f"{host}{number}", host) for number in (1, 2) for host in ("a", "b")]
    inside = dict.fromkeys(("a", "b"), 0)

    def meet(name: str) -> None:
        inside[name[0]] += 1
        both.wait()
        most[0] = max(most[0], *inside.values())
        inside[name[0]] -= 1

    for feed in feeds:
        feed.images = {f"{feed.name}.fits": feed.name.encode()}
        feed.before_fetch = meet
    assert [state for state, _ in site.ask(*feeds)] == ["well"] * 4
    assert len(site.deposited()) == 4
    assert most == [1]


class BrokenFeed(ScriptedFeed):
    """A feed with a fault of ours: it raises what it should not."""

    def discover(self, cursor: str):
        raise KeyError("a fault in the program")


def test_a_fault_of_ours_is_raised_after_all_others_had_their_turns(tmp_path: Path) -> None:
    site, good = Site(tmp_path), ScriptedFeed("good")
    good.images = frames(2)
    with pytest.raises(KeyError):
        site.ask(BrokenFeed("bad", "one"), replace_host(good, "one"))
    assert site.deposited() == hashes(good.images)


def replace_host(feed: ScriptedFeed, host: str) -> ScriptedFeed:
    feed.host = host
    return feed


def test_a_feed_that_somebody_asks_is_left_to_him(tmp_path: Path) -> None:
    site, feed = Site(tmp_path), ScriptedFeed()
    with site.journals.held("sky"):
        assert site.ask(feed) == [("busy", "somebody else asks it just now")]
    assert feed.listed == 0


def test_a_damaged_journal_is_told_of_once_and_stops_no_other(tmp_path: Path) -> None:
    site, feed, other = Site(tmp_path), ScriptedFeed(), ScriptedFeed("other")
    site.ask(feed)
    site.journals.blobs.path("sky.json").write_bytes(b"{")
    for _ in range(3):
        assert [state for state, _ in site.ask(feed, other)] == ["quarantine", "well"]
    [alarm] = site.alarms()
    assert "remove it" in alarm


def test_a_clock_that_was_set_back_puts_no_feed_to_sleep(tmp_path: Path) -> None:
    site, feed = Site(tmp_path), ScriptedFeed()
    site.clock.now += 365 * 24 * HOUR
    site.ask(feed)
    site.clock.now = NOON_S
    assert site.rounds.is_due(site.journal(), TERMS)


def test_a_killed_alarm_is_raised_once(tmp_path: Path) -> None:
    """Between the alarm and the note that it was raised: it is found raised, and not told again."""
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.error = TROUBLES["denied"]
    site.ask(feed)
    journal = site.journal()
    site.journals.write(replace(journal, trouble=replace(journal.trouble, alarmed=())))
    site.ask(feed)
    assert len(site.alarms()) == 1
    assert site.journal().trouble.alarmed == ("feed-denied",)


def test_the_next_look_is_a_cadence_after_the_last_and_late_ones_do_not_add_up(tmp_path: Path) -> None:
    """A picture that is replaced each quarter of an hour is missed by none who look as often."""
    site, feed = Site(tmp_path), ScriptedFeed()
    site.ask(feed)
    assert site.rounds.look_at(Member(feed, TERMS)).words == "asked again in 900 s"
    for number in range(1, 20):
        site.clock.now = NOON_S + number * TERMS.cadence_s + 50
        site.ask(feed, at_once=False)
    assert feed.listed == 20
    assert site.journal().due_s == NOON_S + 20 * TERMS.cadence_s
