"""Files change their places inside of the inbox: whatever else has a name there, none is lost or led out of it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entropy_assets.stores.inboxes import moving
from entropy_assets.stores.inboxes.folder import DropFolder, PendingReason
from entropy_assets_tests.stores.inboxes.test_folder import KEY, drop, everything, later

OWN = [".taken", "processed", "rejected"]


@pytest.fixture
def inbox(tmp_path: Path) -> DropFolder:
    return DropFolder(tmp_path / "inbox")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("name", OWN)
def test_a_file_with_the_name_of_an_own_folder_is_told_and_never_taken(inbox: DropFolder, name: str) -> None:
    drop(inbox, name)
    ready, [pending] = inbox.scan(later())
    assert ready == []
    assert (pending.name, pending.reason) == (name, PendingReason.IN_THE_WAY)
    assert "rename it" in pending.detail


@pytest.mark.parametrize("name", OWN)
def test_a_link_with_the_name_of_an_own_folder_is_told_and_not_followed(
    inbox: DropFolder, elsewhere: Path, name: str
) -> None:
    (inbox.inbox / name).symlink_to(elsewhere)
    assert [(file.name, file.reason) for file in inbox.pending(later())] == [(name, PendingReason.IN_THE_WAY)]
    drop(inbox, "a.fits")

    def work() -> None:
        inbox.take(inbox.ready(later()), KEY)
        inbox.settle(KEY, "a.fits", accepted=name == "processed", reason="constant")

    with pytest.raises(NotADirectoryError):
        work()
    assert list(elsewhere.iterdir()) == []
    assert list(everything(inbox).values()) == [b"image"]


def test_what_a_link_leads_to_counts_as_nothing_taken(inbox: DropFolder, elsewhere: Path) -> None:
    (elsewhere / KEY).mkdir()
    (elsewhere / KEY / "theirs.fits").write_bytes(b"theirs")
    (inbox.inbox / ".taken").symlink_to(elsewhere)
    assert (inbox.taken(), inbox.files_of(KEY)) == ([], [])
    for move in (lambda: inbox.put_back(KEY, "theirs.fits"), lambda: inbox.settle(KEY, "theirs.fits", accepted=True)):
        with pytest.raises(NotADirectoryError):
            move()
    assert (elsewhere / KEY / "theirs.fits").read_bytes() == b"theirs"


@pytest.mark.parametrize("accepted", [True, False])
def test_files_are_settled_once_nothing_is_in_the_way_any_more(inbox: DropFolder, accepted: bool) -> None:
    """Until then they stay where they are."""
    name = "processed" if accepted else "rejected"
    drop(inbox, "a.fits")
    inbox.take(inbox.ready(later()), KEY)
    in_the_way = drop(inbox, name, b"in the way")
    with pytest.raises(NotADirectoryError):
        inbox.settle(KEY, "a.fits", accepted, "constant")
    assert everything(inbox) == {name: b"in the way", f".taken/{KEY}/a.fits": b"image"}
    in_the_way.unlink()
    inbox.settle(KEY, "a.fits", accepted, "constant")
    assert everything(inbox) == {f"{name}/{KEY}/a.fits": b"image"}


def test_what_is_put_back_never_replaces_what_is_dropped_in_that_moment(
    inbox: DropFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer of `latest.fits` drops the next one right before the change of the disk, whichever that is."""
    drop(inbox, "latest.fits", b"first")
    inbox.take(inbox.ready(later()), KEY)

    def after_a_drop(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*args: Any, **more: Any) -> Any:
            if not (inbox.inbox / "latest.fits").exists():
                drop(inbox, "latest.fits", b"second")
            return change(*args, **more)

        return changed

    monkeypatch.setattr(Path, "rename", after_a_drop(Path.rename))
    monkeypatch.setattr(moving.os, "link", after_a_drop(os.link))
    assert inbox.put_back(KEY, "latest.fits").name == "latest.fits~1"
    assert everything(inbox) == {"latest.fits": b"second", "latest.fits~1": b"first"}


def test_what_can_not_be_linked_is_put_back_by_its_name(inbox: DropFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without links, or a file of somebody else's (fs.protected_hardlinks)."""

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    drop(inbox, "a.fits")
    inbox.take(inbox.ready(later()), KEY)
    drop(inbox, "a.fits", b"another")
    monkeypatch.setattr(moving.os, "link", refuse)
    inbox.put_back(KEY, "a.fits")
    assert everything(inbox) == {"a.fits": b"another", "a.fits~1": b"image"}


def test_who_is_killed_while_a_file_is_put_back_leaves_what_a_repetition_ends(
    inbox: DropFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        """Stands for the process being killed."""

    def killed(*_: Any) -> None:
        raise KilledError

    drop(inbox, "a.fits")
    inbox.take(inbox.ready(later()), KEY)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KilledError):
            inbox.put_back(KEY, "a.fits")
    assert set(everything(inbox).values()) == {b"image"}
    inbox.put_back(KEY, "a.fits")
    assert everything(inbox) == {"a.fits": b"image"}
    assert inbox.taken() == []
