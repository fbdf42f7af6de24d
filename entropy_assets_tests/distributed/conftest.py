"""The servers that machines share: PostgreSQL with a standby, an object store, two Valkeys."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.distributed.site import Servers, Site, wait_for_standby
from entropy_assets_tests.ports import free_port
from entropy_assets_tests.postgres_server import PostgresServer, postgres_folder
from entropy_assets_tests.stores.blobs.ceph import PROGRAMS, ceph_gateway
from entropy_assets_tests.stores.blobs.servers import CREDENTIALS, moto_server


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


@contextmanager
def object_store(folder: Path) -> Iterator[str]:
    """Run the store that people run, a Ceph with its gateway, or one that is quickly there where it isn't installed."""
    if all(map(shutil.which, PROGRAMS)):
        folder.mkdir()
        with ceph_gateway(folder) as address:
            yield address
    else:
        with moto_server() as address:
            yield address


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Run all of it, with every machine that the pipeline needs."""
    with (
        object_store(tmp_path / "ceph") as store,
        databases() as three,
        EmbeddedServer() as pool,
        EmbeddedServer() as broker,
    ):
        site = Site(
            tmp_path,
            Servers(*three, store, pool.url, broker.url.replace("unix://", "redis+socket://")),
            port=free_port(),
        )
        for name in (*CREDENTIALS, "AWS_ENDPOINT_URL"):
            monkeypatch.setenv(name, site.environment[name])
        try:
            site.start()
            yield site
        finally:
            site.fleet.stop()
