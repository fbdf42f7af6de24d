"""Templates: noise that stands in a frame more than once, in any orientation, sign and gain, under noise of its own.

Film grain that a player adds is cut from a small template, and a tile of real pixels can be turned, mirrored, negated,
rolled and covered with a little noise until no two copies have equal pixels. So what is compared are windows about the
strongest pixel of a square, which is the strongest one in most copies too, turned until the largest of its neighbours
is on top. All of them are held against each other: copies correlate, and the noise of a sensor never does.

Every live square is looked at. Of a large frame only the strongest windows are compared: those of a copy are as strong.
"""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.arrays import (
    Places,
    in_pieces,
    is_on_host,
    namespace_of,
    on_host,
    windows_at,
)
from entropy_assets.core.extraction.compiled import loops, loops_for
from entropy_assets.core.extraction.squares import (
    LAPLACIAN_NORM,
    SQUARES_AT_ONCE,
    PerSquare,
    Steps,
    laplacian,
)

MOST_WINDOWS: Final = 512
"""Windows that are compared at most."""
MOST_PER_SIDE: Final = 4
"""Cells per side of a square, each with a window of its own, where there are few squares."""
WINDOW: Final = 9
"""Side of a window, pixels: it lies whole in a copy that is a little larger."""
REACH: Final = WINDOW // 2 + 1
"""Pixels to either side of the middle of a window that it takes, with those that its filter takes in."""
STRONGEST: Final = 4
"""Largest residual by which windows are chosen where there are too many, sigma: the largest of a square of noise lies
below; beyond are faint stars."""
HELD_BACK: Final = 1
"""Pixels around the middle of a window that are not compared: the strongest pixel and its neighbours, by which it was
turned, are alike in all windows."""
BOX_NORM: Final = 72**0.5
"""Root of the sum of squared weights of the filter (8, and -1 for each of the eight neighbours)."""
OUTLIER: Final = 6
"""Largest residual in a window, sigma: beyond it are stars, hot pixels and cosmic rays, which look alike."""
LEVELS: Final = 127
"""Largest magnitude of a value that is compared: the 72 products of a pair add up exactly in float32."""
ALIKE: Final = 0.8
"""Correlation beyond which two windows are copies. Of the 524,000 pairs of a frame of independent noise the best has
0.6; 72 values correlate by more than 0.8 once in 10**14 pairs."""
LEAST_ALIKE: Final = 3
"""Fewest windows with a copy that say something: more than one pair."""
AT_ONCE: Final = 48
"""Windows whose products with as many others are formed at once: too few for BLAS to wake its threads, which would wait
longer than they work."""


def repeated_noise_share(steps: Steps, live: npt.NDArray[np.bool_], sigma: PerSquare, size: int) -> float:
    """Return the share of windows of noise that stand in another live square too.

    Parameters
    ----------
    steps, live, sigma, size
        As of `repeated_noise`.

    Returns
    -------
    float
        0 for noise, .1 to 1 for templates; 0 where less than `LEAST_ALIKE` windows have a copy.
    """
    _, alike = repeated_noise(steps, live, sigma, size)
    return float(alike.mean()) if np.count_nonzero(alike) >= LEAST_ALIKE else 0.0


def repeated_noise(
    steps: Steps, live: npt.NDArray[np.bool_], sigma: PerSquare, size: int, parts: int = 1
) -> tuple[Places, npt.NDArray[np.bool_]]:
    """Return of windows of noise the row of the square that they are in, and whether another live square has it too.

    Parameters
    ----------
    steps
        ``[ny, nx]``, pixels in ADC steps.
    live
        ``bool[sy, sx]``, the squares to look at.
    sigma
        ``float64[sy, sx]``, noise in ADC steps.
    size
        Side of a square, pixels; at least 24.
    parts
        Parts of equal height that the frame is made of. What two of them show at the same place is a pattern of the
        sensor, and no copy.
    """
    rows, columns = np.nonzero(live)
    if not len(rows):
        return rows, np.zeros(0, dtype=np.bool_)
    per_side = min(MOST_PER_SIDE, max(1, int((MOST_WINDOWS / max(1, len(rows))) ** 0.5)))
    noise = sigma[rows, columns]
    square, y, x = _middles(steps, rows, columns, noise, size, per_side)
    residuals = _residuals(steps, y - REACH, x - REACH)
    is_noise = np.abs(residuals).max(axis=(1, 2)) <= OUTLIER * WINDOW**2 * BOX_NORM * noise[square]
    row = rows[square[is_noise]]
    if len(row) < LEAST_ALIKE:
        return row, np.zeros(len(row), dtype=np.bool_)
    place = row % (len(live) // parts) * live.shape[1] + columns[square[is_noise]]
    return row, _alike(_described(residuals[is_noise]), place)


def _middles(
    steps: Steps, rows: Places, columns: Places, noise: PerSquare, size: int, per_side: int
) -> tuple[Places, Places, Places]:
    """Return of up to `MOST_WINDOWS` strongest pixels the square that they are in, and their place in the frame.

    Each square has `per_side` x `per_side` of them; of too many, the strongest ones that need no star to be so strong.
    """
    if (compiled := loops_for(steps)) is not None:
        y, x, residual = compiled.squares.strongest(steps, rows * size, columns * size, size, REACH, per_side)
    else:
        y, x, residual = _strongest_of(steps, rows, columns, size, per_side)
    square = np.arange(len(rows)).repeat(per_side**2)
    if len(square) > MOST_WINDOWS:
        strength = residual / (LAPLACIAN_NORM * noise[square])
        order = np.argsort(np.where(strength > STRONGEST, 0, -strength), kind="stable")
        chosen = np.sort(order[:MOST_WINDOWS])
        square, y, x = square[chosen], y[chosen], x[chosen]
    return square, rows[square] * size + y, columns[square] * size + x


def _strongest_of(
    steps: Steps, rows: Places, columns: Places, size: int, per_side: int
) -> tuple[Places, Places, Places]:
    """Return row, column and residual of the pixel with the largest one in each cell of those squares."""

    def strongest(part: slice) -> tuple[Places, Places, npt.NDArray[np.integer]]:
        return _strongest(windows_at(steps, rows[part] * size, columns[part] * size, size, size), per_side)

    found = in_pieces(strongest, len(rows), SQUARES_AT_ONCE, whole=not is_on_host(steps))
    y, x, residual = (np.concatenate(values) for values in zip(*found, strict=True))
    return y, x, residual


def _strongest(squares: Steps, per_side: int) -> tuple[Places, Places, npt.NDArray[np.integer]]:
    """Return row, column and residual of the pixel with the largest one in each cell of each of the squares."""
    xp = namespace_of(squares)
    count, size, _ = squares.shape
    side = (size - 2 * REACH) // per_side
    inside = slice(REACH - 1, REACH - 1 + per_side * side)
    whole = xp.abs(laplacian(squares))[:, inside, inside]
    cells = xp.permute_dims(xp.reshape(whole, (count, per_side, side, per_side, side)), (0, 1, 3, 2, 4))
    flat = xp.reshape(cells, (count * per_side**2, side * side))
    place, largest = on_host(xp.argmax(flat, axis=1)), on_host(xp.max(flat, axis=1))
    cell = np.arange(len(place)) % per_side**2
    y, x = REACH + cell // per_side * side + place // side, REACH + cell % per_side * side + place % side
    return y, x, largest


def _residuals(steps: Steps, tops: Places, lefts: Places) -> npt.NDArray[np.int64]:
    """Return the residuals of the windows that begin there, without stripes, ``int64[n, WINDOW, WINDOW]``."""
    if (compiled := loops_for(steps)) is not None:
        found: npt.NDArray[np.int64] = compiled.squares.unstriped(steps, tops, lefts, WINDOW)
        return found
    around = on_host(windows_at(steps, tops, lefts, 2 * REACH + 1, 2 * REACH + 1))
    return _without_stripes(_box_residual(around.astype(np.int64)))


def _box_residual(plane: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return nine times each pixel less the sum of the nine around it: whiter than the Laplacian of white noise."""
    rows = plane[:, :, :-2] + plane[:, :, 1:-1] + plane[:, :, 2:]
    residual: npt.NDArray[np.int64] = 9 * plane[:, 1:-1, 1:-1] - rows[:, :-2] - rows[:, 1:-1] - rows[:, 2:]
    return residual


def _without_stripes(windows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return `windows` less the mean of each row and column, times their pixels: banding is alike across the frame."""
    rows, columns = (windows.sum(axis=axis, keepdims=True) for axis in (2, 1))
    flat: npt.NDArray[np.int64] = WINDOW**2 * windows - WINDOW * (rows + columns) + rows.sum(axis=1, keepdims=True)
    return flat


def _described(windows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return ``[n, value]`` of whole numbers, which are the same for a window turned, mirrored, negated or amplified.

    The middle becomes positive, its largest neighbour comes on top, and the larger one beside that to the left.
    """
    ways, beside, far = _ways()
    flat = windows.reshape(len(windows), WINDOW**2)
    if (compiled := loops()) is not None:
        found: npt.NDArray[np.float32] = compiled.squares.described(flat, ways, beside, far, LEVELS)
        return found
    upright = flat * np.sign(flat[:, WINDOW**2 // 2 : WINDOW**2 // 2 + 1])
    top, left, right = ways.T[beside]
    tops = upright[:, top]
    fits = (tops == tops.max(axis=1, keepdims=True)) & (upright[:, left] >= upright[:, right])
    compared = np.take_along_axis(upright, ways[fits.argmax(axis=1)], axis=1)[:, far]
    largest = np.maximum(1, np.abs(compared).max(axis=1, keepdims=True))
    return np.asarray(compared * LEVELS // largest, dtype=np.float32)


@cache
def _ways() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the eight ways to turn a window, which places are above and beside its middle, and which are compared."""
    middle = WINDOW // 2
    ways = np.stack([np.rot90(turned, n) for turned in _both(np.arange(WINDOW**2)) for n in range(4)]).reshape(8, -1)
    far = np.abs(np.indices((WINDOW, WINDOW)) - middle).max(axis=0).ravel() > HELD_BACK
    return ways, middle * WINDOW + middle - np.array([WINDOW, 1, -1]), np.flatnonzero(far)


def _both(places: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the places of a window as they are, and mirrored."""
    square = places.reshape(WINDOW, WINDOW)
    return square, square[:, ::-1]


def _alike(values: npt.NDArray[np.float32], square: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Tell whether each of ``[n, value]`` correlates with one of another square by more than `ALIKE`.

    The products are whole numbers below 2**24, so they are exact in whatever order they are added.
    """
    groups = -(-len(values) // AT_ONCE)
    padded = np.zeros((groups * AT_ONCE, values.shape[1]), dtype=np.float32)
    padded[: len(values)] = values
    norms = np.sqrt(np.einsum("ij,ij->i", padded, padded))
    owner = np.append(square, np.full(len(padded) - len(values), -1))
    alike = np.zeros((groups, AT_ONCE), dtype=np.bool_)
    values, across = padded.reshape(groups, AT_ONCE, -1), norms.reshape(groups, 1, AT_ONCE)
    for group in range(groups):
        part = slice(group * AT_ONCE, (group + 1) * AT_ONCE)
        products = values[group] @ values[group:].swapaxes(1, 2)
        found = products > ALIKE * norms[part, np.newaxis] * across[group:]
        found &= owner[part, np.newaxis] != owner.reshape(across.shape)[group:]
        alike[group] |= found.any(axis=(0, 2))
        alike[group:] |= found.any(axis=1)
    return alike.ravel()[: len(square)]
