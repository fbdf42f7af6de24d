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
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from entropy_assets.serving.config import ConnectionLimits, ServiceConfig
from entropy_assets.serving.counts import Board
from entropy_assets.serving.http.app import MemoryFirst, create_app
from entropy_assets.serving.logs import log_config, log_event, service_news
from entropy_assets.serving.server.bounds import Bounded, BoundedStream
from entropy_assets.serving.server.fast_lane import FastLane
from entropy_assets.serving.server.lane_check import why_no_fast_lane
from entropy_assets.serving.service import ProvenanceReader
from entropy_assets.stores.pool.shards import pool_at

SWITCH_S: Final = 0.002
"""Longest that one thread of a worker keeps the others waiting, seconds."""
GARBAGE: Final = 20_000
"""Objects more than before after which the garbage collector looks at the new ones."""
SIGN_OF_LIFE_S: Final = 30
"""A worker that does not answer for so long is replaced; on a busy machine one needs more than uvicorn's 5 to begin."""
DRAIN_S: Final = 5
"""Longest time that requests under way get to end, seconds."""


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
        """Return the application of this process."""
        _end_with_parent()
        tune_process()
        return create_app(self.config, provenance=self.provenance, board=Board(self.board))


class Workers(Multiprocess):
    """uvicorn's supervisor, which also hears at once that a worker died whom it is asking for a sign of life.

    It keeps the worker's end of their connection open in its own process, so that did not end with the worker,
    and a worker killed between the question and its answer was awaited for all of `SIGN_OF_LIFE_S`.
    """

    def keep_subprocess_alive(self) -> None:
        """Close the workers' ends here, then replace whoever is gone."""
        for process in self.processes:
            process.child_conn.close()
        super().keep_subprocess_alive()


def run_service(config: ServiceConfig, *, provenance: ProvenanceReader | None = None) -> None:
    """Serve until SIGINT or SIGTERM, then let the requests under way end.

    A worker that dies is replaced.

    Raises
    ------
    UnsafePoolServer
        If the pool's server persists or evicts and that was not allowed.
    PoolUnavailable
        If it does not answer at the start. Later the service waits for it to come back.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold blocks and passwords; workers inherit this
    address = {"host": config.host, "port": config.port, "workers": config.workers}
    with service_news(**address), _board_folder() as folder:
        check_server(config)
        warn_of_exposure(config)
        uvicorn_config = _uvicorn_config(Worker(config, provenance, folder))
        if config.workers == 1:
            # uvicorn raises the signal once more when it is done, which must not skip the folder's removal
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            server = uvicorn.Server(uvicorn_config)
            server.run()
            if not server.started:
                sys.exit(STARTUP_FAILURE)
            return
        socket = uvicorn_config.bind_socket()
        with socket:
            Workers(uvicorn_config, sockets=[socket]).run()


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


@contextmanager
def _board_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ea-board-"))  # of mode 0700
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _end_with_parent() -> None:
    """End this worker as by SIGTERM when the process that watches over it is gone, by whatever signal."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
