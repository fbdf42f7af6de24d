"""Failed runs and feeds in trouble, one JSON object a line: names and errors, never bytes.

The file never grows beyond `MOST_BYTES` and one line. A full one is put aside as ``alerts.jsonl.1``, in the place of
the one before it, so the newest `MOST_BYTES` are always there, and twice as much at most.

Trusted for nothing: it tells people where to look. Who can write to it can hide a failure or invent one.
"""

import json
import time
from pathlib import Path
from typing import BinaryIO, Final, TypedDict

from entropy_assets.stores.journals.lines import append_line, opened

MOST_BYTES: Final = 1 << 20
"""Length at which the file is put aside, bytes: some thousand alerts."""
LONGEST_ERROR: Final = 4000
"""Longest text of an alert, characters; what is longer is cut off."""


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
        self.older = path.with_name(f"{path.name}.1")

    def append(self, *, run_id: str, job: str, batch: str, error: str) -> None:
        """Append one alert, with the present time."""
        alert = Alert(time=time.time(), run_id=run_id, job=job, batch=batch, error=error)
        with opened(self.path) as file:
            self._append(file, alert)

    def append_once(self, *, run_id: str, job: str, error: str, time_s: float) -> bool:
        """Append an alert unless there is one with its `run_id`; return whether this call did. It has no batch.

        Who is killed may repeat it: of several calls one appends.
        """
        with opened(self.path) as file:
            if any(alert["run_id"] == run_id for alert in (*self._older(), *_alerts_in(file.read(), self.path.name))):
                return False
            self._append(file, Alert(time=time_s, run_id=run_id, job=job, batch="", error=error))
            return True

    def read(self) -> list[Alert]:
        """Return all alerts, the oldest first; in the place of a line that is none stands one that says so."""
        if not self.path.exists():
            return self._older()
        with opened(self.path) as file:  # so that none is put aside between the two
            return [*self._older(), *_alerts_in(file.read(), self.path.name)]

    def _append(self, file: BinaryIO, alert: Alert) -> None:
        append_line(file, {**alert, "error": alert["error"][:LONGEST_ERROR]})
        if file.tell() >= MOST_BYTES:
            self.path.replace(self.older)

    def _older(self) -> list[Alert]:
        return _alerts_in(self.older.read_bytes(), self.older.name) if self.older.exists() else []


def _alerts_in(data: bytes, name: str) -> list[Alert]:
    return [_alert_in(line, number, name) for number, line in enumerate(data.splitlines(), 1)]


def _alert_in(line: bytes, number: int, name: str) -> Alert:
    try:
        fields = json.loads(line)
        texts = [fields[name] for name in ("run_id", "job", "batch", "error")]
        time_s = float(fields["time"])
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        texts, time_s = [], 0.0
    if not texts or not all(isinstance(text, str) for text in texts):
        texts = ["", "", "", f"line {number} of {name} is no alert"]
    run_id, job, batch, error = texts
    return Alert(time=time_s, run_id=run_id, job=job, batch=batch, error=error)
