"""What a stream and a download have in common: pieces that are drawn one by one, with patience, for one client.

Only one piece of each is in memory at a time, or many while the reservoir has plenty. It is drawn when
its client has room for it, so a client that stops reading holds nothing and stops nobody, and nothing is drawn for one
that left.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final

from entropy_assets.errors import PoolError, QuotaExceeded, TooManyStreams
from entropy_assets.serving.access.meter import Meter
from entropy_assets.serving.answers.formats import block_cuts
from entropy_assets.serving.reservoir.reservoir import Reservoir
from entropy_assets.serving.reservoir.stock import Draw, Messages

PARTS: Final = "entropy_assets.parts"
"""The ASGI extension by which a server sends a binary message as its parts lie, ``{"type": PARTS, "parts": [...]}``:
joining copies each message once, and the WebSocket library once more. `docs/speed.md` says what that takes."""
PIECE_BYTES: Final = 65_536
MOST_AT_ONCE_BYTES: Final = 2**20
"""Most that is drawn at once; so much is lost when its client leaves."""
SHARE: Final = 4
"""At most one in so many of the held bytes is drawn at once, so that there is something left for everybody."""
SMALL_PIECE_BYTES: Final = 4096
"""What is drawn at once when the pool gives slowly: a little that comes is better than much that does not."""
RETRY_S: Final = 0.05
TURN: Final = 4
"""Pieces after which a long draw lets the others go on, if it need not wait for its client anyway."""
SEAT_RETRY_AFTER_S: Final = 5


class Seats:
    """How many long draws one worker runs side by side; nobody gets more than half of them.

    Parameters
    ----------
    limit
        As many as that.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._share = -(-limit // 2)
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """Seats in use."""
        return self._taken.total()

    @contextmanager
    def seat(self, subject: str) -> Iterator[None]:
        """Take a seat for `subject`, a key or an address, while the ``with`` statement lasts.

        Raises
        ------
        TooManyStreams
            If all are taken, or as many as one subject may have.
        """
        if self.taken >= self._limit or self._taken[subject] >= self._share:
            raise TooManyStreams(
                f"{self._limit} streams and downloads run here already, or {self._share} of yours",
                retry_after_s=SEAT_RETRY_AFTER_S,
            )
        self._taken[subject] += 1
        try:
            yield
        finally:
            self._taken[subject] -= 1
            if not self._taken[subject]:
                del self._taken[subject]


class Pieces:
    """The pieces of one long draw.

    Parameters
    ----------
    reservoir
        Where the bytes are.
    meter
        Who pays for them.
    longest
        Longest answer of the service, bytes: a quota holds that much at once, so no piece is longer.
    patience_s
        How long one waits for a piece, seconds.
    """

    def __init__(self, reservoir: Reservoir, meter: Meter, *, longest: int, patience_s: float) -> None:
        self._reservoir = reservoir
        self._meter = meter
        self._longest = min(PIECE_BYTES, longest)
        self._patience_s = patience_s

    async def next(self, most: int) -> Draw:
        """Return the next piece, at most `most` bytes; fewer while the pool gives slowly, or the quota does.

        Raises
        ------
        QuotaExceeded
            If the client may have no more for longer than the limits let it wait.
        PoolError
            If nothing comes for as long as that.
        """
        n = min(most, self._longest)
        with self._meter.paying():
            if not self._meter.is_free:
                n = await self._pay(n)
            draw = self._reservoir.take(n) or await self._wait_for(n)
            self._meter.use(len(draw.data))
        return draw

    async def messages(self, most: int) -> Messages:
        """Return the next pieces, with their blocks, at most `most` bytes: many if there is plenty, else one.

        Raises
        ------
        QuotaExceeded, PoolError
            As `next`.
        """
        share = self._reservoir.buffered_bytes // SHARE
        n = min(most, MOST_AT_ONCE_BYTES, share - share % self._longest)  # whole pieces, so that they are whole blocks
        if n > self._longest and self._meter.is_free:  # what is metered is paid for piece by piece
            messages = self._reservoir.take_messages(n, self._longest)
            if messages is not None:
                return messages
        draw = await self.next(most)
        return Messages([[draw.data]], len(draw.data), block_cuts(draw), draw.simulated, draw.reveals_at)

    async def _pay(self, n: int) -> int:
        """Return how many bytes are paid for, `n` or a little, after a wait if the quota needs one."""
        now = asyncio.get_running_loop().time
        deadline = now() + self._patience_s
        while True:
            try:
                await self._meter.cover(n)
            except QuotaExceeded as error:
                wait_s = float(error.data["retry_after_s"])
                if now() + wait_s > deadline and n <= SMALL_PIECE_BYTES:
                    raise
                if n <= SMALL_PIECE_BYTES:
                    await asyncio.sleep(wait_s)
                n = min(n, SMALL_PIECE_BYTES)
            else:
                return n

    async def _wait_for(self, most: int) -> Draw:
        now = asyncio.get_running_loop().time
        deadline = now() + self._patience_s
        n = most
        while True:
            try:
                return await self._reservoir.draw(n)
            except PoolError:
                if now() >= deadline:
                    raise
            n = min(most, SMALL_PIECE_BYTES, self._reservoir.buffered_bytes or SMALL_PIECE_BYTES)
            if self._reservoir.problem is not None:  # then the refusal came at once
                await asyncio.sleep(RETRY_S)


async def first_of(*sides: Coroutine[Any, Any, Any]) -> Any:
    """Run `sides` side by side until one ends; return or raise what that one did, and end the others.

    Where several end in the same moment, the first of them counts.
    """
    tasks = [asyncio.create_task(side) for side in sides]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        ended = [task for task in tasks if task.done()]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return ended[0].result()
