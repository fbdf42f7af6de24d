"""A run on a Celery worker is at work as long as it is heard, whatever Celery remembers of it."""

import uuid
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus

from entropy_assets.defs.engines import celery_launcher
from entropy_assets.defs.engines.celery_launcher import SILENCE_S, Beats, HeardCeleryRunLauncher

STEP_S = 20.0
"""Seconds between two looks of Dagster's run monitoring, as in ``dagster.yaml``."""


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(celery_launcher, "time", clock)
    return clock


@pytest.fixture
def launcher(tmp_path: Path) -> HeardCeleryRunLauncher:
    return HeardCeleryRunLauncher("dagster", backend=tmp_path.as_uri(), broker="memory://")


def run_of(task_id: str) -> dg.DagsterRun:
    return dg.DagsterRun("process_images", run_id=str(uuid.uuid4()), tags={"dagster-celery/task_id": task_id})


def status(launcher: HeardCeleryRunLauncher, run: dg.DagsterRun) -> WorkerStatus:
    return launcher.check_run_worker_health(run).status


def test_a_run_whose_task_beats_works_however_long(launcher: HeardCeleryRunLauncher, clock: Clock) -> None:
    run = run_of("task")
    for number in range(100):
        launcher.celery.backend.store_result("task", {"beat": number}, "STARTED")
        assert status(launcher, run) is WorkerStatus.RUNNING
        clock.now += STEP_S


def test_a_run_whose_worker_is_gone_is_failed_after_a_minute(launcher: HeardCeleryRunLauncher, clock: Clock) -> None:
    """Celery says STARTED for ever: nobody else tells."""
    run = run_of("task")
    launcher.celery.backend.store_result("task", {"beat": 7}, "STARTED")
    while clock.now < SILENCE_S:
        assert status(launcher, run) is WorkerStatus.RUNNING
        clock.now += STEP_S
    found = launcher.check_run_worker_health(run)
    assert (found.status, found.msg) == (WorkerStatus.FAILED, "its worker was not heard for 60 s")


def test_a_task_that_no_worker_ever_took_or_that_ended_without_its_run_is_failed_too(
    launcher: HeardCeleryRunLauncher, clock: Clock
) -> None:
    lost, done = run_of("lost"), run_of("done")
    launcher.celery.backend.store_result("done", 0, "SUCCESS")
    assert [status(launcher, run) for run in (lost, done)] == [WorkerStatus.RUNNING] * 2
    clock.now += SILENCE_S
    assert [status(launcher, run) for run in (lost, done)] == [WorkerStatus.FAILED] * 2


def test_a_task_that_celery_knows_to_have_failed_is_failed_at_once(launcher: HeardCeleryRunLauncher) -> None:
    launcher.celery.backend.store_result("task", RuntimeError("its process was killed"), "FAILURE")
    assert status(launcher, run_of("task")) is WorkerStatus.FAILED


def test_what_is_not_looked_at_any_more_is_forgotten() -> None:
    beats = Beats()
    assert beats.silence_s("a", 1, 0.0) == 0.0
    assert beats.silence_s("b", 1, 1000.0) == 0.0
    assert beats.silence_s("a", 1, 1001.0) == 0.0


@pytest.mark.parametrize("backend", [None, "rpc://"])
def test_a_backend_that_others_can_not_read_is_refused(backend: str | None) -> None:
    """By it every run would count as lost."""
    with pytest.raises(ValueError, match="result backend"):
        HeardCeleryRunLauncher("dagster", backend=backend, broker="memory://")
