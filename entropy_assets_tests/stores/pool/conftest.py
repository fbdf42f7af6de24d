"""Fixtures of the tests of the pool."""

from collections.abc import Iterator

import pytest
import redis


@pytest.fixture
def raw(valkey_url: str) -> Iterator["redis.Redis"]:
    """Give a plain client, to look behind the pool's back."""
    with redis.Redis.from_url(valkey_url) as client:
        yield client
