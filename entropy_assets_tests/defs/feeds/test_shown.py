"""What is shown of a feed are numbers that chart, its newest days first, and a small picture."""

import dagster as dg

from entropy_assets.defs.feeds import shown
from entropy_assets.sources.feeds.journal import FeedJournal, Yield, day_of
from entropy_assets.sources.feeds.rounds import Look, State
from entropy_assets.stages.reports.feed_credit import DayCredit
from entropy_assets.stages.reports.worth import Worth
from entropy_assets_tests.sources.feeds.scripted import NOON_S


def journal_of(days: int) -> FeedJournal:
    journal = FeedJournal(name="sky", due_s=NOON_S)
    for number in range(days):
        brought = Yield(images=number, bytes=1 << 20, failures=number % 3)
        journal = journal.with_yield(day_of(NOON_S + 86_400 * number), brought)
    return journal


def test_what_its_newest_images_were_worth_is_shown_as_far_as_it_is_known() -> None:
    look = Look("sky", State.WELL, "3 new images", Yield(images=3, bytes=3 << 20), journal_of(2))
    told = shown.observation(look, Worth(assessed=2, credited=1, credit_bits=5000, reasons={"replayed": 1}))
    assert (told["megabytes"], told["newest_credit_kilobits"], told["newest_assessed"]) == (3.0, 5.0, 2.0)
    assert told["newest_reasons"].value == {"replayed": 1}
    dg.AssetObservation(dg.AssetKey("a"), metadata=told)


def test_days_are_shown_newest_first_and_their_picture_is_small() -> None:
    """With what the images of each day were credited, as far as it is known."""
    credit = {day_of(NOON_S + 86_400 * 59): DayCredit(7000, 3, 2), day_of(NOON_S): DayCredit(1, 1, 0)}
    told = shown.materialization(Look("sky", State.WELL, "", Yield(images=1), journal_of(60)), credit)
    newest, before = [record.data for record in told["days"].value.records[:2]]
    assert (newest["images"], newest["credit, kbit"], newest["without credit"]) == (59.0, 7.0, 2.0)
    assert (before["credit, kbit"], before["without credit"]) == (0.0, 0.0)
    assert told["yield_by_day"].value.startswith("![1335 new images and 7000 bits of credit in 30 days]")
    assert len(told["yield_by_day"].value) < 50_000
