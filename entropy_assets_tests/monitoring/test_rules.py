"""The files that an operator copies are ones that Prometheus takes, and every alert was tried both ways."""

import re
import subprocess

from entropy_assets_tests.monitoring.conftest import needs
from entropy_assets_tests.monitoring.prometheus_process import MONITORING


def promtool(*arguments: str) -> str:
    ended = subprocess.run([needs("promtool"), *arguments], cwd=MONITORING, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_promtool_finds_nothing_wrong_with_the_configuration_and_its_rules() -> None:
    assert "SUCCESS" in promtool("check", "config", "--lint-fatal", "prometheus.yml")
    assert "SUCCESS" in promtool("check", "rules", "--lint-fatal", "alerts.yml")


def test_every_alert_fires_when_it_must_and_only_then() -> None:
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")


def test_no_alert_is_left_untried() -> None:
    """Each is expected to fire in one of promtool's tests, and each fires in a real Prometheus in test_alerts.py."""
    alerts = re.findall(r"- alert: (\w+)", (MONITORING / "alerts.yml").read_text())
    tried = (MONITORING / "alerts_test.yml").read_text()
    firing = re.findall(r"alertname: (\w+)\n +exp_alerts:\n", tried)
    in_prometheus = (MONITORING.parent / "entropy_assets_tests/monitoring/test_alerts.py").read_text()
    assert set(alerts) == set(firing) == set(re.findall(r'\.fires\(\s*"(\w+)"', in_prometheus))
