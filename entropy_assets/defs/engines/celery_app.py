"""The Celery application of the workers: ``celery -A entropy_assets.defs.engines.celery_app worker``.

Its broker, backend and queue are those of the launcher in the ``dagster.yaml`` of DAGSTER_HOME. A worker needs the
settings of the service's other machines besides (``ENTROPY_*``), and processes for its runs (Celery's own default).
"""

import itertools
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dagster import DagsterInstance

from entropy_assets.defs.engines.celery_launcher import BEAT_S, HeardCeleryRunLauncher
from entropy_assets.errors import StartFailed, brought_by

with brought_by("deploy"):
    from celery import Celery, Task
    from celery.exceptions import BackendError, OperationalError
    from dagster_celery.tasks import create_execute_job_task, create_resume_job_task

log = logging.getLogger(__name__)


def failures_of(backend: object) -> tuple[type[Exception], ...]:
    """Return what `backend` raises once Celery's own retries are over; one on Redis lists what its client raises."""
    own = (getattr(backend, name, ()) for name in ("connection_errors", "channel_errors"))
    return (BackendError, OperationalError, OSError, *itertools.chain(*own))


@contextmanager
def beating(task: Task, task_id: str) -> Iterator[None]:
    """Tell the result backend every `BEAT_S` that `task` lives, until it has ended, through failures of it."""
    ended = threading.Event()
    failures = failures_of(task.backend)

    def beat() -> None:
        for number in itertools.count():
            try:
                task.update_state(task_id, state="STARTED", meta={"beat": number})
            except failures as error:  # without any further beat the run would be launched beside itself
                log.warning("the result backend did not take a beat of task %s: %s", task_id, type(error).__name__)
            if ended.wait(BEAT_S):
                return

    thread = threading.Thread(target=beat, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()  # a beat that came after the end would take its place


class BeatingTask(Task):
    """A task that is heard while it works."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Work, and beat meanwhile."""
        with beating(self, self.request.id):
            return super().__call__(*args, **kwargs)


def application() -> Celery:
    """Return the application of the launcher that DAGSTER_HOME names, with the tasks that carry its runs.

    Raises
    ------
    StartFailed
        If that is another launcher.
    """
    with DagsterInstance.get() as instance:
        launcher = instance.run_launcher
        if not isinstance(launcher, HeardCeleryRunLauncher):
            raise StartFailed(
                f"dagster.yaml names {type(launcher).__name__} as run launcher; a worker works for"
                f" {HeardCeleryRunLauncher.__name__} of {HeardCeleryRunLauncher.__module__}"
            )
        beating_too: dict[str, Any] = {"base": BeatingTask}
        for create in (create_execute_job_task, create_resume_job_task):
            create(launcher.celery, **beating_too)
        return launcher.celery


app = application()
