"""Twenty-four hours of six feeds, from their servers to the pool's consumers: all adds up, and nothing runs dry."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from entropy_assets.recipe import STANDARD
from entropy_assets.sources.feeds.journal import MOST_BYTES
from entropy_assets_tests.day.running import FAKETIME, LOW_BYTES, Installation
from entropy_assets_tests.day.world import HOUR, NAMES, ONE_PLACE, SIDE, copy, exposure, sha256
from entropy_assets_tests.stages.batches_made import frame

pytestmark = pytest.mark.skipif(FAKETIME is None and "CI" not in os.environ, reason="needs libfaketime")
FILES_OF_IMAGE = 7
"""The image, its origin, its original in the inbox, the reason of its refusal, its noise, its map and its thumbnail."""
FILES_OF_BATCH = 7
"""Intake, manifest, noise, blocks, records, verdicts, receipt."""
FILES_OF_HOME = 2 * len(NAMES) + 5
"""A journal and a lock of each feed, the ledger and its log, the alerts."""
GROWTH_MIB = 64
"""What the memory of the process may grow by in the second half of the day."""


@pytest.fixture(scope="module")
def no_waiting_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="module")
def day(no_waiting_for_the_disk: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Give an installation that has lived through the day."""
    with Installation(tmp_path_factory.mktemp("day")) as installation:
        installation.live(24)
        yield installation


def test_a_pool_runs_low_when_its_feeds_die_and_fills_when_one_is_back(
    no_waiting_for_the_disk: None, tmp_path: Path
) -> None:
    """What the day's own test looks at can be seen to fail: blocks expire by the day's clock, and nobody is asked."""
    with Installation(tmp_path, names=("telescope",)) as installation:
        for begin, end in ((12, True), (15, False), (16.5, True)):
            installation.skip_to(begin)
            installation.live(1 / 60)
            hour, level, alive = installation.tally.levels[-1]
            assert (hour, alive) == (begin, end)
            assert (level > 0) is end
        assert installation.pool.stats().expired_blocks > 0
        assert installation.tally.accepted == 1 + 2, "the two of the time that was skipped are there as well"


@pytest.mark.slow
def test_every_image_that_could_be_had_is_had_once(day: Installation) -> None:
    images, last = day.home.images(), day.world.begins + 23 * HOUR
    taken = Counter(file.image_sha256 for batch in day.home.batches() for file in batch.intake.files)
    assert set(taken.values()) == {1}
    for name in NAMES:
        made = {sha256: came for sha256, came in day.world.places[name].made.items() if came < last}
        lost = [came for sha256, came in made.items() if sha256 not in images]
        if name in ONE_PLACE:
            well_until = day.world.begins + 7.5 * HOUR
            assert min(lost) >= well_until, "what was replaced while its feed was down can't be had"
        else:
            assert not lost, "one that is listed is had when its feed is back"


@pytest.mark.slow
def test_what_was_seen_adds_up(day: Installation) -> None:
    totals = {name: day.feeds.rounds.journals.read(name).total for name in NAMES}
    brought = sum(total.images for total in totals.values())
    files = sum(len(batch.intake.files) for batch in day.home.batches())
    assert brought == files == day.tally.accepted + day.tally.rejected.total()
    for name in ("telescope", "observatory", "mirror", "coronagraph"):
        total, made = totals[name], len(day.world.places[name].made)
        assert made - 1 <= total.images + total.duplicates + total.refused <= made
    both = totals["telescope"].images + totals["mirror"].images
    assert both + totals["telescope"].duplicates + totals["mirror"].duplicates + totals["telescope"].refused >= 94
    images = day.home.images()
    blank = [sha256(exposure(number)) in images for number in range(5, 48, 6)]
    packed_anew = range(7, 48, 8)
    replayed = [sha256(copy(number)) in images and sha256(frame(number, SIDE)) in images for number in packed_anew]
    assert (len(blank), len(replayed)) == (8, 6)
    assert all([*blank[:-1], *replayed[:-1]]), "the last come half an hour before the end"
    assert day.tally.rejected == {"constant": sum(blank), "replayed_pixels": sum(replayed)}
    assert all(total.read_bytes >= total.bytes > 0 for total in totals.values())


@pytest.mark.slow
def test_credit_becomes_blocks_and_each_leaves_the_pool_once(day: Installation) -> None:
    stats, per_block = day.pool.stats(), STANDARD.slice_credit_bits * STANDARD.block_len // STANDARD.digest_len
    assert 0 < day.tally.blocks <= day.tally.credit_bits // per_block
    assert day.tally.blocks == stats.pushed_blocks
    assert stats.pushed_blocks == stats.leased_blocks + stats.expired_blocks + stats.ghost_blocks + stats.blocks
    assert stats.leased_blocks == day.tally.drawn.total()
    assert stats.ghost_blocks == stats.refused_blocks == stats.altered_blocks == 0


@pytest.mark.slow
def test_the_pool_is_above_its_mark_while_any_feed_lives(day: Installation) -> None:
    """And far below it when none does: else this would say nothing."""
    assert day.tally.lowest(alive=True) >= LOW_BYTES
    assert day.tally.lowest(alive=False) == 0
    assert day.tally.low_ticks > 0
    assert day.tally.levels[-1][1] >= LOW_BYTES
    lonely = [level for hour, level, _ in day.tally.levels if 9.5 < hour < 11 or 14.1 < hour < 15]
    assert max(lonely) < 3 * LOW_BYTES, "one feed alone feeds it, and no more than that"


@pytest.mark.slow
def test_each_trouble_is_told_once_and_is_over(day: Installation) -> None:
    alarms = [alert["error"] for alert in day.home.alerts().read()]
    begun = [alarm.split(" ")[0] for alarm in alarms if "quarantine" in alarm]
    ended = [alarm.split(" ")[0] for alarm in alarms if "well again" in alarm]
    assert set(begun) == set(ended) == set(NAMES)
    assert len(alarms) <= 32
    assert all(day.feeds.rounds.journals.read(name).trouble is None for name in NAMES)


@pytest.mark.slow
def test_nothing_grows_beyond_its_bound(day: Installation) -> None:
    images = day.tally.accepted + day.tally.rejected.total()
    for held in day.tally.hours:
        assert held["journal_bytes"] < MOST_BYTES / 50
        assert held["inbox_files"] == 0
    last = day.tally.hours[-1]
    assert day.tally.batches <= images
    assert last["files"] <= FILES_OF_IMAGE * images + FILES_OF_BATCH * day.tally.batches + FILES_OF_HOME
    assert last["resident_mib"] - day.tally.hours[11]["resident_mib"] <= GROWTH_MIB
