"""``entropy-assets up``: what it says to machines, and when it opens the page. What it starts runs in e2e/."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from entropy_assets.errors import StartFailed
from entropy_assets.supervisor.children import PoolAddresses
from entropy_assets_tests.cli.conftest import Run
from entropy_assets_tests.supervisor.recording_browser import recording_browser


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


def test_up_obeys_no_name_that_a_line_quotes(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A line break in a name would forge a line, an escape sequence name the window."""

    @contextmanager
    def installation(_settings: object, say: Callable[[str], None], _began: float) -> Iterator[None]:
        say("rejected a\n12:00:00 drop-1  published  64 KiB\x1b]0;title\x07\udcff.fits")
        raise StartFailed("the http service did not start", child="http")
        yield

    monkeypatch.setattr("entropy_assets.supervisor.installation.Installation.running", installation)
    for options in ([], ["--json"]):
        said, *others = run("up", "--home", tmp_path, *options).stdout.splitlines()
        line = json.loads(said)["line"] if options else said
        assert line == r"rejected a\n12:00:00 drop-1  published  64 KiB\x1b]0;title\x07\xff.fits"
        assert "published" not in "".join(others)


class Standing:
    """An installation of which nothing runs: it answers at its second turn and is idle from the fourth on."""

    http_url = "http://127.0.0.1:8000"
    pool = PoolAddresses("", "", "")

    def __init__(self, record: Path) -> None:
        self.ready: list[str] = []
        self.turns = 0
        self._record = record

    def advance(self) -> Iterator[str]:
        """Go on to the next turn."""
        assert self.ready or not self._record.exists(), "opened before anything answered"
        self.turns += 1
        if self.turns == 2:
            self.ready.append("http")
            yield "http"

    def idle(self) -> bool:
        """Tell whether this was long enough."""
        return self.turns > 3


@pytest.mark.parametrize("is_in_bucket", [False, True], ids=["folder", "bucket"])
def test_it_tells_where_images_are_dropped(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, object_store: str, is_in_bucket: bool
) -> None:
    @contextmanager
    def installation(*_: object) -> Iterator[Standing]:
        yield Standing(tmp_path / "record")

    monkeypatch.setattr("entropy_assets.supervisor.installation.Installation.running", installation)
    if is_in_bucket:
        monkeypatch.setenv("ENTROPY_INBOX_URL", object_store)
    result = run("up", "--home", tmp_path, "--once")
    assert result.exit_code == 0, result.output
    assert f"inbox    {object_store if is_in_bucket else tmp_path / 'inbox'}\n" in result.stdout


@pytest.mark.parametrize("options, opened", [(["--open"], f"{Standing.http_url}\n"), ([], None)])
def test_the_page_is_opened_once_and_only_for_who_asks_for_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: list[str], opened: str | None
) -> None:
    record = recording_browser(monkeypatch, tmp_path)

    @contextmanager
    def installation(*_: object) -> Iterator[Standing]:
        yield Standing(record)

    monkeypatch.setattr("entropy_assets.supervisor.installation.Installation.running", installation)
    result = run("up", "--home", tmp_path / "home", "--once", *options)
    assert result.exit_code == 0, result.output
    for thread in threading.enumerate():
        if thread.name == "browser":
            thread.join(10)
    assert (record.read_text() if record.exists() else None) == opened
