"""Temporary folders of one process, of mode 0700, for sockets and counts.

Trusted for: the same user of this machine can reach what is in one, and nobody else can. A folder stays while its
owner lives, whatever ends in it, and one whose owner was killed is removed by the next that makes one of its kind.
"""

import errno
import fcntl
import os
import shutil
import socket
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

SOCKET_NAME: Final = "s"
SOCKET_PATH_LIMIT: Final = 103
"""Bytes in ``sockaddr_un.sun_path`` less the final zero, on the strictest system (macOS; Linux has 107)."""
OWNER_NAME: Final = "owner"
"""A file that the owner has locked. The kernel lets go of the lock with the owner, by whatever signal."""


class PrivateFolder:
    """A folder that is this object's until `remove`, or until the process ends.

    Parameters
    ----------
    prefix
        Of the folder's name. Folders of the same prefix whose owner was killed are removed.
    parent
        Where it is made; by default the folder of temporary files.

    Attributes
    ----------
    path
        Where it is.

    Raises
    ------
    OSError
        If nothing can be written there.
    """

    def __init__(self, prefix: str, parent: Path | None = None) -> None:
        parent = parent or Path(tempfile.gettempdir())
        _sweep(parent, prefix)
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
            with suppress(FileNotFoundError):  # swept between its making and its lock
                self._lock = _locked(self.path)
                return

    @classmethod
    def for_socket(cls, prefix: str) -> Self:
        """Make one in which the path of `SOCKET_NAME` fits into a socket address.

        Raises
        ------
        OSError
            If every temporary folder's path is too long, or nothing can be written there.
        """
        for parent in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - mkdtemp makes a folder of our own in it
            if len(os.fsencode(parent / f"{prefix}{'x' * 8}" / SOCKET_NAME)) <= SOCKET_PATH_LIMIT:
                return cls(prefix, parent)
        raise OSError("no temporary folder has a path short enough for a unix socket; set TMPDIR to a shorter one")

    def ensure(self) -> None:
        """Make it again if it was removed, as by who cleans up old temporary files. What was in it is lost.

        Raises
        ------
        PermissionError
            If somebody else has made one of its name, or opened it to others.
        """
        with suppress(FileExistsError):
            self.path.mkdir(mode=0o700)
        state = self.path.lstat()
        if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or stat.S_IMODE(state.st_mode) & 0o077:
            raise PermissionError(errno.EACCES, "not a folder of this user alone", str(self.path))
        if not os.fstat(self._lock).st_nlink:
            os.close(self._lock)
            self._lock = _locked(self.path)

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def listens(path: Path) -> bool:
    """Tell whether somebody listens on the unix socket at `path`.

    Raises
    ------
    PermissionError
        If the socket is another user's.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
    return True


def _locked(folder: Path) -> int:
    """Return the descriptor that owns `folder`.

    Raises
    ------
    FileNotFoundError
        If the folder is removed before.
    """
    lock = os.open(folder / OWNER_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not os.fstat(lock).st_nlink:  # who swept had the lock
        os.close(lock)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    return lock


def _sweep(parent: Path, prefix: str) -> None:
    for path in parent.glob(f"{prefix}*/{OWNER_NAME}"):
        try:
            lock = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # another user's, or gone
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.parent, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)
