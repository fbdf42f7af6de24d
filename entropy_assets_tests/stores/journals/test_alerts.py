"""Alerts: whatever an error says, an alert is one line and is read as it was written."""

import json
import os
from pathlib import Path

import pytest

from entropy_assets.stores.journals.alerts import AlertLog


def test_an_alert_is_one_line_of_json(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "alerts.jsonl"
    log = AlertLog(path)
    assert log.read() == []
    log.append(run_id="r", job="j", batch="b", error="first\nsecond")
    log.append(run_id="s", job="j", batch="", error="")
    assert [json.loads(line)["run_id"] for line in path.read_text().splitlines()] == ["r", "s"]
    assert [alert["error"] for alert in log.read()] == ["first\nsecond", ""]


@pytest.mark.parametrize(
    "torn",
    ['{"batch": "b", "err', "\udcff", "[]", '{"batch": 1}', "null", "[" * 5000],
    ids=["torn", "bytes", "list", "short", "null", "deep"],
)
def test_a_line_that_is_no_alert_is_told_and_hides_no_other(torn: str, tmp_path: Path) -> None:
    """A crash may leave a part of one, and somebody else anything: who reads them runs on, and so does who writes."""
    log = AlertLog(tmp_path / "alerts.jsonl")
    log.append(run_id="r", job="j", batch="b", error="first")
    with log.path.open("ab") as file:
        file.write(os.fsencode(torn))
    log.append(run_id="s", job="j", batch="b", error="last")
    alerts = log.read()
    assert [alert["error"] for alert in alerts] == ["first", "line 2 of alerts.jsonl is no alert", "last"]
    assert all(isinstance(alert[name], str) for alert in alerts for name in ("run_id", "job", "batch", "error"))


def test_what_is_told_once_is_appended_once(tmp_path: Path) -> None:
    """Of an alarm that is raised again by who was killed after it, the first line stays, with its time."""
    log = AlertLog(tmp_path / "alerts.jsonl")
    told = [log.append_once(run_id=run_id, job="feeds", error="e", time_s=7.0) for run_id in ("a", "b", "a")]
    assert told == [True, True, False]
    assert [(alert["run_id"], alert["time"], alert["batch"]) for alert in log.read()] == [
        ("a", 7.0, ""),
        ("b", 7.0, ""),
    ]
