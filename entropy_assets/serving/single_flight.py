"""Slow questions about the rest of the system, asked in a thread and once at a time."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


def begun(ask: Callable[[], T]) -> "Future[T]":
    """Return what will be the answer of `ask`, which runs in a thread of its own that may be given up.

    A thread of a pool would be awaited when the process ends, and hold it up for as long as a mount hangs.
    """
    answer: Future[T] = Future()
    answer.set_running_or_notify_cancel()

    def run() -> None:
        with _Passing(answer):
            answer.set_result(ask())

    threading.Thread(target=run, name="question", daemon=True).start()
    return answer


class _Passing(Generic[T]):
    """Passes whatever is raised inside on to who waits for the answer."""

    def __init__(self, answer: "Future[T]") -> None:
        self._answer = answer

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is not None and not self._answer.done():
            self._answer.set_exception(error)
        return True


class SingleFlight(Generic[T]):
    """A question that is under way at most once; who asks meanwhile waits for the same answer, for a bounded time.

    So a server that hangs holds one thread, however many health checks and scrapes come.

    Parameters
    ----------
    ask
        Runs in a thread; must not raise, since nobody may be left to hear it.
    limit_s
        Longest wait of one caller, seconds.
    """

    def __init__(self, ask: Callable[[], T], limit_s: float) -> None:
        self._ask = ask
        self.limit_s = limit_s
        self._asked: asyncio.Future[T] | None = None
        self._answered_at = 0.0

    async def answer(self, not_older_s: float = 0.0) -> T | None:
        """Return the answer, None if it does not come in time.

        Parameters
        ----------
        not_older_s
            Age up to which an answer that was given before will do, seconds.
        """
        if self._asked is None or (self._asked.done() and time.monotonic() - self._answered_at >= not_older_s):
            self._asked = asyncio.create_task(self._ask_once())
        try:
            async with asyncio.timeout(self.limit_s):
                return await asyncio.shield(self._asked)
        except TimeoutError:
            return None

    async def _ask_once(self) -> T:
        answer = await asyncio.wrap_future(begun(self._ask))
        self._answered_at = time.monotonic()
        return answer


class Questions:
    """Slow questions that differ, asked a few at a time, none of which is waited for longer than a limit.

    Parameters
    ----------
    limit_s
        Longest wait of one caller, seconds.
    most
        Questions that are under way at most; one that hangs counts until it ends.
    """

    def __init__(self, limit_s: float, most: int) -> None:
        self.limit_s = limit_s
        self._free = asyncio.Semaphore(most)

    async def answer(self, ask: Callable[[], T]) -> T:
        """Return what `ask` returns, or raise what it raises; it runs in a thread.

        Raises
        ------
        TimeoutError
            If the answer does not come in time.
        """
        async with asyncio.timeout(self.limit_s):
            await self._free.acquire()
            answer = asyncio.wrap_future(begun(ask))
            answer.add_done_callback(lambda _: self._free.release())
            return await asyncio.shield(answer)
