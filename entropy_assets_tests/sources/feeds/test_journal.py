"""What is remembered of a feed is read as it was written, and stays small whatever a server tells."""

from dataclasses import replace
from pathlib import Path

import pytest

from entropy_assets.sources.feeds.interface import LONGEST_CURSOR, Candidate
from entropy_assets.sources.feeds.journal import (
    LONGEST_KEPT,
    MOST_BYTES,
    MOST_DAYS,
    MOST_DONE,
    MOST_SEEN,
    FeedJournal,
    FeedJournalDamaged,
    FeedJournals,
    FeedTrouble,
    Seen,
    Yield,
    day_of,
    short,
    version_of,
)
from entropy_assets.stores.inboxes.origins import Origin
from entropy_assets_tests.sources.feeds.scripted import NOON_S

WIDE = "\U00020000"
"""A printable character of four bytes: the worst that a text can be made of."""


def full_journal() -> FeedJournal:
    """Return one into which a hostile server put as much as it can, and some more."""
    done = tuple(f"{number:012x}" for number in range(MOST_DONE))
    journal = FeedJournal(name="sky", cursor="a" * LONGEST_CURSOR, done=done)
    for number in range(MOST_SEEN + 20):
        url = f"{number:06}{WIDE * (LONGEST_KEPT - 6)}"
        origin = Origin(
            feed="sky", url=url, fetched_at="2026-11-29T12:00:00Z", etag=WIDE * 1900, last_modified=WIDE * 200
        )
        candidate = Candidate(url=url, version=WIDE * 5000)
        journal = journal.with_begun(f"{number:064x}").with_failure(url)
        journal = journal.with_seen(Seen.of(candidate, f"{number + 1:064x}", origin))
        journal = journal.with_failure(f"{url}!").with_yield(day_of(NOON_S + number * 86_400), Yield(images=1))
    trouble = FeedTrouble("feed-lies", short(WIDE * 5000), NOON_S, 3, ("feed-lies", "feed-stale"))
    return replace(journal, trouble=trouble, newest=tuple(f"{number:064x}" for number in range(32)))


def test_a_journal_is_bounded_for_ever(tmp_path: Path) -> None:
    """The bound that its page states holds for the worst that a server can tell, and so it does after years."""
    journals, full = FeedJournals(tmp_path / "feeds"), full_journal()
    journals.write(full)
    assert journals.blobs.path("sky.json").stat().st_size <= MOST_BYTES
    assert len(full.seen) == MOST_SEEN
    assert len(full.days) == MOST_DAYS
    assert full.total.images == MOST_SEEN + 20


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    journals = FeedJournals(tmp_path / "feeds")
    assert journals.read("sky") == FeedJournal(name="sky")
    for journal in (full_journal(), FeedJournal(name="sky")):
        assert journals.read(journals.write(journal).name) == journal
    assert journals.names() == ["sky"]


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b'{"trouble": 1}', b"[" * 9999])
def test_one_that_is_damaged_is_named_with_what_to_do(data: bytes, tmp_path: Path) -> None:
    journals = FeedJournals(tmp_path)
    journals.blobs.path("sky.json").write_bytes(data)
    with pytest.raises(FeedJournalDamaged, match=r"sky\.json can't be read .*remove it"):
        journals.read("sky")


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "a" * 33, "a.b", "a\n"])
def test_a_name_leads_nowhere_else(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no name of a feed"):
        FeedJournals(tmp_path).place(name)


def test_one_asks_a_feed_at_a_time(tmp_path: Path) -> None:
    """A command beside the pipeline finds it taken, instead of putting the same images in twice."""
    journals = FeedJournals(tmp_path)
    with journals.held("sky") as mine, journals.held("sky") as others, journals.held("sea") as another:
        assert (mine, others, another) == (True, False, True)
    with journals.held("sky") as again:
        assert again


def test_the_same_url_is_remembered_once_and_a_long_tag_not_at_all() -> None:
    """An ETag that does not fit is forgotten: a part of it would be another one, and nothing would ever be new."""
    origin = Origin(feed="sky", url="https://a/b", fetched_at="2026-11-29T12:00:00Z", etag="e" * 300, last_modified="l")
    seen = Seen.of(Candidate(url="https://a/b"), "ab" * 32, origin)
    journal = FeedJournal(name="sky").with_failure("https://a/b").with_seen(seen).with_seen(seen)
    assert journal.seen == (seen,)
    assert journal.failures_of("https://a/b") == 0
    assert (seen.etag, seen.last_modified, seen.origin("sky").last_modified) == (None, "l", "l")


def test_two_long_versions_are_told_apart() -> None:
    first, second = (Candidate(url="u", version="v" * 500 + end) for end in "ab")
    assert version_of(first) != version_of(second)
    assert version_of(Candidate(url="u", version='"etag"')) == '"etag"'


def test_yields_add_up_by_day_and_for_good() -> None:
    journal = FeedJournal(name="sky").with_yield("2026-11-28", Yield(images=1, bytes=10))
    journal = journal.with_yield("2026-11-29", Yield(images=2, bytes=5, read_bytes=7)).with_yield(
        "2026-11-28", Yield(failures=1)
    )
    assert journal.days == (
        ("2026-11-28", Yield(images=1, bytes=10, failures=1)),
        ("2026-11-29", Yield(images=2, bytes=5, read_bytes=7)),
    )
    assert (journal.total.images, journal.read_on("2026-11-29"), journal.read_on("2026-11-30")) == (3, 7, 0)
