"""The real service on a real pool, full or empty."""

from collections.abc import Iterator

import pytest

from entropy_assets.serving.config import ServiceConfig
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.client.real_service import BLOCKS, OneBlock
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.serving.running import RunningService


@pytest.fixture
def config(valkey_url: str, pool_prefix: str) -> ServiceConfig:
    """Give the configuration of a service on this test's pool."""
    return ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix)


@pytest.fixture
def service(config: ServiceConfig, pool: PoolClient) -> Iterator[RunningService]:
    """Run a service on a pool of 100 blocks of each lane."""
    pool.push(blocks_for_both(BLOCKS))
    with RunningService(config, OneBlock()) as running:
        yield running


@pytest.fixture
def empty(config: ServiceConfig) -> Iterator[RunningService]:
    """Run a service on an empty pool."""
    with RunningService(config) as running:
        yield running
