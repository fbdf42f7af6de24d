"""Failed runs, one JSON object a line in one file: names and errors, never bytes.

Trusted for nothing: it tells people where to look. Who can write to it can hide a failure or invent one.
"""

import json
import time
from pathlib import Path
from typing import TypedDict


class Alert(TypedDict):
    """One failed run.

    Attributes
    ----------
    time
        When it was noted, seconds since 1970.
    run_id, job
        The run and its job.
    batch
        Key of its batch; empty if it had none.
    error
        What went wrong.
    """

    time: float
    run_id: str
    job: str
    batch: str
    error: str


class AlertLog:
    """The file to which alerts are appended.

    Parameters
    ----------
    path
        The file; made with its folder by the first alert.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, *, run_id: str, job: str, batch: str, error: str) -> None:
        """Append one alert, with the present time."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        alert = Alert(time=time.time(), run_id=run_id, job=job, batch=batch, error=error)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(alert, sort_keys=True) + "\n")

    def read(self) -> list[Alert]:
        """Return all alerts, the oldest first."""
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]
