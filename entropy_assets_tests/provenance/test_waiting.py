"""What waits in the inboxes is told: what nobody takes as it is, by name and with what to do, and a long queue."""

import os
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest

from entropy_assets.provenance.trail import Trail
from entropy_assets.provenance.waiting import LONG_QUEUE, PATIENCE_S, Waiting
from entropy_assets.recipe import STANDARD
from entropy_assets.stores.home import Home


class Clock:
    """Seconds since 1970, set by the test; the files are of before."""

    def __init__(self) -> None:
        self.now = 2e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.inbox_folder.mkdir(parents=True)
    return home


@pytest.fixture
def waiting(home: Home, clock: Clock) -> Waiting:
    limits = {"batch_files": 2, "max_file_bytes": 100}
    return Waiting(home, STANDARD.name, **limits, settle_seconds=2.0, every_s=0.0, clock=clock)


def drop(folder: Path, *names: str, data: bytes = b"x") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(data)


def test_nothing_is_told_of_what_is_taken_soon_or_is_hidden_on_purpose(home: Home, waiting: Waiting) -> None:
    drop(home.inbox_folder, "a.fits", ".hidden", "b.fits.part")
    drop(home.inbox_folder / "raw-ccd", "c.fits")
    assert waiting.doubts() == []


def test_a_misspelt_subfolder_is_told_with_the_name_that_was_meant(home: Home, waiting: Waiting) -> None:
    drop(home.inbox_folder / "raw-cdd", "a.fits")
    [(code, sentence)] = waiting.doubts()
    assert code == "inbox-left-alone"
    assert sentence == (
        "an entry of the inbox will not be taken: raw-cdd (a folder of no source that the recipe lists: rename it, "
        "or move its files out of it; perhaps raw-ccd was meant)"
    )
    (home.inbox_folder / "raw-cdd").rename(home.inbox_folder / "raw-ccd")
    assert waiting.doubts() == []


def test_a_link_in_the_place_of_a_source_is_told(home: Home, waiting: Waiting, tmp_path: Path) -> None:
    """Nobody looks into it, and it is not passed over for the name of a source either."""
    drop(tmp_path / "elsewhere", "a.fits")
    (home.inbox_folder / "raw-ccd").symlink_to(tmp_path / "elsewhere")
    [(code, sentence)] = waiting.doubts()
    assert code == "inbox-left-alone"
    assert "raw-ccd (a folder, link, pipe or device" in sentence


def test_what_stays_unfinished_is_told_after_a_while(home: Home, waiting: Waiting, clock: Clock) -> None:
    drop(home.inbox_folder, "a.fits.part")
    assert waiting.doubts() == []
    clock.now += PATIENCE_S - 1
    assert waiting.doubts() == []
    clock.now += 1
    [(_, sentence)] = waiting.doubts()
    assert "a.fits.part (a partial name: it is taken once its writer renames it)" in sentence


def test_many_are_counted_and_some_are_named(home: Home, waiting: Waiting) -> None:
    drop(home.inbox_folder / "apod", *(f"{i}.png" for i in range(5)), data=b"x" * 101)
    [(_, sentence)] = waiting.doubts()
    assert sentence.startswith("5 entries of the inbox will not be taken: apod/0.png (larger than the limit")
    assert sentence.endswith(" and 2 more")


def test_a_long_queue_is_told_with_how_many_batches_it_is(home: Home, waiting: Waiting) -> None:
    drop(home.inbox_folder, *(f"{i}.png" for i in range(2 * LONG_QUEUE)))
    assert waiting.doubts() == []
    drop(home.inbox_folder, "more.png")
    assert waiting.doubts() == [
        ("inbox-queue", "9 files wait in the inbox, for some 5 batches; other sources go before")
    ]


def test_a_name_with_a_line_break_or_an_escape_makes_no_line_of_its_own(home: Home, waiting: Waiting) -> None:
    (home.inbox_folder / "a\n12:00:00 forged\x1b]0;x").mkdir()
    (home.inbox_folder / os.fsdecode(b"\xff")).mkdir()
    [(_, sentence)] = waiting.doubts()
    assert sentence.isprintable()


def test_without_an_inbox_it_makes_none_and_an_unreadable_one_is_told(
    tmp_path: Path, home: Home, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.inbox_folder.rmdir()
    assert waiting.doubts() == []
    assert not home.inbox_folder.exists()
    home.inbox_folder.mkdir()

    def refused(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("entropy_assets.stores.inboxes.folder.os.scandir", refused)
    assert waiting.doubts() == [("inbox-unreadable", "the inbox can't be read: Permission denied")]


def test_a_process_that_may_not_take_files_judges_none(
    home: Home, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To a service of another user every file would look unreadable."""
    (home.inbox_folder / "raw-cdd").mkdir()
    monkeypatch.setattr(
        "entropy_assets.provenance.waiting.os.access",
        lambda path, mode: not (path == home.inbox_folder and mode & os.W_OK),
    )
    assert waiting.doubts() == []


def test_a_heap_is_not_looked_at_for_everybody_who_asks(home: Home) -> None:
    waiting = Waiting(home, STANDARD.name, batch_files=2, max_file_bytes=100, settle_seconds=2.0)
    assert waiting.doubts() == []
    (home.inbox_folder / "raw-cdd").mkdir()
    assert waiting.doubts() == []


def test_it_can_be_sent_to_a_worker_of_the_service(home: Home) -> None:
    """A service with several workers sends each what it knows of the installation."""
    waiting = Waiting(home, STANDARD.name, batch_files=2, max_file_bytes=100, settle_seconds=2.0)
    assert ForkingPickler.dumps(Trail.of(home, waiting))
