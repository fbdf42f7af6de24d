"""Where each feed stands and what it yields, as its journal tells."""

from collections.abc import Collection, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import Final, TypedDict

from entropy_assets.sources.feeds.journal import FeedJournal, FeedJournalDamaged, FeedJournals, Yield, day_of

LEFT_AFTER_S: Final = 2 * 86_400.0
"""Time after it was due after which a feed counts as one that nobody asks any more, seconds: no wait for a server is
longer than a day."""
MOST_NAMED: Final = 3
"""Feeds that one sentence names; it counts all."""


class FeedFacts(TypedDict):
    """Where a feed stands. Times are seconds since 1970.

    Attributes
    ----------
    state
        ``well``, ``inbox full``, ``quarantine``, ``never asked`` or ``damaged``, as its last look left it.
    trouble, words, since_s, times
        What ails it, in a code and a sentence, since when, and in how many rounds; None if nothing does. Of a full
        inbox the sentence alone: that is no fault of the feed.
    alarmed
        Whether an alarm was raised: what often passes by itself raises none at once.
    due_s
        When it is to be asked again.
    last_new_s, newest
        When it last brought a new image, and its SHA-256; None if it never did.
    total, today
        What it yielded since it was first asked, and on this day, UTC.
    """

    feed: str
    state: str
    trouble: str | None
    words: str | None
    since_s: float | None
    times: int
    alarmed: bool
    due_s: float | None
    last_new_s: float | None
    newest: str | None
    total: dict[str, int]
    today: dict[str, int]


def facts_of(journal: FeedJournal, now_s: float) -> FeedFacts:
    """Return where a feed stands."""
    trouble, newest = journal.trouble, journal.newest[-1] if journal.newest else None
    state = "never asked" if journal.last_new_s is None else "inbox full" if journal.backlog else "well"
    return {
        "feed": journal.name,
        "state": state if trouble is None else "quarantine",
        "trouble": None if trouble is None else trouble.kind,
        "words": (journal.backlog or None) if trouble is None else trouble.words,
        "since_s": None if trouble is None else trouble.since_s,
        "times": 0 if trouble is None else trouble.times,
        "alarmed": trouble is not None and bool(trouble.alarmed),
        "due_s": journal.due_s or None,
        "last_new_s": journal.last_new_s if newest else None,
        "newest": newest,
        "total": asdict(journal.total),
        "today": asdict(dict(journal.days).get(day_of(now_s), Yield())),
    }


def facts_of_all(journals: FeedJournals, names: Collection[str], now_s: float) -> list[FeedFacts]:
    """Return where each of the feeds stands, in their order; of a damaged journal that it is damaged."""
    return [_read(journals, name, now_s) for name in names]


def _read(journals: FeedJournals, name: str, now_s: float) -> FeedFacts:
    try:
        return facts_of(journals.read(name), now_s)
    except (FeedJournalDamaged, OSError) as error:
        nothing = facts_of(FeedJournal(name=name), now_s)
        words = f"its journal can't be read: {error.strerror}" if isinstance(error, OSError) else error.message
        return {**nothing, "state": "damaged", "trouble": FeedJournalDamaged.code, "words": words, "alarmed": True}


def facts_of_asked(journals: FeedJournals, now_s: float) -> list[FeedFacts]:
    """Return where every feed stands that was ever asked, those that left the operator's file too."""
    return facts_of_all(journals, journals.names(), now_s)


def figures_of(told: Iterable[FeedFacts], now_s: float) -> dict[str, dict[str, float]]:
    """Return what feeds yielded, for who draws it over time: counts, and ages in seconds.

    A damaged journal counts as trouble, and tells nothing else. One that nobody asks any more is in no trouble.
    """
    return {facts["feed"]: _figures(facts, now_s) for facts in told}


def doubts_of(told: Iterable[FeedFacts], now_s: float) -> list[tuple[str, str]]:
    """Return what to tell everybody of feeds for which an alarm was raised, as a code and a sentence.

    Names, codes and times alone: what a server said, and where a feed is, is for the operator.
    """
    named = [_named(facts) for facts in told if facts["alarmed"] and _is_in_trouble(facts, now_s)]
    if not named:
        return []
    what = "a feed is" if len(named) == 1 else f"{len(named)} feeds are"
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    sentence = (
        f"{what} in quarantine: {', '.join(islice(named, MOST_NAMED))}{more}; 'entropy-assets sources list' says why"
    )
    return [("feed-quarantined", sentence)]


def _named(facts: FeedFacts) -> str:
    since = (
        "" if facts["since_s"] is None else f" since {datetime.fromtimestamp(facts['since_s'], UTC):%Y-%m-%d %H:%MZ}"
    )
    return f"{facts['feed']} ({facts['trouble']}{since})"


def _is_in_trouble(facts: FeedFacts, now_s: float) -> bool:
    is_left = facts["due_s"] is not None and now_s - facts["due_s"] > LEFT_AFTER_S
    return facts["trouble"] is not None and not is_left


def _figures(facts: FeedFacts, now_s: float) -> dict[str, float]:
    figures = {name: float(count) for name, count in facts["total"].items()}
    figures["in_trouble"] = float(_is_in_trouble(facts, now_s))
    if facts["last_new_s"] is not None:
        figures["image_age_s"] = max(0.0, now_s - facts["last_new_s"])
    return figures
