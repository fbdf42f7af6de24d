"""What the tests of the commands stand on: a user who set nothing, and services to ask."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from entropy_assets.cli import main
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.client.scripted import ScriptedServer, good
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.ports import free_port
from entropy_assets_tests.serving.running import RunningService
from entropy_assets_tests.stages.batches_made import frame

Run = Callable[..., Result]
KEY = "ea_secret-of-mine"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run ``entropy-assets`` as a user who set nothing, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("ENTROPY_HOME", "ENTROPY_REDIS_URL", "ENTROPY_API_KEY", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Give a folder with one live image, one file that is none, and one that is still being written."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "live.fits").write_bytes(frame(1, side=512))
    (folder / "text.fits").write_bytes(b"SIMPLE  = no image")
    (folder / "half.fits.part").write_bytes(b"SIMPLE")
    return folder


@pytest.fixture
def closed_port() -> int:
    """Give a port of this machine where nobody listens."""
    return free_port()


@pytest.fixture
def service_config(valkey_url: str, pool_prefix: str) -> ServiceConfig:
    """Give the configuration of a service on this test's pool."""
    return ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix)


@pytest.fixture
def service(pool: PoolClient, service_config: ServiceConfig) -> Iterator[RunningService]:
    """Run a service on a pool of 8 blocks."""
    pool.push(blocks_for_both(8))
    with RunningService(service_config) as running:
        yield running


@pytest.fixture
def empty(pool: PoolClient, service_config: ServiceConfig) -> Iterator[RunningService]:
    """Run a service on a pool that is still empty."""
    with RunningService(service_config) as running:
        yield running


@pytest.fixture
def zeros() -> Iterator[ScriptedServer]:
    """Run a service that gives zeros."""
    with ScriptedServer(lambda connection, n: connection.sendall(good(n))) as server:
        yield server


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Give a file with an API key."""
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    return file
