"""Twin of `arrays.walks`: eight steps at a time where the walk is far from zero."""

from typing import Any

import numpy as np

from entropy_assets.core.compiling import kernel
from entropy_assets.core.sp800_22.arrays.walks import FAR, MOST_VISITS, NEAR
from entropy_assets.core.sp800_22.packed import PackedBits


def walk(bits: PackedBits) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ends, the cycles and the visits of the sums of a sequence, as its twin does."""
    steps = 2 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.int64) - 1
    sums = np.cumsum(steps, axis=1)
    ends = np.zeros(4, dtype=np.int64)
    cycles = np.zeros((2 * NEAR + 1, MOST_VISITS + 1), dtype=np.int64)
    visits = np.zeros(2 * FAR + 1, dtype=np.int64)
    _walk(bits.data, bits.n, sums[:, -1].copy(), sums.max(axis=1), sums.min(axis=1), ends, cycles, visits)
    return ends, cycles, visits


@kernel
def _walk(data: Any, n: int, step: Any, up: Any, down: Any, ends: Any, cycles: Any, visits: Any) -> None:
    """Fill `ends`, `cycles` and `visits`; `step`, `up` and `down` tell of each byte where it leads and how far."""
    near, most, far = (cycles.shape[0] - 1) // 2, cycles.shape[1] - 1, (len(visits) - 1) // 2
    begun = np.zeros(len(cycles), dtype=np.int64)
    place: Any = 0
    largest, smallest, zeros = 0, 0, 0
    for at in range(len(data)):
        byte = np.int64(data[at])
        left = n - 8 * at
        if left >= 8 and abs(place) > far + 8:
            largest = max(largest, place + up[byte])
            smallest = min(smallest, place + down[byte])
            place += step[byte]
            continue
        for bit in range(min(left, 8)):
            place += 2 * ((byte >> (7 - bit)) & 1) - 1
            largest, smallest = max(largest, place), min(smallest, place)
            if abs(place) <= far:
                visits[place + far] += 1
                if place == 0:
                    zeros += 1
                    for state in range(len(begun)):
                        cycles[state, min(begun[state], most)] += 1
                        begun[state] = 0
                elif abs(place) <= near:
                    begun[place + near] += 1
    if place != 0:
        for state in range(len(begun)):
            cycles[state, min(begun[state], most)] += 1
    ends[0], ends[1], ends[2], ends[3] = place, largest, smallest, zeros + (place != 0)
