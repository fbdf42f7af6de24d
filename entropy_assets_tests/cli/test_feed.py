"""``entropy-assets feed``: what reaches the kernel's generator, and what never does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from entropy_assets_tests.cli.conftest import Run
from entropy_assets_tests.client.scripted import ScriptedServer, status
from entropy_assets_tests.client.test_kernel import read_fifo
from entropy_assets_tests.serving.running import RunningService


def test_the_bytes_are_mixed_with_this_machines_before_they_are_fed(
    run: Run, tmp_path: Path, zeros: ScriptedServer
) -> None:
    got: list[bytes] = []
    reader = read_fifo(tmp_path / "fifo", got)
    result = run("feed", "--once", "--device", tmp_path / "fifo", "--url", zeros.url)
    reader.join(10)
    assert (result.exit_code, result.output) == (0, "")
    assert len(got[0]) == 64
    assert len(set(got[0])) > 16


def test_the_kernel_takes_them_and_is_told_of_no_entropy(zeros: ScriptedServer) -> None:
    """The real device, written as any user may; the interpreter reports every ioctl, and RNDADDENTROPY is one."""
    script = f"""
import sys
events = []
sys.addaudithook(lambda name, arguments: events.append((name, arguments)) if name in ("open", "fcntl.ioctl") else None)
from entropy_assets.cli import main
main(["feed", "--once", "--url", "{zeros.url}"], standalone_mode=False)
print(any(name == "open" and arguments[0] == "/dev/random" for name, arguments in events))
print(any(name == "fcntl.ioctl" for name, _ in events))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.split() == ["True", "False"], done.stderr
    assert len(zeros.requests) == 1


def test_a_file_is_neither_written_nor_made(run: Run, tmp_path: Path, zeros: ScriptedServer) -> None:
    (tmp_path / "thesis.txt").write_text("my thesis")
    for name in ("thesis.txt", "absent", "."):
        result = run("feed", "--once", "--device", tmp_path / name, "--url", zeros.url)
        assert result.exit_code == 1
        assert result.stderr.startswith("error: ")
    assert (tmp_path / "thesis.txt").read_text() == "my thesis"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert zeros.requests == []


@pytest.mark.parametrize("every", ["nan", "inf", "-inf", "0.5", "1e12"])
def test_a_pause_that_is_none_is_wrong_usage_and_nothing_is_drawn(run: Run, zeros: ScriptedServer, every: str) -> None:
    result = run("feed", "--device", os.devnull, "--every", every, "--url", zeros.url)
    assert (result.exit_code, zeros.requests) == (2, [])
    assert "--every" in result.stderr


def test_once_without_bytes_is_exit_code_4(run: Run, empty: RunningService) -> None:
    result = run("feed", "--once", "--device", os.devnull, "--url", empty.url)
    assert (result.exit_code, result.stdout) == (4, "")
    assert "ask again" in result.stderr


def test_a_refused_key_ends_the_feeding(run: Run) -> None:
    with ScriptedServer(status("401 Unauthorized")) as server:
        result = run("feed", "--device", os.devnull, "--url", server.url)
    assert result.exit_code == 1
    assert "status 401" in result.stderr
