"""Many messages of pool bytes from one visit to the reservoir, with one text that names all their blocks.

A message for itself costs a call, an object per block and a note of its own, which together take longer than sending
it. Blocks are not joined here but when their message is sent, so that its bytes are still in the processor's cache.
"""

from collections import deque
from typing import Final, NamedTuple, Protocol, TypeVar


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


class Held(Protocol):
    """A block that is given out from `position` on."""

    block_id: str
    data: bytes
    simulated: bool
    position: int


AnyHeld = TypeVar("AnyHeld", bound=Held)


class Messages(NamedTuple):
    """Pool bytes for messages to come.

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


def cut_messages(held: deque[AnyHeld], n: int, longest: int) -> Messages:
    """Take `n` bytes off the beginning of `held`, which has as many, in messages of at most `longest`.

    A message is whole blocks of one length, or one part of a block. So what somebody left of a block is a short message
    and does not have every block after it cut in two.
    """
    messages: list[list[bytes]] = []
    names: list[str] = []
    simulated = False
    left = n
    while left:
        head = held[0]
        size = len(head.data)
        simulated |= head.simulated
        if head.position or size > min(left, longest):
            part, name = _part(held, min(left, longest))
            messages.append([part])
            names.append(name)
            left -= len(part)
        else:
            blocks = _run(held, left // size)
            simulated |= True in [block.simulated for block in blocks]
            parts = [block.data for block in blocks]
            together = longest // size
            messages += [parts[at : at + together] for at in range(0, len(parts), together)]
            # one format for all: to write every end anew takes longer than the rest
            names.append(f":0-{size},".join([block.block_id for block in blocks]) + f":0-{size}")
            left -= size * len(blocks)
    return Messages(messages, n, ",".join(names), simulated)


def _part(held: deque[AnyHeld], most: int) -> tuple[bytes, str]:
    """Take at most `most` bytes off the first block; return them and their name."""
    head = held[0]
    start = head.position
    part = head.data[start : start + most]
    head.position = end = start + len(part)
    if end == len(head.data):
        held.popleft()
    return part, f"{head.block_id}:{start}-{end}"


def _run(held: deque[AnyHeld], most: int) -> list[AnyHeld]:
    """Take the first block and those that follow and are as long, at most `most`."""
    blocks = [held.popleft() for _ in range(min(most, len(held)))]
    lengths = [len(block.data) for block in blocks]
    alike = lengths.count(lengths[0])
    if alike < len(blocks):
        alike = next(at for at, length in enumerate(lengths) if length != lengths[0])
        held.extendleft(reversed(blocks[alike:]))
    return blocks[:alike]
