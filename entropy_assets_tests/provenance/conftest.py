"""An empty home for each test, and one with a published batch."""

from pathlib import Path

import pytest

from entropy_assets.stages.publication import publish_batch
from entropy_assets.stores.batches import Batch
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.stages.batches_made import Place, frame


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def published(place: Place, tmp_path: Path, valkey_url: str) -> tuple[Place, Batch, dict[str, bytes]]:
    """Publish two images; give the home, the batch, and its blocks as they left the pool."""
    batch = place.validated([("a.fits", frame(1)), ("b.fits", frame(2))])
    pool = PoolClient.from_url(valkey_url, prefix=f"audit:{tmp_path.name}")
    publish_batch(batch, place.ledger(), pool, run_id="the-run", now_us=5)
    blocks = {leased.block.block_id: leased.block.data for leased in pool.lease(100, lane="public").blocks}
    pool.close()
    return place, batch, blocks
