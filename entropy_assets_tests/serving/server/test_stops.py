"""A service that is told to end, ends: whatever its workers, its pool and its keys do meanwhile."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from entropy_assets.serving.server.workers import SIGN_OF_LIFE_S
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.e2e.running import clean_environment
from entropy_assets_tests.ports import free_port

PROMPT_S = 15.0
"""Half of what a worker that hangs is awaited for; a busy machine needs a part of it."""
IMPATIENT = """
import sys
from entropy_assets.serving.server import workers
from entropy_assets.cli.commands import main
workers.END_S = 1
main()
"""
"""``entropy-assets`` with less patience for workers that do not end."""

DEAF = """
import pathlib, time
from entropy_assets.serving.server import workers
from entropy_assets.cli.commands import main
class Deaf:
    def __del__(self):
        pathlib.Path({said!r}).touch()
        time.sleep(60)
def check(config):
    Deaf()
    time.sleep(60)
workers.check_server = check
main()
"""
"""The same with a start in which the first exception of a handler is lost, in ``__del__``."""


class Told:
    """``entropy-assets serve`` as a process that is told to end; `folder` holds its log and its temporary files."""

    def __init__(self, url: str, folder: Path, *options: str, **environment: str) -> None:
        self.folder = folder
        self.log = folder / "log"
        own = {"ENTROPY_REDIS_URL": url, "ENTROPY_HOME": str(folder / "home"), "TMPDIR": str(folder)}
        command = [sys.executable, "-c", IMPATIENT, "serve", "--port", str(free_port()), *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=clean_environment(**own, **environment), stdout=log, stderr=log
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def events(self) -> list[str]:
        """Return the names of what happened."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line)["event"] for line in lines if line.startswith("{")]

    def until(self, happened: Callable[[], object], seconds: float = 60) -> None:
        """Wait for it."""
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def until_workers(self, count: int) -> list[int]:
        """Wait until so many workers have begun; return them."""
        self.until(lambda: self.events().count("worker-started") == count)
        lines = map(json.loads, self.log.read_text().splitlines())
        return [line["pid"] for line in lines if line["event"] == "worker-started"]

    def told(self, number: int) -> int:
        """Send a signal; return the exit code, which must come soon."""
        self.process.send_signal(number)
        return self.process.wait(PROMPT_S)

    @property
    def left(self) -> list[Path]:
        """Folders of counts that are left."""
        return list(self.folder.glob("ea-board-*"))


@pytest.mark.e2e
@pytest.mark.parametrize("hanging_s", [0.0, 1.5], ids=["as it is told", "for longer"])
def test_a_worker_that_hangs_does_not_keep_the_service(hanging_s: float, valkey_url: str, tmp_path: Path) -> None:
    """A stop waited for its sign of life, for 30 s, and then for its end, without end."""
    assert PROMPT_S < SIGN_OF_LIFE_S
    with Told(valkey_url, tmp_path, "--workers", "2") as service:
        workers = service.until_workers(2)
        os.kill(workers[0], signal.SIGSTOP)
        time.sleep(hanging_s)
        assert service.told(signal.SIGTERM) == 0
    assert {"worker-killed", "worker-stopped", "service-stopped"} <= {*service.events()}
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


@pytest.mark.e2e
def test_a_stop_is_heard_while_workers_are_replaced(valkey_url: str, tmp_path: Path) -> None:
    """It was heard when all of them were."""
    with Told(valkey_url, tmp_path, "--workers", "2") as service:
        service.until_workers(2)
        service.process.send_signal(signal.SIGHUP)
        service.until(lambda: "restarting" in service.log.read_text())
        assert service.told(signal.SIGTERM) == 0
        assert service.events().count("worker-started") < 4


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_start_that_is_told_to_end_while_the_pool_hangs_leaves_nothing(number: int, tmp_path: Path) -> None:
    with EmbeddedServer() as server:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        # by itself it would refuse to start after two seconds
        with Told(f"{server.url}?socket_timeout={PROMPT_S}", tmp_path) as service:
            service.until(lambda: "service-starting" in service.events() and service.left)
            assert service.told(number) == 0
        os.kill(server.pid, signal.SIGCONT)
    assert (service.events(), service.left) == (["service-starting", "service-stopped"], [])


@pytest.mark.e2e
def test_a_start_hears_a_signal_whose_exception_was_lost(tmp_path: Path) -> None:
    """As in what Python runs between two steps."""
    said = tmp_path / "said"
    script = DEAF.format(said=str(said))
    environment = clean_environment(
        ENTROPY_REDIS_URL="redis://127.0.0.1:1", ENTROPY_HOME=str(tmp_path / "home"), TMPDIR=str(tmp_path)
    )
    with subprocess.Popen([sys.executable, "-c", script, "serve"], env=environment, stderr=subprocess.PIPE) as process:
        try:
            while not said.exists():
                assert process.poll() is None
                time.sleep(0.02)
            process.terminate()
            assert process.wait(PROMPT_S) == 0
        finally:
            process.kill()
    assert not list(tmp_path.glob("ea-board-*"))


@pytest.mark.e2e
def test_a_service_ends_in_good_order_with_its_terminal(valkey_url: str, tmp_path: Path) -> None:
    """Unless somebody wants it to outlive that."""
    with Told(valkey_url, tmp_path) as service:
        service.until_workers(1)
        assert service.told(signal.SIGHUP) == 0
    assert (service.events()[-2:], service.left) == (["worker-stopped", "service-stopped"], [])


@pytest.mark.e2e
def test_the_counts_of_a_service_that_was_killed_go_with_the_next_start(valkey_url: str, tmp_path: Path) -> None:
    with Told(valkey_url, tmp_path) as killed:
        killed.until_workers(1)
        [folder] = killed.left
    with Told(valkey_url, tmp_path) as service:
        service.until_workers(1)
        assert len(service.left) == 1
        assert not folder.exists()
        assert service.told(signal.SIGTERM) == 0
    assert service.left == []


@pytest.mark.e2e
def test_workers_without_keys_to_read_are_not_begun_again_and_again(valkey_url: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text("{")
    keys.chmod(0o600)
    with Told(valkey_url, tmp_path, "--workers", "2", ENTROPY_KEYS=str(keys)) as service:
        assert service.process.wait(60) == 1
    assert service.events()[-2:] == ["start-refused", "service-stopped"]


@pytest.mark.e2e
def test_a_worker_without_a_place_for_its_counts_says_so_in_a_line(valkey_url: str, tmp_path: Path) -> None:
    """As where the disk is full, or who cleans up temporary files removed the folder; its traceback was no line."""
    with Told(valkey_url, tmp_path, "--workers", "2") as service:
        workers = service.until_workers(2)
        shutil.rmtree(service.left[0])
        os.kill(workers[0], signal.SIGKILL)
        service.until(lambda: "worker-refused" in service.events())
        assert service.told(signal.SIGTERM) == 0
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    refused = next(line for line in lines if line["event"] == "worker-refused")
    assert refused["code"] == "place-unusable"
    assert refused["detail"].endswith(": No such file or directory")


@pytest.mark.e2e
def test_a_worker_that_can_not_read_the_keys_any_more_says_so_in_a_line(valkey_url: str, tmp_path: Path) -> None:
    """And is begun again, until it can."""
    keys = tmp_path / "keys.json"
    with Told(valkey_url, tmp_path, "--workers", "2", ENTROPY_KEYS=str(keys)) as service:
        workers = service.until_workers(2)
        keys.write_text("{")
        keys.chmod(0o600)
        os.kill(workers[0], signal.SIGKILL)
        service.until(lambda: "worker-refused" in service.events())
        keys.unlink()
        service.until_workers(3)
        assert service.told(signal.SIGTERM) == 0
    assert all(line.startswith("{") for line in service.log.read_text().splitlines())
