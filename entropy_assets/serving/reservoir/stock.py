"""The blocks that are held, and the one place that cuts bytes off them.

Bytes are cut from the first block on, in the order in which the blocks came, each once: one piece of one block for the
short answers, a `Draw` over as many blocks as it takes, or `Messages` for a stream.

A public block that was begun is closed a little later, whatever is left of it: then it reveals where it was sampled, so
who drew from it can walk it back. A private block never reveals, and is held until it is used up or expires.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from entropy_assets.stores.pool.blocks import LeasedBlock


class Cut(NamedTuple):
    """The bytes ``start`` to ``end`` (not included) of one block."""

    block_id: str
    start: int
    end: int


class Draw(NamedTuple):
    """Pool bytes for one answer.

    Attributes
    ----------
    data
        The bytes.
    cuts
        Which blocks they were cut from.
    simulated
        Whether a simulated one was among them.
    reveals_at
        When all of them will have revealed, ISO 8601 in UTC; empty for private ones.
    """

    data: bytes
    cuts: tuple[Cut, ...]
    simulated: bool
    reveals_at: str = ""


TOLD_S: Final = 2
"""Longest time in which a filler that has nothing else to do tells the pool what was closed, seconds."""
NOTHING: Final = Draw(b"", (), False)
_new: Final = tuple.__new__
"""``_new(Cut, ...)`` is ``Cut(...)`` without the Python function in front of it, which takes longer than the rest."""


class Messages(NamedTuple):
    """Pool bytes for messages to come, with one text that names all their blocks.

    One message at a time would cost a call, an object per block and a note each, which together take longer than
    sending it. Blocks are joined only when their message is sent: then its bytes are still in the processor's cache.

    Attributes
    ----------
    parts
        Of each message.
    n_bytes
        Their length in all.
    blocks
        Where they come from, in order: ``<block id>:<start>-<end>``, separated by commas, as in ``X-Entropy-Blocks``.
    simulated, reveals_at
        As of a `Draw`.
    """

    parts: list[list[bytes]]
    n_bytes: int
    blocks: str
    simulated: bool
    reveals_at: str = ""


Piece = tuple[bytes, str, int, int, bool, str]
"""What `Stock.piece` cuts: the bytes, which of which block these are, start and end, and what a `Draw` says of them.

No `NamedTuple`, nor is anything else that each answer makes: two of them cost a tenth of its instructions.
"""


@dataclass(slots=True)
class HeldBlock:
    """A block that is given out from `position` on, until `expires_at`.

    Once a public one was begun, `reveals_at` says when it will have revealed.
    """

    block_id: str
    data: bytes
    expires_at: float
    simulated: bool
    position: int = 0
    reveals_at: str = ""


class Closing:
    """How public blocks are closed, and what their pool is to be told of it.

    Parameters
    ----------
    open_s
        How long a block that was begun is given out, seconds.
    wall
        Seconds since 1970, for the moments that answers name.
    clock
        The clock of the stock's `now`.
    news
        Called, on the event loop, when there is something to tell and there was nothing.

    Attributes
    ----------
    open_s
        As given.
    """

    def __init__(
        self,
        open_s: float,
        wall: Callable[[], float],
        clock: Callable[[], float],
        news: Callable[[], None] = lambda: None,
    ) -> None:
        self.open_s = open_s
        # they grow on the event loop and are emptied by a thread
        self._begun: deque[tuple[str, float]] = deque()
        self._closed: deque[str] = deque()
        self._wall = wall
        self._clock = clock
        self._news = news

    @property
    def has_news(self) -> bool:
        """Tell whether `told` would return something."""
        return bool(self._begun or self._closed)

    def begin(self, block_id: str, closes_at: float) -> None:
        """Note that a block was begun, which is closed at `closes_at`."""
        had_news = self.has_news
        self._begun.append((block_id, closes_at))
        if not had_news:
            self._news()

    def close(self, block_ids: Iterable[str]) -> None:
        """Note that nothing more is given out of these blocks."""
        had_news = self.has_news
        self._closed.extend(block_ids)
        if not had_news and self._closed:
            self._news()

    def moment(self, closes_at: float) -> str:
        """Return when a block that is closed at `closes_at` will have revealed: its pool has to hear of it first."""
        return utc_second(math.ceil(self._wall() + closes_at - self._clock()) + TOLD_S)

    def told(self) -> tuple[dict[str, float], list[str]]:
        """Take out what the pool was not told yet: the seconds for which each begun block stays open, and closed ids.

        Of what was begun and is closed by now only the second is told.
        """
        closed = [self._closed.popleft() for _ in range(len(self._closed))]
        now = self._clock()
        begun = dict(self._begun.popleft() for _ in range(len(self._begun)))
        gone = set(closed)
        return {each: max(0.0, until - now) for each, until in begun.items() if each not in gone}, closed


@lru_cache(maxsize=64)
def utc_second(second: int) -> str:
    """Return a moment, seconds since 1970, as ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


class Stock:
    """Blocks that are held, until they are cut up or expire. It reads no clock: who calls says what time it is.

    Parameters
    ----------
    closing
        How blocks are closed that were begun; None for private ones, which are not.

    Attributes
    ----------
    held_bytes
        What can be cut.
    soonest
        No later than the first of the blocks expires or is closed; infinity after a drop that left none.
    """

    def __init__(self, closing: Closing | None = None) -> None:
        self.held_bytes = 0
        self.soonest = math.inf
        self._blocks: deque[HeldBlock] = deque()
        self._closing = closing

    def add(self, blocks: Iterable[LeasedBlock], since: float) -> int:
        """Hold the blocks of a lease that began at `since`; return how many bytes came."""
        n_bytes = 0
        for leased in blocks:
            block, expires_at = leased.block, since + leased.expires_in_s
            self._blocks.append(HeldBlock(block.block_id, block.data, expires_at, block.simulated))
            self.soonest = min(self.soonest, expires_at)
            n_bytes += len(block.data)
        self.held_bytes += n_bytes
        return n_bytes

    def drop_expired(self, now: float) -> int:
        """Drop the blocks that have expired, or are closed by now; return how many bytes they had left."""
        return self._keep(lambda block: block.expires_at > now)

    def drop_all(self) -> int:
        """Drop everything; return how many bytes that was."""
        return self._keep(lambda block: False)

    def _keep(self, is_kept: Callable[[HeldBlock], bool]) -> int:
        before = self.held_bytes
        if self._closing is not None:
            self._closing.close(block.block_id for block in self._blocks if not is_kept(block))
        self._blocks = deque(block for block in self._blocks if is_kept(block))
        self.held_bytes = sum(len(block.data) - block.position for block in self._blocks)
        self.soonest = min((block.expires_at for block in self._blocks), default=math.inf)
        return before - self.held_bytes

    def _begin(self, head: HeldBlock, closing: Closing, now: float) -> None:
        """Note that a first piece is cut off `head`, which leaves a rest."""
        head.expires_at = min(head.expires_at, now + closing.open_s)
        head.reveals_at = closing.moment(head.expires_at)
        self.soonest = min(self.soonest, head.expires_at)
        closing.begin(head.block_id, head.expires_at)

    def piece(self, n: int, now: float) -> Piece | None:
        """Return the next `n` bytes; None if the first block has fewer, or has expired.

        It is `draw` without everything that an answer of one piece does not need, in a third of the time.
        """
        blocks = self._blocks
        if not blocks:
            return None
        head = blocks[0]
        data = head.data
        size = len(data)
        start = head.position
        end = start + n
        if end > size or head.expires_at <= now:
            return None
        head.position = end
        self.held_bytes -= n
        closing = self._closing
        reveals_at = ""
        if closing is not None:
            if end == size:
                closing.close((head.block_id,))
                reveals_at = closing.moment(now)
            else:
                if not start:
                    self._begin(head, closing, now)
                reveals_at = head.reveals_at
        if end == size:
            blocks.popleft()
        return data[start:end], head.block_id, start, end, head.simulated, reveals_at

    def draw(self, n: int, now: float) -> Draw | None:
        """Return the next `n` bytes, None if fewer are held."""
        if n > self.held_bytes:
            return None
        self.held_bytes -= n
        head = self._blocks[0]
        start = head.position
        end = start + n
        if end >= len(head.data):
            return self._gather(n, now)
        head.position = end
        if not start and self._closing is not None:
            self._begin(head, self._closing, now)
        cut = _new(Cut, (head.block_id, start, end))
        return _new(Draw, (head.data[start:end], (cut,), head.simulated, head.reveals_at))

    def _gather(self, n: int, now: float) -> Draw:
        parts, cuts, simulated = [], [], False
        while n > 0:
            head = self._blocks[0]
            start, part = head.position, self._part(n, now)
            parts.append(part)
            cuts.append(_new(Cut, (head.block_id, start, head.position)))
            simulated |= head.simulated
            n -= len(part)
        return _new(Draw, (b"".join(parts), tuple(cuts), simulated, self._revealed(now)))

    def _revealed(self, now: float) -> str:
        """Return when the blocks of a draw that ends here will have revealed: all but the last are closed."""
        if self._closing is None:
            return ""
        last = self._blocks[0] if self._blocks else None
        return last.reveals_at if last and last.reveals_at else self._closing.moment(now)

    def messages(self, n: int, longest: int, now: float) -> Messages | None:
        """Return the next `n` bytes in messages of at most `longest`, None if fewer are held.

        A message is whole blocks of one length, or one part of a block. So what somebody left of a block is a short
        message and does not have every block after it cut in two.
        """
        if n > self.held_bytes:
            return None
        self.held_bytes -= n
        messages: list[list[bytes]] = []
        names: list[str] = []
        simulated = False
        left = n
        while left:
            head = self._blocks[0]
            size = len(head.data)
            if head.position or size > min(left, longest):
                start, part = head.position, self._part(min(left, longest), now)
                messages.append([part])
                names.append(f"{head.block_id}:{start}-{head.position}")
                simulated |= head.simulated
                left -= len(part)
            else:
                blocks = self._alike(left // size)
                parts = [block.data for block in blocks]
                together = longest // size
                messages += [parts[at : at + together] for at in range(0, len(parts), together)]
                # one format for all: to write every end anew takes longer than the rest
                names.append(f":0-{size},".join([block.block_id for block in blocks]) + f":0-{size}")
                simulated |= True in [block.simulated for block in blocks]
                left -= size * len(blocks)
        return Messages(messages, n, ",".join(names), simulated, self._revealed(now))

    def _part(self, most: int, now: float) -> bytes:
        """Take at most `most` bytes off the first block; of a whole block that is no copy."""
        head = self._blocks[0]
        data, start = head.data, head.position
        part = data[start : start + most]
        head.position = end = start + len(part)
        if end == len(data):
            self._blocks.popleft()
            if self._closing is not None:
                self._closing.close((head.block_id,))
        elif not start and self._closing is not None:
            self._begin(head, self._closing, now)
        return part

    def _alike(self, most: int) -> list[HeldBlock]:
        """Take the first block and those right behind it that are as long, at most `most` blocks."""
        held = self._blocks
        blocks = [held.popleft() for _ in range(min(most, len(held)))]
        lengths = [len(block.data) for block in blocks]
        alike = lengths.count(lengths[0])
        if alike < len(blocks):
            alike = next(at for at, length in enumerate(lengths) if length != lengths[0])
            held.extendleft(reversed(blocks[alike:]))
        if self._closing is not None:
            self._closing.close([block.block_id for block in blocks[:alike]])
        return blocks[:alike]
