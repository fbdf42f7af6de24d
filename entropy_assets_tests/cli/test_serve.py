"""``entropy-assets serve``: what it refuses before it serves. What it serves is tested in serving/."""

import json
import os
from pathlib import Path

import pytest

from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.server import workers
from entropy_assets_tests.cli.conftest import Run
from entropy_assets_tests.file_modes import open_to_others


def test_serve_at_an_address_that_is_none_repeats_nothing_of_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTROPY_REDIS_URL", "redis://:se/cret@h")
    result = run("serve", "--port", 0)
    assert result.exit_code == 1
    assert "ENTROPY_REDIS_URL is not a valid address" in result.stderr
    assert "cret" not in result.output


def test_an_option_out_of_range_is_named_as_it_was_given(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the variable, where that gave it."""
    monkeypatch.setenv("ENTROPY_HTTP_WORKERS", "0")
    result = run("serve", "--port", 65536)
    assert result.exit_code == 2
    assert "--port: Input should be less than or equal to 65535" in result.stderr
    assert "ENTROPY_HTTP_WORKERS: Input should be greater than or equal to 1" in result.stderr


def test_serve_without_a_pool_says_where_to_get_one(run: Run) -> None:
    result = run("serve")
    assert result.exit_code == 2
    assert "ENTROPY_REDIS_URL" in result.stderr


def test_serve_on_a_pool_that_does_not_answer_says_what_to_look_at(
    run: Run, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("ENTROPY_REDIS_URL", f"redis://:secret@127.0.0.1:{closed_port}")
    result = run("serve", "--port", 0)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].endswith("; look at the server and at ENTROPY_REDIS_URL")
    assert "secret" not in result.output


def test_serve_closes_an_open_home_and_logs_it(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What it makes while it serves is its user's alone too."""
    (tmp_path / "var" / "batches").mkdir(parents=True)
    for folder in (tmp_path / "var" / "batches", tmp_path / "var"):
        folder.chmod(0o755)
    monkeypatch.setenv("ENTROPY_REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setattr(workers, "run_service", lambda *_, **__: (tmp_path / "var" / "batches" / "made").touch())
    before = os.umask(0o022)
    try:
        result = run("serve", "--port", 0)
    finally:
        os.umask(before)
    assert result.exit_code == 0, result.output
    line = json.loads(result.stderr)
    assert line["event"] == "home-narrowed"
    assert line["detail"] == "2 files and folders could be read by others; now they are this user's alone"
    assert open_to_others(tmp_path / "var") == []


@pytest.mark.parametrize("text, hosts", [("none", ()), ("", ()), (" b.example, entropy ,", ("b.example", "entropy"))])
def test_the_names_it_goes_by_reach_the_service(
    text: str, hosts: tuple[str, ...], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs: list[ServiceConfig] = []
    monkeypatch.setenv("ENTROPY_REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("ENTROPY_HTTP_HOSTS", text)
    monkeypatch.setattr(workers, "run_service", lambda config, **_: configs.append(config))
    result = run("serve", "--port", 0)
    assert result.exit_code == 0, result.output
    assert configs[0].hosts == hosts


@pytest.mark.parametrize("text", ["https://b.example", "b.example:443", "*", "b.example/"])
def test_what_is_no_name_of_a_host_is_refused(text: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTROPY_REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("ENTROPY_HTTP_HOSTS", text)
    result = run("serve", "--port", 0)
    assert result.exit_code != 0
    assert "no name of a host" in result.output
