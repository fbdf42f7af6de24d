"""The servers that machines share: PostgreSQL with a standby, an object store, two Valkeys."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.distributed.site import BUCKET, KEYS, Servers, Site, wait_for_standby
from entropy_assets_tests.e2e.running import clean_environment, eventually
from entropy_assets_tests.postgres_server import PostgresServer, postgres_folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def object_store() -> Iterator[str]:
    """Run an S3 server with one bucket, and give its address."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=clean_environment(**KEYS), **silent) as s3:
        url = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            try:
                return httpx.put(f"{url}/{BUCKET}", timeout=5).status_code == 200
            except httpx.TransportError:
                return False

        eventually("an object store", answers, 60)
        try:
            yield url
        finally:
            s3.kill()


@contextmanager
def databases() -> Iterator[tuple[PostgresServer, PostgresServer, PostgresServer]]:
    """Run a server and its synchronous standby, both on loopback, and prepare a spare one."""
    with postgres_folder() as folder:
        found = []
        for name in ("first", "second", "spare"):
            (folder / name).mkdir()
            (folder / name).chmod(0o777)
            found.append(PostgresServer(folder / name, listen_addresses="127.0.0.1", port=str(free_port())))
        first, second, spare = found
        first.initialise().start()
        first.ask("CREATE DATABASE dagster")
        first.ask("CREATE DATABASE ledger")
        second.copy_of(first, "second").start()
        wait_for_standby(first, "second")
        try:
            yield first, second, spare
        finally:
            for server in found:
                server.stop()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Run all of it, with every machine that the pipeline needs."""
    with object_store() as store, databases() as three, EmbeddedServer() as pool, EmbeddedServer() as broker:
        site = Site(tmp_path, Servers(*three, store, pool.url, broker.url), port=free_port())
        for name in (*KEYS, "AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP"):
            monkeypatch.setenv(name, site.environment[name])
        try:
            site.start()
            yield site
        finally:
            site.fleet.stop()
