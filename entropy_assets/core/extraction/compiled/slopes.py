"""A plane taken off each square of each phase of a mosaic."""

from typing import Any

import numpy as np

from entropy_assets.core.compiling import kernel


@kernel
def less_planes(
    laid: Any, plane: Any, values: Any, period: int, looked_at: int, limit: Any, bits: int, shift: int, most: int
) -> None:
    """Write into `plane` what `slopes._less_planes` does, a mosaic as the sensor lies.

    Parameters
    ----------
    laid
        ``[ny, nx]``, its phases side by side, ADC steps.
    values
        ``[side, side]``, room for a square of a phase; of a type that holds all sums of a row.
    looked_at
        Pixels of a square whose median is taken.
    limit
        Median distances that a pixel counts for at most, as a fraction.
    bits
        Parts of a step in the result, as a power of two.
    shift
        Bits behind the point of a plane.
    most
        Largest magnitude of the result.
    """
    up, down = max(0, bits), max(0, -bits)
    side, kind = len(values), values.dtype.type
    rows, columns = laid.shape[0] // period, laid.shape[1] // period
    sample, of_columns = np.empty(looked_at, dtype=values.dtype), np.empty(side, dtype=values.dtype)
    rises = np.empty(side, dtype=values.dtype)
    parts, squared = np.int64(1) << (up + shift), side * (side * (side * side - 1) // 3)
    for square in range((rows // side) * (columns // side)):
        top, left = square // (columns // side) * side, square % (columns // side) * side
        for phase in range(period * period):
            a, b = phase // period, phase % period
            part = laid[a * rows + top : a * rows + top + side, b * columns + left : b * columns + left + side]
            middle, reach = _middle_and_reach(part, sample, limit)
            total, fall, rise = _moments(part, values, of_columns, middle, reach >> down, down)
            mean = total * parts // (side * side) + (np.int64(1) << (shift - 1))
            fall, rise = fall * parts // squared, rise * parts // squared
            for x in range(side):
                rises[x] = kind((2 * x - (side - 1)) * rise)
            for y in range(side):
                level = kind(mean + (2 * y - (side - 1)) * fall)
                target = plane[(top + y) * period + a]
                for x in range(side):
                    value = kind(kind(values[y, x] << up) - kind(kind(level + rises[x]) >> shift))
                    target[(left + x) * period + b] = min(max(value, -kind(most)), kind(most))


@kernel
def _middle_and_reach(part: Any, sample: Any, limit: Any) -> Any:
    """Return the median of a square, and how far from it a pixel counts in full."""
    side = len(part)
    for n in range(len(sample)):
        sample[n] = part[n % side, (5 * n + n // side * (side // 2)) % side]
    middle = _upper_middle(sample)
    for n in range(len(sample)):
        sample[n] = abs(sample[n] - middle)
    width = max(np.int64(1), _upper_middle(sample))
    return middle, (width * limit[0] + limit[1] - 1) // limit[1]


@kernel
def _upper_middle(values: Any) -> Any:
    """Return the upper median: the least value that more than half don't exceed."""
    half = len(values) // 2
    least, most = np.int64(values.min()), np.int64(values.max())
    while least < most:
        bound = least + (most - least) // 2
        within, compared = np.int32(0), values.dtype.type(bound)
        for n in range(len(values)):
            within += np.int32(values[n] <= compared)
        if within > half:
            most = bound
        else:
            least = bound + 1
    return least


@kernel
def _moments(part: Any, values: Any, of_columns: Any, middle: int, reach: int, down: int) -> Any:
    """Fill in a square less its median; return its sum, and those by row and by column times twice their place."""
    side, kind = len(values), values.dtype.type
    level, most = kind(middle), kind(reach)
    total, fall, rise = np.int64(0), np.int64(0), np.int64(0)
    of_columns[:] = 0
    for y in range(side):
        of_row = kind(0)
        for x in range(side):
            value = kind(kind(part[y, x]) - level) >> down
            values[y, x] = value
            clipped = kind(min(max(value, -most), most))
            of_row = kind(of_row + clipped)
            of_columns[x] = kind(of_columns[x] + clipped)
        total += np.int64(of_row)
        fall += (2 * y - (side - 1)) * np.int64(of_row)
    for x in range(side):
        rise += (2 * x - (side - 1)) * np.int64(of_columns[x])
    return total, fall, rise
