"""One server under load: ``python -m benchmarks.serving_app VARIANT PORT POOL_URL PREFIX FOLDER`` (see `serving`).

With one word more, ``held``, the service holds some MiB from the beginning on.
"""

import os
import sys
from pathlib import Path
from typing import Any

import redis.asyncio
import uvicorn
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.http.app import create_app
from entropy_assets.serving.reservoir.demand import ReservoirLimits
from entropy_assets.serving.server.workers import server_options, tune_process
from entropy_assets.stores.api_keys import FileKeys, create
from entropy_assets.stores.lanes import LANES
from entropy_assets.stores.pool import scripts
from entropy_assets.stores.pool.blocks import read_documents

SIZE = 1024
HELD = 16 * 2**20


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Answer with a constant."""
    if scope["type"] != "http":
        return
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", b"1024")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * SIZE})


class RoundTrip:
    """Answer with a block that is leased for the request."""

    def __init__(self, url: str, prefix: str) -> None:
        client = redis.asyncio.Redis.from_url(url, retry=Retry(NoBackoff(), 0), max_connections=128, protocol=2)
        self._lease = client.register_script(scripts.LEASE)
        names = (*(f"ready:{lane}" for lane in LANES), "expiry", "meta", "tomb", "open")
        self._keys = [f"{prefix}:pool:{name}" for name in names]
        self._arguments = [f"{prefix}:block:", 86_400_000, 1000, "public", 1, 0]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        reply = await self._lease(keys=self._keys, args=self._arguments)
        block = read_documents([(reply[4].decode(), reply[6])])[0]
        body = block.data if block else b""
        headers = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def application(variant: str, url: str, prefix: str, folder: Path, reservoir: ReservoirLimits | None = None) -> Any:
    """Return the application of a variant."""
    reservoir = reservoir or ReservoirLimits()
    if variant == "bare":
        return bare
    if variant == "round trip":
        return RoundTrip(url, prefix)
    if variant.startswith("plain"):
        return create_app(ServiceConfig(pool_url=url, pool_prefix=prefix, reservoir=reservoir))
    store = FileKeys(folder / "keys.json")
    key, _ = create(store, "benchmark", random_bytes=os.urandom)
    (folder / "key").write_text(key)
    config = ServiceConfig(
        pool_url=url,
        pool_prefix=prefix,
        reservoir=reservoir,
        keys=str(folder / "keys.json"),
        anonymous_scopes=(),
        limit_requests=10e6,
        limit_bytes=10 * 10**9,
    )
    return create_app(config)


def main() -> None:
    """Serve until a signal."""
    variant, port, url, prefix, folder, *held = sys.argv[1:]
    reservoir = ReservoirLimits(least_bytes=HELD, most_bytes=HELD) if held else None
    tune_process()  # the bare application gets it too
    options = server_options(fast_lane=variant.endswith("lane"))
    uvicorn.run(application(variant, url, prefix, Path(folder), reservoir), port=int(port), **options)


if __name__ == "__main__":
    main()
