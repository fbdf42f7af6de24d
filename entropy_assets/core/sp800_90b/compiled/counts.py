"""Counts behind the collision, compression, t-tuple and LRS estimates of SP 800-90B 6.3.2 and 6.3.4 to 6.3.6."""

from typing import Any, Final

import numpy as np
from numba import types
from numba.extending import intrinsic

from entropy_assets.core.compiling import kernel


def _count_leading_zeros(_context: Any, _word: Any) -> Any:
    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], context.get_constant(types.boolean, False))

    return types.uint64(types.uint64), generate


_leading_zeros: Final[Any] = intrinsic(_count_leading_zeros)
"""Returns how many bits of a word before the first 1 are 0; of no bits at all, 64."""


@kernel
def collisions(bits: Any) -> Any:
    """Return how many searches end after 2 bits and after 3 (6.3.2 step 2)."""
    twos, threes, place, n = 0, 0, 0, len(bits)
    while place + 1 < n:
        if bits[place] == bits[place + 1]:
            twos += 1
            place += 2
        else:
            threes += place + 2 < n
            place += 3
    return twos, threes


@kernel
def distances(words: Any) -> Any:
    """Return for each word of 6 bits how far back the same word stands, and its 1-based position if nowhere."""
    found = np.empty(len(words), dtype=np.int64)
    latest = np.full(64, -1, dtype=np.int64)
    for place in range(len(words)):
        found[place] = place - latest[words[place]]
        latest[words[place]] = place
    return found


@kernel
def shared_symbols(ordered: Any, bits: int, widest: int) -> Any:
    """Return ``uint8[n - 1]``: how many symbols each window but the first shares with the one before it."""
    shared = np.empty(len(ordered) - 1, dtype=np.uint8)
    for place in range(len(shared)):
        alike: Any = np.int64(_leading_zeros(ordered[place + 1] ^ ordered[place])) // bits
        shared[place] = min(widest, alike)
    return shared


@kernel
def runs(shared: Any, widest: int) -> Any:
    """Return for each width how often its most frequent tuple occurs, 1 at least, and the pairs of equal tuples.

    Parameters
    ----------
    shared
        ``uint8[n]``, symbols that each window shares with the one before it, in ascending order.
    """
    begun, pairs = np.zeros(widest + 1, dtype=np.int64), np.zeros(widest + 1, dtype=np.int64)
    most = np.ones(widest + 1, dtype=np.int64)
    open_to, n = 0, len(shared)
    for place in range(n + 1):
        width: Any = np.int64(shared[place]) if place < n else 0
        for wider in range(open_to + 1, width + 1):
            begun[wider] = place
        for wider in range(width + 1, open_to + 1):
            length = place - begun[wider]
            pairs[wider] += length * (length + 1) // 2
            most[wider] = max(most[wider], length + 1)
        open_to = width
    return most[1:], pairs[1:]
