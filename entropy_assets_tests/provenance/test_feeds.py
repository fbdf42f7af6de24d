"""What is told of the feeds is what their journals and the batches say."""

from dataclasses import replace
from pathlib import Path

from entropy_assets.provenance.feeds import Worth, facts_of, facts_of_all, worth_of
from entropy_assets.sources.feeds.journal import FeedJournal, FeedJournals, FeedTrouble, Yield, day_of
from entropy_assets.stages.assessments import noise_rows
from entropy_assets_tests.sources.feeds.scripted import NOON_S, sha256
from entropy_assets_tests.stages.batches_made import Place, frame


def test_a_feed_stands_where_its_journal_says() -> None:
    nothing = facts_of(FeedJournal(name="sky"), NOON_S)
    assert (nothing["state"], nothing["due_s"], nothing["newest"]) == ("never asked", None, None)
    journal = FeedJournal(name="sky", last_new_s=1.0, newest=("ab", "cd"), due_s=5.0)
    journal = journal.with_yield(day_of(NOON_S - 86_400), Yield(images=2)).with_yield(day_of(NOON_S), Yield(images=1))
    well = facts_of(journal, NOON_S)
    assert (well["state"], well["newest"], well["last_new_s"]) == ("well", "cd", 1.0)
    assert (well["total"]["images"], well["today"]["images"]) == (3, 1)
    ill = facts_of(replace(journal, trouble=FeedTrouble("feed-lies", "a page", 3.0, 2)), NOON_S)
    assert (ill["state"], ill["trouble"], ill["words"], ill["times"]) == ("quarantine", "feed-lies", "a page", 2)


def test_a_damaged_journal_hides_no_other(tmp_path: Path) -> None:
    journals = FeedJournals(tmp_path)
    journals.path("sky").write_bytes(b"{")
    states = [facts["state"] for facts in facts_of_all(journals, ["sky", "sea"], NOON_S)]
    assert states == ["damaged", "never asked"]


def test_images_are_worth_what_they_were_assessed_at(tmp_path: Path) -> None:
    """A refused one counts with its reason, whether it could be read or not; of an unknown one nothing is told."""
    place = Place(tmp_path)
    live, dead, text = frame(1, side=512), frame(1, side=16), b"no image"
    place.hashed([("a.fits", live), ("b.fits", dead), ("c.fits", text)])
    images = [sha256(live), sha256(dead), sha256(text), "ab" * 32]
    worth = worth_of(place.batches(), images)
    assert (worth.assessed, worth.credited, sum(worth.reasons.values())) == (3, 1, 2)
    assert worth.credit_bits == sum(row.credit_bits for row in noise_rows(next(iter(place.batches()))))
    assert worth_of(place.batches(), []) == Worth(0, 0, 0, {})
