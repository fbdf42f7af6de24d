"""The feeds of the operator's file as a resource: what is configured, what is due, and one round over a host's."""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import dagster as dg

from entropy_assets.recipe import recipe_named
from entropy_assets.settings import Settings, variables
from entropy_assets.sources.feeds.configuration import NO_FEEDS, Configuration, SourcesRefused, configuration_of
from entropy_assets.sources.feeds.interface import Feed
from entropy_assets.sources.feeds.journal import FeedJournalDamaged
from entropy_assets.sources.feeds.roster import members_of, opened_feeds, rounds_of, terms_of
from entropy_assets.sources.feeds.rounds import ALERT_JOB, Look, Rounds
from entropy_assets.sources.feeds.tables.local import FolderTable
from entropy_assets.stores.home import Home
from entropy_assets.stores.journals.alerts import LONGEST_ERROR
from entropy_assets.stores.lanes import Lane

WELL_AGAIN: Final = "the file of feeds is well again"
_OF_FILE: Final = "feeds:"


def _opened(configuration: Configuration, names: Collection[str], home: Home | None = None) -> Sequence[Feed]:
    return opened_feeds(configuration, names, variables(configuration.variables), home)


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
    settings
        By which the file is read again; None if it is not.
    """

    configuration: Configuration
    rounds: Rounds
    opened: Callable[[Configuration, Collection[str]], Sequence[Feed]] = field(repr=False, default=_opened)
    refusal: SourcesRefused | None = None
    settings: Settings | None = None

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
        opened = partial(_opened, home=home)
        try:
            return cls(configuration_of(settings.sources, home, recipe), rounds, opened, settings=settings)
        except SourcesRefused as error:
            logging.getLogger(__name__).error("no feed is asked: %s", error.message)  # noqa: TRY400 - a sentence, no trace
            return cls(NO_FEEDS, rounds, opened, refusal=error, settings=settings)

    def read_again(self) -> "ImageFeeds":
        """Return them as the file is now. A process that asks no feed itself may have read it a month ago."""
        return self if self.settings is None else replace(ImageFeeds.of(self.settings), opened=self.opened)

    def lane_of(self, claim: str) -> Lane | None:
        """Return the lane that the file, as it is now, wants for a claim; None leaves it to demand.

        While it can't be used, the one that it wanted when it was read; if it never could be, the private one, which
        reveals nothing.
        """
        now = self.read_again()
        if now.refusal is None:
            return now.configuration.lane_of(claim)
        return self.configuration.lane_of(claim) if self.refusal is None else "private"

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
        """Return the names of the feeds that are due, and for each of the others why it is not asked.

        A folder is looked into here: most looks find nothing, and a run for each would be 1,400 a day.
        """
        due, others = [], []
        for name, table in self.configuration.enabled.items():
            try:
                journal = self.rounds.journals.read(name)
            except FeedJournalDamaged as error:
                others.append(f"{name}: {error.message}")
                continue
            if not self.rounds.is_due(journal, terms_of(table)):
                others.append(f"{name}: {self.rounds.why_not(journal)}")
            elif isinstance(table, FolderTable) and self._has_nothing(name):
                others.append(f"{name}: nothing new")
            else:
                due.append(name)
        return due, others

    def _has_nothing(self, name: str) -> bool:
        [member] = members_of(self.configuration, self.opened(self.configuration, [name]))
        return self.rounds.has_nothing(member)

    def ask(self, names: Collection[str]) -> list[Look]:
        """Give each feed of those names that is due its turn."""
        return self.rounds.ask(members_of(self.configuration, self.opened(self.configuration, names)))

    def refuse_if_unusable(self) -> None:
        """Raise, and tell of it once, if the file can't be used; tell once that it can be used again.

        Raises
        ------
        SourcesRefused
            The file is not what it must be.
        """
        last = next((each for each in reversed(self.rounds.alerts.read()) if each["run_id"].startswith(_OF_FILE)), None)
        # as the log keeps it: what is longer would be told anew at each tick
        words = WELL_AGAIN if self.refusal is None else f"no feed is asked: {self.refusal.message}"[:LONGEST_ERROR]
        if words != (WELL_AGAIN if last is None else last["error"]):
            self._alarm(0.0 if last is None else last["time"], words)
        if self.refusal is not None:
            raise self.refusal

    def _alarm(self, since: float, words: str) -> None:
        """Tell of the file what was not told since its last alert, also if two processes notice at once."""
        self.rounds.alerts.append_once(
            run_id=f"{_OF_FILE}{since:.3f}", job=ALERT_JOB, error=words, time_s=self.rounds.now()
        )


Feeds = dg.ResourceParam[ImageFeeds]
"""How a step, a schedule or a sensor asks for them."""
