"""Failed runs and feeds in trouble, one JSON object a line in one file: names and errors, never bytes.

Trusted for nothing: it tells people where to look. Who can write to it can hide a failure or invent one.
"""

import json
import time
from pathlib import Path
from typing import TypedDict

from entropy_assets.stores.journals.lines import append_line, opened


class Alert(TypedDict):
    """One failed run, or what happened to a feed.

    Attributes
    ----------
    time
        When it was noted, seconds since 1970.
    run_id, job
        The run and its job; of a feed what no two alerts share, and ``feeds``.
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
        alert = Alert(time=time.time(), run_id=run_id, job=job, batch=batch, error=error)
        with opened(self.path) as file:
            append_line(file, alert)

    def append_once(self, *, run_id: str, job: str, error: str, time_s: float) -> bool:
        """Append an alert unless there is one with its `run_id`; return whether this call did. It has no batch.

        Who is killed may repeat it: of several calls one appends.
        """
        with opened(self.path) as file:
            if any(alert["run_id"] == run_id for alert in self._alerts_in(file.read())):
                return False
            append_line(file, Alert(time=time_s, run_id=run_id, job=job, batch="", error=error))
            return True

    def read(self) -> list[Alert]:
        """Return all alerts, the oldest first; in the place of a line that is none stands one that says so."""
        return self._alerts_in(self.path.read_bytes()) if self.path.exists() else []

    def _alerts_in(self, data: bytes) -> list[Alert]:
        return [self._alert_in(line, number) for number, line in enumerate(data.splitlines(), 1)]

    def _alert_in(self, line: bytes, number: int) -> Alert:
        try:
            fields = json.loads(line)
            texts = [fields[name] for name in ("run_id", "job", "batch", "error")]
            time_s = float(fields["time"])
        except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
            texts, time_s = [], 0.0
        if not texts or not all(isinstance(text, str) for text in texts):
            texts = ["", "", "", f"line {number} of {self.path.name} is no alert"]
        run_id, job, batch, error = texts
        return Alert(time=time_s, run_id=run_id, job=job, batch=batch, error=error)
