"""Machines that share an object store, each with a folder of its own: what one did, the others know."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entropy_assets.sources.feeds.depot import Depot
from entropy_assets.sources.feeds.interface import FeedUnavailable
from entropy_assets.sources.feeds.roster import journals_of
from entropy_assets.sources.feeds.rounds import Member, Rounds
from entropy_assets.stores.home import Home
from entropy_assets.stores.inboxes.bucket import Inbox
from entropy_assets_tests.sources.feeds.scripted import TERMS, Clock, ScriptedFeed, frames, sha256


class Killed(BaseException):
    """The process of a worker ends here."""


class Deadly:
    """An inbox whose depositor is killed."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inbox, name)

    def deposit(self, *_: object) -> None:
        raise Killed


class Machine:
    """A machine of several: the store is all that it has in common with the others."""

    def __init__(self, root: Path, store: str, clock: Clock) -> None:
        self.home = Home(root, store_url=store, inbox_url=store)
        self.is_deadly = False
        depot = Depot(self.home.origins(), self.home.images(), self._inbox)
        self.rounds = Rounds(journals_of(self.home), depot, self.home.alerts(), clock, lambda: 0.5)

    def _inbox(self, claim: str) -> Inbox:
        inbox = self.home.inbox_of(claim, (), settle_seconds=0.0, max_file_bytes=1 << 20)
        return Deadly(inbox) if self.is_deadly else inbox  # type: ignore[return-value]

    def ask(self, feed: ScriptedFeed, *, at_once: bool = False) -> str:
        [look] = self.rounds.ask([Member(feed, TERMS)], at_once=at_once)
        return str(look.state)

    def hashes(self) -> list[str]:
        inbox = self._inbox("drop")
        ready, _ = inbox.scan(1e12)
        return sorted(sha256(inbox.read(file)) for file in ready)


def listing(count: int) -> ScriptedFeed:
    feed = ScriptedFeed()
    feed.images = frames(count)
    return feed


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def machine(tmp_path: Path, object_store: str, clock: Clock) -> Callable[[str], Machine]:
    """Give what starts a machine of that name."""
    return lambda name: Machine(tmp_path / name, object_store, clock)


def test_a_feed_that_one_asked_is_due_on_none(machine: Callable[[str], Machine], clock: Clock) -> None:
    feed = listing(2)
    assert machine("a").ask(feed) == "well"
    assert machine("b").ask(feed) == "not due"
    clock.now += TERMS.cadence_s
    feed.error = FeedUnavailable("wait", feed="sky", retry_after_s=3600)
    assert machine("b").ask(feed) == "quarantine"
    asked = feed.listed
    assert machine("c").ask(feed) == "quarantine"
    assert feed.listed == asked, "its server wants to be left alone, whoever asks"


def test_an_image_whose_worker_was_killed_is_brought_by_another(machine: Callable[[str], Machine]) -> None:
    """Its origin is kept, so whoever knows no more than that takes it for one that was brought."""
    feed, first, second = listing(1), machine("a"), machine("b")
    first.is_deadly = True
    with pytest.raises(Killed):
        first.ask(feed)
    assert second.hashes() == []
    assert second.ask(feed, at_once=True) == "well"
    assert second.hashes() == [sha256(data) for data in frames(1).values()]
    assert machine("c").ask(feed, at_once=True) == "well"
    assert len(second.hashes()) == 1
