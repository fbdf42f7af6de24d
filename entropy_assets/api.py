"""The four classes in one import, for programs that want the parts without Dagster.

>>> from entropy_assets.api import EntropyHasher, EntropyPool, EntropyValidator, ImagePreprocessor
"""

import asyncio
import operator
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Literal

from entropy_assets.core.conditioning.hasher import EntropyHasher, xor_bytes
from entropy_assets.core.extraction.noise import NoiseArray, NoiseExtractor, deterministic_nonce, sampling_nonce
from entropy_assets.core.validation.validator import EntropyValidator
from entropy_assets.errors import BlockRefused, InputRefused, PoolExhausted
from entropy_assets.images.decode import decode
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.recipe import STANDARD, Recipe
from entropy_assets.serving.reservoir.stock import Stock
from entropy_assets.settings import Settings
from entropy_assets.stores.lanes import LANES, Lane
from entropy_assets.stores.pool.ageing import ageing_s
from entropy_assets.stores.pool.awaited import AwaitedPool
from entropy_assets.stores.pool.client import DEFAULT_PREFIX, IDS_PER_CALL
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets.stores.pool.shards import ShardedPool, pool_at

__all__ = ["EntropyHasher", "EntropyPool", "EntropyValidator", "ImagePreprocessor"]

API_PREFIX: Final = "entropy-api"
"""First part of the keys of programs' own pools; the pipeline's begin with ``entropy:``."""
EntropyClass = Literal["private", "public"]


class ImagePreprocessor:
    """Noise from image files.

    Parameters
    ----------
    recipe
        Sizes and thresholds.
    limits
        Largest file and image that are read.
    deterministic
        Draw the regions in an order that follows from the image alone; for tests.
    os_bytes
        The operating system's generator.
    """

    def __init__(
        self,
        recipe: Recipe = STANDARD,
        limits: DecodeLimits | None = None,
        *,
        deterministic: bool = False,
        os_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._extractor = NoiseExtractor(recipe)
        self._limits = limits or DecodeLimits()
        self._deterministic = deterministic
        self._os_bytes = os_bytes

    def extract(self, image_path: str | os.PathLike[str]) -> NoiseArray:
        """Return the noise array of an image file, with the map of its live area.

        Raises
        ------
        ImageRejected
            If the file can't be read, or has no live area.
        """
        frame = decode(Path(image_path).read_bytes(), limits=self._limits, reading=self._extractor.recipe.reading)
        if self._deterministic:
            nonce = deterministic_nonce(frame.image_sha256)
        else:
            nonce = sampling_nonce(frame.image_sha256, time.time_ns(), self._os_bytes(32))
        return self._extractor.extract(frame, nonce)

    def extract_noise(self, image_path: str | os.PathLike[str]) -> bytes:
        """Return the raw noise samples of an image file: unconditioned, and worth what an assessment says of them.

        Raises
        ------
        ImageRejected
            If the file can't be read, or has no live area.
        """
        return self.extract(image_path).samples.tobytes()


class EntropyPool:
    """A pool of a program's own, for a program that awaits.

    What is added here has no images behind it, so by default it lies apart from the pipeline's pool and the HTTP
    service never serves it. With ``prefix="entropy"`` the pool is the pipeline's: then bytes can be drawn, none added.

    What is left of a block after a `get_entropy` stays in this object for the next call, until the block would have
    expired; it is gone with the object. After a fork it stays with the parent.

    Parameters
    ----------
    url
        Redis or Valkey to use; by default the one of ``ENTROPY_REDIS_URL``. Without either, an embedded server is
        started that this object owns and `close` ends. From those of ``ENTROPY_REDIS_URLS`` bytes can be drawn, none
        added: one of them would not know what another one had.
    ttl_s
        Life of an added block, seconds.
    prefix
        First part of every key.
    """

    def __init__(self, url: str | None = None, *, ttl_s: float | None = None, prefix: str = API_PREFIX) -> None:
        settings = Settings()
        url = settings.pool_address if url is None else url
        self._server = None if url else EmbeddedServer().start()
        self._client = pool_at(
            url or (self._server.url if self._server else ""),
            prefix=prefix,
            ttl_s=ttl_s or settings.pool_ttl_seconds,
        )
        self._prefix = prefix
        self._pool = AwaitedPool(self._client)
        self._stocks = _no_stocks()
        self._owner = os.getpid()
        self._turn = asyncio.Lock()

    async def add_entropy(
        self, entropy_bytes: bytes, quality_score: float, *, entropy_class: EntropyClass = "private"
    ) -> str:
        """Push `entropy_bytes` as one block, with a quality score from 0 to 10, and return its id.

        It serves answers of its class alone.

        Raises
        ------
        BlockRefused
            If these bytes fail the tests of `EntropyValidator` or are fewer than it needs, if they were in the pool
            before, if the score is out of range, or if this is the pipeline's pool.
        PoolUnavailable
            If the pool does not answer.
        """
        if self._prefix == DEFAULT_PREFIX:
            raise BlockRefused("the pipeline's pool takes what was published only; add to a pool with another prefix")
        if isinstance(self._client, ShardedPool):
            raise BlockRefused("several pools are one for who draws; add to one of them, by its url")
        _require_tested(entropy_bytes)
        return await self._pool.add(entropy_bytes, quality_score, lane=entropy_class)

    async def get_entropy(self, n_bytes: int = 256, *, entropy_class: EntropyClass = "private") -> bytes:
        """Return exactly `n_bytes` bytes that nobody else gets.

        Parameters
        ----------
        n_bytes
            Bytes to consume.
        entropy_class
            ``private`` mixes the pool's bytes with fresh ones of the operating system; ``public`` gives them as they
            are, and who has the images can compute them: never for keys.

        Raises
        ------
        PoolExhausted
            If fewer are ready; ``data`` has ``requested`` and ``ready``.
        PoolEpochChanged, PoolUnavailable, UnsafePoolServer
            If the pool may not be served from, or does not answer.
        """
        n_bytes = operator.index(n_bytes)
        if n_bytes < 1:
            raise ValueError("n_bytes must be at least 1")
        async with self._turn:
            while (draw := self._living_stock(entropy_class).draw(n_bytes, ageing_s())) is None:
                await self._lease_for(n_bytes, entropy_class)
        data = draw.data
        return data if entropy_class == "public" else xor_bytes(data, os.urandom(n_bytes))

    async def get_stats(self) -> dict[str, Any]:
        """Return what the pool holds and what it has given out."""
        return asdict(await self._pool.stats())

    def close(self) -> None:
        """Close the connections, and end the embedded server if there is one."""
        self._client.close()
        if self._server is not None:
            self._server.stop()

    def _living_stock(self, lane: Lane) -> Stock:
        """Return what this process holds of a lane, without what has expired."""
        if self._owner != os.getpid():
            self._stocks, self._owner = _no_stocks(), os.getpid()
        self._stocks[lane].drop_expired(ageing_s())
        return self._stocks[lane]

    async def _lease_for(self, n_bytes: int, lane: Lane) -> None:
        """Lease as much as is missing of `n_bytes`."""
        held = self._stocks[lane].held_bytes
        since = ageing_s()
        lease = await self._pool.lease(IDS_PER_CALL, n_bytes - held, lane=lane)
        if not lease.blocks and not lease.altered:
            ready = held + lease.left.bytes
            raise PoolExhausted(
                f"{n_bytes} bytes were asked for, {ready} are ready", requested=n_bytes, ready=ready
            )  # fmt: skip
        self._stocks[lane].add(lease.blocks, since)


def _no_stocks() -> dict[Lane, Stock]:
    """Return nothing held. What is left of a public block is not closed early: nobody here is told of its blocks."""
    return {lane: Stock() for lane in LANES}


def _require_tested(entropy_bytes: bytes) -> None:
    """Raise unless the bytes pass the block tests: a grave defect is kept out, and nothing more is shown."""
    try:
        verdict = EntropyValidator().validate(entropy_bytes)
    except InputRefused as error:
        raise BlockRefused(f"these bytes can't be tested: {error.message}", **error.data) from error
    if not verdict["passed"]:
        raise BlockRefused("these bytes fail the block tests", p_star=verdict["p_star"])
