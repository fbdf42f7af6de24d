"""Feeds of images in memory that do what a test says, and what a round over them leaves behind."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from entropy_assets.sources.feeds.depot import Depot
from entropy_assets.sources.feeds.interface import Candidate, Discovery, FeedError, FetchedImage
from entropy_assets.sources.feeds.journal import FeedJournal, FeedJournals
from entropy_assets.sources.feeds.rounds import Member, Rounds
from entropy_assets.sources.feeds.turns import Terms
from entropy_assets.stores.home import Home
from entropy_assets.stores.inboxes.folder import DropFolder
from entropy_assets.stores.inboxes.origins import Origin

NOON_S = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()
TERMS = Terms(claim="drop", cadence_s=900.0)


def utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class ScriptedFeed:
    """Lists ``images`` by name, the oldest first, from where the cursor says, `page` at a time.

    ``error`` is raised by every listing, ``errors`` by the fetch of a name. ``asked`` says what was fetched.
    """

    def __init__(self, name: str = "sky", host: str | None = None, page: int = 1000) -> None:
        self.name = name
        self.host = host or f"{name}.example"
        self.page = page
        self.images: dict[str, bytes] = {}
        self.dates: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.error: FeedError | None = None
        self.errors: dict[str, FeedError] = {}
        self.asked: list[str] = []
        self.read_bytes = 0
        self.listed = 0
        self.before_fetch: Callable[[str], object] = lambda name: None

    def discover(self, cursor: str) -> Discovery:
        self.listed += 1
        if self.error is not None:
            raise self.error
        names = [name for name in self.images if name > cursor][: self.page]
        last = names[-1] if names else cursor
        return Discovery([self._candidate(name) for name in names], last, all(name <= last for name in self.images))

    def fetch(self, candidate: Candidate, known: Origin | None = None) -> FetchedImage | None:
        name = candidate.url.rpartition("/")[2]
        self.asked.append(name)
        self.before_fetch(name)
        if name in self.errors:
            raise self.errors[name]
        data = self.images[name]
        self.read_bytes += len(data)
        if known is not None and known.etag == sha256(data):
            return None
        origin = Origin(
            feed=self.name,
            url=candidate.url,
            fetched_at=utc(NOON_S),
            dated_at=self.dates.get(name),
            etag=sha256(data),
        )
        return FetchedImage(name, data, origin)

    def _candidate(self, name: str) -> Candidate:
        url = f"https://{self.host}/{name}"
        return Candidate(url=url, version=self.versions.get(name, ""), dated_at=self.dates.get(name))


class LatestFeed(ScriptedFeed):
    """One URL whose bytes change: its listing always has it, and no cursor."""

    def discover(self, cursor: str) -> Discovery:
        self.listed += 1
        if self.error is not None:
            raise self.error
        return Discovery([self._candidate(name) for name in self.images])


class Clock:
    """A clock that stands where it is put."""

    def __init__(self, now: float = NOON_S) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Site:
    """An installation in a folder, and rounds over scripted feeds in it."""

    def __init__(self, root: Path, chance: Callable[[], float] = lambda: 0.5) -> None:
        self.home = Home(root)
        self.clock = Clock()
        self.journals = FeedJournals(self.home.feeds_folder)
        self.inbox = DropFolder(self.home.inbox_folder, settle_seconds=0.0)
        depot = Depot(self.home.origins(), self.home.images(), lambda claim: self.inbox)
        self.rounds = Rounds(self.journals, depot, self.home.alerts(), self.clock, chance)

    def ask(self, *feeds: ScriptedFeed, terms: Terms = TERMS, at_once: bool = True) -> list[tuple[str, str]]:
        """Ask the feeds and return the state and the words of each."""
        looks = self.rounds.ask([Member(feed, terms) for feed in feeds], at_once=at_once)
        return [(str(look.state), look.words) for look in looks]

    def journal(self, name: str = "sky") -> FeedJournal:
        return self.journals.read(name)

    def deposited(self) -> list[str]:
        """Return the hashes of the files in the inbox, sorted; one that is there twice is told twice."""
        files = [path for path in self.home.inbox_folder.iterdir() if path.is_file() and path.name[0] != "."]
        return sorted(sha256(path.read_bytes()) for path in files)

    def alarms(self) -> list[str]:
        return [alert["error"] for alert in self.home.alerts().read()]


def frames(count: int, first: int = 0) -> dict[str, bytes]:
    """Return so many images by name, in the order of their names."""
    return {f"f{number:05}.fits": b"frame %d" % number for number in range(first, first + count)}


def hashes(images: Sequence[bytes] | dict[str, bytes]) -> list[str]:
    return sorted(map(sha256, images.values() if isinstance(images, dict) else images))
