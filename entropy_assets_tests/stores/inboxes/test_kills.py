"""The way of a file through the inbox, killed at any step: nothing is lost, and a rerun finishes."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entropy_assets.stores.inboxes import folder as inbox_module
from entropy_assets.stores.inboxes.folder import DropFolder, ReadyFile
from entropy_assets_tests.stores.inboxes.test_folder import KEY, drop, everything, later


class KilledError(Exception):
    """Stands for the process being killed at this very system call."""


@pytest.mark.parametrize("step", range(40))
def test_kill_at_any_step_loses_nothing_and_a_rerun_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Killed before the n-th change to the disk, then run again: every file is in its place, once."""
    inbox = DropFolder(tmp_path / "inbox")
    files = {f"{letter}.fits": letter.encode() for letter in "abc"}
    for name, data in files.items():
        drop(inbox, name, data)
    listed = inbox.ready(later())
    with monkeypatch.context() as patch:
        killed = _kill_at(patch, step)
        try:
            _process(inbox, listed)
        except KilledError:
            assert killed
    assert sorted(everything(inbox).values()) == sorted(files.values())
    _process(inbox, listed)
    assert everything(inbox) == {
        f"processed/{KEY}/a.fits": b"a",
        f"rejected/{KEY}/b.fits": b"b",
        f"processed/{KEY}/c.fits": b"c",
    }
    assert (inbox.inbox / "rejected" / KEY / "b.fits.reason.json").is_file()
    assert inbox.taken() == []


def _process(inbox: DropFolder, listed: list[ReadyFile]) -> None:
    """Run what a sensor and its run do."""
    for file in inbox.take(listed, KEY):
        inbox.settle(KEY, file.name, accepted=file.name != "b.fits", reason="constant")


def _kill_at(patch: pytest.MonkeyPatch, step: int) -> list[bool]:
    """Make the `step`-th call that changes the disk raise instead; the list tells whether it came to that."""
    counter: list[bool] = []
    happened: list[bool] = []

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            counter.append(True)
            if len(counter) == step + 1:
                happened.append(True)
                raise KilledError
            return real(*args, **kwargs)

        return call

    for name in ("rename", "replace", "mkdir", "rmdir", "write_text"):
        patch.setattr(Path, name, counted(getattr(Path, name)))
    patch.setattr(inbox_module.os, "fsync", counted(os.fsync))
    return happened
