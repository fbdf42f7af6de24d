"""The credit of a feed is summed by day as batches come, each of which is read once."""

import hashlib
from pathlib import Path

import pytest

from entropy_assets.sources.feeds.journal import FeedJournals
from entropy_assets.stages import extraction, ingest
from entropy_assets.stages.assessments import noise_rows
from entropy_assets.stages.reports import feed_credit
from entropy_assets.stages.reports.feed_credit import DayCredit, credit_by_day
from entropy_assets.stores.batches import MANIFEST, NOISE, Batch
from entropy_assets.stores.blobs.folder import FolderBlobs
from entropy_assets.stores.inboxes.origins import Origin
from entropy_assets_tests.stages.batches_made import TIME_NS, Place, frame

DAY_NS = 86_400 * 10**9
FIRST, SECOND = "2023-11-14", "2023-11-15"


def brought(place: Place, feed: str, *files: bytes) -> list[tuple[str, bytes]]:
    """Note that `feed` brought the files, and return them with names."""
    for data in files:
        origin = Origin(feed=feed, url="https://example.org/a", fetched_at="2026-11-29T08:33:00Z")
        place.origins().keep(hashlib.sha256(data).hexdigest(), origin)
    return [(f"{feed}-{number}", data) for number, data in enumerate(files)]


def bits_of(batch: Batch) -> int:
    return sum(row.credit_bits for row in noise_rows(batch))


def test_a_batch_counts_on_its_day_once_it_is_assessed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody fetched counts for no feed, and what was counted is not read again."""
    first = place.hashed([*brought(place, "sky", frame(1), b"no image"), *brought(place, "sun", b"neither")])
    second = place.open(brought(place, "sky", frame(2)), time_ns=TIME_NS + DAY_NS)
    place.hashed([("dropped", b"dropped")], time_ns=TIME_NS + 2 * DAY_NS)
    known = {FIRST: DayCredit(bits_of(first), 1, 1)}
    assert credit_by_day(place.feeds(), place.batches()) == {"sky": known, "sun": {FIRST: DayCredit(0, 0, 1)}}
    ingest.read_images(second, place.images(), second.intake.limits)
    extraction.extract_noise(second, place.images(), place.ledger(), second.intake.limits)
    known[SECOND] = DayCredit(bits_of(second), 1, 0)
    assert credit_by_day(place.feeds(), place.batches())["sky"] == known
    monkeypatch.setattr(feed_credit, "assessed_images", lambda batch: pytest.fail(f"{batch.key} was read again"))
    assert credit_by_day(place.feeds(), place.batches())["sky"] == known


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"newest": "", "open": [], "days": {"sky": {"a": {"bit": 1}}}}'])
def test_a_damaged_file_begins_anew_with_the_newest_batches(
    place: Place, monkeypatch: pytest.MonkeyPatch, damage: bytes
) -> None:
    for number in range(2):
        place.hashed(brought(place, "sky", b"%d" % number), time_ns=TIME_NS + number * DAY_NS)
    credit_by_day(place.feeds(), place.batches())
    place.feeds().replace(feed_credit.FILE, damage)
    monkeypatch.setattr(feed_credit, "MOST_AT_ONCE", 1)
    assert credit_by_day(place.feeds(), place.batches()) == {"sky": {SECOND: DayCredit(0, 0, 1)}}


def test_the_file_keeps_so_many_days_and_is_no_feed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_credit, "MOST_DAYS", 1)
    for number in range(2):
        place.hashed(brought(place, "sky", b"%d" % number), time_ns=TIME_NS + number * DAY_NS)
    credit_by_day(place.feeds(), place.batches())
    assert credit_by_day(place.feeds(), place.batches()) == {"sky": {SECOND: DayCredit(0, 0, 1)}}
    assert FeedJournals(place.feeds()).names() == []


def test_machines_that_share_a_store_have_one_sum(tmp_path: Path, object_store: str) -> None:
    """What one counted the other does not read again, and what it has on its own disk counts for nothing."""
    first, second = (Place(tmp_path / name, store_url=object_store) for name in "ab")
    batch = first.hashed(brought(first, "sky", frame(1)))
    days = {"sky": {FIRST: DayCredit(bits_of(batch), 1, 0)}}
    assert credit_by_day(first.feeds(), first.batches()) == days
    for document in (NOISE, MANIFEST):
        second.batches().blobs.delete(f"{batch.key}/{document.file}")
    assert credit_by_day(second.feeds(), second.batches()) == days


def test_two_who_count_at_once_count_each_batch_once(place: Place) -> None:
    class Slow(FolderBlobs):
        """The one who looked first writes last."""

        def replace(self, name: str, data: bytes, *, unless: str | None = None) -> bool:
            late = place.hashed(brought(place, "sky", frame(2)), time_ns=TIME_NS + DAY_NS)
            known[SECOND] = DayCredit(bits_of(late), 1, 0)
            assert credit_by_day(place.feeds(), place.batches()) == {"sky": known}
            return super().replace(name, data, unless=unless)

    known = {FIRST: DayCredit(bits_of(place.hashed(brought(place, "sky", frame(1)))), 1, 0)}
    assert credit_by_day(Slow(place.feeds_folder), place.batches()) == {"sky": {FIRST: known[FIRST]}}
    assert credit_by_day(place.feeds(), place.batches()) == {"sky": known}
