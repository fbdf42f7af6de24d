"""The drop folder: only finished regular files are taken, and no file is ever lost."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from entropy_assets.errors import FileStillChanging, ImageRejected, RejectionReason
from entropy_assets.stores.file_names import safe_name
from entropy_assets.stores.inboxes import folder as inbox_module
from entropy_assets.stores.inboxes.folder import DropFolder, PendingReason, ReadyFile
from entropy_assets.stores.inboxes.refusals import refusal_note
from entropy_assets_tests.stores.test_file_names import FORGED

KEY = "drop-20261105T010203Z-0badcafe"
LATER = 10.0


@pytest.fixture
def inbox(tmp_path: Path) -> DropFolder:
    """Give an empty drop folder."""
    return DropFolder(tmp_path / "inbox")


def drop(inbox: DropFolder, name: str, data: bytes = b"image") -> Path:
    """Leave a file in the inbox as a user would."""
    path = inbox.inbox / name
    path.write_bytes(data)
    return path


def later() -> float:
    """Return a moment by which everything has settled."""
    return time.time() + LATER


def names(files: list[Any]) -> list[str]:
    """Return the names of listed files."""
    return [file.name for file in files]


def everything(inbox: DropFolder) -> dict[str, bytes]:
    """Return every file under the inbox that is not one of our own notes."""
    return {
        str(path.relative_to(inbox.inbox)): path.read_bytes()
        for path in inbox.inbox.rglob("*")
        if path.is_file() and not path.name.endswith((".reason.json", ".tmp"))
    }


class TestReady:
    """What is listed, and what is left alone."""

    def test_files_come_oldest_first_and_then_by_name(self, inbox: DropFolder) -> None:
        """The order is that of modification, then of the name's bytes."""
        for name, age in (("b.png", 5), ("a.png", 5), ("z.png", 9), ("\udcff.png", 5)):
            os.utime(drop(inbox, name), (1_700_000_000 - age, 1_700_000_000 - age))
        assert names(inbox.ready(later())) == ["z.png", "\\xff.png", "a.png", "b.png"]

    def test_fresh_file_settles_first(self, inbox: DropFolder) -> None:
        """Inside the settling time it is pending, afterwards ready."""
        moment = drop(inbox, "frame.fits").stat().st_mtime
        assert inbox.ready(moment + 1.9) == []
        assert [(file.name, file.reason) for file in inbox.pending(moment + 1.9)] == [
            ("frame.fits", PendingReason.SETTLING)
        ]
        assert names(inbox.ready(moment + 2.1)) == ["frame.fits"]

    def test_modification_time_in_the_future_does_not_block(self, inbox: DropFolder) -> None:
        """A file copied with a wrong clock's time is judged by its change time."""
        path = drop(inbox, "frame.fits")
        os.utime(path, (4e9, 4e9))
        changed = path.stat().st_ctime
        assert inbox.ready(changed + 1) == []
        assert names(inbox.ready(changed + 3)) == ["frame.fits"]

    @pytest.mark.parametrize(
        "name, reason",
        [
            (".hidden.png", PendingReason.HIDDEN),
            ("frame.fits.part", PendingReason.PARTIAL),
            ("frame.TMP", PendingReason.PARTIAL),
            ("frame.png.crdownload", PendingReason.PARTIAL),
            ("frame.png~", PendingReason.PARTIAL),
            ("frame.png.reason.json", PendingReason.RESERVED_NAME),
        ],
    )
    def test_names_that_are_not_final_are_left_alone(self, inbox: DropFolder, name: str, reason: PendingReason) -> None:
        """Each with its reason and a sentence for the user."""
        drop(inbox, name)
        assert inbox.ready(later()) == []
        (pending,) = inbox.pending(later())
        assert (pending.name, pending.reason) == (name, reason)
        assert pending.detail

    @pytest.mark.parametrize(
        "name",
        ["name with spaces.png", "näme-星雲-🛰.png", "-rf.png", "$(touch x);`id`.png", "a" * 251, "new\nline.png"],
    )
    def test_odd_names_are_only_names(self, inbox: DropFolder, name: str) -> None:
        """They are taken, read and settled like any other; what is not printable is written as an escape."""
        drop(inbox, name)
        (file,) = inbox.take(inbox.ready(later()), KEY)
        assert inbox.read(file) == b"image"
        assert inbox.settle(KEY, file.name, accepted=False, reason="constant").name == name.replace("\n", "\\n")

    @pytest.mark.parametrize("name", ["\udcff.png", FORGED, "\udcff" * 250], ids=["bytes", "forged", "long"])
    def test_a_name_becomes_safe_text_where_it_enters(self, inbox: DropFolder, name: str) -> None:
        """It is shown so while it waits, listed so, and called so on the disk from then on."""
        moment = drop(inbox, name).stat().st_mtime
        assert names(inbox.pending(moment)) == names(inbox.ready(later())) == [safe_name(name)]
        (file,) = inbox.take(inbox.ready(later()), KEY)
        assert file.name == file.path.name == safe_name(name)
        assert inbox.read(file) == b"image"
        path = inbox.settle(KEY, file.name, accepted=False, reason="constant")
        assert (path.name, path.read_bytes()) == (safe_name(name), b"image")
        assert inbox.taken() == []

    @pytest.mark.parametrize("name", ["\udcff.png", FORGED, "\udcff" * 250], ids=["bytes", "forged", "long"])
    def test_a_group_that_an_older_version_took_keeps_its_names_and_is_settled(
        self, inbox: DropFolder, name: str
    ) -> None:
        """It moved names as they came: they are listed as safe text, and found by it, also when a step is repeated."""
        for key in (KEY, "drop-2"):
            (inbox.inbox / ".taken" / key).mkdir(parents=True)
            (inbox.inbox / ".taken" / key / name).write_bytes(b"image")
        (file,) = inbox.files_of(KEY)
        assert (file.name, inbox.read(file)) == (safe_name(name), b"image")
        assert inbox.settle(KEY, file.name, accepted=True).name == safe_name(name)
        assert inbox.put_back("drop-2", file.name) == inbox.inbox / safe_name(name)
        assert inbox.taken() == []
        (inbox.inbox / "processed" / "drop-3").mkdir()
        (inbox.inbox / "processed" / "drop-3" / name).write_bytes(b"image")
        assert inbox.settle("drop-3", file.name, accepted=True).name == name

    def test_own_folders_are_not_listed(self, inbox: DropFolder) -> None:
        """Neither as files nor as something that waits."""
        for place in (".taken", "processed", "rejected"):
            (inbox.inbox / place).mkdir()
        assert inbox.scan(later()) == ([], [])

    def test_irregular_entries_are_never_opened(self, inbox: DropFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        """Links, loops, folders, pipes and sockets are pending; a pipe does not block."""
        folder = inbox.inbox
        (folder / "loop_a.png").symlink_to("loop_b.png")
        (folder / "loop_b.png").symlink_to("loop_a.png")
        (folder / "escape.png").symlink_to("/etc/hostname")
        (folder / "dangling.fits").symlink_to("/nonexistent/frame.fits")
        (folder / "self").symlink_to(".")
        (folder / "directory.jpg").mkdir()
        os.mkfifo(folder / "fifo.fits")
        with socket.socket(socket.AF_UNIX) as listener:
            monkeypatch.chdir(folder)
            listener.bind("socket.fits")
        drop(inbox, "frame.fits")
        ready, pending = inbox.scan(later())
        assert names(ready) == ["frame.fits"]
        assert len(pending) == 8
        assert {file.reason for file in pending} == {PendingReason.NOT_A_REGULAR_FILE}

    def test_specials_of_the_reference_data(self, inbox: DropFolder, shared_data: Path) -> None:
        """Of everything that make_specials.sh makes, the three regular files are ready (root may read them all)."""
        script = shared_data / "hostile" / "make_specials.sh"
        subprocess.run(["sh", script, inbox.inbox], check=True, timeout=30)
        ready, pending = inbox.scan(later())
        waiting = {"unreadable.png": PendingReason.UNREADABLE} if os.geteuid() else {}
        assert set(names(ready)) | set(waiting) == {"unreadable.png", "new\\nline.png", "bad\\xffutf8.png"}
        others = {file.name: file.reason for file in pending if file.name not in waiting}
        assert set(others.values()) == {PendingReason.NOT_A_REGULAR_FILE}
        assert len(others) == 7

    def test_unreadable_file_is_pending(self, inbox: DropFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file that may not be opened waits for its permissions."""
        path = drop(inbox, "frame.fits")
        real = os.open

        def refuse(name: Any, *rest: Any) -> int:
            if Path(name) == path:
                raise PermissionError(13, "Permission denied")
            return real(name, *rest)

        monkeypatch.setattr(inbox_module.os, "open", refuse)
        assert [file.reason for file in inbox.pending(later())] == [PendingReason.UNREADABLE]

    def test_oversized_file_is_left_alone(self, tmp_path: Path) -> None:
        """A file beyond the limit is never read into memory."""
        inbox = DropFolder(tmp_path / "inbox", max_file_bytes=4)
        drop(inbox, "frame.fits")
        assert [file.reason for file in inbox.pending(later())] == [PendingReason.TOO_LARGE]

    def test_slow_writer_is_waited_for(self, tmp_path: Path, inbox: DropFolder, shared_data: Path) -> None:
        """A file that grows every 50 ms is never ready while it grows, and is whole once it is."""
        inbox.settle_seconds = 2.0  # on a busy machine a writer may do nothing for half a second
        source = tmp_path / "source.bin"
        source.write_bytes(os.urandom(40_000))
        command = [sys.executable, shared_data / "hostile" / "slow_writer.py", source, inbox.inbox / "slow.fits", "1"]
        with subprocess.Popen(command) as writer:
            seen: list[ReadyFile] = []
            deadline = time.monotonic() + 30
            while not seen and time.monotonic() < deadline:
                seen = inbox.ready(time.time())
                time.sleep(0.02)
            assert writer.wait(timeout=30) == 0
        assert inbox.read(seen[0]) == source.read_bytes()


class TestRead:
    """The bytes are those of the file that was listed."""

    def test_file_that_changed_after_listing_is_refused(self, inbox: DropFolder) -> None:
        """Grown, rewritten in place or replaced: it is left for the next look."""
        path = drop(inbox, "frame.fits")
        (file,) = inbox.ready(later())
        path.write_bytes(b"image, and more of it")
        with pytest.raises(FileStillChanging):
            inbox.read(file)
        path.write_bytes(b"imagf")
        os.utime(path, (1, 1))
        with pytest.raises(FileStillChanging):
            inbox.read(file)

    def test_file_that_grows_while_it_is_read_is_refused(
        self, inbox: DropFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The state is compared again after the last byte."""
        path = drop(inbox, "frame.fits")
        (file,) = inbox.ready(later())
        real, calls = os.fstat, []

        def grow(descriptor: int) -> os.stat_result:
            calls.append(descriptor)
            if len(calls) == 2:
                path.write_bytes(b"image grew")
            return real(descriptor)

        monkeypatch.setattr(inbox_module.os, "fstat", grow)
        with pytest.raises(FileStillChanging):
            inbox.read(file)

    @pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
    def test_name_that_became_something_else_is_not_followed(self, inbox: DropFolder, kind: str) -> None:
        """Swapped between listing and reading for a link, a pipe or a folder: a typed refusal, at once."""
        path = drop(inbox, "frame.fits")
        (file,) = inbox.ready(later())
        path.unlink()
        make: dict[str, Callable[[], Any]] = {
            "link": lambda: path.symlink_to("/etc/hostname"),
            "pipe": lambda: os.mkfifo(path),
            "folder": path.mkdir,
        }
        make[kind]()
        with pytest.raises(ImageRejected) as caught:
            inbox.read(file)
        assert caught.value.reason is RejectionReason.NOT_A_REGULAR_FILE


class TestWay:
    """The way of a file: inbox, taken, processed or rejected."""

    def test_accepted_and_rejected_files_end_apart(self, inbox: DropFolder) -> None:
        """Each under its batch; the refused one beside its reason; the batch is forgotten once empty."""
        drop(inbox, "good.fits", b"good")
        drop(inbox, "bad.fits", b"bad")
        taken = inbox.take(inbox.ready(later()), KEY)
        assert sorted(names(taken)) == ["bad.fits", "good.fits"]
        assert inbox.taken() == [KEY]
        assert inbox.ready(later()) == []
        inbox.settle(KEY, "good.fits", accepted=True)
        inbox.settle(KEY, "bad.fits", accepted=False, reason="constant", detail="it is flat")
        assert everything(inbox) == {f"processed/{KEY}/good.fits": b"good", f"rejected/{KEY}/bad.fits": b"bad"}
        note = (inbox.inbox / "rejected" / KEY / "bad.fits.reason.json").read_bytes()
        assert note == refusal_note("bad.fits", "constant", "it is flat")
        assert inbox.taken() == []
        assert not (inbox.inbox / ".taken" / KEY).exists()

    def test_settling_twice_changes_nothing(self, inbox: DropFolder) -> None:
        """A repeated step gives the same path; a file that never was is an error."""
        drop(inbox, "frame.fits")
        inbox.take(inbox.ready(later()), KEY)
        first = inbox.settle(KEY, "frame.fits", accepted=False, reason="saturated")
        assert inbox.settle(KEY, "frame.fits", accepted=False, reason="saturated") == first
        with pytest.raises(FileNotFoundError):
            inbox.settle(KEY, "other.fits", accepted=True)

    def test_same_name_again_overwrites_nothing(self, inbox: DropFolder) -> None:
        """A second file of the same name, in the same batch or in another, gets a name of its own."""
        for number in range(3):
            drop(inbox, "frame.fits", b"image %d" % number)
            inbox.take(inbox.ready(later()), KEY)
        assert names(inbox.files_of(KEY)) == ["frame.fits", "frame.fits~1", "frame.fits~2"]
        for file in inbox.files_of(KEY):
            inbox.settle(KEY, file.name, accepted=True)
        drop(inbox, "frame.fits", b"image 3")
        inbox.take(inbox.ready(later()), KEY)
        inbox.settle(KEY, "frame.fits", accepted=True)
        assert sorted(everything(inbox).values()) == [b"image 0", b"image 1", b"image 2", b"image 3"]

    def test_what_is_taken_is_closed_to_others_unless_an_archive_has_it_too(
        self, inbox: DropFolder, tmp_path: Path
    ) -> None:
        drop(inbox, "copied.fits").chmod(0o644)
        drop(inbox, "linked.fits").chmod(0o644)
        (tmp_path / "archive.fits").hardlink_to(inbox.inbox / "linked.fits")
        taken = {file.name: file for file in inbox.take(inbox.ready(later()), KEY)}
        modes = {name: file.path.stat().st_mode & 0o777 for name, file in taken.items()}
        assert modes == {"copied.fits": 0o600, "linked.fits": 0o644}
        assert inbox.read(taken["copied.fits"]) == b"image"

    def test_only_what_was_listed_is_taken(self, inbox: DropFolder) -> None:
        """A file that was rewritten or withdrawn since stays where it is."""
        drop(inbox, "gone.fits").unlink()
        path = drop(inbox, "frame.fits")
        gone = ReadyFile("gone.fits", inbox.inbox / "gone.fits", 5, 1)
        listed = inbox.ready(later())
        path.write_bytes(b"rewritten")
        assert inbox.take([gone, *listed], KEY) == []
        assert everything(inbox) == {"frame.fits": b"rewritten"}

    def test_longest_names_have_room_for_their_reason(self, inbox: DropFolder) -> None:
        """Derived names never exceed 255 bytes and never collide, also where they cut a character."""
        for name in ("a" * 255, "a" * 254 + "b", "星" * 85):
            drop(inbox, name, name.encode())
        for file in inbox.take(inbox.ready(later()), KEY):
            inbox.settle(KEY, file.name, accepted=False, reason="constant")
        notes = [path for path in (inbox.inbox / "rejected" / KEY).iterdir() if path.name.endswith(".reason.json")]
        assert len(notes) == 3
        assert sorted(json.loads(path.read_text())["name"] for path in notes) == sorted(
            ["a" * 255, "a" * 254 + "b", "星" * 85]
        )

    def test_put_back_returns_a_file_to_the_inbox(self, inbox: DropFolder) -> None:
        """What turned out unfinished is listed again later."""
        drop(inbox, "frame.fits")
        inbox.take(inbox.ready(later()), KEY)
        inbox.put_back(KEY, "frame.fits")
        assert names(inbox.ready(later())) == ["frame.fits"]
        assert inbox.taken() == []

    def test_deposit_is_whole_and_never_overwrites(self, inbox: DropFolder) -> None:
        """A source's file appears in one step, under a free name, with no temporary left."""
        assert inbox.deposit("frame.fits", b"one").name == "frame.fits"
        assert inbox.deposit("frame.fits", b"two").name == "frame.fits~1"
        assert everything(inbox) == {"frame.fits": b"one", "frame.fits~1": b"two"}
        assert len(list(inbox.inbox.iterdir())) == 2

    @pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\0b"])
    def test_names_can_not_leave_their_folder(self, inbox: DropFolder, name: str) -> None:
        """No name and no batch key is a path."""
        for call in (
            lambda: inbox.deposit(name, b""),
            lambda: inbox.settle(KEY, name, accepted=True),
            lambda: inbox.put_back(KEY, name),
            lambda: inbox.take([], name),
        ):
            with pytest.raises(ValueError, match=r"no plain file name|no batch key"):
                call()


def calls_of(work: Callable[[], object]) -> int:
    """Count the calls of functions, Python's and C's, that `work` makes."""
    calls = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def test_a_look_costs_each_of_thousands_of_files_the_same_few_calls(inbox: DropFolder) -> None:
    """So a sensor tick stays short: two thousand take twice what one thousand take, and none is opened."""
    costs = []
    for number in range(2000):
        (inbox.inbox / f"{number}.fits").touch()
        if number in (999, 1999):
            costs.append(calls_of(lambda: inbox.ready(later())))
    assert len(inbox.ready(later())) == 2000
    assert costs[1] < 2.1 * costs[0]
    assert costs[1] < 100 * 2000


def test_a_batch_is_listed_while_somebody_settles_it(inbox: DropFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = inbox.inbox / ".taken" / "b"
    batch.mkdir(parents=True)
    (batch / "still.fits").touch()
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter([folder / "gone.fits", folder / "still.fits"]))
    assert [file.name for file in inbox.files_of("b")] == ["still.fits"]
