"""What keys and limits cost: an admission from memory, beside the SHA-256 of the key that it can't do without.

``python -m benchmarks.gate [--json]``. Figures are the best of several rounds on one core.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from entropy_assets.scopes import Scope
from entropy_assets.serving.access.accounts import Accounts
from entropy_assets.serving.access.allowances import Headers, Limits
from entropy_assets.serving.access.gate import Gate, caller_in
from entropy_assets.serving.access.keys import KeyRing
from entropy_assets.stores.api_keys import FileKeys, create
from entropy_assets.stores.buckets import SharedBuckets
from entropy_assets.stores.pool.embedded import EmbeddedServer

CALLS = 1000
ROUNDS = 200
ORDINARY: Headers = [(b"host", b"127.0.0.1:8000"), (b"accept", b"*/*"), (b"user-agent", b"a client")]
HUGE = 10**12


def microseconds(call: Callable[[], object]) -> float:
    """Return the time of one call."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(CALLS):
            call()
        best = min(best, time.perf_counter() - began)
    return best / CALLS * 1e6


async def rows(url: str, folder: Path) -> dict[str, float]:
    """Return microseconds by what was admitted."""
    store = FileKeys(folder / "keys.json")
    key, _ = create(store, "benchmark", random_bytes=os.urandom)
    ring = KeyRing(store)
    ring.load()
    costs_us = {"SHA-256 of a key": microseconds(lambda: sha256(key.encode()).digest())}

    async def admission(name: str, headers: Headers, limits: Limits, anonymous: tuple[Scope, ...] = ()) -> None:
        gate = Gate(ring, anonymous, limits, Accounts(SharedBuckets.from_url(url, prefix=name)))
        await gate.admit(headers, "192.0.2.1", "draw", 1024)
        await asyncio.sleep(0.1)  # what was asked for ahead is here then
        assert gate.admit_at_once(caller_in(headers), "192.0.2.1", "draw", 1024)
        costs_us[name] = microseconds(lambda: gate.admit_at_once(caller_in(headers), "192.0.2.1", "draw", 1024))
        await gate.stop()

    sent = [*ORDINARY, (b"x-api-key", key.encode())]
    bytes_only, both = Limits(None, HUGE, 65_536), Limits(1e9, HUGE, 65_536)
    await admission("key, no limit", sent, Limits())
    await admission("key, limit in bytes", sent, bytes_only)
    await admission("key, limits in bytes and requests", sent, both)
    await admission("bearer, both limits", [*ORDINARY, (b"authorization", b"Bearer " + key.encode())], both)
    await admission("address, both limits", ORDINARY, both, ("draw",))
    return costs_us


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    with EmbeddedServer() as server, tempfile.TemporaryDirectory() as folder:
        costs_us = asyncio.run(rows(server.url, Path(folder)))
    if parser.parse_args().json:
        print(json.dumps(costs_us))
        return
    for name, cost in costs_us.items():
        print(f"{name:35} {cost:6.2f} us")


if __name__ == "__main__":
    main()
