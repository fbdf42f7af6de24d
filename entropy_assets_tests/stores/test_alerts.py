"""Alerts: whatever an error says, an alert is one line and is read as it was written."""

import json
from pathlib import Path

from entropy_assets.stores.alerts import AlertLog


def test_an_alert_is_one_line_of_json(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "alerts.jsonl"
    log = AlertLog(path)
    assert log.read() == []
    log.append(run_id="r", job="j", batch="b", error="first\nsecond")
    log.append(run_id="s", job="j", batch="", error="")
    assert [json.loads(line)["run_id"] for line in path.read_text().splitlines()] == ["r", "s"]
    assert [alert["error"] for alert in log.read()] == ["first\nsecond", ""]
