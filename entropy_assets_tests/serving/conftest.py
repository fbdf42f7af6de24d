"""Fixtures of the tests of the service: its keys, and what it logged."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.logs import LOGGER, JsonLines
from entropy_assets.stores.api_keys import FileKeys
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.serving.keyed import Start
from entropy_assets_tests.serving.running import RunningService


@pytest.fixture
def store(tmp_path: Path) -> FileKeys:
    """Give a store of keys in a file."""
    return FileKeys(tmp_path / "keys.json")


@pytest.fixture
def start(valkey_url: str, pool_prefix: str, pool: PoolClient, tmp_path: Path) -> Iterator[Start]:
    """Give what starts a service that reads `store`, on a pool of 100 blocks; `changes` are of its configuration."""
    pool.push(blocks_for_both(100))
    config = ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix, keys=str(tmp_path / "keys.json"))
    with ExitStack() as stack:
        yield lambda **changes: stack.enter_context(RunningService(replace(config, **changes)))


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """Give what the service logged so far, as it would be written."""
    caplog.set_level(logging.INFO)
    return lambda: [json.loads(JsonLines().format(record)) for record in caplog.records if record.name == LOGGER]
