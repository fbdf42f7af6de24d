"""Jumps between columns, and the windows that are compared for copies."""

from typing import Any

import numpy as np

from entropy_assets.core.compiling import kernel


@kernel
def column_jumps(squares: Any, limit: int) -> Any:
    """Return the summed third differences along rows by column, ``int64[size - 3]``.

    Parameters
    ----------
    squares
        ``int32[n, size, size]``, below 2**27.
    limit
        No jump counts for more than so many times one more than the upper median of all.
    """
    count, size, _ = squares.shape
    jumps = np.empty(count * size * (size - 3), dtype=np.int32)
    largest, place = np.int32(0), 0
    for square in range(count):
        for y in range(size):
            row = squares[square, y]
            for x in range(size - 3):
                jump = np.int32(abs(row[x] - row[x + 3] - 3 * (row[x + 1] - row[x + 2])))
                jumps[place + x] = jump
                largest = max(largest, jump)
            place += size - 3
    least, most = np.int64(0), np.int64(largest)
    while least < most:
        bound = np.int32((least + most) >> 1)
        within = np.int32(0)
        for i in range(len(jumps)):
            within += np.int32(jumps[i] <= bound)
        if within > len(jumps) // 2:
            most = np.int64(bound)
        else:
            least = np.int64(bound) + 1
    sums = np.zeros(size - 3, dtype=np.int64)
    most = min(limit * (least + 1), np.int64(largest))
    for place in range(0, len(jumps), size - 3):
        for x in range(size - 3):
            sums[x] += min(np.int64(jumps[place + x]), most)
    return sums


@kernel
def anchored(steps: Any, live: Any, size: int, factors: Any, below: int, key_factor: int) -> Any:
    """Return the square and the key of each window that is compared, ``int64[n]`` and ``uint64[n]``, in reading order.

    Parameters
    ----------
    steps
        ``[ny, nx]``, ADC steps.
    live
        ``bool[sy, sx]``, the squares to look at.
    size
        Side of a square, pixels.
    factors
        ``uint8[2, 4]``, by which the corner of a window is mixed into a byte.
    below
        Windows whose corner has a lower byte are compared.
    key_factor
        By which the 4 x 8 slopes of a window are mixed into its key.
    """
    height, width = min(steps.shape[0] - 3, live.shape[0] * size), min(steps.shape[1] - 8, live.shape[1] * size)
    owners, keys = np.empty(1024, dtype=np.int64), np.empty(1024, dtype=np.uint64)
    upper, lower = np.empty(steps.shape[1] - 1, dtype=np.uint8), np.empty(steps.shape[1] - 1, dtype=np.uint8)
    mixed = np.empty(max(width, 0), dtype=np.uint8)
    found = 0
    for y in range(height):
        for x in range(steps.shape[1] - 1):
            upper[x] = np.uint8(np.uint8(steps[y, x + 1]) - np.uint8(steps[y, x]))
            lower[x] = np.uint8(np.uint8(steps[y + 1, x + 1]) - np.uint8(steps[y + 1, x]))
        _mix(upper, lower, factors, mixed)
        for x in range(width):
            if mixed[x] >= below or not live[y // size, x // size]:
                continue
            if found == len(keys):
                owners, keys = _doubled(owners), _doubled(keys)
            owners[found] = y // size * live.shape[1] + x // size
            keys[found] = _key(steps, y, x, np.uint64(key_factor))
            found += 1
    return owners[:found], keys[:found]


@kernel
def _doubled(values: Any) -> Any:
    """Return an array of twice the length that begins with the values."""
    longer = np.empty(2 * len(values), dtype=values.dtype)
    for place in range(len(values)):
        longer[place] = values[place]
    return longer


@kernel
def _mix(upper: Any, lower: Any, factors: Any, mixed: Any) -> None:
    """Fill in the byte that the 2 x 4 slopes from each place on are mixed into."""
    a, b, c, d = factors[0, 0], factors[0, 1], factors[0, 2], factors[0, 3]
    e, f, g, h = factors[1, 0], factors[1, 1], factors[1, 2], factors[1, 3]
    for x in range(len(mixed)):
        above = np.uint8(upper[x] * a + upper[x + 1] * b + upper[x + 2] * c + upper[x + 3] * d)
        mixed[x] = np.uint8(above + lower[x] * e + lower[x + 1] * f + lower[x + 2] * g + lower[x + 3] * h)


@kernel
def _key(steps: Any, y: int, x: int, factor: Any) -> Any:
    """Return the slopes of a window as one number of 64 bits: each row is eight bytes, the first one lowest."""
    key = np.uint64(0)
    for row in range(y, y + 4):
        eight = np.uint64(0)
        for column in range(8):
            slope = np.uint8(np.uint8(steps[row, x + column + 1]) - np.uint8(steps[row, x + column]))
            eight |= np.uint64(slope) << np.uint64(8 * column)
        key = (key ^ eight) * factor
        key ^= key >> np.uint64(29)
    return key
