"""The user's browser: a program of the test stands in for it."""

import os
from pathlib import Path

import pytest

from entropy_assets.supervisor.browser import open_page
from entropy_assets_tests.supervisor.recording_browser import recording_browser, use_browser

URL = "http://127.0.0.1:8000"


def test_the_page_is_opened_in_the_browser_that_the_user_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = recording_browser(monkeypatch, tmp_path)
    said: list[str] = []
    open_page(URL, said.append).join(10)
    assert record.read_text() == f"{URL}\n"
    assert said == []


@pytest.mark.parametrize("command", ["/absent/browser", 'unquoted"%s'])
def test_without_any_it_is_said_and_nothing_fails(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    use_browser(monkeypatch, command)
    monkeypatch.setenv("PATH", "")
    said: list[str] = []
    open_page(URL, said.append).join(10)
    assert said == [f"no browser could be opened; visit {URL}"]


def test_a_browser_that_stays_open_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "closed")
    record = recording_browser(monkeypatch, tmp_path, f"cat {tmp_path / 'closed'}")
    opening = open_page(URL, lambda _: None)
    assert opening.is_alive()
    (tmp_path / "closed").write_text("")
    opening.join(10)
    assert not opening.is_alive()
    assert record.exists()
