"""Twenty-four hours of six feeds that misbehave, by a clock that jumps: what came, what did not, and what is left."""

from dataclasses import replace
from pathlib import Path

import pytest

from entropy_assets.sources.feeds.interface import FeedDenied, FeedError, FeedLies, FeedUnavailable
from entropy_assets.sources.feeds.journal import MOST_BYTES, MOST_SEEN
from entropy_assets.sources.feeds.rounds import LONGEST_WAIT_S, Member
from entropy_assets_tests.sources.feeds.scripted import NOON_S, TERMS, LatestFeed, ScriptedFeed, Site, hashes, utc

HOUR = 3600.0
DAY = 24 * HOUR
STEP_S = 100.0
"""What the clock jumps from one round to the next."""


def new_image(feed: str, number: int) -> bytes:
    return f"{feed} {number}".encode() * 20


class Sky:
    """What the servers of six feeds do over a day; ``made`` is every image that there ever was, by feed.

    steady    a listing, an image each 5 minutes
    flaky     the same; every third listing fails, and for two hours all do, with a wish to be left alone
    latest    one URL, a new picture each 15 minutes, frozen from hour 6 to hour 14
    liar      a listing whose images are pages for hours 3 to 5, and one of which is a page for ever
    keyless   denied until hour 20, when somebody sets its key
    echo      what steady has, under other names and addresses
    """

    def __init__(self) -> None:
        self.steady, self.flaky, self.latest = ScriptedFeed("steady"), ScriptedFeed("flaky"), LatestFeed("latest")
        self.liar, self.keyless = ScriptedFeed("liar", "liar.example"), ScriptedFeed("keyless")
        self.echo = ScriptedFeed("echo", "liar.example")
        self.feeds = (self.steady, self.flaky, self.latest, self.liar, self.keyless, self.echo)
        self.made: dict[str, list[bytes]] = {feed.name: [] for feed in self.feeds}

    def at(self, elapsed_s: float) -> None:
        """Let the servers be as they are at that time of the day."""
        number, hour = int(elapsed_s / 300), elapsed_s / HOUR
        if elapsed_s % 300 == 0:
            for feed in (self.steady, self.flaky, self.liar, self.keyless):
                self._add(feed, f"i{number:05}.fits", new_image(feed.name, number), elapsed_s)
            self.echo.images[f"e{number:05}.fits"] = new_image("steady", number)
        if elapsed_s % 900 == 0 and not 6 <= hour < 14:
            self.latest.images = {"latest.jpg": new_image("latest", number)}
            self.made["latest"].append(new_image("latest", number))
        self.flaky.error = self._flaky_error(number, hour)
        lie = FeedLies("a page came for an image", feed="liar")
        pages = self.liar.images if 3 <= hour < 5 else ("i00000.fits",)
        self.liar.errors = dict.fromkeys(pages, lie)
        self.keyless.error = FeedDenied("the key is wrong", feed="keyless") if hour < 20 else None

    def _add(self, feed: ScriptedFeed, name: str, data: bytes, elapsed_s: float) -> None:
        feed.images[name] = data
        feed.dates[name] = utc(NOON_S + elapsed_s)
        self.made[feed.name].append(data)

    def _flaky_error(self, number: int, hour: float) -> FeedError | None:
        if 8 <= hour < 10:
            return FeedUnavailable("too many requests", feed="flaky", retry_after_s=2870)
        return FeedUnavailable("no answer", feed="flaky") if number % 3 == 2 else None


@pytest.mark.slow
def test_a_day_of_six_feeds_that_misbehave(tmp_path: Path) -> None:
    """Every image that can be had is had once, each trouble is told once, and nothing grows beyond its bound."""
    site, sky = Site(tmp_path), Sky()
    terms = replace(TERMS, cadence_s=300.0, images_per_turn=32)
    members = [Member(feed, terms) for feed in sky.feeds if feed is not sky.latest]
    members.insert(2, Member(sky.latest, replace(terms, cadence_s=900.0, stale_after_s=2 * HOUR)))
    steady_late = 0
    taken: list[str] = []
    largest = 0
    for step in range(int(DAY / STEP_S)):
        elapsed_s = step * STEP_S
        site.clock.now = NOON_S + elapsed_s
        sky.at(elapsed_s)
        site.rounds.ask(members)
        if elapsed_s % HOUR == 0:
            taken += emptied(site)
            largest = max(largest, *(file.stat().st_size for file in site.home.feeds_folder.glob("*.json")))
            steady_late = max(steady_late, len(sky.made["steady"]) - len(sky.steady.asked))
    site.clock.now, sky.flaky.error = NOON_S + DAY, None
    for _ in range(5):
        site.clock.now += LONGEST_WAIT_S * 1.25
        site.rounds.ask([member for member in members if member.feed is not sky.latest])
    taken += emptied(site)

    totals = {feed.name: site.journal(feed.name).total for feed in sky.feeds}
    lost = {name: set(hashes(images)) - set(taken) for name, images in sky.made.items()}
    assert len(taken) == len(set(taken)), "none came twice"
    gone = hashes([new_image("latest", number) for number in range(14 * 12, 16 * 12, 3)])
    assert lost.pop("latest") <= set(gone), "a picture that was replaced while its feed was in quarantine"
    assert lost.pop("liar") == set(hashes([new_image("liar", 0)])), "it was never anything but a page"
    assert not any(lost.values())
    assert totals["liar"].refused == 1, "the page for ever was given up, and held up no other"
    assert totals["steady"].images + totals["echo"].images == len(sky.made["steady"])
    assert totals["steady"].duplicates + totals["echo"].duplicates == len(sky.made["steady"])
    assert steady_late <= 2, "no trouble of another held it up"

    alarms = site.alarms()
    told = [alarm.split(":")[0] for alarm in alarms if "quarantine" in alarm]
    assert sorted(told) == sorted(f"{name} is in quarantine" for name in ("flaky", "latest", "liar", "keyless"))
    assert len([alarm for alarm in alarms if "is well again" in alarm]) == 4

    assert len(list(site.home.feeds_folder.iterdir())) == 2 * len(sky.feeds)
    assert largest < MOST_BYTES / 10, "real URLs make small journals"
    assert all(len(site.journal(feed.name).seen) <= MOST_SEEN for feed in sky.feeds)
    asked = {feed.name: len(feed.asked) for feed in sky.feeds}
    assert asked["keyless"] <= len(sky.made["keyless"])
    assert sky.keyless.listed < 20 * HOUR / LONGEST_WAIT_S * 1.5 + 60, "who is denied is asked ever less"


def emptied(site: Site) -> list[str]:
    """Take what is in the inbox, as the pipeline does, and return the hashes."""
    taken = site.deposited()
    for path in site.home.inbox_folder.iterdir():
        if path.is_file():
            site.home.images().put(path.read_bytes())
            path.unlink()
    return taken
