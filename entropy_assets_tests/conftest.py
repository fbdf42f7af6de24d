"""Fixtures that several folders share."""

import gc
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import redis
import trustme
from hypothesis import HealthCheck, settings

from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.postgres_server import PostgresServer, postgres_folder
from entropy_assets_tests.stores.blobs.servers import BUCKET, CREDENTIALS, moto_server

PROJECT = Path(__file__).resolve().parent.parent
SHARED_DATA = PROJECT.parent / "shared" / "data"
PROCESSES = {"e2e", "browser"}
"""Marks of tests that ``make e2e`` runs."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep-screenshots", action="store_true", help="put the pictures that tests make into docs/")


def pytest_configure() -> None:
    """Let no example fail for being made or tried slowly: that says how busy the machine is.

    And let Ctrl-C reach what tests start, also where the shell that began them in its background has it ignored.
    """
    # in CI Hypothesis has a profile of its own, which this goes on from
    settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("unhurried")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Leave out of each later search for garbage what stays to the end: thousands of tests and all that they import."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Refuse a test of real processes that ``make e2e`` would not find: it reads the files that name such a mark."""
    if PROCESSES & {mark.name for mark in item.iter_markers()}:
        text = item.path.read_text(encoding="utf-8")
        if not any(f"mark.{name}" in text for name in PROCESSES):
            raise pytest.UsageError(f"{item.nodeid}: 'make e2e' looks for its mark in its own file")


@pytest.fixture
def screenshots(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Give the folder of the pictures that tests make: docs/ with ``--keep-screenshots``."""
    keep = request.config.getoption("--keep-screenshots")
    return PROJECT / "docs" if keep else tmp_path


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let HTTP clients know one certificate authority, of this run: reading all of the world's takes each 30 ms."""
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(file))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture(scope="session")
def samples() -> Path:
    """Give the folder of bundled sample images."""
    return PROJECT / "entropy_assets" / "samples"


@pytest.fixture(scope="session")
def vectors() -> Path:
    """Give the folder of what tests compare with, images that were bundled once among it."""
    return PROJECT / "entropy_assets_tests" / "vectors"


@pytest.fixture(scope="session")
def whole_frame(vectors: Path) -> Path:
    """Give the raw CCD frame of which two halves are bundled."""
    return vectors / "saao_1m_ccd_raw16.fits"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of reference data beside the checkout, or skip."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the reference data in ../shared/data, which is not beside this checkout")
    return SHARED_DATA


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """Run one real server for the whole session and give its address."""
    with EmbeddedServer(max_memory_bytes=2**30) as server:
        yield server.url


def new_prefix() -> str:
    return f"test-{uuid4().hex[:12]}"


@contextmanager
def empty_pool(url: str, prefix: str) -> Iterator[PoolClient]:
    """Give an empty pool on a server that others use too, and leave nothing of it."""
    client = PoolClient.from_url(url, prefix=prefix)
    yield client
    client.close()
    with redis.Redis.from_url(url) as server:
        if left := list(server.scan_iter(f"{prefix}:*", count=10_000)):
            server.unlink(*left)


@pytest.fixture
def pool_prefix() -> str:
    """Give a prefix of its own to each test, so that tests share the server and nothing in it."""
    return new_prefix()


@pytest.fixture
def pool(valkey_url: str, pool_prefix: str) -> Iterator[PoolClient]:
    """Give an empty pool on the real server."""
    with empty_pool(valkey_url, pool_prefix) as client:
        yield client


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Run one real PostgreSQL for the whole session; skip where none is installed, which in CI fails."""
    with postgres_folder() as folder:
        server = PostgresServer(folder).initialise().start()
        yield server
        server.stop()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """Give the address of a ledger of its own to each test: a schema with nothing in it."""
    schema = f"test_{uuid4().hex[:12]}"
    postgres.ask(f"CREATE SCHEMA {schema}")
    yield postgres.url(schema)
    postgres.ask(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """Run one S3 server for the whole session and give its address; it has the bucket of the tests."""
    with moto_server() as address:
        yield address


@pytest.fixture
def object_store(s3_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the URL of an empty prefix on that server, and the environment that leads there."""
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": s3_address}.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{uuid4().hex}"
