"""Several workers on one port: every promise of one holds, whatever happens to some of them."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.reservoir.demand import ReservoirLimits
from entropy_assets.serving.server import workers
from entropy_assets.stores.lanes import LANES
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.e2e.running import clean_environment, eventually
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.ports import free_port

BLOCKS = 300
WORKERS = 4


class Served:
    """``entropy-assets serve --workers 4`` as a process."""

    def __init__(self, url: str, prefix: str, home: Path) -> None:
        environment = clean_environment(ENTROPY_REDIS_URL=url, ENTROPY_HOME=str(home), ENTROPY_POOL_PREFIX=prefix)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "entropy_assets.cli", "serve"),
                *("--port", str(port), "--workers", str(WORKERS)),
            ],
            env=environment,
        )
        eventually("four workers", lambda: self._stats_or_none() and self.stats()["workers"] == WORKERS, 60)

    def stats(self) -> dict[str, Any]:
        return dict(httpx.get(f"{self.url}/stats", timeout=10).json()["service"])

    def _stats_or_none(self) -> dict[str, Any] | None:
        try:
            return self.stats()
        except httpx.TransportError:
            return None

    def workers(self) -> list[int]:
        """Give the process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [pid for pid in map(int, children) if b"spawn_main" in _command_line(pid)]

    def until_full(self) -> None:
        """Wait until each worker holds of each lane what it holds when nobody asks."""
        limits = ReservoirLimits()
        first = WORKERS * len(LANES) * limits.least_bytes // limits.block_len
        eventually("full reservoirs", lambda: self.stats()["leased_blocks"] >= first)


def _command_line(pid: int) -> bytes:
    """Return the words of a process; none if it has ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


@pytest.fixture
def served(valkey_url: str, pool_prefix: str, pool: PoolClient, tmp_path: Path) -> Iterator[Served]:
    """Serve a pool of 300 blocks with four workers."""
    pool.push(blocks_for_both(BLOCKS))
    service = Served(valkey_url, pool_prefix, tmp_path)
    yield service
    service.process.kill()
    service.process.wait()


def _draw(url: str, count: int) -> list[tuple[str, int, int]]:
    """Draw 100 public bytes, each time on a new connection, so that every worker gets some; return the ranges."""
    ranges = []
    for _ in range(count):
        try:
            answer = httpx.get(f"{url}/random/100?class=public", timeout=10)
        except httpx.TransportError:
            continue  # the worker was killed under this request: its bytes are lost
        if answer.status_code != 200:
            continue
        for part in answer.headers["X-Entropy-Blocks"].split(","):
            block_id, span = part.rsplit(":", 1)
            start, end = map(int, span.split("-"))
            ranges.append((block_id, start, end))
    return ranges


def _overlaps(ranges: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    ordered = sorted(ranges)
    return [b for a, b in itertools.pairwise(ordered) if a[0] == b[0] and b[1] < a[2]]


@pytest.mark.e2e
def test_four_workers_give_nothing_twice_though_one_is_killed_and_replaced(served: Served) -> None:
    """And every leased byte is accounted for: served, burned, held or lost with the killed one."""
    served.until_full()  # else the one that is killed may hold nothing
    with ThreadPoolExecutor(8) as clients:
        draws = [clients.submit(_draw, served.url, 60) for _ in range(8)]
        time.sleep(0.5)
        killed = served.workers()[0]
        os.kill(killed, signal.SIGKILL)
        ranges = [each for draw in draws for each in draw.result()]
    assert len(ranges) > 300
    assert _overlaps(ranges) == []
    eventually("a new worker", lambda: killed not in served.workers() and len(served.workers()) == WORKERS, 30)
    eventually("its counts", lambda: served.stats()["workers"] == WORKERS, 30)
    stats = served.stats()
    assert stats["lost_bytes"] > 0
    spent = sum(stats["served_bytes"].values()) + stats["burned_bytes"] + stats["buffered_bytes"] + stats["lost_bytes"]
    assert stats["leased_bytes"] == spent
    assert stats["served_bytes"]["public"] >= sum(end - start for _, start, end in ranges)


@pytest.mark.e2e
def test_a_worker_that_dies_while_it_is_asked_whether_it_lives_is_replaced_at_once(served: Served) -> None:
    killed = served.workers()[0]
    os.kill(killed, signal.SIGSTOP)
    time.sleep(2)  # the supervisor asks each half a second, and waits for this one now
    os.kill(killed, signal.SIGKILL)
    begun = time.monotonic()
    eventually("a new worker", lambda: killed not in served.workers() and len(served.workers()) == WORKERS, 40)
    assert time.monotonic() - begun < workers.SIGN_OF_LIFE_S / 2, "an answer was awaited that could not come"


@pytest.mark.e2e
def test_sigterm_drains_and_what_was_not_leased_stays(served: Served, pool: PoolClient) -> None:
    assert _draw(served.url, 5)
    served.until_full()  # one that is filling up still would lease after the count
    left, leased = pool.depth().blocks, served.stats()["leased_blocks"]
    workers = served.workers()
    served.process.terminate()
    assert served.process.wait(20) == 0
    assert pool.depth().blocks == left == 2 * BLOCKS - leased
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


@pytest.mark.e2e
def test_workers_end_when_their_parent_is_killed(served: Served) -> None:
    """A worker without a parent would keep the port and serve on, unwatched."""
    workers = served.workers()
    served.process.kill()
    eventually("no worker left", lambda: not [pid for pid in workers if Path(f"/proc/{pid}").exists()], 20)


@pytest.mark.parametrize(
    "changes, phrases",
    [
        ({}, []),
        ({"host": "::1"}, []),
        ({"host": "localhost"}, []),
        ({"host": "0.0.0.0"}, ["without a key and without a limit", "TLS"]),  # noqa: S104 - never listened on
        ({"host": "::"}, ["without a key and without a limit", "TLS"]),
        ({"host": "192.0.2.1", "limit_requests": 5.0}, ["TLS"]),
        ({"host": "entropy.example", "anonymous_scopes": ()}, ["TLS"]),
    ],
)
def test_a_service_that_others_can_reach_says_what_that_means(
    changes: dict[str, Any], phrases: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    workers.warn_of_exposure(ServiceConfig(pool_url="redis://h", **changes))
    assert [record.msg for record in caplog.records] == ["reachable-by-others"] * len(phrases)
    details = [record.__dict__["facts"]["detail"] for record in caplog.records]
    assert all(word in detail for word, detail in zip(phrases, details, strict=True))


@pytest.mark.e2e
def test_no_process_that_serves_leaves_its_memory_on_a_disk(served: Served) -> None:
    """It holds blocks that are not served yet, and passwords of the pool."""
    for pid in (served.process.pid, *served.workers()):
        limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
        core = next(line for line in limits if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"]


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("host", ["127.0.0.1", "nosuch.invalid"])
def test_a_service_that_can_listen_nowhere_takes_nothing_from_the_pool(
    workers: str, host: str, valkey_url: str, pool_prefix: str, pool: PoolClient, tmp_path: Path
) -> None:
    """A restart by systemd, every few seconds, would empty it."""
    pool.push(blocks_for_both(20))
    environment = clean_environment(
        ENTROPY_REDIS_URL=valkey_url, ENTROPY_HOME=str(tmp_path), ENTROPY_POOL_PREFIX=pool_prefix
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = (sys.executable, "-m", "entropy_assets.cli", "serve", "--port", port, "--host", host)
        ended = subprocess.run(
            [*command, "--workers", workers], env=environment, capture_output=True, text=True, check=False
        )
    assert ended.returncode == 1, ended.stderr
    advice = "stop what uses it, or choose another port with --port" if host == "127.0.0.1" else "name an address"
    assert ended.stderr.splitlines()[-1].startswith(f"error: can't listen on {host}:{port} (")
    assert advice in ended.stderr.splitlines()[-1]
    assert pool.stats().leased_blocks == 0


def test_a_service_on_any_free_port_says_on_which(valkey_url: str, tmp_path: Path) -> None:
    environment = clean_environment(ENTROPY_REDIS_URL=valkey_url, ENTROPY_HOME=str(tmp_path))
    command = (sys.executable, "-m", "entropy_assets.cli", "serve", "--port", "0")
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as service:
        assert service.stderr is not None
        try:
            told = next(line for line in map(json.loads, service.stderr) if line["event"] == "service-listening")
            [address] = told["addresses"]
            assert httpx.get(f"http://{address}/livez", timeout=30).status_code == 200
        finally:
            service.terminate()
