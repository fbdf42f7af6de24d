"""A backlog: batches that wait longer than a run is waited for. It must not feed itself, and no tick reads it whole."""

import time
from collections.abc import Iterator

import dagster as dg
import pytest

from entropy_assets.defs.cursors import PUBLISH_AGAIN_S
from entropy_assets.stores.batches import VERDICTS, Batch
from entropy_assets.stores.intakes import Intake
from entropy_assets_tests.defs.conftest import Home

pytestmark = pytest.mark.usefixtures("undrawn")

TICK_S = 30.0


class Clock:
    """The sensors' present, seconds since 1970; it goes on when it is told to."""

    def __init__(self) -> None:
        self.now = time.time()

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("entropy_assets.defs.sensors.time", clock)
    return clock


def validated(home: Home, count: int) -> list[Batch]:
    """Give batches as they stand when they wait for their publication, as far as a sensor looks into them."""
    return [validated_batch(home, f"drop-20261129T0500{number // 60:02}Z-{number:08x}") for number in range(count)]


def validated_batch(home: Home, key: str) -> Batch:
    intake = Intake(
        key=key, source="drop", files=(), time_ns=1, os_bytes="07" * 32, recipe="ea-2026-2",
        max_file_bytes=1, max_pixels=1,
    )  # fmt: skip
    batch = home.stores.layout.batches().create(intake)
    batch.write_json(VERDICTS, {"chain_head": "", "released": [f"block of {key}"], "report": {}, "rows": []})
    return batch


def launch(home: Home, result: dg.SensorResult | dg.SkipReason) -> Iterator[dg.DagsterRun]:
    """Make the runs of a tick, as the daemon does, and let them wait: a run key that was seen is passed over."""
    job = home.defs.resolve_job_def("publish_blocks")
    for request in getattr(result, "run_requests", None) or []:
        tags = {**request.tags, "dagster/partition": request.partition_key, "dagster/run_key": request.run_key}
        seen = dg.RunsFilter(tags={"dagster/run_key": request.run_key})
        if not home.instance.get_runs_count(seen):
            yield home.instance.create_run_for_job(job, status=dg.DagsterRunStatus.NOT_STARTED, tags=tags)


def test_sixty_batches_held_up_for_a_quarter_of_an_hour_give_sixty_publish_runs(home: Home, clock: Clock) -> None:
    """A run that waits in the queue is asked for once, however often the time for another one has passed."""
    batches = validated(home, 60)
    runs: list[dg.DagsterRun] = []
    end = clock.now + 900
    assert end - clock.now > 2 * PUBLISH_AGAIN_S
    while clock.now < end:
        runs += launch(home, home.tick("publish_validated_blocks"))
        clock.now += TICK_S
    assert sorted(run.tags["dagster/partition"] for run in runs) == [batch.key for batch in batches]


def test_a_run_that_works_is_waited_for_and_one_that_failed_is_followed_a_while_later(home: Home, clock: Clock) -> None:
    [batch] = validated(home, 1)
    [run] = launch(home, home.tick("publish_validated_blocks"))
    for event in (dg.DagsterEventType.RUN_STARTING, dg.DagsterEventType.RUN_START):
        home.instance.report_dagster_event(dg.DagsterEvent(event.value, job_name=run.job_name), run_id=run.run_id)
        clock.now += 2 * PUBLISH_AGAIN_S
        assert list(launch(home, home.tick("publish_validated_blocks"))) == []
    clock.now = time.time()
    home.instance.report_run_failed(run)
    assert list(launch(home, home.tick("publish_validated_blocks"))) == []
    clock.now += PUBLISH_AGAIN_S + TICK_S
    [again] = launch(home, home.tick("publish_validated_blocks"))
    assert again.tags["dagster/partition"] == batch.key


def test_a_heap_of_batches_enters_the_queue_as_it_empties(
    home: Home, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster's daemon reads its whole queue every second."""
    monkeypatch.setattr("entropy_assets.defs.cursors.MOST_RUNS", 5)
    validated(home, 8)
    runs = list(launch(home, home.tick("publish_validated_blocks")))
    assert len(runs) == 5
    assert list(launch(home, home.tick("publish_validated_blocks"))) == []
    for run in runs[:2]:
        home.instance.report_run_failed(run)
    asked = {run.tags["dagster/partition"] for run in launch(home, home.tick("publish_validated_blocks"))}
    assert len(asked) == 2
    assert asked.isdisjoint(run.tags["dagster/partition"] for run in runs)
