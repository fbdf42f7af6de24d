"""A pool's server that can be lost and come back, a service on it, and a Prometheus that watches both."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.monitoring.prometheus_process import Prometheus
from entropy_assets_tests.ports import free_port
from entropy_assets_tests.serving.serve_process import ServeProcess


def needs(program: str) -> str:
    """Return the path of `program`; without it skip, but fail where everything must run."""
    path = shutil.which(program)
    if path is None:
        reason = f"needs {program}, which Debian's package prometheus carries"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return path


@dataclass
class PoolServer:
    """A server on one address through its deaths; with `keeps` it brings its keys back."""

    folder: Path
    port: int = field(default_factory=free_port)
    server: EmbeddedServer | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self, *, keeps: bool = False) -> None:
        overrides = {"port": str(self.port), "bind": "127.0.0.1", "save": "3600 1" if keeps else ""}
        self.server = EmbeddedServer(overrides=overrides, data_dir=self.folder).start()

    def stop(self) -> None:
        if self.server is not None:
            self.server.stop()
            self.server = None

    def signal(self, number: signal.Signals) -> None:
        assert self.server is not None
        assert self.server.pid is not None
        os.kill(self.server.pid, number)


@dataclass
class Watched:
    """What is watched, and what watches it."""

    pool_server: PoolServer
    pool: PoolClient
    service: ServeProcess
    prometheus: Prometheus
    home: Path


Start = Callable[..., Watched]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Start]:
    """Give a function that starts it all; its arguments are options, settings and further pools of the service."""
    needs("prometheus")
    with ExitStack() as stack:

        def start(*options: str, keeps: bool = False, beside: str = "", **environment: str) -> Watched:
            data = tmp_path / "server"
            data.mkdir()
            server = PoolServer(data)
            server.start(keeps=keeps)
            stack.callback(server.stop)
            if keeps:
                environment["ENTROPY_ALLOW_UNSAFE_POOL"] = "true"
            pool = PoolClient.from_url(server.url)
            stack.callback(pool.close)
            service = stack.enter_context(ServeProcess(server.url + beside, tmp_path, *options, **environment))
            prometheus = stack.enter_context(Prometheus(f"127.0.0.1:{service.port}", tmp_path))
            stack.callback(lambda: print("\n".join(prometheus.seen)))
            return Watched(server, pool, service, prometheus, tmp_path / "home")

        yield start
