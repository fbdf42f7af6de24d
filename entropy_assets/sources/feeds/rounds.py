"""A round: every feed that is due has its turn, and one that is in trouble goes into quarantine and stops no other.

Feeds of one host have their turns one after the other, those of different hosts side by side. A feed in quarantine is
asked again by itself, each time after a longer wait; an alarm tells once that it is there, and once that it is out.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import StrEnum
from threading import Semaphore
from typing import Final

from entropy_assets.sources.feeds.depot import Depot
from entropy_assets.sources.feeds.interface import (
    Feed,
    FeedDenied,
    FeedError,
    FeedLies,
    FeedStale,
    FeedUnavailable,
)
from entropy_assets.sources.feeds.journal import (
    FeedJournal,
    FeedJournalDamaged,
    FeedJournals,
    FeedTrouble,
    Yield,
    day_of,
    short,
)
from entropy_assets.sources.feeds.turns import Steps, Terms, Turn, TurnOutcome
from entropy_assets.stores.journals.alerts import AlertLog

MOST_AT_ONCE: Final = 4
"""Feeds that are asked side by side: each holds an image in memory as a whole."""
FIRST_WAIT_S: Final = 300.0
"""Wait after the first round that ended in trouble, seconds; a feed that is asked more often waits its cadence."""
LONGEST_WAIT_S: Final = 7200.0
"""Longest wait in quarantine, seconds, unless the server asks for more."""
LONGEST_AWAY_S: Final = 900.0
"""Longest wait of a feed that doesn't answer, seconds, if its cadence isn't longer."""
STALE_CADENCES: Final = 4
"""Longest wait of a feed that is stale, in its cadences."""
LONGEST_ASKED_S: Final = 86_400.0
"""Longest wait that a server can ask for, seconds."""
JITTER: Final = 0.25
"""Share of a wait by which chance makes it longer or shorter: else all who lost a server come back at once."""
PATIENCE: Final = {FeedUnavailable.code: 3, FeedLies.code: 2, FeedError.code: 5}
"""Rounds in a row before an alarm is raised, of what often passes by itself; of all else it is one."""
ALERT_JOB: Final = "feeds"
"""What stands in the place of a job in the alerts of feeds."""


class State(StrEnum):
    """Where a feed stands after it could have had a turn."""

    WELL = "well"
    NOT_DUE = "not due"
    BUSY = "busy"
    SPENT = "spent"
    FULL = "inbox full"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Member:
    """A feed and the terms on which it is asked."""

    feed: Feed
    terms: Terms


@dataclass(frozen=True, slots=True)
class Look:
    """What came of a feed in a round.

    Attributes
    ----------
    feed
        Its name.
    state
        Where it stands.
    words
        Why nothing came, or what came, in a sentence.
    brought
        What it yielded.
    journal
        What is remembered of it afterwards; None if that can't be read.
    """

    feed: str
    state: State
    words: str
    brought: Yield
    journal: FeedJournal | None


def no_steps(_feed: str, _done: int, _total: int) -> None:
    """Tell nothing."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """Rounds over feeds; everything that they leave behind is in the journals, the depot and the alerts.

    Attributes
    ----------
    journals
        What is remembered of each feed.
    depot
        Where images go.
    alerts
        Where alarms go.
    now
        The present, seconds since 1970.
    chance
        A number of 0 to 1, another one each time.
    """

    journals: FeedJournals
    depot: Depot
    alerts: AlertLog
    now: Callable[[], float]
    chance: Callable[[], float]

    def ask(self, members: Sequence[Member], *, at_once: bool = False, steps: Steps = no_steps) -> list[Look]:
        """Give each feed that is due its turn and return what came of each, in their order.

        Parameters
        ----------
        at_once
            Whether all are asked, due or not.

        Raises
        ------
        StoreError, OSError
            If a place of ours can't be written, after all others had their turns.
        """
        room = Semaphore(MOST_AT_ONCE)

        def look(member: Member) -> Look:
            with room:
                return self.look_at(member, at_once=at_once, steps=steps)

        with ExitStack() as stack:
            by_host = {
                host: stack.enter_context(ThreadPoolExecutor(1)) for host in {each.feed.host for each in members}
            }
            looks: list[Future[Look]] = [by_host[each.feed.host].submit(look, each) for each in members]
        return [each.result() for each in looks]

    def look_at(self, member: Member, *, at_once: bool = False, steps: Steps = no_steps) -> Look:
        """Give one feed its turn if it is due, or `at_once`, and return what came of it."""
        name = member.feed.name
        with self.journals.held(name) as is_free:
            if not is_free:
                return Look(name, State.BUSY, "somebody else asks it just now", Yield(), None)
            try:
                journal = self.journals.read(name)
            except FeedJournalDamaged as error:
                self._alarm(f"{name}:{error.code}:{self.journals.version(name)}", error.message)
                return Look(name, State.QUARANTINE, error.message, Yield(), None)
            if not (at_once or self.is_due(journal, member.terms)):
                return Look(name, _standing(journal), self.why_not(journal), Yield(), journal)
            outcome = Turn(member.feed, member.terms, self.journals, self.depot, self.now, steps).taken()
            return self._settled(outcome, member.terms)

    def is_due(self, journal: FeedJournal, terms: Terms) -> bool:
        """Tell whether a feed is to be asked now.

        A wait that is longer than any can be was written by another clock, and is none.
        """
        longest = max(LONGEST_WAIT_S, LONGEST_ASKED_S, terms.cadence_s) * (1 + JITTER)
        return not 0 < journal.due_s - self.now() <= longest

    def has_nothing(self, member: Member) -> bool:
        """Look whether a feed that asks no server has nothing new; if so, that was its turn, for less than a run.

        One that is in trouble, or that somebody has to be told of, has its turn in a round.
        """
        feed, terms = member.feed, member.terms
        with self.journals.held(feed.name) as is_free:
            if not is_free:
                return True  # it has its turn just now
            journal, now = self.journals.read(feed.name), self.now()
            if journal.trouble is not None or journal.backlog or journal.last_new_s is None:
                return False
            if terms.stale_after_s is not None and now - journal.last_new_s > terms.stale_after_s:
                return False
            try:
                page = feed.discover(journal.cursor)
            except FeedError:
                return False
            if page.candidates or not page.is_whole:
                return False
            due_s = _next_look(journal.due_s, now, terms.cadence_s)
            self.journals.write(replace(journal, cursor=page.cursor, done=(), due_s=due_s))
            return True

    def why_not(self, journal: FeedJournal) -> str:
        """Return why a feed isn't asked now, in a sentence."""
        wait = f"asked again in {max(0.0, journal.due_s - self.now()):.0f} s"
        return wait if journal.trouble is None else f"{journal.trouble.words}; {wait}"

    def _settled(self, outcome: TurnOutcome, terms: Terms) -> Look:
        """Keep where the feed stands after its turn, and raise or end an alarm."""
        now, journal = self.now(), outcome.journal
        error = self._trouble_of(outcome, terms, now)
        if error is None:
            return self._well(outcome, terms, now)
        trouble = _grown(journal.trouble, error, now)
        wait = self._varied(_quarantine_s(trouble, terms.cadence_s))
        due_s = now + max(wait, self._asked_for(error))
        journal = replace(journal, trouble=trouble, due_s=due_s, backlog=outcome.backlog)
        journal = journal.with_yield(day_of(now), Yield(failures=1))
        self.journals.write(journal)
        if trouble.kind not in trouble.alarmed and trouble.times >= PATIENCE.get(trouble.kind, 1):
            # First the alarm, then that it was raised: who is killed between them repeats it, and it isn't told twice.
            self._alarm(_key(journal, trouble, trouble.kind), f"{journal.name} is in quarantine: {trouble.words}")
            trouble = replace(trouble, alarmed=(*trouble.alarmed, trouble.kind))
            journal = self.journals.write(replace(journal, trouble=trouble))
        return Look(journal.name, State.QUARANTINE, self.why_not(journal), outcome.brought, journal)

    def _well(self, outcome: TurnOutcome, terms: Terms, now: float) -> Look:
        journal, ended = outcome.journal, outcome.journal.trouble
        # A feed that was not asked, since its day or its inbox is full, is as it was.
        was_asked = outcome.answered or not (outcome.is_spent or outcome.backlog)
        if ended is not None and ended.alarmed and was_asked:
            hours = max(0.0, now - ended.since_s) / 3600
            self._alarm(_key(journal, ended, "over"), f"{journal.name} is well again after {hours:.1f} h")
        due_s = _next_look(journal.due_s, now, terms.cadence_s)
        if outcome.is_spent:
            due_s = max(due_s, now + 86_400 - now % 86_400)
        if outcome.error is not None:
            due_s = max(due_s, now + self._asked_for(outcome.error))
        trouble = None if was_asked else ended
        journal = self.journals.write(replace(journal, trouble=trouble, due_s=due_s, backlog=outcome.backlog))
        state = State.SPENT if outcome.is_spent else State.FULL if outcome.backlog else State.WELL
        return Look(journal.name, state, _told(outcome), outcome.brought, journal)

    def _trouble_of(self, outcome: TurnOutcome, terms: Terms, now: float) -> FeedError | None:
        """Return what is wrong with the feed; None if nothing is, or only with some of its images."""
        journal = outcome.journal
        if outcome.error is not None and (not outcome.answered or isinstance(outcome.error, FeedDenied)):
            return outcome.error
        silent_s = now - (journal.last_new_s or now)
        was_stale = journal.trouble is not None and journal.trouble.kind == FeedStale.code
        is_stale = terms.stale_after_s is not None and silent_s > terms.stale_after_s
        # What is stale stays so until it brings something new: that it is silent now proves nothing.
        is_held_back = outcome.is_spent or bool(outcome.backlog)
        if not is_held_back and not outcome.brought.images and (is_stale or was_stale):
            message = f"{journal.name} has brought nothing new for {silent_s / 3600:.1f} h"
            return FeedStale(message, feed=journal.name)
        return None

    def _asked_for(self, error: FeedError) -> float:
        """Return for how long the server asked to be left alone, never cut short by chance, seconds."""
        asked = error.data.get("retry_after_s")
        if not isinstance(asked, int | float) or not asked > 0:
            return 0.0
        return min(float(asked), LONGEST_ASKED_S) * (1 + JITTER * self.chance() / 2)

    def _varied(self, wait_s: float) -> float:
        return wait_s * (1 + JITTER * (2 * self.chance() - 1))

    def _alarm(self, key: str, words: str) -> None:
        self.alerts.append_once(run_id=f"feed:{key}", job=ALERT_JOB, error=words, time_s=self.now())


def _next_look(due_s: float, now: float, cadence_s: float) -> float:
    """Return when a feed is looked at again: a cadence after it was due, so that looks that come late don't add up."""
    on_time = 0 <= now - due_s < cadence_s / 2
    return (due_s if on_time else now) + cadence_s


def _quarantine_s(trouble: FeedTrouble, cadence_s: float) -> float:
    """Return how long a feed stays in quarantine, seconds: longer each time, up to a bound.

    A stale feed answers well, and what it has when it moves again may soon be gone, so its bound is lower. One that
    doesn't answer is often well in a moment, with all others, when a network is back: to be asked no more often than
    on a good day does it no harm, and a pool that ran dry waits for it.
    """
    bounds = {FeedStale.code: STALE_CADENCES * cadence_s, FeedUnavailable.code: max(LONGEST_AWAY_S, cadence_s)}
    longest = min(LONGEST_WAIT_S, bounds.get(trouble.kind, LONGEST_WAIT_S))
    return min(longest, min(FIRST_WAIT_S, cadence_s) * 2.0 ** min(trouble.times - 1, 20))


def _standing(journal: FeedJournal) -> State:
    return State.NOT_DUE if journal.trouble is None else State.QUARANTINE


def _grown(before: FeedTrouble | None, error: FeedError, now: float) -> FeedTrouble:
    """Return the trouble as it is after one more round of it. Another kind of it is no new beginning."""
    words = short(error.message)
    if before is None:
        return FeedTrouble(error.code, words, now)
    return replace(before, kind=error.code, words=words, times=before.times + 1)


def _key(journal: FeedJournal, trouble: FeedTrouble, what: str) -> str:
    return f"{journal.name}:{trouble.since_s:.3f}:{what}"


def _told(outcome: TurnOutcome) -> str:
    """Return what a turn brought, in words."""
    brought = outcome.brought
    counts = {
        f"new image{'s' * (brought.images != 1)}": brought.images,
        "unchanged": brought.unchanged,
        "known already": brought.duplicates,
        "refused": brought.refused,
    }
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing new"
    if outcome.waiting:
        wait = "1 file waits" if outcome.waiting == 1 else f"{outcome.waiting} files wait"
        told += f"; {wait} for a later look, in case more is written"
    if outcome.is_spent:
        told += "; the bytes of this day are used up"
    if outcome.backlog:
        told += f"; {outcome.backlog}"
    return told if outcome.error is None else f"{told}; {short(outcome.error.message)}"
