"""`AsyncRandomClient`: the draws of `RandomClient`, awaited."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, Unpack

from entropy_assets.client.generator import SEED_BYTES, BitGenerator, seeded
from entropy_assets.client.steps import Drawn, Draws, Options, PublicDraw, Steps, warn_of_local
from entropy_assets.errors import ClientMisused

if TYPE_CHECKING:
    import numpy as np

CONCURRENCY: Final = 8
T = TypeVar("T")


class AsyncRandomClient:
    """`RandomClient` with its methods awaited; each exchange runs in a thread of its own pool.

    A cancelled draw ends at once. What it had asked for is burned; the exchange ends by itself within `timeout_s` and
    holds one of the threads until then, so that there are never more exchanges than `concurrency`. Waiting for bytes
    holds none.

    Parameters
    ----------
    endpoints, **options
        As `RandomClient`.
    concurrency
        Most exchanges at a time.
    """

    def __init__(self, endpoints: Sequence[str], *, concurrency: int = CONCURRENCY, **options: Unpack[Options]) -> None:
        if concurrency < 1:
            raise ClientMisused("`concurrency` is at least 1")
        self._draws = Draws(endpoints, **options)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="entropy-assets-client")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._draws!r})"

    @property
    def local_bytes(self) -> int:
        """Bytes given out so far that came from this machine alone."""
        return self._draws.local_bytes

    async def random_bytes(self, n: int) -> bytes:
        """Return exactly `n` private random bytes; see `RandomClient.random_bytes`."""
        drawn = await self.draw(n)
        warn_of_local(drawn)
        return drawn.data

    async def draw(self, n: int) -> Drawn:
        """Return `n` private random bytes and where they came from; see `RandomClient.draw`."""
        return await self._finish(self._draws.private(n))

    async def public(self, n: int) -> PublicDraw:
        """Return `n` public random bytes with their blocks; see `RandomClient.public`."""
        return await self._finish(self._draws.public(n))

    async def provenance(self, block_id: str) -> dict[str, Any]:
        """Return where a published block comes from; see `RandomClient.provenance`."""
        return await self._finish(self._draws.provenance(block_id))

    async def stats(self) -> dict[str, Any]:
        """Return what a service and its pool hold and have given out; see `RandomClient.stats`."""
        return await self._finish(self._draws.stats())

    async def generator(self, bit_generator: BitGenerator = "PCG64DXSM") -> "np.random.Generator":
        """Return a NumPy generator that is seeded by one draw; see `RandomClient.generator`."""
        return seeded(await self.random_bytes(SEED_BYTES), bit_generator)

    async def close(self) -> None:
        """Refuse further draws, and wait for the exchanges that are on their way."""
        self._draws.close()
        await asyncio.to_thread(self._threads.shutdown)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _finish(self, steps: Steps[T]) -> T:
        loop = asyncio.get_running_loop()
        while True:
            self._draws.require_open()
            pause, result = await loop.run_in_executor(self._threads, _step, steps)
            if pause is None:
                drawn: T = result
                return drawn
            await asyncio.sleep(pause)


def _step(steps: Steps[T]) -> tuple[float | None, Any]:
    """Go on to the next pause, or to the result: a StopIteration would not come through a future."""
    try:
        return next(steps), None
    except StopIteration as done:
        return None, done.value
