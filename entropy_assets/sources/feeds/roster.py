"""The feeds of an installation: on what terms the operator's file has each asked, and the rounds that ask them."""

import random
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from entropy_assets.sources.feeds.configuration import Configuration
from entropy_assets.sources.feeds.depot import Depot
from entropy_assets.sources.feeds.interface import Feed, Reader
from entropy_assets.sources.feeds.journal import FeedJournals
from entropy_assets.sources.feeds.rounds import Member, Rounds
from entropy_assets.sources.feeds.tables.fields import FeedTable, WebTable
from entropy_assets.sources.feeds.turns import Terms
from entropy_assets.sources.feeds.web.hosts import rules_of
from entropy_assets.stores.blobs.interface import Blobs
from entropy_assets.stores.blobs.opening import blobs_at
from entropy_assets.stores.home import Home

if TYPE_CHECKING:
    from entropy_assets.sources.feeds.web.pacing import Pacing

LONGEST_IMAGE_S: Final = 300.0
"""Time that one image may take, however steadily it drips, seconds: the other hosts of a run wait behind it."""
BUDGET_S: Final = 120.0
"""Time after which what failed isn't tried again in the same turn, seconds."""


def terms_of(table: FeedTable, sharing: int = 1) -> Terms:
    """Return on what terms the table of a feed has it asked, `sharing` its claim with so many, itself among them."""
    return Terms(
        claim=table.claim,
        cadence_s=table.cadence_seconds,
        stale_after_s=table.max_age_seconds,
        images_per_turn=table.max_files,
        bytes_per_day=table.max_bytes_per_day,
        sharing=sharing,
    )


def members_of(configuration: Configuration, feeds: Iterable[Feed]) -> list[Member]:
    """Return `feeds`, each with its terms."""
    tables = [(feed, configuration.feeds[feed.name]) for feed in feeds]
    sharing = Counter(table.claim for table in configuration.enabled.values())
    # one that is not enabled and asked all the same is one more
    return [Member(feed, terms_of(table, sharing[table.claim] + (not table.enabled))) for feed, table in tables]


def journals_of(home: Home) -> FeedJournals:
    """Return what is remembered of the feeds of an installation."""
    return FeedJournals(home.feeds())


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


def opened_feeds(
    configuration: Configuration, names: Collection[str], keys: Mapping[str, str], home: Home | None = None
) -> list[Feed]:
    """Return the feeds of those names, in the order of the file, those that are not enabled too. No server is asked.

    Parameters
    ----------
    keys
        The variables of the environment that the configuration names and that are set. Secret.
    home
        Where it is kept until when hosts want to be left alone; None if that is only known to these feeds.

    Raises
    ------
    ExtraMissing
        If what asks servers is not installed.
    """
    # Here, since every run loads the definitions, and few of them ask a server.
    from entropy_assets.sources.feeds.making import Means, feed_of
    from entropy_assets.sources.feeds.web.pacing import KeptRests, Pacing

    # one for all, so that two feeds of a host are paced together
    pacing = Pacing(kept=None if home is None else KeptRests(_rests_of(home)))
    means = Means(lambda name, table: _reader(name, table, pacing), keys, doubt=configuration.doubt)
    return [feed_of(name, table, means) for name, table in configuration.feeds.items() if name in names]


def _rests_of(home: Home) -> Blobs:
    """Return where is kept how long hosts want to be left alone: where all machines have it."""
    return blobs_at(home.store_url or home.root, f"{home.feeds_folder.name}/hosts")


def _reader(name: str, table: WebTable, pacing: "Pacing") -> Reader:
    from entropy_assets.sources.feeds.web.limits import DEFAULT_WEB_LIMITS
    from entropy_assets.sources.feeds.web.reader import HttpReader

    limits = replace(DEFAULT_WEB_LIMITS, image_bytes=table.max_file_bytes, image_s=LONGEST_IMAGE_S, budget_s=BUDGET_S)
    return HttpReader(name, rules_of(table), pacing=pacing, limits=limits, tls=table.trusted_file)
