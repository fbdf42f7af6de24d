"""Squares without spikes; their coefficients, and the middles and histograms of these."""

from typing import Any, Final

import numpy as np

from entropy_assets.core.compiling import kernel

LANES: Final = 32
"""Squares that are worked on side by side."""


@kernel
def without_spikes(squares: Any, factor: float) -> Any:
    """Return ``[n, size, size]`` with each pixel brought within some distance of its four neighbours.

    The distance is `factor` times the upper median of every third residual in either axis, rounded up. Beyond the
    border the square is mirrored.
    """
    count, size, _ = squares.shape
    calm = np.empty_like(squares)
    residuals = np.empty((size // 3) ** 2, dtype=np.int64)
    for square in range(count):
        pixels, found = squares[square], 0
        for y in range(1, size - 1, 3):
            for x in range(1, size - 1, 3):
                around = pixels[y - 1, x] + pixels[y + 1, x] + pixels[y, x - 1] + pixels[y, x + 1]
                residuals[found] = abs(4 * pixels[y, x] - around)
                found += 1
        most = np.int64(np.ceil(factor * _middle(residuals, found)))
        for y in range(size):
            above, beneath = pixels[y - 1 if y else 1], pixels[y + 1 if y + 1 < size else size - 2]
            row = pixels[y]
            for x in range(1, size - 1):
                lowest, highest = min(row[x - 1], row[x + 1]), max(row[x - 1], row[x + 1])
                lowest, highest = min(lowest, above[x], beneath[x]), max(highest, above[x], beneath[x])
                calm[square, y, x] = min(max(row[x], lowest - most), highest + most)
            for x in range(0, size, size - 1):
                beside = row[1 if x == 0 else size - 2]
                lowest, highest = min(beside, above[x], beneath[x]), max(beside, above[x], beneath[x])
                calm[square, y, x] = min(max(row[x], lowest - most), highest + most)
    return calm


@kernel
def side_by_side(squares: Any) -> Any:
    """Return ``float64[group, x, y * lane]``: pixels at one place of up to `LANES` squares stand together."""
    count, size, _ = squares.shape
    lanes = min(LANES, count)
    planes = np.zeros(((count + lanes - 1) // lanes, size, size * lanes), dtype=np.float64)
    for square in range(count):
        plane, lane = planes[square // lanes], square % lanes
        for x in range(size):
            for y in range(size):
                plane[x, y * lanes + lane] = squares[square, y, x]
    return planes


@kernel
def coefficients(planes: Any, count: int, weights: Any, down: Any, across: Any, room: Any) -> Any:
    """Return the coefficients of squares on grids that share their columns, and whose rows begin one after the other.

    Parameters
    ----------
    planes
        As `side_by_side` has them: whole numbers, whose sums stay below 2**53.
    count
        Squares.
    weights
        ``float64[order, tap]``, a multiple of four taps.
    down
        ``int64[grid, place, order]``: the row at which the taps begin.
    across
        ``int64[place, order]``: the same of columns.
    room
        ``float64[n]`` for what is returned; the system would have to clear new room page by page.

    Returns
    -------
    numpy.ndarray
        ``float64[grid, order, value]``: orders down, then across; places down, then across, then squares.
    """
    groups, size, length = planes.shape
    lanes = length // size
    grids, places, orders = down.shape
    found = room[: grids * (orders * places) ** 2 * count].reshape(grids, orders * orders, places * places * count)
    column, line = np.empty(length, dtype=np.float64), np.empty(grids * lanes, dtype=np.float64)
    for group in range(groups):
        first = group * lanes
        held = min(lanes, count - first)
        for beside in range(places):
            for order in range(orders):
                _weighed(planes[group].ravel(), across[beside, order] * length, length, weights[order], column)
                for below in range(places):
                    start = (below * places + beside) * count + first
                    for other in range(orders):
                        _weighed(column, down[0, below, other] * lanes, lanes, weights[other], line)
                        for grid in range(grids):
                            target = found[grid, other * orders + order]
                            for lane in range(held):
                                target[start + lane] = line[grid * lanes + lane]
    return found


@kernel
def _weighed(values: Any, start: int, apart: int, weights: Any, target: Any) -> None:
    """Fill in the weighted sum of rows that begin so far `apart`, the first one at `start`; four at a time."""
    length = len(target)
    for row in range(0, len(weights), 4):
        begin = start + row * apart
        a, b = values[begin : begin + length], values[begin + apart : begin + apart + length]
        begin += 2 * apart
        c, d = values[begin : begin + length], values[begin + apart : begin + apart + length]
        p, q, r, s = weights[row], weights[row + 1], weights[row + 2], weights[row + 3]
        if row:
            for i in range(length):
                target[i] += (p * a[i] + q * b[i]) + (r * c[i] + s * d[i])
        else:
            for i in range(length):
                target[i] = (p * a[i] + q * b[i]) + (r * c[i] + s * d[i])


@kernel
def spread(values: Any, middles: Any, squares: int, apart: int) -> Any:
    """Return the median distance of some of the values from the middle of their order.

    Parameters
    ----------
    values, middles
        ``float64[grid, order, value]`` as `coefficients` returns them, and ``float64[grid, order]``.
    squares
        How many squares there are.
    apart
        Of so many values one is looked at, counted as if all places of a square stood together.
    """
    grids, orders, count = values.shape
    places = count // squares
    distances = np.empty((grids * orders * count + apart - 1) // apart, dtype=np.int64)
    for i in range(len(distances)):
        row, value = divmod(i * apart, count)
        grid, order = divmod(row, orders)
        own = values[grid, order, value % places * squares + value // places]
        distances[i] = abs(np.int64(own - middles[grid, order]))
    half = len(distances) // 2
    upper = _middle(distances.copy(), len(distances))
    below, lower = 0, np.int64(0)
    for distance in distances:
        below += distance < upper
        lower = max(lower, distance if distance < upper else np.int64(0))
    if len(distances) % 2 or below < half:
        lower = upper
    return (np.float64(lower) + np.float64(upper)) / 2


@kernel
def middles(values: Any) -> Any:
    """Return the upper median of each ``float64[grid, order, value]``, whole numbers, as ``float64[grid, order]``."""
    grids, orders, count = values.shape
    found = np.empty((grids, orders), dtype=np.float64)
    line = np.empty(count, dtype=np.int64)
    for row in range(grids * orders):
        for place in range(count):
            line[place] = np.int64(values[row // orders, row % orders, place])
        found[row // orders, row % orders] = _middle(line, count)
    return found


@kernel
def _middle(values: Any, count: int) -> int:
    """Return the upper median of the first `count` of ``int64[n]``; none of them stays in its place.

    What lies between two bounds is halved, and only the values of the half with the middle are kept, until the bounds
    meet. Which values are kept depends on no branch.
    """
    least, most = values[0], values[0]
    for place in range(count):
        least, most = min(least, values[place]), max(most, values[place])
    left, rank = count, count // 2
    while least < most:
        bound = (least + most) >> 1
        within = 0
        for place in range(left):
            within += values[place] <= bound
        upper = within <= rank
        target = 0
        for place in range(left):
            value = values[place]
            values[target] = value
            target += (value > bound) == upper
        left = target
        if upper:
            least, rank = bound + 1, rank - within
        else:
            most = bound
        if left == 1:
            least = most = values[0]
    return least


@kernel
def tallied(values: Any, middles: Any, bits: int, bins: int) -> Any:
    """Return how many of the values of each grid, less the middle of their order, fall into each bin, going round.

    Parameters
    ----------
    values
        ``float64[grid, order, value]``, whole numbers below 2**53.
    middles
        ``float64[grid, order]``.
    bits
        Width of a bin is two to this power.
    bins
        A power of two.

    Returns
    -------
    numpy.ndarray
        ``int64[grid, bin]``.
    """
    grids, orders, count = values.shape
    counts = np.zeros((grids, bins), dtype=np.int64)
    for grid in range(grids):
        for order in range(orders):
            for place in range(count):
                centred = np.int64(values[grid, order, place] - middles[grid, order])
                counts[grid, (centred >> bits) & (bins - 1)] += 1
    return counts
