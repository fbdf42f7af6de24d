"""Fixtures of the tests over HTTP."""

import pytest

from entropy_assets.serving.config import ServiceConfig


@pytest.fixture
def config(valkey_url: str, pool_prefix: str) -> ServiceConfig:
    """Give the configuration of a service on this test's pool."""
    return ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix, low_water_bytes=10_000)
