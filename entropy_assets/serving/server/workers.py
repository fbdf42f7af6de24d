"""The processes that serve: one, or several on one port that share the pool and nothing else.

The pool's atomic lease is all the coordination that the workers need: each block has one owner from then on. A worker
that ends in good order drops what it holds and counts it as burned; what a killed one held is counted as lost.
"""

import functools
import gc
import ipaddress
import logging
import multiprocessing
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from entropy_assets.errors import EntropyAssetsError
from entropy_assets.serving.access.keys import KeyRing
from entropy_assets.serving.config import ConnectionLimits, ServiceConfig
from entropy_assets.serving.counts import Board
from entropy_assets.serving.http.app import MemoryFirst, create_app
from entropy_assets.serving.logs import cleaned, log_config, log_event, service_news
from entropy_assets.serving.server.bounds import Bounded, BoundedStream
from entropy_assets.serving.server.fast_lane import FastLane
from entropy_assets.serving.server.lane_check import why_no_fast_lane
from entropy_assets.serving.service import ProvenanceReader
from entropy_assets.stores.api_keys import keys_of
from entropy_assets.stores.owned.addresses import bound, netloc
from entropy_assets.stores.owned.folders import PrivateFolder
from entropy_assets.stores.owned.processes import Flag
from entropy_assets.stores.pool.shards import pool_at

ANOTHER_PORT: Final = "choose another port with --port (0 for any)"
SWITCH_S: Final = 0.002
"""Longest that one thread of a worker keeps the others waiting, seconds."""
GARBAGE: Final = 20_000
"""Objects more than before after which the garbage collector looks at the new ones."""
SIGN_OF_LIFE_S: Final = 30
"""A worker that does not answer for so long is replaced; on a busy machine one needs more than uvicorn's 5 to begin."""
DRAIN_S: Final = 5
"""Longest time that requests under way get to end, seconds."""
END_S: Final = 20
"""A worker that was told to end is killed after so long: it drains, and waits for a pool's server that hangs."""
AGAIN_S: Final = 0.5
"""A start that was told to end, and did not, is told again after so long, seconds."""
HEARD_S: Final = 0.5
"""A supervisor that waits for a sign of life hears within this that it is to end, seconds."""


@dataclass(frozen=True, slots=True)
class Worker:
    """What a worker needs to begin, as it is sent to its process; calling it makes the application there.

    Attributes
    ----------
    config
        Places and limits.
    provenance
        Where blocks are looked up.
    board
        Folder in which the workers count.
    """

    config: ServiceConfig
    provenance: ProvenanceReader | None
    board: Path

    def __call__(self) -> MemoryFirst:
        """Return the application of this process.

        Raises
        ------
        KeysUnreadable
            If the API keys can't be read.
        OSError
            If there is no room for the counts.
        SystemExit
            The same in a process beside others, whose supervisor begins another one.
        """
        _end_with_parent()
        tune_process()
        try:
            return create_app(self.config, provenance=self.provenance, board=Board(self.board))
        except EntropyAssetsError as error:
            _refuse(error.code, error.message)
            raise
        except OSError as error:
            _refuse("place-unusable", f"{self.board}: {error.strerror}")
            raise


class Workers(Multiprocess):
    """uvicorn's supervisor, which hears of an end while it waits for a worker: of that worker's, and of its own.

    uvicorn's keeps the worker's end of their connection open in its own process, so a worker killed between the
    question for a sign of life and its answer is awaited for all of `SIGN_OF_LIFE_S`. A signal to end waits in a queue
    meanwhile, and until all workers were replaced after a SIGHUP; and a worker that does not end is awaited for ever.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self.should_exit = Flag()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self.should_exit.set())

    def keep_subprocess_alive(self) -> None:
        """Close the workers' ends here and ask each for a sign of life, then replace whoever is gone."""
        for process in self.processes:
            process.child_conn.close()
            if not self._shows_life(process) and not self.should_exit.is_set():
                process.kill()
        super().keep_subprocess_alive()

    def _shows_life(self, process: Process) -> bool:
        deadline = time.monotonic() + SIGN_OF_LIFE_S
        try:
            process.parent_conn.send(b"ping")
            while not process.parent_conn.poll(HEARD_S):
                if self.should_exit.is_set() or time.monotonic() >= deadline:
                    return False
            process.parent_conn.recv()
        except (OSError, EOFError):
            return False
        return True

    def join_all(self) -> None:
        """Wait for the workers to end, and kill who takes longer than `END_S`."""
        deadline = time.monotonic() + END_S
        for process in self.processes:
            process.process.join(max(0.0, deadline - time.monotonic()))
            if process.exitcode is None:
                log_event("worker-killed", logging.WARNING, worker=process.pid, detail=f"it did not end in {END_S} s")
                process.kill()
            process.join()


def run_service(config: ServiceConfig, *, provenance: ProvenanceReader | None = None) -> None:
    """Serve until SIGINT or SIGTERM, then let the requests under way end.

    A worker that dies is replaced. SIGHUP, which comes when a terminal is closed, ends a service of one worker too;
    several are replaced one after the other.

    Raises
    ------
    UnsafePoolServer
        If the pool's server persists or evicts and that was not allowed.
    PoolUnavailable
        If it does not answer at the start. Later the service waits for it to come back.
    KeysUnreadable
        If there are API keys that can't be read at the start.
    StartFailed
        If nothing can be listened on: no block is leased for a service that nobody could ask.
    """
    # uvicorn listens to signals later, and raises them once more when it is done: none must skip the folder's removal
    ends_with_terminal = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN  # as under nohup
    numbers = (signal.SIGTERM, *([signal.SIGHUP] if ends_with_terminal else []))
    for number in numbers:
        signal.signal(number, lambda *_: sys.exit(0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold blocks and passwords; workers inherit this
    address = {"host": config.host, "port": config.port, "workers": config.workers}
    with service_news(**address), PrivateFolder("ea-board-") as folder, _ending_at(*numbers):
        check_server(config)
        check_keys(config)
        warn_of_exposure(config)
        uvicorn_config = _uvicorn_config(Worker(config, provenance, folder.path))
        with ExitStack() as stack:
            links = bound(config.host, config.port, elsewhere=ANOTHER_PORT, listening=True)
            listeners = [stack.enter_context(link) for link in links]
            log_event("service-listening", addresses=[netloc(*link.getsockname()[:2]) for link in listeners])
            if config.workers > 1:
                Workers(uvicorn_config, sockets=listeners).run()
            else:
                _serve_alone(uvicorn.Server(uvicorn_config), listeners, ends_with_terminal=ends_with_terminal)


@contextmanager
def _ending_at(*numbers: int) -> Iterator[None]:
    """End at these signals, once more every `AGAIN_S` until it is heard.

    What a handler raises is lost where Python runs something between two steps, as at the end of an import or in
    ``__del__``: a start that waits for a server would go on waiting.
    """

    def end(*_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S, AGAIN_S)
        sys.exit(0)

    before = {number: signal.signal(number, end) for number in (*numbers, signal.SIGALRM)}
    try:
        yield
    finally:
        # The rest is soon done, and must not be cut off again and again.
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _serve_alone(server: uvicorn.Server, listeners: list[socket.socket], *, ends_with_terminal: bool) -> None:
    if ends_with_terminal:
        signal.signal(signal.SIGHUP, server.handle_exit)
    try:
        server.run(sockets=listeners)
    except SystemExit as end:
        sys.exit(1 if end.code == STARTUP_FAILURE else end.code)  # 3 says other things of our commands


def warn_of_exposure(config: ServiceConfig) -> None:
    """Write into the log what it means that other machines can reach this service, if they can."""
    if _is_loopback(config.host):
        return
    if config.anonymous_scopes and config.limit_requests is None and config.limit_bytes is None:
        detail = "whoever reaches it may draw without a key and without a limit; see ENTROPY_LIMIT_BYTES"
        log_event("reachable-by-others", logging.WARNING, host=config.host, detail=detail)
    detail = "keys and bytes go in clear unless a proxy in front speaks TLS"
    log_event("reachable-by-others", logging.WARNING, host=config.host, detail=detail)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def tune_process() -> None:
    """Keep pauses short in a process that serves.

    What was loaded stays, so the garbage collector need not look at it again: a look took some 20 ms. What is made for
    an answer dies with it, so it need not look often. And the filler thread gives the interpreter back within two
    milliseconds of being asked, instead of five.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)
    sys.setswitchinterval(SWITCH_S)


def check_server(config: ServiceConfig) -> None:
    """Check that the pool's server answers and is safe, before anybody is told that the service runs.

    Raises
    ------
    UnsafePoolServer, PoolUnavailable
        As `PoolClient.check_server_safety`.
    """
    pool = pool_at(config.pool_url, prefix=config.pool_prefix, timeout_s=config.pool_timeout_s)
    try:
        pool.check_server_safety(allow_unsafe=config.allow_unsafe_pool)
    finally:
        pool.close()


def check_keys(config: ServiceConfig) -> None:
    """Check that the API keys can be read; workers that can't read them would be begun again and again.

    Raises
    ------
    KeysUnreadable
        If they can't.
    """
    if config.keys is not None:
        KeyRing(keys_of(config.keys, prefix=config.pool_prefix)).load()


def server_options(*, fast_lane: bool, limits: ConnectionLimits = ConnectionLimits()) -> dict[str, Any]:  # noqa: B008 - frozen
    """Return how uvicorn is to serve, wherever it listens; a lane that was asked for and does not fit is told of."""
    reason = why_no_fast_lane() if fast_lane else None
    if reason is not None:
        log_event("fast-lane-off", logging.WARNING, detail=reason)
    protocol = FastLane if fast_lane and reason is None else Bounded
    return {
        "http": functools.partial(protocol, limits=limits),
        "ws": BoundedStream,
        "access_log": False,  # 60 % of the speed
        "log_level": "warning",
        "server_header": False,
        "proxy_headers": False,  # a header that anybody can send would decide whose quota is used
        "ws_max_size": 4096,  # a credit has some twenty bytes
        "ws_per_message_deflate": False,  # random bytes do not compress; trying costs 40 times the speed
        "timeout_graceful_shutdown": DRAIN_S,
    }


def _uvicorn_config(worker: Worker) -> uvicorn.Config:
    config = worker.config
    options = server_options(fast_lane=config.fast_lane, limits=config.connections) | {
        "log_config": log_config(),
        "log_level": None,
    }
    options["timeout_worker_healthcheck"] = SIGN_OF_LIFE_S
    return uvicorn.Config(worker, factory=True, host=config.host, port=config.port, workers=config.workers, **options)


def _refuse(code: str, detail: str) -> None:
    """End this process with a line of the log, if it is a worker beside others."""
    if multiprocessing.parent_process() is not None:
        log_event("worker-refused", logging.ERROR, code=code, detail=cleaned(detail))
        sys.exit(1)


def _end_with_parent() -> None:
    """End this worker as by SIGTERM when the process that watches over it is gone, by whatever signal."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
