"""``entropy-assets up``: what it says to machines. What it starts runs in e2e/."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from entropy_assets.errors import StartFailed
from entropy_assets_tests.cli.conftest import Run


def test_up_tells_machines_one_object_a_line(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is started here: what it says and an error that ends it are JSON."""

    @contextmanager
    def installation(_settings: object, say: Callable[[str], None], _began: float) -> Iterator[None]:
        say("pool     embedded server")
        raise StartFailed("the http service did not start", child="http")
        yield

    monkeypatch.setattr("entropy_assets.supervisor.installation.Installation.running", installation)
    result = run("up", "--home", tmp_path, "--json")
    said, failed = (json.loads(line) for line in result.stdout.splitlines())
    assert said["line"] == "pool     embedded server"
    assert datetime.fromisoformat(said["time"]).tzinfo is not None
    assert (result.exit_code, failed["error"], failed["child"]) == (1, "start-failed", "http")
