"""Alerts: whatever an error says, an alert is one line and is read as it was written."""

import json
import os
import threading
from pathlib import Path

import pytest

from entropy_assets.stores.journals import alerts
from entropy_assets.stores.journals.alerts import AlertLog
from entropy_assets.stores.journals.lines import opened


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


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AlertLog:
    """Give a log whose file is full with some lines: the real length is that of thousands."""
    monkeypatch.setattr(alerts, "MOST_BYTES", 1000)
    return AlertLog(tmp_path / "alerts.jsonl")


def test_it_never_grows_beyond_its_bound_and_keeps_the_newest(small: AlertLog) -> None:
    for number in range(200):
        small.append(run_id=f"r{number}", job="j", batch="b", error="e")
    assert sorted(path.name for path in small.path.parent.iterdir()) in (
        ["alerts.jsonl", "alerts.jsonl.1"],
        ["alerts.jsonl.1"],
    )
    assert sum(path.stat().st_size for path in small.path.parent.iterdir()) < 2200
    kept = [alert["run_id"] for alert in small.read()]
    assert kept == [f"r{number}" for number in range(200 - len(kept), 200)]
    assert len(kept) >= 10


def test_what_was_told_is_known_when_its_file_was_put_aside(small: AlertLog) -> None:
    assert small.append_once(run_id="a", job="feeds", error="e" * 1000, time_s=7.0)
    assert not small.path.exists()
    assert not small.append_once(run_id="a", job="feeds", error="e", time_s=8.0)
    assert [alert["run_id"] for alert in small.read()] == ["a"]


def test_who_waited_while_the_file_was_put_aside_loses_nothing(small: AlertLog) -> None:
    """He has the old file open by then, and would append to that."""
    waiting = threading.Thread(target=small.append, kwargs={"run_id": "b", "job": "j", "batch": "", "error": ""})
    with opened(small.path):
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        small.path.rename(small.older)
        small.path.write_bytes(b"")
    waiting.join()
    assert [json.loads(line)["run_id"] for line in small.path.read_text().splitlines()] == ["b"]


def test_a_long_error_is_cut(tmp_path: Path) -> None:
    log = AlertLog(tmp_path / "alerts.jsonl")
    log.append(run_id="r", job="j", batch="b", error="e" * 1_000_000)
    assert log.read()[0]["error"] == "e" * alerts.LONGEST_ERROR
