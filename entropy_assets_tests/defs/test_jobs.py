"""Jobs: the daily audit finds what stands still and what does not belong, replenishing brings labelled frames."""

import time

import pytest

from entropy_assets.stores.batches import MANIFEST
from entropy_assets.stores.ledger.rows import BURNED, LedgerBlock
from entropy_assets_tests.defs.conftest import Home
from entropy_assets_tests.pool_blocks import pool_blocks
from entropy_assets_tests.stages.batches_made import frame


def test_the_daily_audit_names_a_batch_that_is_stuck(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    key = home.batch_of(("a.fits", frame(1, side=512)))
    home.run("process_images", key)
    assert home.run("daily_audit").success
    two_hours_later = time.time() + 7200
    monkeypatch.setattr("entropy_assets.defs.jobs.time.time", lambda: two_hours_later)
    result = home.run("daily_audit", fails=True)
    assert not result.success
    assert key in str(result.get_step_failure_events()[0].step_failure_data.user_failure_data.description)


def test_the_daily_audit_names_a_batch_whose_run_never_ended(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    key = home.batch_of(("a.fits", frame(1)))
    two_hours_later = time.time() + 7200
    monkeypatch.setattr("entropy_assets.defs.jobs.time.time", lambda: two_hours_later)
    result = home.run("daily_audit", fails=True)
    description = str(result.get_step_failure_events()[0].step_failure_data.user_failure_data.description)
    assert f"batch {key} is not validated" in description


def test_the_daily_audit_finds_blocks_in_the_pool_that_the_ledger_does_not_know(home: Home) -> None:
    with home.pool.connect() as client:
        client.push(pool_blocks(3))
    result = home.run("daily_audit", fails=True)
    assert not result.success
    description = str(result.get_step_failure_events()[0].step_failure_data.user_failure_data.description)
    assert "the ledger knows 0" in description


def test_the_daily_audit_does_not_take_burned_blocks_for_published_ones(home: Home) -> None:
    """Else somebody could push as many as an accepted loss burned."""
    blocks = [LedgerBlock(f"id{index}", index, f"{index:064x}", "00" * 32) for index in range(5)]
    ledger = home.stores.layout.ledger()
    ledger.append_publication("old", "00" * 32, blocks, run_id=BURNED, time_us=time.time_ns() // 1000)
    with home.pool.connect() as client:
        client.push(pool_blocks(3))
    result = home.run("daily_audit", fails=True)
    description = str(result.get_step_failure_events()[0].step_failure_data.user_failure_data.description)
    assert "the pool took 3 blocks and the ledger knows 0" in description


def test_replenishing_puts_labelled_frames_into_the_inbox(home: Home) -> None:
    home.run("replenish_pool")
    (request,) = home.tick("new_images").run_requests
    assert request.partition_key.startswith("simulated-")
    home.run("process_images", request.partition_key)
    rows = home.stores.batch(request.partition_key).read_json(MANIFEST)["rows"]
    assert {row["source"] for row in rows} == {"simulated"}
