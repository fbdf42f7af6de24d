"""Keeps a program: runs it, and ends with it all that it started. Run by its path, as a process of its own.

On Linux the keeper is the subreaper of all that the program starts (prctl(2), PR_SET_CHILD_SUBREAPER): whoever leaves
the program's group and session, and loses its parent, becomes a child of the keeper and not of the system's first
process. So nothing gets out of its sight but by killing the keeper itself. When the program ends, when the keeper is
told to (SIGTERM) or when its owner dies, every descendant is killed. Elsewhere only the group of processes is ended,
by the owner: a child that makes a session of its own outlives it.

It knows nothing of this package, so that it starts in some milliseconds.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
GRACE_S: Final = 0.5
"""Between the signal that asks to end and the one that ends, seconds."""
LONGEST_END_S: Final = 5.0
"""Time after which those that even SIGKILL does not end, as in a broken driver, are left, seconds."""
LOOK_S: Final = 0.01
NOT_STARTED: Final = 126
"""Exit code of a program that can't be started, as of a shell."""
SIGNALLED: Final = 128
"""Exit code of a program that was ended by signal 0, as of a shell."""


class Told(BaseException):
    """The keeper was told to end."""


def keep(command: Sequence[str]) -> int:
    """Run a program, wait for its end, end what it left behind, and return its exit code."""
    if sys.platform == "linux":
        system = ctypes.CDLL(None)
        system.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        system.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    signal.signal(signal.SIGTERM, _tell)
    code = SIGNALLED + signal.SIGTERM
    try:
        program = os.fork()
        if program == 0:
            _become(command)
        code = _code_of(program)
    except Told:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end_all(os.getpid())
    return code


def end_all(ancestor: int) -> None:
    """End all descendants of this process, first by asking."""
    began = time.monotonic()
    while left := descendants(ancestor):
        elapsed_s = time.monotonic() - began
        if elapsed_s > LONGEST_END_S:
            return
        for process in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGTERM if elapsed_s < GRACE_S else signal.SIGKILL)
        time.sleep(LOOK_S)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def descendants(ancestor: int) -> list[int]:
    """Return the processes below one, by ``/proc``; none where there is no such folder."""
    children: dict[int, list[int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        # whoever ended meanwhile has no parent; a name in parentheses may hold anything
        with suppress(OSError, LookupError, ValueError):
            told = (process / "stat").read_bytes().rpartition(b")")[2].split()
            children.setdefault(int(told[1]), []).append(int(process.name))
    found = [ancestor]
    for parent in found:
        found += children.get(parent, ())
    return found[1:]


def _tell(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Told


def _become(command: Sequence[str]) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        os.execvp(command[0], list(command))  # noqa: S606 - the operator's own command, and no shell
    except OSError as error:
        os.write(2, f"it can't be started: {error.strerror}".encode())
    os._exit(NOT_STARTED)


def _code_of(program: int) -> int:
    """Return the exit code of the program; others whose parents died are waited for meanwhile."""
    while True:
        process, status = os.wait()
        if process == program:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else SIGNALLED - code


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
