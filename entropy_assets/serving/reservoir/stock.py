"""The blocks that are held, and the one place that cuts bytes off them.

Bytes are cut from the first block on, in the order in which the blocks came, each once: one piece of one block for the
short answers, a `Draw` over as many blocks as it takes, or `Messages` for a stream.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from entropy_assets.stores.pool.blocks import LeasedBlock


class Cut(NamedTuple):
    """The bytes ``start`` to ``end`` (not included) of one block."""

    block_id: str
    start: int
    end: int


class Draw(NamedTuple):
    """Pool bytes for one answer, which blocks they were cut from, and whether a simulated one was among them."""

    data: bytes
    cuts: tuple[Cut, ...]
    simulated: bool


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
    simulated
        Whether a simulated block is among them.
    """

    parts: list[list[bytes]]
    n_bytes: int
    blocks: str
    simulated: bool


@dataclass(slots=True)
class HeldBlock:
    """A block that is given out from `position` on, until `expires_at`; `label` is its id in bytes."""

    block_id: str
    data: bytes
    expires_at: float
    simulated: bool
    label: bytes
    position: int = 0


class Stock:
    """Blocks that are held, until they are cut up or expire. It reads no clock: who calls says what time it is.

    Attributes
    ----------
    held_bytes
        What can be cut.
    soonest
        No later than the first of the blocks expires; infinity after a drop that left none.
    """

    def __init__(self) -> None:
        self.held_bytes = 0
        self.soonest = math.inf
        self._blocks: deque[HeldBlock] = deque()

    def add(self, blocks: Iterable[LeasedBlock], since: float) -> int:
        """Hold the blocks of a lease that began at `since`; return how many bytes came."""
        n_bytes = 0
        for leased in blocks:
            block, expires_at = leased.block, since + leased.expires_in_s
            label = block.block_id.encode()
            self._blocks.append(HeldBlock(block.block_id, block.data, expires_at, block.simulated, label))
            self.soonest = min(self.soonest, expires_at)
            n_bytes += len(block.data)
        self.held_bytes += n_bytes
        return n_bytes

    def drop_expired(self, now: float) -> int:
        """Drop the blocks that have expired; return how many bytes they had left."""
        return self._keep(lambda block: block.expires_at > now)

    def drop_all(self) -> int:
        """Drop everything; return how many bytes that was."""
        return self._keep(lambda block: False)

    def _keep(self, is_kept: Callable[[HeldBlock], bool]) -> int:
        before = self.held_bytes
        self._blocks = deque(block for block in self._blocks if is_kept(block))
        self.held_bytes = sum(len(block.data) - block.position for block in self._blocks)
        self.soonest = min((block.expires_at for block in self._blocks), default=math.inf)
        return before - self.held_bytes

    def piece(self, n: int, now: float) -> tuple[bytes, bytes, bool] | None:
        """Return the next `n` bytes, their name ``<id>:<start>-<end>``, and whether they are simulated.

        Return None if the first block has fewer, or has expired. It is `draw` without everything that an answer of one
        piece does not need, in a third of the time.
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
        if end == size:
            blocks.popleft()
        self.held_bytes -= n
        return data[start:end], b"%b:%d-%d" % (head.label, start, end), head.simulated

    def draw(self, n: int) -> Draw | None:
        """Return the next `n` bytes, None if fewer are held."""
        if n > self.held_bytes:
            return None
        self.held_bytes -= n
        head = self._blocks[0]
        start = head.position
        end = start + n
        if end >= len(head.data):
            return self._gather(n)
        head.position = end
        cut = _new(Cut, (head.block_id, start, end))
        return _new(Draw, (head.data[start:end], (cut,), head.simulated))

    def _gather(self, n: int) -> Draw:
        parts, cuts, simulated = [], [], False
        while n > 0:
            head = self._blocks[0]
            start, part = head.position, self._part(n)
            parts.append(part)
            cuts.append(_new(Cut, (head.block_id, start, head.position)))
            simulated |= head.simulated
            n -= len(part)
        return _new(Draw, (b"".join(parts), tuple(cuts), simulated))

    def messages(self, n: int, longest: int) -> Messages | None:
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
                start, part = head.position, self._part(min(left, longest))
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
        return Messages(messages, n, ",".join(names), simulated)

    def _part(self, most: int) -> bytes:
        """Take at most `most` bytes off the first block; of a whole block that is no copy."""
        head = self._blocks[0]
        data, start = head.data, head.position
        part = data[start : start + most]
        head.position = end = start + len(part)
        if end == len(data):
            self._blocks.popleft()
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
        return blocks[:alike]
