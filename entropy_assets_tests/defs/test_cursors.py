"""Cursors: pure functions of what was seen, read as they were written."""

import json

import dagster as dg
import pytest

from entropy_assets.defs.cursors import (
    LOST_RETRY_S,
    PUBLISH_AGAIN_S,
    RETRIED_BY,
    WILL_RETRY,
    ReplenishCursor,
    is_due,
    key_after,
    newest_run,
    next_filling,
)

# As installations hold it in Dagster's storage: written by the first release.
REPLENISH = '{"round": 3, "filling": true, "pool_absent_ticks": 1}'


def test_the_cursor_of_an_installation_is_read() -> None:
    """A field of another name would stop the sensor of whoever upgrades."""
    cursor = ReplenishCursor.loads(REPLENISH)
    assert cursor == ReplenishCursor(filling=True, pool_absent_ticks=1)
    assert ReplenishCursor.loads(cursor.dumps()) == cursor
    assert "round" not in json.loads(cursor.dumps())


@dg.op
def nothing() -> None:
    """Do nothing."""


@dg.op
def broken() -> None:
    """Fail."""
    raise RuntimeError("broken")


@dg.job
def job() -> None:
    """Do nothing, in a run."""
    nothing()


def test_the_newest_run_names_the_key_of_the_next_and_a_wipe_begins_anew() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        keys = [key_after("what", newest_run(instance, "job"))]
        for batch in ("a", "b"):
            job.execute_in_process(instance=instance, tags={"dagster/partition": batch})
            keys.append(key_after("what", newest_run(instance, "job")))
        assert len(set(keys)) == 3
        assert key_after("what", newest_run(instance, "job", "a")) == keys[1]
        assert newest_run(instance, "other") is newest_run(instance, "job", "c") is None
        instance.wipe()
        assert key_after("what", newest_run(instance, "job")) == keys[0]


def test_a_batch_is_due_at_once_and_then_after_a_while_whatever_the_clock_does() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        job.execute_in_process(instance=instance)
        newest = newest_run(instance, "job")
    assert newest is not None
    asked_at = newest.update_timestamp.timestamp()
    assert is_due(None, asked_at)
    assert not is_due(newest, asked_at + PUBLISH_AGAIN_S - 1)
    assert is_due(newest, asked_at + PUBLISH_AGAIN_S)
    assert is_due(newest, asked_at - 86_400), "the clock was set back by a day"


@dg.job
def failing() -> None:
    """Fail, in a run."""
    broken()


@pytest.mark.parametrize(
    "tags, is_lost",
    [({}, False), ({WILL_RETRY: "false"}, False), ({WILL_RETRY: "true"}, True), ({RETRIED_BY: "another"}, False)],
)
def test_a_batch_whose_retry_was_promised_and_lost_is_due_soon(tags: dict[str, str], is_lost: bool) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = failing.execute_in_process(instance=instance, raise_on_error=False).run_id
        instance.add_run_tags(run_id, {WILL_RETRY: "true"} | tags if RETRIED_BY in tags else tags)
        newest = newest_run(instance, "failing")
    assert newest is not None
    ended_at = newest.update_timestamp.timestamp()
    assert not is_due(newest, ended_at + LOST_RETRY_S - 1)
    assert is_due(newest, ended_at + LOST_RETRY_S) == is_lost


@pytest.mark.parametrize(
    "filling, depth, expected",
    [(False, 99, True), (False, 100, False), (True, 100, True), (True, 199, True), (True, 200, False)],
)
def test_filling_starts_at_the_low_mark_and_stops_at_the_high_one(filling: bool, depth: int, expected: bool) -> None:
    assert next_filling(filling, depth, 100, 200) is expected
