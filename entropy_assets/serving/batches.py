"""Many messages of pool bytes from one visit to the reservoir, with one text that names all their blocks.

A message for itself costs a call, an object per block and a note of its own, which together take longer than sending
it. Blocks are not joined here but when their message is sent, so that its bytes are still in the processor's cache.
"""

from collections import deque
from typing import NamedTuple, Protocol


class Held(Protocol):
    """A block that is given out from `position` on."""

    block_id: str
    data: bytes
    simulated: bool
    position: int


class Batch(NamedTuple):
    """Pool bytes for messages to come.

    Attributes
    ----------
    messages
        The parts of each message.
    n_bytes
        Their length in all.
    blocks
        Where they come from, in order: ``<block id>:<start>-<end>``, separated by commas, as in ``X-Entropy-Blocks``.
    simulated
        Whether a simulated block is among them.
    """

    messages: list[list[bytes]]
    n_bytes: int
    blocks: str
    simulated: bool


def cut_batch(held: deque[Held], n: int, longest: int) -> Batch:
    """Take `n` bytes off the beginning of `held`, which has as many, in messages of at most `longest`."""
    messages: list[list[bytes]] = []
    names: list[str] = []
    simulated = False
    for left in range(n, 0, -longest):
        parts: list[bytes] = []
        missing = min(left, longest)
        while missing:
            head = held[0]
            data, start = head.data, head.position
            end = start + missing
            if end < len(data):
                head.position = end
            else:
                end = len(data)
                held.popleft()
            parts.append(data[start:end])  # of a whole block that is no copy
            names.append(f"{head.block_id}:{start}-{end}")
            simulated |= head.simulated
            missing -= end - start
        messages.append(parts)
    return Batch(messages, n, ",".join(names), simulated)
