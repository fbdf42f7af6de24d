"""An image that can not be had keeps no other waiting and is given up in the end; a server that ails costs none."""

from dataclasses import replace
from pathlib import Path

import pytest

from entropy_assets.sources.feeds.interface import FeedDenied, FeedError, FeedLies, FeedUnavailable
from entropy_assets.sources.feeds.turns import MOST_LIES, PASSED_OVER_AFTER, PASSED_OVER_ALONE, PASSED_OVER_AWAY
from entropy_assets_tests.sources.feeds.scripted import TERMS, ScriptedFeed, Site, frames, hashes

LIE = FeedLies("a page came for an image", feed="sky")
AWAY = FeedUnavailable("sky.example does not answer", feed="sky")


def test_what_is_missing_keeps_no_new_image_waiting_and_is_passed_over(tmp_path: Path) -> None:
    site, feed = Site(tmp_path), ScriptedFeed(page=2)
    feed.images = frames(2)
    feed.errors = {"f00000.fits": FeedError("f00000.fits is missing", feed="sky", fault="missing")}
    site.ask(feed)
    assert feed.asked == ["f00000.fits", "f00001.fits"]
    feed.images |= frames(2, first=2)
    for _ in range(PASSED_OVER_AFTER):
        site.ask(feed)
    assert feed.asked.count("f00000.fits") == PASSED_OVER_AFTER
    assert site.deposited() == hashes(frames(3, first=1))
    assert (site.journal().total.refused, site.journal().failed, site.journal().trouble) == (1, (), None)


def test_a_page_that_nothing_is_added_to_does_not_wait_for_a_missing_image_for_ever(tmp_path: Path) -> None:
    """All others of the page were had, and their versions tell that they are the same: none of them is asked again."""
    site, feed = Site(tmp_path), ScriptedFeed(page=3)
    feed.images, feed.versions = frames(5), dict.fromkeys(frames(5), "1")
    feed.errors = {"f00001.fits": FeedError("f00001.fits is missing", feed="sky", fault="missing")}
    for _ in range(PASSED_OVER_AFTER):
        site.ask(feed)
    assert site.deposited() == hashes({name: data for name, data in frames(5).items() if name not in feed.errors})
    assert site.journal().total.refused == 1


def test_what_failed_before_is_tried_last(tmp_path: Path) -> None:
    """Where a look has room for one image, it is a new one."""
    site, feed, terms = Site(tmp_path), ScriptedFeed(), replace(TERMS, images_per_turn=1)
    feed.images = frames(2)
    feed.errors = {"f00000.fits": FeedError("f00000.fits is missing", feed="sky")}
    for _ in range(2):
        site.ask(feed, terms=terms)
    assert site.deposited() == hashes(frames(1, first=1))


def test_an_image_that_never_comes_from_a_server_that_lives_is_passed_over_in_the_end(tmp_path: Path) -> None:
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.images, feed.errors = frames(1), {"f00000.fits": AWAY}
    for _ in range(PASSED_OVER_AWAY):
        assert site.ask(feed)[0][0] == "quarantine"
    feed.images |= frames(1, first=1)
    assert site.ask(feed) == [("well", "1 new image, 1 refused; sky.example does not answer")]
    assert site.ask(feed) == [("well", "nothing new")]


@pytest.mark.parametrize("error", [LIE, AWAY, FeedError("there is nothing", feed="sky")])
def test_what_ails_the_whole_server_costs_no_image(error: FeedError, tmp_path: Path) -> None:
    """A day of pages for images: none is given up, since nothing tells it from the others."""
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.images = frames(3)
    feed.errors = dict.fromkeys(feed.images, error)
    for _ in range(PASSED_OVER_ALONE - 1):
        assert site.ask(feed)[0][0] == "quarantine"
    feed.errors = {}
    assert site.ask(feed) == [("well", "3 new images")]
    feed.images |= frames(2, first=3)
    feed.errors = dict.fromkeys(feed.images, error)
    for _ in range(PASSED_OVER_ALONE - 1):
        assert site.ask(feed)[0][0] == "quarantine"
    assert site.journal().total.refused == 0


def test_a_page_of_images_that_are_gone_hides_what_is_behind_it_for_a_time_alone(tmp_path: Path) -> None:
    site, feed = Site(tmp_path), ScriptedFeed(page=2)
    feed.images = frames(4)
    feed.errors = dict.fromkeys(frames(2), FeedError("there is nothing", feed="sky"))
    for _ in range(PASSED_OVER_ALONE - 1):
        assert site.ask(feed)[0][0] == "quarantine"
    assert site.ask(feed)[0][1].startswith("2 new images, 2 refused")


def test_a_few_lies_in_a_row_end_a_turn(tmp_path: Path) -> None:
    """A server that gives a page for each of a thousand images is not asked for all of them."""
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.images = frames(1000)
    feed.errors = dict.fromkeys(feed.images, LIE)
    site.ask(feed)
    assert len(feed.asked) == MOST_LIES


@pytest.mark.parametrize("error", [FeedDenied("the key is wrong", feed="sky"), AWAY])
def test_who_is_denied_or_left_without_answer_asks_for_no_more(error: FeedError, tmp_path: Path) -> None:
    site, feed = Site(tmp_path), ScriptedFeed()
    feed.images, feed.errors = frames(5), {"f00002.fits": error}
    site.ask(feed)
    assert feed.asked == sorted(feed.images)[:3]
    feed.errors = {}
    site.ask(feed)
    assert site.deposited() == hashes(feed.images)
