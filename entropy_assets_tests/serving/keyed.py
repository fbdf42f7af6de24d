"""A service with API keys on a full pool, and how the tests ask it."""

import os
import time
from collections.abc import Callable
from typing import Any

from entropy_assets.scopes import Scope
from entropy_assets.stores.api_keys import KeyStore, create
from entropy_assets_tests.serving.running import RunningService

FOLLOWS_S = 4.0
"""A service follows its store within 2 s; twice that, since the tests share the machine."""
Start = Callable[..., RunningService]


def key_of(store: KeyStore, *scopes: Scope, **more: Any) -> str:
    """Return a new key, by default for drawing."""
    return create(store, "somebody", random_bytes=os.urandom, scopes=scopes or ("draw",), **more)[0]


def status(service: RunningService, key: str | None = None, path: str = "/random/16", **headers: str) -> int:
    """Return the status of a GET."""
    return service.client.get(path, headers={**({"X-API-Key": key} if key else {}), **headers}).status_code


def eventually(claim: Callable[[], bool]) -> None:
    """Wait until the service has followed its store."""
    deadline = time.monotonic() + FOLLOWS_S
    while not claim():
        assert time.monotonic() < deadline, f"not within {FOLLOWS_S} s"
        time.sleep(0.02)
