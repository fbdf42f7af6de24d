"""What is told of the feeds is what their journals say."""

from dataclasses import replace
from pathlib import Path

from entropy_assets.sources.feeds.facts import (
    LEFT_AFTER_S,
    doubts_of,
    facts_of,
    facts_of_all,
    facts_of_asked,
    figures_of,
)
from entropy_assets.sources.feeds.journal import FeedJournal, FeedJournals, FeedTrouble, Yield, day_of
from entropy_assets_tests.sources.feeds.scripted import NOON_S


def test_a_feed_stands_where_its_journal_says() -> None:
    nothing = facts_of(FeedJournal(name="sky"), NOON_S)
    assert (nothing["state"], nothing["due_s"], nothing["newest"]) == ("never asked", None, None)
    journal = FeedJournal(name="sky", last_new_s=1.0, newest=("ab", "cd"), due_s=5.0)
    journal = journal.with_yield(day_of(NOON_S - 86_400), Yield(images=2)).with_yield(day_of(NOON_S), Yield(images=1))
    well = facts_of(journal, NOON_S)
    assert (well["state"], well["newest"], well["last_new_s"]) == ("well", "cd", 1.0)
    assert (well["total"]["images"], well["today"]["images"]) == (3, 1)
    held = facts_of(replace(journal, backlog="4 files wait"), NOON_S)
    assert (held["state"], held["trouble"], held["words"]) == ("inbox full", None, "4 files wait")
    ill = facts_of(replace(journal, trouble=FeedTrouble("feed-lies", "a page", 3.0, 2)), NOON_S)
    assert (ill["state"], ill["trouble"], ill["words"], ill["times"]) == ("quarantine", "feed-lies", "a page", 2)


def test_a_damaged_journal_hides_no_other(tmp_path: Path) -> None:
    journals = FeedJournals(tmp_path)
    journals.blobs.path("sky.json").write_bytes(b"{")
    states = [facts["state"] for facts in facts_of_all(journals, ["sky", "sea"], NOON_S)]
    assert states == ["damaged", "never asked"]


def test_figures_are_told_of_every_feed_that_was_asked(tmp_path: Path) -> None:
    journals = FeedJournals(tmp_path)
    journals.write(FeedJournal(name="sky", last_new_s=NOON_S - 60, newest=("ab",), total=Yield(images=3, bytes=7)))
    journals.write(FeedJournal(name="sea", trouble=FeedTrouble("feed-lies", "a page", 3.0)))
    journals.blobs.path("sun.json").write_bytes(b"{")
    figures = figures_of(facts_of_asked(journals, NOON_S), NOON_S)
    assert (figures["sky"]["images"], figures["sky"]["bytes"], figures["sky"]["image_age_s"]) == (3, 7, 60)
    assert {name: each["in_trouble"] for name, each in figures.items()} == {"sea": 1, "sky": 0, "sun": 1}


def test_a_journal_that_may_not_be_read_is_trouble_of_its_feed_and_stops_no_figures(tmp_path) -> None:
    """The service asks for them with the age of the supply, and may be another user."""
    (tmp_path / "mine.json").mkdir()
    told = facts_of_all(FeedJournals(tmp_path), ["mine"], 0.0)
    assert figures_of(told, 0.0)["mine"]["in_trouble"] == 1.0


def _ill(
    name: str, *alarmed: str, due_s: float = NOON_S, words: str = "http://10.0.0.7/secret answers 503"
) -> FeedJournal:
    trouble = FeedTrouble("feed-unavailable", words, NOON_S - 3600, 3, alarmed)
    return FeedJournal(name=name, trouble=trouble, due_s=due_s)


def test_everybody_is_told_of_a_feed_that_stays_in_trouble_and_not_where_it_is(tmp_path: Path) -> None:
    journals = FeedJournals(tmp_path)
    journals.write(_ill("sky", "feed-unavailable"))
    journals.write(_ill("sea"))
    journals.write(FeedJournal(name="sun", last_new_s=NOON_S))
    [(code, sentence)] = doubts_of(facts_of_asked(journals, NOON_S), NOON_S)
    assert code == "feed-quarantined"
    since = "sky (feed-unavailable since 2026-11-29 11:00Z)"
    assert sentence == f"a feed is in quarantine: {since}; 'entropy-assets sources list' says why"


def test_a_feed_that_nobody_asks_any_more_is_in_no_trouble(tmp_path: Path) -> None:
    """As one that was taken out of the file, or isn't enabled: what is remembered of it stays."""
    journals = FeedJournals(tmp_path)
    journals.write(_ill("sky", "feed-unavailable", due_s=NOON_S - LEFT_AFTER_S - 1))
    told = facts_of_asked(journals, NOON_S)
    assert doubts_of(told, NOON_S) == []
    assert figures_of(told, NOON_S)["sky"]["in_trouble"] == 0
    journals.write(_ill("sky", "feed-unavailable", due_s=NOON_S - LEFT_AFTER_S + 1))
    told = facts_of_asked(journals, NOON_S)
    assert len(doubts_of(told, NOON_S)) == figures_of(told, NOON_S)["sky"]["in_trouble"] == 1


def test_of_many_feeds_three_are_named_and_all_are_counted(tmp_path: Path) -> None:
    journals = FeedJournals(tmp_path)
    for number in range(5):
        journals.blobs.path(f"sky-{number}.json").write_bytes(b"{")
    [(_, sentence)] = doubts_of(facts_of_asked(journals, NOON_S), NOON_S)
    assert sentence.startswith("5 feeds are in quarantine: sky-0 (feed-journal-damaged), sky-1 (")
    assert "sky-2 (feed-journal-damaged) and 2 more;" in sentence
