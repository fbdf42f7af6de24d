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
    """Return the upper median of each row of ``float64[n, value]``, whole numbers: half of the row is not above it."""
    found = np.empty(len(values), dtype=np.float64)
    half = values.shape[1] // 2
    for row in range(len(values)):
        lowest, highest = values[row, 0], values[row, 0]
        for place in range(values.shape[1]):
            lowest, highest = min(lowest, values[row, place]), max(highest, values[row, place])
        least, most = np.int64(lowest), np.int64(highest)
        while least < most:
            bound = (least + most) >> 1
            limit = np.float64(bound)
            within = 0
            for place in range(values.shape[1]):
                within += values[row, place] <= limit
            if within > half:
                most = bound
            else:
                least = bound + 1
        found[row] = np.float64(least)
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
