"""The application of the workers is that of the launcher, and its tasks beat."""

import itertools
import threading
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from celery.exceptions import BackendStoreError, OperationalError

from entropy_assets.errors import StartFailed

CELERY = {
    "module": "entropy_assets.defs.engines.celery_launcher",
    "class": "HeardCeleryRunLauncher",
    "config": {"broker": "memory://", "backend": "redis://localhost:1/1"},
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


def configured(home: Path, **more: Any) -> None:
    (home / "dagster.yaml").write_text(yaml.safe_dump({"telemetry": {"enabled": False}, **more}))


def test_it_is_that_of_the_launcher_and_its_tasks_beat(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(home, run_launcher=CELERY)
    from entropy_assets.defs.engines import celery_app

    app = celery_app.app
    assert app.conf.result_backend == CELERY["config"]["backend"]
    task = app.tasks["execute_job"]
    assert isinstance(task, celery_app.BeatingTask)
    monkeypatch.setattr(celery_app, "BEAT_S", 0.001)
    heard: list[Any] = []
    enough = threading.Event()

    def store(task_id: str, state: str, meta: dict[str, int]) -> None:
        heard.append((task_id, state, meta["beat"]))
        if len(heard) >= 3:
            enough.set()

    monkeypatch.setattr(type(task), "update_state", lambda _, *args, **more: store(*args, **more))
    with celery_app.beating(task, "the task"):
        assert enough.wait(10)
    ended_at = len(heard)
    assert heard == [("the task", "STARTED", number) for number in itertools.islice(itertools.count(), ended_at)]
    assert not [thread for thread in threading.enumerate() if thread.name == "beat"]


@pytest.mark.parametrize(
    "failure",
    [
        redis.ConnectionError(),
        redis.ReadOnlyError(),
        redis.OutOfMemoryError(),
        OperationalError(),
        BackendStoreError(),
        TimeoutError(),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_a_backend_that_fails_costs_one_beat(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, failure: Exception
) -> None:
    """A run that is not heard any more is launched again, beside the one that is still at work."""
    configured(home, run_launcher=CELERY)
    from entropy_assets.defs.engines import celery_app

    monkeypatch.setattr(celery_app, "BEAT_S", 0.001)
    heard: list[int] = []
    enough = threading.Event()

    def store(_: Any, task_id: str, state: str, meta: dict[str, int]) -> None:
        heard.append(meta["beat"])
        if len(heard) == 1:
            raise failure
        enough.set()

    task = celery_app.app.tasks["execute_job"]
    monkeypatch.setattr(type(task), "update_state", store)
    with celery_app.beating(task, "the task"):
        assert enough.wait(2)
    assert heard[:2] == [0, 1]
    assert "did not take a beat of task the task" in caplog.text


def test_a_worker_of_another_launcher_says_what_is_wrong(home: Path) -> None:
    configured(home, run_launcher=CELERY)
    from entropy_assets.defs.engines import celery_app

    configured(home)
    with pytest.raises(StartFailed, match="DefaultRunLauncher as run launcher"):
        celery_app.application()
