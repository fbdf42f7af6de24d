"""What a fault happens to: a pool's server, a publisher, four workers, sixty-four clients; all real processes."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from entropy_assets.errors import PoolError, PoolUnavailable
from entropy_assets.stores.lanes import LANES
from entropy_assets.stores.owned.processes import OwnedProcess
from entropy_assets.stores.pool.blocks import PoolBlock, PoolStats
from entropy_assets.stores.pool.client import DEFAULT_PREFIX
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets.stores.pool.shards import BETWEEN, pool_at
from entropy_assets_tests.chaos.broken import breaking
from entropy_assets_tests.chaos.draws import PRIVATE_SHARE, Known, merged
from entropy_assets_tests.chaos.outcome import Outcome
from entropy_assets_tests.e2e.running import processes_below
from entropy_assets_tests.ports import free_port

WORKERS = 4
CLIENTS = 64
MILLION = 1_000_000
LEAST_DRAWS = int(os.environ.get("CHAOS_DRAWS", MILLION))
"""Draws of the whole run at least."""
SCALE = LEAST_DRAWS / MILLION if LEAST_DRAWS > MILLION else 0.5
"""Of the draws that a phase names: half of them make a million in all, and with more than a million every phase makes
as many times more."""
PROMPT_S = 30.0
"""Longest wait for what should come at once; a busy machine may need a part of it."""
START_S = 90.0
DRAWS_S = 120.0
SLOWEST = 300.0
"""Draws per second that a busy machine makes at least."""


def until(happened: Callable[[], Any], what: str, seconds: float = PROMPT_S, pause: float = 0.02) -> float:
    """Wait for something; give how long it took, seconds."""
    begun = time.monotonic()
    while not happened():
        assert time.monotonic() - begun < seconds, f"{what} did not come within {seconds:g} s"
        time.sleep(pause)
    return time.monotonic() - begun


class Server(EmbeddedServer):
    """A server at an address that it keeps when it is started again."""

    def __init__(self, *, data_dir: Path | None = None, binary: Path | None = None, **directives: str) -> None:
        self.port = free_port()
        listening = {"port": str(self.port), "bind": "127.0.0.1", **directives}
        super().__init__(overrides=listening, data_dir=data_dir, binary=binary)

    @property
    def address(self) -> str:
        """Address over TCP."""
        return f"redis://127.0.0.1:{self.port}"

    def signal(self, number: int) -> None:
        """Send a signal to the server's process."""
        assert self.pid is not None
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as a power cut would, as far as a process can tell."""
        self.signal(signal.SIGKILL)
        until(lambda: self.pid is None, "its end", pause=0.002)


class Service:
    """``entropy-assets serve``; with `broken`, the same without that guard."""

    def __init__(
        self, folder: Path, pool_url: str, prefix: str, workers: int, *, broken: str, unsafe: bool, fast_lane: bool
    ) -> None:
        self.port = free_port()
        self.worker_count = workers
        self.log = folder / "service.log"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ENTROPY_")},
            "ENTROPY_REDIS_URLS" if BETWEEN in pool_url else "ENTROPY_REDIS_URL": pool_url,
            "ENTROPY_POOL_PREFIX": prefix,
            "ENTROPY_HOME": str(folder / "home"),
            "ENTROPY_ALLOW_UNSAFE_POOL": str(unsafe).lower(),
            "ENTROPY_FAST_LANE": str(fast_lane).lower(),
            "ENTROPY_HTTP_WORKERS": str(workers),
            "ENTROPY_HTTP_PORT": str(self.port),
            "CHAOS_BREAK": broken,
        }
        self._process = self._begun()

    def _begun(self) -> OwnedProcess:
        command = [sys.executable, "-m", "entropy_assets_tests.chaos.broken", "serve"]
        return OwnedProcess(command, environment=self._environment, log=self.log)

    def wait(self) -> None:
        """Wait until it serves; a start that is refused since the pool was away is tried once more.

        A connection that breaks in the moment of the start refuses it, and a service manager begins it again.
        """
        deadline, begun_again = time.monotonic() + START_S, False
        while not self.is_healthy():
            code = self._process.exit_code
            if code == 1 and not begun_again and '"pool-unavailable"' in self.log.read_text():
                self.stop()
                self._process, begun_again = self._begun(), True
                continue
            report = (code, self.stats(), answer_of(self.port, "/health"), self.log.read_text()[-3000:])
            assert code is None, report
            assert time.monotonic() < deadline, report
            time.sleep(0.1)

    def workers(self) -> list[int]:
        """Give the processes that serve."""
        below = processes_below(self._process.pid)
        return sorted(pid for pid, line in below.items() if "spawn_main" in line)

    def busiest(self) -> int:
        """Give the worker with the most connections: the kernel does not share them out evenly."""
        return max(self.workers(), key=lambda pid: len(list(Path(f"/proc/{pid}/fd").iterdir())))

    def stats(self) -> dict[str, Any]:
        """Give what the service says of itself; empty if it says nothing."""
        status, said = answer_of(self.port, "/stats")
        return dict(json.loads(said)["service"]) if status == 200 else {}

    def counted(self) -> dict[str, Any]:
        """Give the same as soon as it says anything: none of its counts is 0 because an answer was late."""
        said: list[dict[str, Any]] = []
        until(lambda: said.append(self.stats()) or said[-1], "what the service counted")
        return said[-1]

    def is_healthy(self) -> bool:
        """Tell whether all workers are there and each of several new clients gets bytes."""
        return self.stats().get("workers") == self.worker_count and all(
            answer_of(self.port, path)[0] == 200 for path in ("/readyz", *["/random/16"] * 2 * self.worker_count)
        )

    def stop(self) -> None:
        """End it."""
        self._process.stop(10)


def answer_of(port: int, path: str) -> tuple[int, bytes]:
    """GET `path` over a connection of its own; status 0 if there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


class Clients:
    """The program `drawing`, while it draws."""

    def __init__(self, folder: Path, port: int, count: int = CLIENTS) -> None:
        self.path = Path(tempfile.mkdtemp(dir=folder)) / "draws.npz"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "entropy_assets_tests.chaos.drawing", str(self.path), str(count), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def progress(self) -> dict[str, int]:
        """Give how much was drawn and refused so far."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        said: dict[str, int] = json.loads(self._process.stdout.readline())
        return said

    def stop(self) -> Path:
        """Let them finish; give what they wrote."""
        _, _ = self._process.communicate(timeout=PROMPT_S)
        assert self._process.returncode == 0, "the clients failed"
        return self.path

    def kill(self) -> None:
        """End them whatever they do."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


class Feeder:
    """A publisher that keeps the pool filled with new blocks, never the same one twice.

    What became uncertain it forgets, as publishing does.
    """

    def __init__(
        self, url: str, known: Known, *, prefix: str = DEFAULT_PREFIX, ttl_s: float = 3600.0, least_blocks: int
    ) -> None:
        self.pool = pool_at(url, prefix=prefix, ttl_s=ttl_s)
        self.known = known
        self.least_blocks = least_blocks
        self.sure: dict[str, float] = {}
        self.uncertain_blocks = 0
        self.last_push_s = 0.0
        self.running = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._feed, daemon=True)

    def push(self, count: int) -> list[PoolBlock]:
        """Push new blocks; give those that entered for sure."""
        blocks = self.known.make(count)
        try:
            outcome = self.pool.taker("public").push(blocks)  # as most of them are
        except PoolUnavailable as error:
            self.uncertain_blocks += int(error.data.get("uncertain", 0))
            raise
        self.last_push_s = now = time.monotonic()
        self.sure |= dict.fromkeys(outcome.pushed, now)
        return blocks

    def _feed(self) -> None:
        while not self._ending.is_set():
            self.running.wait()
            try:
                if self._lacks(self.pool.stats()):
                    self.push(64)
                    continue
            except PoolError:
                pass
            self._ending.wait(0.02)

    def _lacks(self, stats: PoolStats) -> bool:
        share = {"public": 1 - PRIVATE_SHARE, "private": PRIVATE_SHARE}
        return any(stats.lanes[lane].blocks < share[lane] * self.least_blocks for lane in LANES)

    def __enter__(self) -> Self:
        self.running.set()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self.running.set()
        self._thread.join(PROMPT_S)
        self.pool.close()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Push nothing meanwhile."""
        self.running.clear()
        time.sleep(0.2)
        try:
            yield
        finally:
            self.running.set()


class Arena:
    """Everything that one fault happens to, and what came of it.

    Parameters
    ----------
    folder
        Of its own files.
    known
        Blocks of the whole run.
    server
        The pool's server; started here.
    url
        Where service and publisher find it, if not at its own address; or it and other shards.
    prefix
        First part of the pool's keys.
    broken
        A guard that is taken out of all of it, by its name in `broken`; it then has one worker.
    unsafe
        Whether a server that persists is allowed.
    ttl_s
        Life of a block, seconds.
    ahead_blocks
        Blocks that the publisher keeps ready.
    fast_lane
        Whether the service may answer inside the HTTP protocol.
    """

    def __init__(
        self,
        folder: Path,
        known: Known,
        server: Server,
        *,
        url: str = "",
        prefix: str = DEFAULT_PREFIX,
        broken: str = "",
        unsafe: bool = False,
        ttl_s: float = 3600.0,
        ahead_blocks: int = 600,
        fast_lane: bool = True,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=folder))
        self.known = known
        self.server = server
        self.url = url or server.address
        self.prefix = prefix
        self.broken = broken
        self.unsafe = unsafe
        self.ttl_s = ttl_s
        self.ahead_blocks = ahead_blocks
        self.fast_lane = fast_lane
        self.healthy_after_s = 0.0
        self._logs: list[Path] = []
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._offered_before = self.known.offered_bytes
        with contextlib.ExitStack() as opened:
            opened.enter_context(breaking(self.broken))
            opened.enter_context(self.server)
            feeder = Feeder(self.url, self.known, prefix=self.prefix, ttl_s=self.ttl_s, least_blocks=self.ahead_blocks)
            self.feeder = opened.enter_context(feeder)
            workers = 1 if self.broken else WORKERS
            self.service = Service(
                self.folder,
                self.url,
                self.prefix,
                workers,
                broken=self.broken,
                unsafe=self.unsafe,
                fast_lane=self.fast_lane,
            )
            opened.callback(self.service.stop)
            self.service.wait()
            self.clients = Clients(self.folder, self.service.port)
            opened.callback(self.kill_clients)
            self._open = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def kill_clients(self) -> None:
        """End the clients that are there now, whatever they do."""
        self.clients.kill()

    def draw(self, count: int, *, blocks: int = 0) -> None:
        """Let the clients make so many draws more, and the workers lease so many blocks more.

        Times `SCALE`, but where a guard is taken out: what must come twice there comes soon.
        """
        scale = 1.0 if self.broken else SCALE
        more = round(scale * count)
        draws = self.clients.progress()["draws"] + more
        leased = self.leased_blocks() + blocks
        until(
            lambda: self.clients.progress()["draws"] >= draws,
            f"{more} draws",
            max(DRAWS_S, more / SLOWEST),
            pause=0.05,
        )
        until(lambda: self.leased_blocks() >= leased, f"{blocks} leased blocks", DRAWS_S, pause=0.05)

    def leased_blocks(self) -> int:
        """Give how many blocks the service took out of the pool, whatever servers it was on."""
        return int(self.service.counted()["leased_blocks"])

    def recover(self) -> None:
        """Call when a fault has ended: waits until all is well again, and notes how long that took."""
        took = until(self.service.is_healthy, "health", pause=0.01)
        self.healthy_after_s = max(self.healthy_after_s, took)

    def rest(self, seconds: float) -> None:
        """Send the clients away for a while."""
        self._logs.append(self.clients.stop())
        time.sleep(seconds)
        self.clients = Clients(self.folder, self.service.port)

    def finish(self) -> Outcome:
        """End the clients and count."""
        self._logs.append(self.clients.stop())
        draws = merged([self.known.read(log) for log in self._logs])
        self.feeder.running.clear()
        time.sleep(0.2)  # lets the leases that are on their way arrive
        offered = self.known.offered_bytes - self._offered_before
        return Outcome(draws, offered, *self._accounts(), self.healthy_after_s)

    def _accounts(self) -> tuple[dict[str, Any], PoolStats]:
        """Give what service and pool counted, at a moment in which no lease was between them."""
        while True:
            before, pool, after = self.service.counted(), self.feeder.pool.stats(), self.service.counted()
            if before["leased_bytes"] == after["leased_bytes"] and before["burned_bytes"] == after["burned_bytes"]:
                return after, pool
