"""The keeper of a program: its exit code is the program's, and nothing below it is left."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from entropy_assets.sources.feeds import keeper


def kept(*command: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([sys.executable, "-I", "-S", keeper.__file__, *command], capture_output=True, check=False)


@pytest.mark.parametrize(
    "script, code", [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", keeper.SIGNALLED + signal.SIGKILL)]
)
def test_its_exit_code_is_that_of_the_program(script: str, code: int) -> None:
    assert kept("/bin/sh", "-c", script).returncode == code


def test_what_can_not_be_started_is_told_as_a_shell_tells_it(tmp_path: Path) -> None:
    (tmp_path / "frame").write_bytes(b"no program")
    (tmp_path / "frame").chmod(0o600)
    done = kept(str(tmp_path / "frame"))
    assert (done.returncode, done.stderr) == (keeper.NOT_STARTED, b"it can't be started: Permission denied")


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc elsewhere")
def test_descendants_are_children_and_theirs() -> None:
    shell = subprocess.Popen(["/bin/sh", "-c", "sleep 60 & wait"])
    try:
        while len(below := keeper.descendants(shell.pid)) != 1:
            os.sched_yield()
        assert {shell.pid, *below} <= set(keeper.descendants(os.getpid()))
    finally:
        shell.kill()
        os.kill(below[0], signal.SIGKILL)
        shell.wait()
    assert keeper.descendants(shell.pid) == []


TOLD_AT_ONCE = """\
import os, signal, sys
sys.path.insert(0, sys.argv.pop(1))
import keeper
fork = os.fork
def forked():
    program = fork()
    if program:
        print(program, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
    return program
os.fork = forked
sys.exit(keeper.keep(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc elsewhere")
def test_who_is_told_to_end_as_the_program_begins_leaves_nothing() -> None:
    command = [sys.executable, "-I", "-c", TOLD_AT_ONCE, str(Path(keeper.__file__).parent), "/bin/sleep", "20"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == keeper.SIGNALLED + signal.SIGTERM, done.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), signal.SIGKILL)
