"""Failed runs, one JSON object a line in one file: names and errors, never bytes.

Trusted for nothing: it tells people where to look. Who can write to it can hide a failure or invent one.
"""

import json
import time
from pathlib import Path
from typing import TypedDict

from entropy_assets.stores.journals.lines import append_line, opened


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
        alert = Alert(time=time.time(), run_id=run_id, job=job, batch=batch, error=error)
        with opened(self.path) as file:
            append_line(file, alert)

    def read(self) -> list[Alert]:
        """Return all alerts, the oldest first; in the place of a line that is none stands one that says so."""
        if not self.path.exists():
            return []
        return [self._alert_in(line, number) for number, line in enumerate(self.path.read_bytes().splitlines(), 1)]

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
