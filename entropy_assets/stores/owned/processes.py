"""Processes that belong to this one.

Trusted for: ending. An owned process and all that it started ends with `OwnedProcess.stop`, and when its owner dies by
whatever signal: a watcher waits on a pipe that the kernel closes with the owner, and then kills the whole group.
What an owned process makes can be read by the same user and nobody else.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from entropy_assets.stores.durable import PRIVATE_UMASK

_LOOK_SECONDS: Final = 0.02
_HEARD_SECONDS: Final = 0.25
_GONE_SECONDS: Final = 5.0
"""Longest wait for what was killed: to give back its memory takes a while, and a mount that hangs keeps it for ever."""


class Flag(threading.Event):
    """An event that a signal's handler may set.

    The handler runs in the main thread, between any two of its steps. `threading.Event` takes a lock to wait and to be
    set: a signal that comes while the main thread has it would wait for it for ever.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_set = False

    def set(self) -> None:
        """Set it."""
        self._is_set = True

    def is_set(self) -> bool:
        """Tell whether it is set."""
        return self._is_set

    def wait(self, timeout: float | None = None) -> bool:
        """Tell whether it is set after `timeout`, seconds; without one, wait until it is."""
        while timeout is None and not self._is_set:
            time.sleep(_HEARD_SECONDS)
        if timeout is not None and not self._is_set:
            time.sleep(timeout)  # to the end, also when it is set meanwhile
        return self._is_set


class OwnedProcess:
    """A process, leader of a group of its own, that does not outlive its owner.

    Ctrl-C in the owner's terminal does not reach it: the owner decides when it ends.

    Parameters
    ----------
    command
        Program and arguments.
    environment
        By default the owner's.
    log
        File that its output is appended to; by default it is dropped.

    Raises
    ------
    OSError
        If the program or its watcher can't be run; then nothing of it is left.
    """

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, log: Path | None = None
    ) -> None:
        with (log or Path(os.devnull)).open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - each caller gives a program of its own choice, no shell
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=PRIVATE_UMASK,
            )
        self.pid: Final = self._process.pid
        try:
            self._watcher = subprocess.Popen(  # noqa: S603 - the one thing put into it is a number
                ["/bin/sh", "-c", f"read _; kill -9 -{self.pid}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except BaseException:  # nobody would end it: its owner never has it
            with suppress(OSError):  # it may have ended already
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
            raise

    @property
    def exit_code(self) -> int | None:
        """How it ended, negative for a signal; None while it runs."""
        return self._process.poll()

    def ask_to_end(self) -> None:
        """Send SIGTERM to the whole group."""
        self._signal(signal.SIGTERM)

    def stop(self, timeout_s: float) -> None:
        """Ask the group to end, and kill what is left of it after `timeout_s`. Harmless when it ended before."""
        self.ask_to_end()
        self._wait(timeout_s)
        if self._signal(signal.SIGKILL):
            self._wait(_GONE_SECONDS)
        self._process.wait()
        self._watcher.kill()
        self._watcher.communicate()

    def _wait(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while self._group_lives() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)

    def _group_lives(self) -> bool:
        self._process.poll()  # a leader that ended and was not waited for would keep its group
        return self._signal(0) and _is_at_work(self.pid)

    def _signal(self, number: int) -> bool:
        """Send a signal to the group and tell whether there is one."""
        if self._watcher.returncode is not None:
            return False  # stopped before: the number may be somebody else's by now
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return False
        return True


def _is_at_work(group: int) -> bool:
    """Tell whether any of a process group runs; also where nobody can tell.

    One that ended keeps its group until it is waited for: whoever inherits orphans does that late, or never.
    """
    processes = [path for path in Path("/proc").glob("[0-9]*") if path.name.isdigit()]
    for path in processes:
        with suppress(OSError):  # gone meanwhile
            state, _, member_of = (path / "stat").read_bytes().rpartition(b") ")[2].split()[:3]
            if int(member_of) == group and state not in (b"Z", b"X"):
                return True
    return not processes
