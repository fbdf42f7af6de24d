"""The feeds of an installation: on what terms the operator's file has each asked, and the rounds that ask them."""

import random
import time
from collections.abc import Collection, Iterable
from typing import Final
from urllib.parse import urlsplit

from entropy_assets.sources.feeds.configuration import Configuration
from entropy_assets.sources.feeds.depot import Depot
from entropy_assets.sources.feeds.interface import Feed
from entropy_assets.sources.feeds.journal import FeedJournals
from entropy_assets.sources.feeds.rounds import Member, Rounds
from entropy_assets.sources.feeds.tables.fields import FeedTable, WebTable
from entropy_assets.sources.feeds.turns import Terms
from entropy_assets.stores.home import Home

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
