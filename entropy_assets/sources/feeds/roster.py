"""The feeds of an installation: on what terms the operator's file has each asked, and the rounds that ask them."""

import random
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from entropy_assets.sources.feeds.configuration import Configuration
from entropy_assets.sources.feeds.depot import Depot
from entropy_assets.sources.feeds.interface import Candidate, Discovery, Feed, FeedDenied, FetchedImage
from entropy_assets.sources.feeds.journal import FeedJournals
from entropy_assets.sources.feeds.rounds import Member, Rounds
from entropy_assets.sources.feeds.tables.fields import FeedTable, WebTable
from entropy_assets.sources.feeds.turns import Terms
from entropy_assets.stores.home import Home
from entropy_assets.stores.inboxes.origins import Origin

HERE: Final = "here"
"""What stands for the host of feeds that ask no server: folders and cameras of this machine."""


def terms_of(table: FeedTable) -> Terms:
    """Return on what terms the table of a feed has it asked."""
    return Terms(
        claim=table.claim,
        cadence_s=table.cadence_seconds,
        stale_after_s=table.max_age_seconds,
        images_per_turn=table.max_files,
        bytes_per_day=table.max_bytes_per_day,
    )


def host_of(table: FeedTable) -> str:
    """Return the host that a feed asks first, as its table tells."""
    if isinstance(table, WebTable):
        return str(urlsplit(table.address).hostname)
    url = getattr(table, "url", None)
    return str(urlsplit(url).hostname) if isinstance(url, str) else HERE


def members_of(configuration: Configuration, feeds: Iterable[Feed]) -> list[Member]:
    """Return `feeds`, each with its terms."""
    return [Member(feed, terms_of(configuration.feeds[feed.name])) for feed in feeds]


def journals_of(home: Home) -> FeedJournals:
    """Return what is remembered of the feeds of an installation."""
    return FeedJournals(home.feeds_folder)


def rounds_of(home: Home, sources: Collection[str], *, settle_seconds: float, max_file_bytes: int) -> Rounds:
    """Return the rounds of an installation.

    Parameters
    ----------
    sources
        Those that its recipe lists.
    settle_seconds, max_file_bytes
        As its inboxes have them.
    """
    depot = Depot(
        home.origins(),
        home.images(),
        lambda claim: home.inbox_of(claim, sources, settle_seconds=settle_seconds, max_file_bytes=max_file_bytes),
    )
    # No secret hangs on the wait of a feed.
    return Rounds(journals_of(home), depot, home.alerts(), time.time, random.random)


class KeylessFeed:
    """What stands for a feed that lacks a key: it says which one, and is in quarantine until somebody sets it."""

    def __init__(self, name: str, host: str, unset: Collection[str]) -> None:
        self.name = name
        self.host = host
        self._unset = sorted(unset)

    def discover(self, cursor: str) -> Discovery:
        """Refuse."""
        raise FeedDenied(
            f"{self.name} is not asked: set {' and '.join(self._unset)} where the pipeline is started",
            feed=self.name,
            host=self.host,
            variables=self._unset,
        )

    def fetch(self, candidate: Candidate, known: Origin | None = None) -> FetchedImage | None:
        """Refuse."""
        raise AssertionError("it lists nothing")


def opened_feeds(configuration: Configuration, names: Collection[str], keys: Mapping[str, str]) -> list[Feed]:
    """Return the feeds of those names, in the order of the file.

    Parameters
    ----------
    keys
        The variables of the environment that are set. Secret.
    """
    feeds: list[Feed] = []
    for name, table in configuration.feeds.items():
        if name in names:
            unset = set(table.variables) - keys.keys()
            feeds.append(KeylessFeed(name, host_of(table), unset) if unset else _opened(name, table, keys))
    return feeds


def _opened(name: str, table: FeedTable, keys: Mapping[str, str]) -> Feed:
    raise NotImplementedError
