"""A program that stands in for the user's browser and writes down what it is to open."""

import webbrowser
from pathlib import Path

import pytest


def use_browser(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Make `program` the user's browser."""
    monkeypatch.setenv("BROWSER", program)
    # The standard library looks once in a process; what it found before this test, or in it, is of no use elsewhere.
    monkeypatch.setattr(webbrowser, "_browsers", {})
    monkeypatch.setattr(webbrowser, "_tryorder", None)


def recording_browser(monkeypatch: pytest.MonkeyPatch, folder: Path, then: str = "") -> Path:
    """Make a program in `folder` the user's browser, which does `then` after it has written; return where it writes."""
    record, program = folder / "opened", folder / "browser"
    program.write_text(f'#!/bin/sh\necho "$@" >> {record}\n{then}\n')
    program.chmod(0o755)
    use_browser(monkeypatch, str(program))
    return record
