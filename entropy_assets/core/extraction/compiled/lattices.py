"""Squares without spikes; the middles and histograms of their coefficients."""

from typing import Any

import numpy as np

from entropy_assets.core.compiling import kernel


@kernel
def without_spikes(squares: Any, most: Any) -> Any:
    """Return ``int64[n, size, size]`` with each pixel brought within ``most[n]`` of its four neighbours.

    Beyond the border the square is mirrored.
    """
    calm = np.empty_like(squares)
    count, size, _ = squares.shape
    for square in range(count):
        pixels = squares[square]
        for y in range(size):
            above, beneath = pixels[y - 1 if y else 1], pixels[y + 1 if y + 1 < size else size - 2]
            for x in range(size):
                left, right = pixels[y, x - 1 if x else 1], pixels[y, x + 1 if x + 1 < size else size - 2]
                lowest = min(min(above[x], beneath[x]), min(left, right))
                highest = max(max(above[x], beneath[x]), max(left, right))
                calm[square, y, x] = min(max(pixels[y, x], lowest - most[square]), highest + most[square])
    return calm


@kernel
def middles(values: Any) -> Any:
    """Return the upper median of each ``float64[grid, order, value]``, whole numbers, as ``float64[grid, order]``.

    What lies between two bounds is halved, and only the values of the half with the middle are kept, until the bounds
    meet. Which values are kept depends on no branch.
    """
    grids, orders, count = values.shape
    found = np.empty((grids, orders), dtype=np.float64)
    kept = np.empty(count, dtype=np.float64)
    for row in range(grids * orders):
        line = values[row // orders, row % orders]
        least, most = line[0], line[0]
        for place in range(count):
            kept[place] = line[place]
            least, most = min(least, line[place]), max(most, line[place])
        left, rank = count, count // 2
        while least < most:
            bound = np.floor((least + most) / 2)
            within = 0
            for place in range(left):
                within += kept[place] <= bound
            upper = within <= rank
            target = 0
            for place in range(left):
                value = kept[place]
                kept[target] = value
                target += (value > bound) == upper
            left = target
            if upper:
                least, rank = bound + 1, rank - within
            else:
                most = bound
            if left == 1:
                least = most = kept[0]
        found[row // orders, row % orders] = least
    return found


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
