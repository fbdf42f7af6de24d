"""What is counted on each square of a channel."""

from typing import Any, Final

import numpy as np

from entropy_assets.core.compiling import kernel

NARROW_ENERGY: Final = 4096
"""Largest residual of which 127 squares add up in int32."""


@kernel
def counted(steps: Any, size: int, bottom: int, top: int) -> Any:
    """Return ``int64[9, square]``, by row, then by column: what `squares.SquareCounts` holds, in its order.

    Parameters
    ----------
    steps
        ``[ny, nx]``, ADC steps.
    size
        Side of a square, pixels.
    bottom, top
        Codes at which pixels are clipped, or codes that no pixel has.
    """
    rows, columns, inner = steps.shape[0] // size, steps.shape[1] // size, size - 2
    found = np.empty((9, rows * columns), dtype=np.int64)
    square = np.empty((size, size), dtype=steps.dtype)
    residual = np.empty((inner, inner), dtype=steps.dtype)
    magnitude = np.empty(inner * inner, dtype=steps.dtype)
    for place in range(rows * columns):
        odd, lowest, highest = np.int32(0), np.int32(0), np.int32(0)
        for y in range(size):
            for x in range(size):
                code = steps[place // columns * size + y, place % columns * size + x]
                square[y, x] = code
                odd += np.int32(code & 1)
                lowest += np.int32(np.int32(code) == np.int32(bottom))
                highest += np.int32(np.int32(code) == np.int32(top))
        largest = _residuals(square, residual, magnitude)
        found[0, place], found[1, place] = _middle(magnitude, largest), largest
        found[2, place], found[3, place], found[4, place] = _products(residual, largest)
        busy = np.int32(0)
        for i in range(inner * inner):
            busy += np.int32(magnitude[i] != 0)
        found[5, place], found[6, place], found[7, place], found[8, place] = busy, odd, lowest, highest
    return found


@kernel
def _residuals(square: Any, residual: Any, magnitude: Any) -> Any:
    """Fill in the Laplacian of a square, and its magnitudes; return the largest of these."""
    inner = len(residual)
    largest = residual.dtype.type(0)
    for y in range(inner):
        for x in range(inner):
            around = square[y, x + 1] + square[y + 2, x + 1] + square[y + 1, x] + square[y + 1, x + 2]
            value = residual.dtype.type(4 * square[y + 1, x + 1] - around)
            residual[y, x] = value
            value = max(value, residual.dtype.type(-value))
            magnitude[y * inner + x] = value
            largest = max(largest, value)
    return np.int64(largest)


@kernel
def _middle(magnitude: Any, largest: int) -> Any:
    """Return the upper median of values from 0 to `largest`: the least one that more than half don't exceed."""
    half = len(magnitude) // 2
    least: Any = 0
    most: Any = largest
    while least < most:
        bound = magnitude.dtype.type((least + most) >> 1)
        within = np.int32(0)
        for i in range(len(magnitude)):
            within += np.int32(magnitude[i] <= bound)
        if within > half:
            most = np.int64(bound)
        else:
            least = np.int64(bound) + 1
    return least


@kernel
def _products(residual: Any, largest: int) -> Any:
    """Return the sums of the products of each residual with itself, the one to its right, and the one below."""
    inner = len(residual)
    energy, along, across = np.int64(0), np.int64(0), np.int64(0)
    for y in range(inner):
        row, beneath = residual[y], residual[min(y + 1, inner - 1)]
        own, right, below = (
            _row_products(row, beneath) if largest <= NARROW_ENERGY else _wide_row_products(row, beneath)
        )
        energy += own
        along += right
        if y + 1 < inner:
            across += below
    return energy, along, across


@kernel
def _row_products(row: Any, beneath: Any) -> Any:
    """Return the same of one row, whose sums fit int32."""
    own, right, below = np.int32(0), np.int32(0), np.int32(0)
    for x in range(len(row)):
        value = np.int32(row[x])
        own = np.int32(own + value * value)
        below = np.int32(below + value * np.int32(beneath[x]))
    for x in range(len(row) - 1):
        right = np.int32(right + np.int32(row[x]) * np.int32(row[x + 1]))
    return np.int64(own), np.int64(right), np.int64(below)


@kernel
def _wide_row_products(row: Any, beneath: Any) -> Any:
    """Return the same of one row of larger residuals."""
    own, right, below = np.int64(0), np.int64(0), np.int64(0)
    for x in range(len(row)):
        own += np.int64(row[x]) * np.int64(row[x])
        below += np.int64(row[x]) * np.int64(beneath[x])
    for x in range(len(row) - 1):
        right += np.int64(row[x]) * np.int64(row[x + 1])
    return own, right, below


@kernel
def lined(steps: Any, size: int) -> Any:
    """Return ``bool[square]``: a row or column of the square is constant or a copy of its neighbour."""
    rows, columns = steps.shape[0] // size, steps.shape[1] // size
    found = np.empty(rows * columns, dtype=np.bool_)
    for place in range(rows * columns):
        y, x = place // columns * size, place % columns * size
        square = steps[y : y + size, x : x + size]
        found[place] = _has_line(square) or _has_line(square.T)
    return found


@kernel
def _has_line(square: Any) -> bool:
    """Tell whether a row is constant or the same as the next one; most are told apart by their first pixels."""
    size = len(square)
    for y in range(size):
        constant, copied = True, y + 1 < size
        x = 0
        while x < size and (constant or copied):
            constant = constant and square[y, x] == square[y, 0]
            copied = copied and square[y, x] == square[y + 1, x]
            x += 1
        if constant or copied:
            return True
    return False


@kernel
def strongest(steps: Any, tops: Any, lefts: Any, size: int, reach: int, parts: int) -> Any:
    """Return row, column and magnitude of the largest residual in each part of each square, ``int64[3, part]``.

    Parameters
    ----------
    steps
        ``[ny, nx]``, ADC steps.
    tops, lefts
        ``int64[square]``, where each square begins.
    size
        Side of a square, pixels.
    reach
        Pixels on its borders that are left out.
    parts
        Parts per side of a square; the first of equals counts.
    """
    side = (size - 2 * reach) // parts
    found = np.empty((3, len(tops) * parts * parts), dtype=np.int64)
    pixels = np.empty((side + 2, side + 2), dtype=steps.dtype)
    residual, magnitude = np.empty((side, side), dtype=steps.dtype), np.empty(side * side, dtype=steps.dtype)
    for part in range(found.shape[1]):
        square, place = part // (parts * parts), part % (parts * parts)
        top, left = reach + place // parts * side, reach + place % parts * side
        for y in range(side + 2):
            for x in range(side + 2):
                pixels[y, x] = steps[tops[square] + top - 1 + y, lefts[square] + left - 1 + x]
        most, where = _residuals(pixels, residual, magnitude), 0
        while magnitude[where] != most:
            where += 1
        found[0, part], found[1, part], found[2, part] = top + where // side, left + where % side, most
    return found


@kernel
def unstriped(steps: Any, tops: Any, lefts: Any, side: int) -> Any:
    """Return what `templates._without_stripes` leaves of the residuals of windows, ``int64[n, side, side]``.

    Parameters
    ----------
    steps
        ``[ny, nx]``, ADC steps.
    tops, lefts
        ``int64[n]``, where each window begins, with the pixel around it that its filter takes in.
    """
    found = np.empty((len(tops), side, side), dtype=np.int64)
    pixels, threes = np.empty((side + 2, side + 2), dtype=np.int64), np.empty((side + 2, side), dtype=np.int64)
    residual, columns = np.empty((side, side), dtype=np.int64), np.empty(side, dtype=np.int64)
    for window in range(len(tops)):
        for y in range(side + 2):
            for x in range(side + 2):
                pixels[y, x] = steps[tops[window] + y, lefts[window] + x]
            for x in range(side):
                threes[y, x] = pixels[y, x] + pixels[y, x + 1] + pixels[y, x + 2]
        columns[:] = 0
        for y in range(side):
            for x in range(side):
                residual[y, x] = 9 * pixels[y + 1, x + 1] - threes[y, x] - threes[y + 1, x] - threes[y + 2, x]
                columns[x] += residual[y, x]
        whole = columns.sum()
        for y in range(side):
            row = residual[y].sum()
            for x in range(side):
                found[window, y, x] = side * side * residual[y, x] - side * (row + columns[x]) + whole
    return found


@kernel
def described(windows: Any, ways: Any, beside: Any, far: Any, levels: int) -> Any:
    """Return what `templates._described` does, ``float32[n, value]``.

    Parameters
    ----------
    windows
        ``int64[n, place]``.
    ways
        ``int64[way, place]``: which place comes to each place.
    beside
        ``int64[3]``: the places above, to the left and to the right of the middle.
    far
        ``int64[value]``, the places that are compared.
    levels
        Largest magnitude.
    """
    found = np.empty((len(windows), len(far)), dtype=np.float32)
    own = np.empty(windows.shape[1], dtype=np.int64)
    for window in range(len(windows)):
        sign = np.sign(windows[window, windows.shape[1] // 2])
        for place in range(len(own)):
            own[place] = sign * windows[window, place]
        most = own[ways[0, beside[0]]]
        for way in range(len(ways)):
            most = max(most, own[ways[way, beside[0]]])
        chosen: Any = -1
        for way in range(len(ways)):
            top, left, right = own[ways[way, beside[0]]], own[ways[way, beside[1]]], own[ways[way, beside[2]]]
            if chosen < 0 and top == most and left >= right:
                chosen = way
        turned, largest = ways[max(chosen, 0)], np.int64(1)
        for place in far:
            largest = max(largest, abs(own[turned[place]]))
        for value in range(len(far)):
            found[window, value] = own[turned[far[value]]] * levels // largest
    return found
