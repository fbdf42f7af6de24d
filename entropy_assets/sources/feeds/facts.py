"""Where each feed stands and what it yields, as its journal tells."""

from collections.abc import Collection
from dataclasses import asdict
from typing import TypedDict

from entropy_assets.sources.feeds.journal import FeedJournal, FeedJournalDamaged, FeedJournals, Yield, day_of


class FeedFacts(TypedDict):
    """Where a feed stands. Times are seconds since 1970.

    Attributes
    ----------
    state
        ``well``, ``quarantine``, ``never asked`` or ``damaged``.
    trouble, words, since_s, times
        What ails it, in a code and a sentence, since when, and in how many rounds; None if nothing does.
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
    due_s: float | None
    last_new_s: float | None
    newest: str | None
    total: dict[str, int]
    today: dict[str, int]


def facts_of(journal: FeedJournal, now_s: float) -> FeedFacts:
    """Return where a feed stands."""
    trouble, newest = journal.trouble, journal.newest[-1] if journal.newest else None
    asked = "never asked" if journal.last_new_s is None else "well"
    return {
        "feed": journal.name,
        "state": asked if trouble is None else "quarantine",
        "trouble": None if trouble is None else trouble.kind,
        "words": None if trouble is None else trouble.words,
        "since_s": None if trouble is None else trouble.since_s,
        "times": 0 if trouble is None else trouble.times,
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
        return {**nothing, "state": "damaged", "trouble": FeedJournalDamaged.code, "words": words}


def figures_of_all(journals: FeedJournals, now_s: float) -> dict[str, dict[str, float]]:
    """Return what every feed that was ever asked yielded, for who draws it over time: counts, and ages in seconds.

    A damaged journal counts as trouble, and tells nothing else.
    """
    return {facts["feed"]: _figures(facts, now_s) for facts in facts_of_all(journals, journals.names(), now_s)}


def _figures(facts: FeedFacts, now_s: float) -> dict[str, float]:
    figures = {name: float(count) for name, count in facts["total"].items()}
    figures["in_trouble"] = float(facts["trouble"] is not None)
    if facts["last_new_s"] is not None:
        figures["image_age_s"] = max(0.0, now_s - facts["last_new_s"])
    return figures
