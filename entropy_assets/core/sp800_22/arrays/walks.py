"""The walk of sums S_k of +1 and -1: its ends, and what it visits between its zeros (SP 800-22 2.13 to 2.15)."""

from typing import Final

import numpy as np

from entropy_assets.core.sp800_22.packed import PackedBits, pieces

NEAR: Final = 4
"""States whose visits are counted cycle by cycle: -4 to 4 (2.14)."""
FAR: Final = 9
"""States whose visits are counted in all: -9 to 9 (2.15)."""
MOST_VISITS: Final = 5
"""From so many visits of a cycle on they are counted as one class."""


def walk(bits: PackedBits) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what the sums of a sequence do.

    Returns
    -------
    ends
        ``int64[4]``: the last sum, the largest, the smallest (the sum 0 before the first bit is one of them), and J:
        the cycles from zero to zero, one of them cut off by the end unless the last sum is 0.
    cycles
        ``int64[9, 6]``: how many cycles visit the state ``row - 4`` 0, 1, ... 4 times and 5 times or more.
    visits
        ``int64[19]``: how often the state ``index - 9`` is visited.
    """
    visits = np.zeros(2 * FAR + 1, dtype=np.int64)
    cycles = np.zeros((2 * NEAR + 1, MOST_VISITS + 1), dtype=np.int64)
    begun = np.zeros(2 * NEAR + 1, dtype=np.int64)
    last = largest = smallest = 0
    for start, stop in pieces(bits.n):
        unpacked = np.unpackbits(bits.data[start // 8 : -(-stop // 8)], count=stop - start)
        sums = np.cumsum(unpacked.astype(np.int8) * np.int8(2) - np.int8(1), dtype=np.int64) + last
        last, largest = int(sums[-1]), max(largest, int(sums.max()))
        smallest = min(smallest, int(sums.min()))
        states = sums[np.abs(sums) <= FAR] + FAR
        visits += np.bincount(states, minlength=len(visits))
        begun = _count_cycles(states - FAR, begun, cycles)
    if last:
        _add(cycles, begun[None])
    ends = np.array([last, largest, smallest, int(visits[FAR]) + (last != 0)])
    return ends, cycles, visits


def _count_cycles(states: np.ndarray, begun: np.ndarray, cycles: np.ndarray) -> np.ndarray:
    """Count the cycles that end here, the first of which has `begun`; return the visits of the one that goes on."""
    number = np.cumsum(states == 0)
    near = np.abs(states) <= NEAR
    width = 2 * NEAR + 1
    rows = int(number[-1]) + 1 if len(number) else 1
    places = number[near] * width + (states[near] + NEAR)
    seen = np.bincount(places, minlength=rows * width).reshape(rows, width)
    seen[:, NEAR] = 0
    seen[0] += begun
    _add(cycles, seen[:-1])
    return np.asarray(seen[-1])


def _add(cycles: np.ndarray, seen: np.ndarray) -> None:
    for state, counts in enumerate(np.minimum(seen, MOST_VISITS).T):
        cycles[state] += np.bincount(counts, minlength=MOST_VISITS + 1)
