"""A private folder is its owner's alone, stays while the owner lives, and is removed after it."""

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

import pytest

from entropy_assets.stores.owned import folders
from entropy_assets.stores.owned.folders import OWNER_NAME, SOCKET_NAME, SOCKET_PATH_LIMIT, PrivateFolder, listens
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.stores.pool.clusters import eventually

OWNER = """
import os, sys
from entropy_assets.stores.owned.folders import PrivateFolder
folder = PrivateFolder(sys.argv[1])
(folder.path / "kept").touch()
print(folder.path, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def prefix() -> str:
    """Give a prefix of its own to each test: to make a folder removes what is left of its kind, other tests' too."""
    return f"ea-{uuid4().hex[:8]}-"


def test_it_is_closed_to_others_and_short_enough(prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long_folder = tmp_path / ("long" * 30)
    long_folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long_folder))
    with PrivateFolder.for_socket(prefix) as folder:
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        assert len(os.fsencode(folder.path / SOCKET_NAME)) <= SOCKET_PATH_LIMIT
    assert not folder.path.exists()
    assert list(long_folder.iterdir()) == []


def test_a_name_at_the_limit_is_taken(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")  # noqa: S108 - the shortest there is
    with PrivateFolder.for_socket(prefix) as folder:
        length = len(os.fsencode(folder.path / SOCKET_NAME))
    monkeypatch.setattr(folders, "SOCKET_PATH_LIMIT", length)
    PrivateFolder.for_socket(prefix).remove()
    monkeypatch.setattr(folders, "SOCKET_PATH_LIMIT", length - 1)
    with pytest.raises(OSError, match="TMPDIR"):
        PrivateFolder.for_socket(prefix)


def test_nobody_listens_where_nothing_is(tmp_path: Path) -> None:
    assert not listens(tmp_path / "absent")


def test_it_stays_while_its_owner_lives_whatever_ended_in_it() -> None:
    """A server that was killed leaves a socket without a listener. Others removed its folder as it was begun again."""
    with EmbeddedServer() as server:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        eventually(lambda: server.pid is None)
        with EmbeddedServer():
            assert server.log.exists()
        server.revive()
        assert server.pid is not None


def test_it_goes_after_an_owner_that_was_killed_and_others_stay(prefix: str) -> None:
    killed = subprocess.run([sys.executable, "-c", OWNER, prefix], capture_output=True, text=True, check=False)
    left = Path(killed.stdout.strip())
    assert (killed.returncode, sorted(each.name for each in left.iterdir())) == (-9, ["kept", OWNER_NAME])
    foreign = Path(tempfile.mkdtemp(prefix=prefix))
    with PrivateFolder(prefix) as first, PrivateFolder(prefix) as second:
        assert [each.exists() for each in (left, first.path, second.path, foreign)] == [False, True, True, True]
    foreign.rmdir()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_one_that_is_swept_before_it_is_locked_is_made_anew(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is there and nobody holds it yet: who sweeps takes the folder for left."""
    swept: list[Path] = []
    lock = fcntl.flock

    def late(descriptor: int, how: int) -> None:
        if not swept:
            swept.append(Path(f"/proc/self/fd/{descriptor}").readlink().parent)
            shutil.rmtree(swept[0])
        lock(descriptor, how)

    monkeypatch.setattr(folders.fcntl, "flock", late)
    with PrivateFolder(prefix) as folder:
        assert folder.path not in swept
        assert (folder.path / OWNER_NAME).exists()


def test_one_that_was_removed_is_made_again_and_is_locked(prefix: str) -> None:
    with PrivateFolder(prefix) as folder:
        shutil.rmtree(folder.path)
        for _ in range(2):
            folder.ensure()
            assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        PrivateFolder(prefix).remove()
        assert (folder.path / OWNER_NAME).exists()


def test_one_of_somebody_else_is_refused(prefix: str, tmp_path: Path) -> None:
    with PrivateFolder(prefix) as folder:
        folder.path.chmod(0o755)
        with pytest.raises(PermissionError):
            folder.ensure()
        shutil.rmtree(folder.path)
        folder.path.symlink_to(tmp_path)
        with pytest.raises(PermissionError):
            folder.ensure()
        folder.path.unlink()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_one_that_was_given_to_another_user_is_refused(prefix: str) -> None:
    with PrivateFolder(prefix) as folder:
        os.chown(folder.path, 65534, -1)
        with pytest.raises(PermissionError):
            folder.ensure()
