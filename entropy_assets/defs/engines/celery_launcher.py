"""Dagster's run launcher for Celery, which also notices that a worker is gone.

Celery keeps the state of a task as its worker told it last, so the run of a worker that was killed, or of a machine
that lost its power, is at work for ever. Here the task beats: every few seconds it tells its result backend that it
lives (`celery_app`), and a run that was not heard for a minute is failed by Dagster's run monitoring, which lets
``run_retries`` launch it again. No clock of two machines is compared: what counts is whether the beat changes.

Named in ``dagster.yaml``, with a result backend that all processes can read::

    run_launcher:
      module: entropy_assets.defs.engines.celery_launcher
      class: HeardCeleryRunLauncher
      config: {broker: redis://broker/0, backend: redis://broker/1}
"""

import time
from typing import Any, Final

from dagster import DagsterRun
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

from entropy_assets.errors import brought_by

with brought_by("deploy"):
    from dagster_celery.launcher import CeleryRunLauncher
    from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

BEAT_S: Final = 5.0
"""Seconds between two beats of a task."""
SILENCE_S: Final = 60.0
"""Seconds without a new beat after which a run counts as lost: a machine may be slow, and a broker be started again."""
FORGET_S: Final = 600.0
_ENDED_BADLY: Final = frozenset({"FAILURE", "REVOKED"})


class Beats:
    """What was last heard of each run, and for how long it has been the same."""

    def __init__(self) -> None:
        self._heard: dict[str, tuple[object, float, float]] = {}

    def silence_s(self, run_id: str, beat: object, now: float) -> float:
        """Return for how long `beat` has been the last one of `run_id`, as far as anybody looked, seconds."""
        last, since, _ = self._heard.get(run_id, (None, now, now))
        since = since if last == beat else now
        self._heard[run_id] = (beat, since, now)
        # Who is not looked at any more has ended.
        self._heard = {key: heard for key, heard in self._heard.items() if now - heard[2] < FORGET_S}
        return now - since


class HeardCeleryRunLauncher(CeleryRunLauncher):
    """Starts runs as Celery tasks and fails those that were not heard for `SILENCE_S`; configured as its parent is.

    Raises
    ------
    ValueError
        If it has no result backend, or one that only the process that asked can read.
    """

    def __init__(self, default_queue: str, backend: str | None = None, **more: Any) -> None:
        if backend is None or backend.startswith("rpc"):
            raise ValueError("the launcher hears of its runs by a result backend that all can read: set `backend`")
        super().__init__(default_queue=default_queue, backend=backend, **more)
        self._beats = Beats()

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Tell whether the task of `run` still beats."""
        result = self.celery.AsyncResult(run.tags[DAGSTER_CELERY_TASK_ID_TAG])
        state, told = result.state, result.info
        if state in _ENDED_BADLY:
            return CheckRunHealthResult(WorkerStatus.FAILED, f"the Celery task ended as {state}")
        beat = (state, told.get("beat") if isinstance(told, dict) else None)
        silence_s = self._beats.silence_s(run.run_id, beat, time.monotonic())
        if silence_s >= SILENCE_S:
            return CheckRunHealthResult(WorkerStatus.FAILED, f"its worker was not heard for {silence_s:.0f} s")
        return CheckRunHealthResult(WorkerStatus.RUNNING)
