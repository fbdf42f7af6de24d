"""A file appears whole or not at all, and of several makers one wins."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from entropy_assets.stores.durable import create_durably, write_durably


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Who opened the old file before still reads all of it."""
    path = tmp_path / "file"
    write_durably(path, b"old")
    with path.open("rb") as before:
        write_durably(path, b"the new one")
        assert before.read() == b"old"
    assert path.read_bytes() == b"the new one"
    assert names_in(tmp_path) == ["file"]


def test_a_file_is_created_once(tmp_path: Path) -> None:
    """The second maker is told so, and changes nothing."""
    path = tmp_path / "file"
    assert create_durably(path, b"first")
    assert not create_durably(path, b"second")
    assert path.read_bytes() == b"first"
    assert names_in(tmp_path) == ["file"]


def test_of_many_makers_one_wins(tmp_path: Path) -> None:
    """All at the same moment: one is told that it was first, and the file is its own."""
    contents = [bytes([n]) * 1000 for n in range(16)]
    with ThreadPoolExecutor(len(contents)) as makers:
        won = list(makers.map(lambda data: create_durably(tmp_path / "file", data), contents))
    assert sum(won) == 1
    assert (tmp_path / "file").read_bytes() == contents[won.index(True)]
    assert names_in(tmp_path) == ["file"]


@pytest.mark.parametrize("write", [write_durably, create_durably])
def test_a_full_disk_leaves_the_folder_as_it_was(
    write: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing half written is left, neither under the name nor beside it."""
    path = tmp_path / "file"
    if write is write_durably:
        path.write_bytes(b"old")
    kept = names_in(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(path, b"new")  # type: ignore[operator]
    assert names_in(tmp_path) == kept
    assert not kept or path.read_bytes() == b"old"


@pytest.mark.parametrize("write", [write_durably, create_durably])
def test_content_and_name_are_on_the_disk_before_it_returns(
    write: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is synced before it has its name, and its folder after that."""
    path, synced = tmp_path / "file", []
    real = os.fsync

    def noted(descriptor: int) -> None:
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink(), path.exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    write(path, b"new")  # type: ignore[operator]
    (content, named_then), (folder, named_now) = synced
    assert (content.parent, named_then, folder, named_now) == (tmp_path, False, tmp_path, True)
