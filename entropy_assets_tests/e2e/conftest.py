"""One installation for all tests that can share it: it takes half a minute to come up."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from entropy_assets.stores.batches import Batch
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.e2e.browser import Browser
from entropy_assets_tests.e2e.running import Installation, eventually
from entropy_assets_tests.stages.batches_made import frame


@pytest.fixture(scope="session")
def pool_url() -> Iterator[str]:
    """Run the pool's server of the installation: one of the tests, since its own one is private to it."""
    with EmbeddedServer() as server:
        yield server.url


@pytest.fixture
def pool(pool_url: str) -> Iterator[PoolClient]:
    """Look into the pool that the installation uses."""
    client = PoolClient.from_url(pool_url)
    yield client
    client.close()


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory, pool_url: str) -> Iterator[Installation]:
    """Run everything that ``entropy-assets up`` runs."""
    home = tmp_path_factory.mktemp("installation")
    with Installation.running(home, ENTROPY_REDIS_URL=pool_url, ENTROPY_PUBLIC_SHARE="0.7") as running:
        yield running


def more_images() -> dict[str, bytes]:
    """Give frames that are the same each time, worth some thirty blocks: each draw of a quiet minute burns a block."""
    return {f"frame-{number}.fits": frame(910 + number, 1024) for number in range(3)}


@pytest.fixture(scope="session")
def batch(started: Installation, samples: Path) -> Batch:
    """Drop all bundled images and `more_images`, and wait until their batch is published, in the public lane.

    Before it a frame is dropped, whose batch goes into the private lane.
    """
    private = started.drop({"private.fits": frame(900, 768)})
    eventually("publication of a private batch", lambda: started.published(private))
    images = {path.name: path.read_bytes() for path in sorted(samples.iterdir()) if path.suffix != ".csv"}
    batch = started.drop({**images, **more_images()})
    eventually("publication of the samples", lambda: started.published(batch))
    assert [each.intake.lane for each in (private, batch)] == ["private", "public"]
    eventually("the end of all runs", started.idle)
    return batch


@pytest.fixture(scope="session")
def installation(started: Installation, batch: Batch) -> Installation:
    """Give what runs, with `batch` as its first: which lane a batch goes into hangs on those before it."""
    return started


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """Give one page of a browser that nobody used before."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        assert not os.environ.get("CI"), "chromium is missing"
        pytest.skip("needs chromium")
    with Browser.opened(program, tmp_path / "profile") as browser:
        yield browser
