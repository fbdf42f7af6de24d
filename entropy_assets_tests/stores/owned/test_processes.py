"""An owned process and all that it started end with their owner, however it ends."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from entropy_assets.stores.owned import processes
from entropy_assets.stores.owned.processes import OwnedProcess
from entropy_assets_tests.file_modes import open_to_others
from entropy_assets_tests.pids import alive

FAMILY = "import subprocess, sys, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {FAMILY}"
LARGE = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
held = "held = bytearray(2 * 10**8); held[::4096] = b'x' * len(held[::4096])"
child = subprocess.Popen([sys.executable, "-c", held + "; print(1, flush=True); input()"], stdin=-1, stdout=-1)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""
OWNER = """
import sys, time
from pathlib import Path
from entropy_assets.stores.owned.processes import OwnedProcess
process = OwnedProcess([sys.executable, "-c", sys.argv[1]], log=Path(sys.argv[2]))
print(process.pid, flush=True)
time.sleep(60)
"""

SIGNALLED = """
import signal, sys
from entropy_assets.stores.owned.processes import Flag
flag = Flag()
signal.signal(signal.SIGTERM, lambda *_: flag.set())
def interrupt(frame, event, argument):
    if frame.f_code.co_name != "<lambda>":
        signal.raise_signal(signal.SIGTERM)
    return interrupt
sys.settrace(interrupt)
heard = flag.wait(0.01)
sys.settrace(None)
print(heard)
"""


def within(seconds: float, look: Callable[[], object]) -> object:
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("script", [FAMILY, DEAF], ids=["willing", "deaf to SIGTERM"])
def test_stop_ends_the_whole_family(tmp_path: Path, script: str) -> None:
    """Also a grandchild, and one that ignores SIGTERM; a second stop does nothing."""
    log = tmp_path / "log"
    process = OwnedProcess([sys.executable, "-c", script], log=log)
    grandchild = int(str(within(30, log.read_text)))
    assert process.exit_code is None
    process.stop(0.5)
    process.stop(0.5)
    assert process.exit_code is not None
    assert within(30, lambda: not alive(grandchild))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_stop_does_not_wait_for_who_ended_and_was_not_waited_for(tmp_path: Path) -> None:
    """In a container nobody may ever wait for orphans; here it is their parent, in a group of its own."""
    script = (
        "import os, subprocess, sys, time; group = os.getpgid(0); os.setpgid(0, 0);"
        "child = subprocess.Popen(['true'], process_group=group); time.sleep(0.3); print(1, flush=True); time.sleep(60)"
    )
    process = OwnedProcess(["sh", "-c", f'{sys.executable} -c "$0" & wait', script], log=tmp_path / "log")
    assert within(10, (tmp_path / "log").read_text)
    other = next(pid for pid in map(int, _children_of(process.pid)))
    begun = time.monotonic()
    process.stop(20)
    assert time.monotonic() - begun < 10
    os.kill(other, 9)


def _children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_was_killed_is_gone_when_stop_returns(tmp_path: Path) -> None:
    """The kernel takes a while to give back what it held; whoever comes next would find it at work."""
    log = tmp_path / "log"
    process = OwnedProcess([sys.executable, "-c", LARGE], log=log)
    grandchild = int(str(within(30, log.read_text)))
    process.stop(0.05)
    assert not alive(grandchild)


def test_what_an_owned_process_makes_is_its_users_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        process = OwnedProcess(["sh", "-c", f"mkdir {tmp_path}/folder && touch {tmp_path}/folder/file"])
    finally:
        os.umask(before)
    assert within(30, (tmp_path / "folder" / "file").exists)
    process.stop(1)
    assert open_to_others(tmp_path / "folder") == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_owner_killed_with_minus_nine_leaves_nobody(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with subprocess.Popen([sys.executable, "-c", OWNER, DEAF, str(log)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        child = int(owner.stdout.readline())
        grandchild = int(str(within(30, lambda: log.exists() and log.read_text())))
        assert alive(child)
        owner.kill()
    assert within(30, lambda: not alive(child) and not alive(grandchild))


def test_ctrl_c_in_the_terminal_does_not_reach_it() -> None:
    process = OwnedProcess(["sleep", "60"])
    try:
        assert os.getsid(process.pid) != os.getsid(0)
    finally:
        process.stop(5)


def test_one_that_ended_by_itself_tells_its_exit_code_and_leaves_no_watcher() -> None:
    process = OwnedProcess(["sh", "-c", "exit 7"])
    assert within(30, lambda: process.exit_code == 7)
    process.stop(5)
    assert process._watcher.returncode is not None


def test_its_output_is_appended_to_its_log_and_its_environment_is_the_given_one(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    process = OwnedProcess(["/bin/sh", "-c", "echo $GIVEN; echo to stderr >&2"], environment={"GIVEN": "x"}, log=log)
    assert within(30, lambda: log.read_text() == "before\nx\nto stderr\n")
    process.stop(5)


def test_a_program_that_is_not_there_is_an_os_error() -> None:
    with pytest.raises(OSError, match="absent"):
        OwnedProcess(["/absent"])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_one_whose_watcher_can_not_start_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the limit of the user's processes: the program was the last that had room."""
    log, real = tmp_path / "log", subprocess.Popen

    def one_more(command: list[str], **how: object) -> "subprocess.Popen[bytes]":
        if command[0] == "/bin/sh":
            assert within(30, lambda: log.read_text().endswith("\n"))
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return real(command, **how)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(subprocess, "Popen", one_more)
    with pytest.raises(BlockingIOError):
        OwnedProcess([sys.executable, "-c", FAMILY], log=log)
    monkeypatch.undo()
    assert within(30, lambda: not alive(int(log.read_text())))


def test_a_flag_is_set_by_a_signal_at_any_step_of_waiting_for_it() -> None:
    """The handler of a `threading.Event` may wait for a lock that the main thread has: nothing ends it then."""
    command = [sys.executable, "-c", SIGNALLED]
    assert subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout == "True\n"


def test_a_flag_is_waited_for() -> None:
    flag = processes.Flag()
    assert not flag.wait(0.01)
    setting = threading.Timer(0.1, flag.set)
    setting.start()
    assert flag.wait()
    setting.join()
