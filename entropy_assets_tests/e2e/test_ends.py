"""``up`` ends all of its processes in good order, also when nobody is left who would read what it says."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from entropy_assets_tests.e2e.running import clean_environment, eventually

UP = [sys.executable, "-m", "entropy_assets.cli", "up", "--http-port", "0", "--dagster-port", "0"]


def _events(folder: Path) -> list[str]:
    """Return what its service logged."""
    log = folder / "home" / "logs" / "http.log"
    return [json.loads(line)["event"] for line in log.read_text().splitlines()] if log.exists() else []


def _began(folder: Path, output: int) -> "subprocess.Popen[bytes]":
    """Return it when its service has a worker, and says more from now on."""
    environment = clean_environment(ENTROPY_HOME=str(folder / "home"), TMPDIR=str(folder))
    process = subprocess.Popen(UP, env=environment, stdout=output, stderr=subprocess.DEVNULL)
    eventually("a worker", lambda: "worker-started" in _events(folder))
    return process


@pytest.mark.e2e
def test_it_ends_in_good_order_with_its_terminal(tmp_path: Path) -> None:
    ours, its = pty.openpty()
    process = _began(tmp_path, its)
    os.close(its)
    os.close(ours)
    process.send_signal(signal.SIGHUP)
    process.wait(30)
    assert _events(tmp_path)[-2:] == ["worker-stopped", "service-stopped"]
    assert list(tmp_path.glob("ea-*")) == []


@pytest.mark.e2e
def test_it_ends_in_good_order_when_its_lines_are_not_read_any_more(tmp_path: Path) -> None:
    """As in ``entropy-assets up | head -1``: the next line is what ends it."""
    reading, writing = os.pipe()
    process = _began(tmp_path, writing)
    os.close(writing)
    os.close(reading)
    process.wait(60)
    assert _events(tmp_path)[-2:] == ["worker-stopped", "service-stopped"]
    assert list(tmp_path.glob("ea-*")) == []
