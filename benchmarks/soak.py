"""Eight hours' worth of requests in minutes, to see whether the memory of the service stays where it is.

``python -m benchmarks.soak [--minutes 20] [--json]``; needs wrk. Two workers, all kinds of requests: draws of every
format, class and size, refusals, reports, streams, downloads, clients that leave in the middle, new connections all the
time. Exit code 1 if a worker grew by more than 5 %, or if fewer than eight hours' worth were answered, 2,880,000 (100
requests a second).
"""

import argparse
import asyncio
import contextlib
import hashlib
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import websockets

from benchmarks.serving import free_port, wait_for
from entropy_assets.core.conditioning.records import block_id_of
from entropy_assets.errors import PoolError
from entropy_assets.stores.lanes import LANES
from entropy_assets.stores.pool.blocks import PoolBlock
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer

WORTH = 8 * 3600 * 100
"""Requests of eight hours at 100 a second."""
WORKERS = 2
WARM_UP_S = 90
"""Time until what is loaded on first use is there; from then on memory is compared, seconds."""
SAMPLE_S = 5
MOST_GROWTH = 0.05
DEEP_ENOUGH = 32 * 2**20
"""Bytes that are kept ready in the pool."""
PATHS = (
    *(f"/random/{n}" for n in (1, 16, 32, 64, 256, 1024, 4096)),
    *(f"/random/{n}?class=public" for n in (16, 32, 200)),
    *(f"/random/32?format={name}" for name in ("hex", "base64", "json", "uint8", "uint16")),
    "/random/10?format=int&min=1&max=6",
    "/random/10?format=int&min=1&max=6&class=public",
    "/random/0",
    "/random/16?class=secret",
    "/nowhere",
    "/blocks/00000000-0000-8000-8000-000000000000",
    "/livez",
)
RARE = ("/stats", "/health", "/readyz", "/metrics", "/openapi.json", "/", "/batches")

LUA = """
local paths = {%s}
local turn = 0
request = function()
  turn = turn + 1
  return wrk.format("GET", paths[turn %% #paths + 1])
end
"""


class Soak:
    """A service under load, and what is seen of it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.port = free_port()
        self.stopping = threading.Event()
        self.pool = PoolClient.from_url(url)
        self.failures: list[str] = []
        self.samples: dict[int, list[int]] = {}
        command = [
            "env",
            f"ENTROPY_REDIS_URL={url}",
            f"ENTROPY_HOME={folder}",
            sys.executable,
            "-m",
            "entropy_assets.cli",
            "serve",
            "--port",
            str(self.port),
        ]
        self.process = subprocess.Popen([*command, "--workers", str(WORKERS)])

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [pid for pid in map(int, children) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def publish(self) -> None:
        """Keep the pool filled."""
        while not self.stopping.wait(0.05):
            if min(lane.bytes for lane in self.pool.stats().lanes.values()) > DEEP_ENOUGH // 2:
                continue
            data = [os.urandom(4096) for _ in range(256)]
            hashes = [hashlib.sha256(each).hexdigest() for each in data]
            self.pool.push(
                [
                    PoolBlock(block_id_of(h), d, h, 9.0, time.time_ns() // 1000, lane=LANES[at % 2])
                    for at, (h, d) in enumerate(zip(hashes, data, strict=True))
                ]
            )

    def ask_rarely(self) -> None:
        """Ask for reports, on a connection of its own each time, and POST."""
        while not self.stopping.wait(0.02):
            for path in RARE:
                self._ask("GET", path)
            self._ask("POST", "/random", json.dumps({"n": 64, "class": "public", "format": "json"}))

    def _ask(self, method: str, path: str, body: str | None = None) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            link.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            answer = link.getresponse()
            answer.read()
            if answer.status not in (200, 404, 503):
                self.failures.append(f"{method} {path}: {answer.status}")
        finally:
            link.close()

    def stream(self) -> None:
        """Stream and download, and leave in the middle of every other one."""
        asyncio.run(self._stream())

    async def _stream(self) -> None:
        turn = 0
        while not self.stopping.is_set():
            turn += 1
            await self._one_stream(leave=turn % 2 == 0)
            await asyncio.to_thread(self._one_download, leave=turn % 2 == 1)
            await asyncio.sleep(0.05)

    async def _one_stream(self, *, leave: bool) -> None:
        async with websockets.connect(f"ws://127.0.0.1:{self.port}/stream", compression=None, max_size=None) as link:
            await link.send('{"credit": 300000}')
            got = 0
            with contextlib.suppress(websockets.ConnectionClosed):
                while got < (70_000 if leave else 300_000):
                    got += len(await link.recv())

    def _one_download(self, *, leave: bool) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            link.request("GET", "/download/300000")
            link.getresponse().read(1000 if leave else None)
        except http.client.IncompleteRead:
            pass  # the pool ran dry: the service says so by cutting the answer off
        finally:
            link.close()

    def sample(self) -> None:
        """Note the memory of each worker."""
        while not self.stopping.wait(SAMPLE_S):
            for pid in self.workers():
                self.samples.setdefault(pid, []).append(resident_bytes(pid))

    def stats(self) -> dict[str, Any]:
        """Return what the service says of itself."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        link.request("GET", "/stats")
        stats: dict[str, Any] = json.load(link.getresponse())
        link.close()
        return stats


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process that is its own (shared libraries left out)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return 1024 * sum(int(kib) for kib in re.findall(r"Private_(?:Clean|Dirty):\s+(\d+)", text))


def generate(port: int, seconds: int, folder: Path) -> int:
    """Put the frequent requests on the service; return how many were answered."""
    script = folder / "paths.lua"
    script.write_text(LUA % ", ".join(f'"{path}"' for path in PATHS))
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", "--timeout", "10s", "-s", str(script), f"http://127.0.0.1:{port}"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(re.search(r"(\d+) requests in", output)[1])  # type: ignore[index]


def soak(minutes: float) -> dict[str, Any]:
    """Run it and return the figures."""
    with EmbeddedServer(max_memory_bytes=4 * 2**30) as server, tempfile.TemporaryDirectory() as name:
        run = Soak(server.url, Path(name))
        wait_for(run.port)
        time.sleep(2)
        jobs: list[Callable[[], None]] = [run.publish, run.ask_rarely, run.stream, run.sample]
        threads = [threading.Thread(target=noting(run, job)) for job in jobs]
        for thread in threads:
            thread.start()
        answered = generate(run.port, round(60 * minutes), Path(name))
        run.stopping.set()
        for thread in threads:
            thread.join()
        stats = run.stats()
        run.process.terminate()
        run.process.wait(20)
        run.pool.close()
    return figures(run, answered, stats)


def noting(run: Soak, job: Callable[[], None]) -> Callable[[], None]:
    """Return `job` so that its end by an error is a failure of the soak."""

    def work() -> None:
        try:
            job()
        except (OSError, PoolError, http.client.HTTPException, websockets.WebSocketException) as error:
            run.failures.append(f"{job.__name__}: {type(error).__name__}: {error}")

    return work


def figures(run: Soak, answered: int, stats: dict[str, Any]) -> dict[str, Any]:
    """Return what came out, with the growth of each worker from the minute after the warm-up to the last minute."""
    warm, minute = WARM_UP_S // SAMPLE_S, 60 // SAMPLE_S
    if any(len(rows) < warm + minute for rows in run.samples.values()):
        run.failures.append("a worker lived for less than the warm-up and a minute")
        return {"answered": answered, "workers": [], "failures": run.failures, "accounts_add_up": False}
    workers = []
    for rows in run.samples.values():
        first, last = statistics.median(rows[warm : warm + minute]), statistics.median(rows[-minute:])
        workers.append({"first_bytes": first, "last_bytes": last, "growth": last / first - 1})
    service = stats["service"]
    spent = sum(service["served_bytes"].values()) + service["burned_bytes"] + service["buffered_bytes"]
    return {
        "answered": answered,
        "workers": workers,
        "failures": run.failures,
        "accounts_add_up": service["leased_bytes"] == spent + service["lost_bytes"],
        "service": service,
        "tombstones": stats["pool"]["tombstones"],
    }


def main() -> None:
    """Soak and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = soak(options.minutes)
    flat = all(abs(worker["growth"]) <= MOST_GROWTH for worker in results["workers"])
    enough = results["answered"] >= WORTH
    if options.json:
        print(json.dumps(results))
    else:
        print(f"{results['answered']:,} requests answered, {WORTH:,} asked for")
        for worker in results["workers"]:
            first, last = (worker[name] / 2**20 for name in ("first_bytes", "last_bytes"))
            print(
                f"worker: {first:.1f} MiB after the warm-up, {last:.1f} MiB at the end, {100 * worker['growth']:+.1f} %"
            )
        print(f"accounts add up: {results['accounts_add_up']}; failures: {results['failures'] or 'none'}")
    sys.exit(not (flat and enough and results["accounts_add_up"] and not results["failures"]))


if __name__ == "__main__":
    main()
