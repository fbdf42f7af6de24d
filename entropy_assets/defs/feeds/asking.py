"""The feeds of the operator's file as a resource: what is configured, what is due, and one round over a host's."""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import dagster as dg

from entropy_assets.recipe import recipe_named
from entropy_assets.settings import Settings, variables
from entropy_assets.sources.feeds.configuration import (
    NO_FEEDS,
    Configuration,
    SourcesRefused,
    place_of,
    read_configuration,
)
from entropy_assets.sources.feeds.interface import Feed
from entropy_assets.sources.feeds.journal import FeedJournalDamaged
from entropy_assets.sources.feeds.roster import members_of, opened_feeds, rounds_of, terms_of
from entropy_assets.sources.feeds.rounds import ALERT_JOB, Look, Rounds
from entropy_assets.stores.home import Home


def _opened(configuration: Configuration, names: Collection[str]) -> Sequence[Feed]:
    return opened_feeds(configuration, names, variables(configuration.variables))


@dataclass(frozen=True, slots=True)
class ImageFeeds:
    """The feeds of an installation.

    Attributes
    ----------
    configuration
        What the operator's file says; no feeds if there is none, or none that can be used.
    rounds
        What asks them.
    opened
        Gives the feeds of those names, with their keys.
    refusal
        Why the file can't be used; None if it can.
    """

    configuration: Configuration
    rounds: Rounds
    opened: Callable[[Configuration, Collection[str]], Sequence[Feed]] = field(repr=False, default=_opened)
    refusal: SourcesRefused | None = None

    @classmethod
    def of(cls, settings: Settings) -> "ImageFeeds":
        """Return the feeds that the file of the settings names.

        A file that can't be used takes nothing else down: batches go on, an alert tells file and line, and so does
        every tick that would ask a feed.
        """
        home, recipe = Home.of(settings), recipe_named(settings.recipe)
        rounds = rounds_of(
            home, recipe.sources, settle_seconds=settings.settle_seconds, max_file_bytes=settings.max_file_bytes
        )
        path = place_of(settings.sources, home)
        if path is None:
            return cls(NO_FEEDS, rounds)
        try:
            return cls(read_configuration(path, recipe), rounds)
        except SourcesRefused as error:
            logging.getLogger(__name__).error("no feed is asked: %s", error.message)  # noqa: TRY400 - a sentence, no trace
            return cls(NO_FEEDS, rounds, refusal=error)

    @property
    def is_configured(self) -> bool:
        """Whether there is a file of feeds, be it one that can't be used."""
        return bool(self.configuration.enabled) or self.refusal is not None

    @property
    def hosts(self) -> dict[str, list[str]]:
        """The names of the feeds that are looked at, by the host that they ask first."""
        found: dict[str, list[str]] = {}
        for name, table in self.configuration.enabled.items():
            found.setdefault(table.host, []).append(name)
        return found

    def due(self) -> tuple[list[str], list[str]]:
        """Return the names of the feeds that are due, and for each of the others why it is not asked."""
        due, others = [], []
        for name, table in self.configuration.enabled.items():
            try:
                journal = self.rounds.journals.read(name)
            except FeedJournalDamaged as error:
                others.append(f"{name}: {error.message}")
                continue
            if self.rounds.is_due(journal, terms_of(table)):
                due.append(name)
            else:
                others.append(f"{name}: {self.rounds.why_not(journal)}")
        return due, others

    def ask(self, names: Collection[str]) -> list[Look]:
        """Give each feed of those names that is due its turn."""
        return self.rounds.ask(members_of(self.configuration, self.opened(self.configuration, names)))

    def refuse_if_unusable(self) -> None:
        """Raise, and tell of it once for each fault, if the file can't be used.

        Raises
        ------
        SourcesRefused
            The file is not what it must be.
        """
        if self.refusal is not None:
            self.rounds.alerts.append_once(
                run_id=f"feeds:{self.refusal.message}",
                job=ALERT_JOB,
                error=f"no feed is asked: {self.refusal.message}",
                time_s=self.rounds.now(),
            )
            raise self.refusal


Feeds = dg.ResourceParam[ImageFeeds]
"""How a step, a schedule or a sensor asks for them."""
