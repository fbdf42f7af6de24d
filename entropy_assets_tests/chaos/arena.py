"""What a fault happens to: a pool's server, a publisher, four workers, sixty-four clients; all real processes."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from entropy_assets.errors import PoolError, PoolUnavailable
from entropy_assets.stores.embedded import EmbeddedServer
from entropy_assets.stores.owned import OwnedProcess
from entropy_assets.stores.pool import PoolBlock, PoolClient
from entropy_assets_tests.chaos.draws import Draws, Known
from entropy_assets_tests.e2e.running import processes_below

WORKERS = 4
CLIENTS = 64
PROMPT_S = 30.0
"""Longest wait for anything; a busy machine may need a part of it."""


def free_port() -> int:
    """Give a TCP port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def until(happened: Callable[[], Any], what: str, seconds: float = PROMPT_S, pause: float = 0.02) -> float:
    """Wait for something; give how long it took, seconds."""
    begun = time.monotonic()
    while not happened():
        assert time.monotonic() - begun < seconds, f"{what} did not come within {seconds:g} s"
        time.sleep(pause)
    return time.monotonic() - begun


class Server(EmbeddedServer):
    """A server at an address that it keeps when it is started again."""

    def __init__(self, port: int | None = None, *, data_dir: Path | None = None, **directives: str) -> None:
        self.port = port or free_port()
        listening = {"port": str(self.port), "bind": "127.0.0.1", **directives}
        super().__init__(overrides=listening, data_dir=data_dir)

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
    """``entropy-assets serve`` with four workers; with `broken`, the same with that break in its code."""

    def __init__(self, folder: Path, pool_url: str, *, broken: str = "", unsafe: bool = False) -> None:
        self.port = free_port()
        self.log = folder / "service.log"
        program = "entropy_assets_tests.chaos.broken" if broken else "entropy_assets.cli"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ENTROPY_")},
            "ENTROPY_REDIS_URL": pool_url,
            "ENTROPY_HOME": str(folder / "home"),
            "ENTROPY_ALLOW_UNSAFE_POOL": str(unsafe).lower(),
            "ENTROPY_HTTP_WORKERS": str(WORKERS),
            "ENTROPY_HTTP_PORT": str(self.port),
            "CHAOS_BREAK": broken,
        }
        self._process = OwnedProcess(
            [sys.executable, "-m", program, "serve"], environment=environment, log=self.log
        )

    def workers(self) -> list[int]:
        """Give the processes that serve."""
        below = processes_below(self._process.pid)
        return sorted(pid for pid, line in below.items() if "spawn_main" in line)

    def stats(self) -> dict[str, Any]:
        """Give what the service says of itself; empty if it says nothing."""
        status, said = answer_of(self.port, "/stats")
        return dict(json.loads(said)["service"]) if status == 200 else {}

    def is_healthy(self) -> bool:
        """Tell whether all workers are there and each of several new clients gets bytes."""
        return self.stats().get("workers") == WORKERS and all(
            answer_of(self.port, path)[0] == 200 for path in ("/readyz", *["/random/16"] * 2 * WORKERS)
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

    def __init__(self, folder: Path, ports: list[int], count: int = CLIENTS) -> None:
        self.path = Path(tempfile.mkdtemp(dir=folder)) / "draws.npz"
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "entropy_assets_tests.chaos.drawing", str(self.path), str(count)),
                *map(str, ports),
            ],
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

    def __init__(self, url: str, known: Known, *, ttl_s: float = 3600.0, least_blocks: int = 600) -> None:
        self.pool = PoolClient.from_url(url, ttl_s=ttl_s)
        self.known = known
        self.least_blocks = least_blocks
        self.sure: dict[str, float] = {}
        self.uncertain_blocks = 0
        self.running = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._feed, daemon=True)

    def push(self, count: int) -> list[PoolBlock]:
        """Push new blocks; give those that entered for sure."""
        blocks = self.known.make(count)
        try:
            outcome = self.pool.push(blocks)
        except PoolUnavailable as error:
            self.uncertain_blocks += int(error.data.get("uncertain", 0))
            raise
        now = time.monotonic()
        self.sure |= dict.fromkeys(outcome.pushed, now)
        assert not outcome.refused, "a block that is new cannot be refused"
        return blocks

    def _feed(self) -> None:
        while not self._ending.is_set():
            self.running.wait()
            try:
                if self.pool.depth().blocks < self.least_blocks:
                    self.push(64)
                    continue
            except PoolError:
                pass
            self._ending.wait(0.02)

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
    broken
        A break in the code of the service, by its name in `broken`.
    """

    def __init__(
        self,
        folder: Path,
        known: Known,
        server: Server,
        *,
        url: str | None = None,
        broken: str = "",
        unsafe: bool = False,
        ttl_s: float = 3600.0,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=folder))
        self.known = known
        self.server = server
        self.url = url or server.address
        self.broken = broken
        self.unsafe = unsafe
        self.ttl_s = ttl_s
        self.healthy_after_s = 0.0
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opened:
            opened.enter_context(self.server)
            self.feeder = opened.enter_context(Feeder(self.url, self.known, ttl_s=self.ttl_s))
            self.service = Service(self.folder, self.url, broken=self.broken, unsafe=self.unsafe)
            opened.callback(self.service.stop)
            until(self.service.is_healthy, f"the service ({self.service.log})", pause=0.1)
            self.clients = Clients(self.folder, [self.service.port])
            opened.callback(self.clients.kill)
            self._open = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def draw(self, seconds: float) -> None:
        """Let the clients draw for a while."""
        time.sleep(seconds)

    def recover(self) -> None:
        """Call when a fault has ended: waits until all is well again, and notes how long that took."""
        self.healthy_after_s = until(self.service.is_healthy, "health", pause=0.01)

    def finish(self) -> Draws:
        """End the clients and read what they drew."""
        return self.known.read(self.clients.stop())
