"""Squares without spikes; the middles and histograms of their coefficients."""

from typing import Any

import numpy as np

from entropy_assets.core.compiling import kernel


@kernel
def without_spikes(squares: Any, factor: float) -> Any:
    """Return ``int64[n, size, size]`` with each pixel brought within some distance of its four neighbours.

    The distance is `factor` times the upper median of every third residual in either axis, rounded up. Beyond the
    border the square is mirrored.
    """
    count, size, _ = squares.shape
    calm = np.empty_like(squares)
    residuals = np.empty((size // 3) ** 2, dtype=np.float64)
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
def middles(values: Any) -> Any:
    """Return the upper median of each ``float64[grid, order, value]``, whole numbers, as ``float64[grid, order]``."""
    grids, orders, count = values.shape
    found = np.empty((grids, orders), dtype=np.float64)
    line = np.empty(count, dtype=np.float64)
    for row in range(grids * orders):
        for place in range(count):
            line[place] = values[row // orders, row % orders, place]
        found[row // orders, row % orders] = _middle(line, count)
    return found


@kernel
def _middle(values: Any, count: int) -> float:
    """Return the upper median of the first `count` of the values, whole numbers; none of them stays in its place.

    What lies between two bounds is halved, and only the values of the half with the middle are kept, until the bounds
    meet. Which values are kept depends on no branch.
    """
    least, most = values[0], values[0]
    for place in range(count):
        least, most = min(least, values[place]), max(most, values[place])
    left, rank = count, count // 2
    while least < most:
        bound = np.floor((least + most) / 2)
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
