"""However ``entropy-assets up`` ends, nothing of it is left, and the next one goes on where it stopped."""

import os
import signal
import socket
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from entropy_assets.stores.batches import Batch
from entropy_assets_tests.e2e.running import Installation, Up, eventually
from entropy_assets_tests.pids import alive
from entropy_assets_tests.stages.batches_made import frame

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


def left_of(processes: dict[int, str]) -> dict[int, str]:
    """Give those that still run."""
    return {pid: line for pid, line in processes.items() if alive(pid)}


def started_run(installation: Installation, name: str, seed: int) -> Batch:
    """Drop an image and wait until a process works on it."""
    batch = installation.drop({name: frame(seed)})
    eventually("a process that executes the run", installation.run_workers, pause=0.02)
    return batch


def test_ctrl_c_in_the_middle_of_a_run_leaves_nothing_and_the_next_start_publishes_the_batch(tmp_path: Path) -> None:
    """Exit code 0 in bounded time, no process left; the batch is published once after the next start."""
    with Installation.running(tmp_path / "home") as first:
        batch = started_run(first, "interrupted.fits", 940)
        family = first.up.descendants()
        assert len(family) >= 6
        assert first.up.end(signal.SIGINT) == 0
        assert left_of(family) == {}
        assert first.up.lines[-1] == "stopped"
    with Installation.running(tmp_path / "home") as second:
        eventually("the batch is published", lambda: second.published(batch))
        assert second.up.end(signal.SIGTERM) == 0


def test_kill_minus_nine_leaves_nothing_either(tmp_path: Path) -> None:
    with Installation.running(tmp_path / "home") as installation:
        started_run(installation, "killed.fits", 941)
        family = installation.up.descendants()
        installation.up.end(signal.SIGKILL)
        eventually("all its processes are gone", lambda: not left_of(family))


def test_a_second_one_on_the_same_home_is_refused(tmp_path: Path) -> None:
    up = Up(tmp_path / "home")
    try:
        eventually("it owns its home", (tmp_path / "home" / "logs").exists)
        second = Up(tmp_path / "home")
        assert second.ended(120) == 1
        assert "another 'entropy-assets up' runs on" in second.said
    finally:
        assert up.end() == 0


CHILDREN = {
    "code": "dagster api grpc",
    "daemon": "supervisor.daemon",
    "webserver": "supervisor.webserver",
    "http": "entropy_assets.cli serve",
    "pool": "valkey-server",
}
"""A part of the command line of each, by name."""


def pids_of(installation: Installation, name: str) -> set[int]:
    return {pid for pid, line in installation.up.descendants().items() if CHILDREN[name] in line}


def drawn(installation: Installation) -> list[bytes]:
    """Draw as soon as bytes are to be had, and give the digests that the answer is made of."""

    def look() -> bytes | None:
        try:
            answer = installation.get("/random/4096", **{"class": "public"})
        except httpx.TransportError:
            return None
        return answer.content if answer.status_code == 200 else None

    data = eventually("bytes to draw", look)
    return [data[start : start + 32] for start in range(0, len(data), 32)]


def test_each_child_that_is_killed_comes_back_and_nothing_is_drawn_twice(tmp_path: Path) -> None:
    """Also a run that was under way, and a batch that is dropped afterwards, end in the ledger; what waits is told."""
    with Installation.running(tmp_path / "home", "--camera", ENTROPY_LOW_WATER_BYTES="65536") as installation:
        pieces = drawn(installation)
        (installation.inbox.parent / "raw-cdd").mkdir()
        interrupted = started_run(installation, "interrupted.fits", 950)
        for name in CHILDREN:
            # the daemon ends and comes back with the code server
            [pid] = eventually(f"the {name}", lambda name=name: pids_of(installation, name))
            os.kill(pid, signal.SIGKILL)
            eventually(f"another {name}", lambda name=name, pid=pid: pids_of(installation, name) - {pid})
            assert f"{name:8} ended with exit code -9, and is started again in" in installation.up.said
            pieces += drawn(installation)
        assert len(set(pieces)) == len(pieces)
        later = installation.drop({"later.fits": frame(951)})
        for batch in (interrupted, later):
            eventually(f"publication of {batch.key}", lambda batch=batch: installation.published(batch))
        pieces += drawn(installation)
        assert len(set(pieces)) == len(pieces)
        told = "will not be taken: raw-cdd (a folder of no source that the recipe lists"
        assert told in installation.up.said
        assert [told in reason["detail"] for reason in installation.get("/health").json()["reasons"]].count(True) == 1
        assert told in "".join(installation.get("/stats").json()["problems"])
        assert installation.up.end() == 0


def test_a_child_that_can_not_come_back_ends_everything_with_its_log(tmp_path: Path) -> None:
    """Somebody else took its port while it was away: it is tried for over a minute, and then told."""
    with Installation.running(tmp_path / "home") as installation, ExitStack() as stack:
        family = installation.up.descendants()
        [http] = pids_of(installation, "http")
        os.kill(http, signal.SIGKILL)
        port = int(installation.http.rsplit(":", 1)[1])

        def taken() -> socket.socket | None:
            with suppress(OSError):
                return socket.create_server(("127.0.0.1", port))
            return None

        stack.enter_context(eventually("the port", taken, pause=0.01))
        assert installation.up.ended(300) == 1
        assert left_of(family) == {}
        assert "http ended with exit code" in installation.up.said
        assert "7 times in a row" in installation.up.said


def test_once_processes_the_samples_and_ends(tmp_path: Path) -> None:
    up = Up(tmp_path / "home", "--once", "--samples")
    assert up.ended(400) == 0
    assert up.lines[-1] == "stopped"
    for stage in ("taken", "read", "extracted", "validated", "published"):
        assert f"  {stage} " in up.said
    assert "earth_dark_2048.jpg: constant" in up.said
