"""Liveness: what is measured on the squares of one channel, and the verdict on each.

Every sum is exact (integers, or integers in float64 below 2**53), so a verdict is the same on every machine.
"""

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Final, NamedTuple, Self, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from entropy_assets.core.arrays import (
    beside,
    full_lines,
    in_pieces,
    is_on_host,
    namespace_of,
    on_host,
    square_products,
    upper_middles,
)
from entropy_assets.core.digests import CHUNK
from entropy_assets.core.extraction.compiled import loops_for
from entropy_assets.core.frame import Frame
from entropy_assets.recipe import Recipe

Steps: TypeAlias = npt.NDArray[np.signedinteger]
PerSquare: TypeAlias = npt.NDArray[np.float64]
Integer = TypeVar("Integer", bound=np.integer)
WholeNumbers: TypeAlias = npt.NDArray[np.signedinteger] | npt.NDArray[np.float64]
Item = TypeVar("Item", bound=np.generic)

LAPLACIAN_NORM: Final = 20**0.5
"""Root of the sum of squared weights of the five-point Laplacian (4, -1, -1, -1, -1)."""
MAD_TO_SIGMA: Final = 1.4826
"""Standard deviation of a Gaussian over its median absolute deviation."""
RESIDUAL_LIMIT: Final = 1 << 20
"""Largest residual whose square, 1024 times over, adds up exactly in float64."""
NARROW_SPAN: Final = 8191
"""Widest range of steps whose Laplacian fits int16."""
SQUARES_AT_ONCE: Final = 256
"""Squares worked on at once: half a megabyte of int16, which stays in the cache."""
COUNTED_BELOW: Final = 1 << 16
"""Magnitudes below this are counted one by one to find their median."""


class Verdict(IntEnum):
    """Why a square is masked: the first that applies."""

    LIVE = 0
    MISSING = 1
    SATURATED = 2
    CONSTANT = 3
    QUANTISED = 4
    CORRELATED = 5
    BIASED_LSB = 6
    REPEATED = 7
    COMPRESSED = 8
    DITHERED = 9
    SYNTHETIC = 10
    LEFT_OUT = 11


@dataclass(frozen=True, slots=True, eq=False)
class SquareStatistics:
    """What is measured on each square of one channel, by row, then by column.

    Attributes
    ----------
    sigma
        Noise, ADC steps.
    correlation_x, correlation_y
        Lag-1 autocorrelation of the Laplacian residual along a row, and along a column.
    zero_share
        Share of residuals that are exactly zero.
    odd_share
        Share of pixels whose lowest true bit is set.
    bottom_share, top_share
        Share of pixels at the lowest and at the highest code, where these are clipped; else 0.
    has_line
        ``bool``, a row or column is constant or a copy of its neighbour.
    banded
        ``bool``, the offsets of rows were taken off before sigma, correlations and zeros were measured.
    """

    sigma: PerSquare
    correlation_x: PerSquare
    correlation_y: PerSquare
    zero_share: PerSquare
    odd_share: PerSquare
    bottom_share: PerSquare
    top_share: PerSquare
    has_line: npt.NDArray[np.bool_]
    banded: npt.NDArray[np.bool_]

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """Return the statistics of all `parts`, one after the other."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


class SquareCounts(NamedTuple):
    """What is counted on each square of one channel, by row, then by column; all of it whole numbers.

    Attributes
    ----------
    median, largest
        Magnitude of the Laplacian residuals: the upper median, and the largest.
    energy, along, across
        Sums of the products of each residual with itself, the one to its right, and the one below.
    busy
        Residuals that are not zero.
    odd, bottom, top
        Pixels whose lowest true bit is set, at the lowest code, at the highest code.
    """

    median: WholeNumbers
    largest: WholeNumbers
    energy: WholeNumbers
    along: WholeNumbers
    across: WholeNumbers
    busy: WholeNumbers
    odd: WholeNumbers
    bottom: WholeNumbers
    top: WholeNumbers


def steps_of(frame: Frame, channel: int) -> Steps:
    """Return one channel in ADC steps above its lowest usable code, as narrow as its Laplacian allows."""
    plane: Steps = frame.pixels[channel, :, :]
    xp = namespace_of(plane)
    low, high = int(xp.min(plane)), int(xp.max(plane))
    span = (high - low) // frame.adc_step
    steps: Steps = xp.empty(plane.shape, dtype=xp.int16 if span <= NARROW_SPAN else plane.dtype)

    def write(rows: slice) -> None:
        above = plane[rows, :] - low
        if frame.adc_step > 1:
            above //= frame.adc_step
        steps[rows, :] = xp.astype(above, steps.dtype, copy=False)

    in_pieces(write, plane.shape[0], max(1, CHUNK // plane.shape[1]), whole=not is_on_host(plane))
    return steps


def clip_codes(steps: Steps, frame: Frame, channel: int) -> tuple[int, int]:
    """Return the lowest and the highest code if pixels are clipped there, else codes that no pixel has.

    At least one pixel in 10,000 must have the code, and it must be the container's own limit, or more frequent than
    the next code inwards: noise thins out towards its extremes, clipped noise does not. A constant frame is at its
    lowest code, unless that is the container's highest.
    """
    plane = frame.pixels[channel, :, :]
    xp = namespace_of(plane)
    top, high, low = int(xp.max(steps)), int(xp.max(plane)), int(xp.min(plane))
    full = {1 << frame.bit_depth, 1 << (frame.bit_depth - 1)}
    at_full = bool({high + 1, high + frame.adc_step} & full)
    at_floor = low in {0, -(1 << (frame.bit_depth - 1))} and not (top == 0 and at_full)
    return (
        0 if _piles_up(steps, 0, 1, at_floor) else -1,
        top if _piles_up(steps, top, top - 1, at_full) and (top > 0 or at_full) else top + 1,
    )


def _piles_up(steps: Steps, code: int, inner: int, at_limit: bool) -> bool:
    """Tell whether pixels are clipped at `code`; `inner` is the next code inwards."""
    xp = namespace_of(steps)
    count = int(xp.count_nonzero(steps == code))
    if count * 10_000 < steps.shape[0] * steps.shape[1]:
        return False
    return at_limit or count > int(xp.count_nonzero(steps == inner))


def as_squares(plane: npt.NDArray[Item], size: int) -> npt.NDArray[Item]:
    """Return ``[square, size, size]``, the whole squares of `plane` in row-major order, as a contiguous copy."""
    xp = namespace_of(plane)
    sy, sx = (side // size for side in plane.shape)
    tiles = xp.permute_dims(xp.reshape(plane[: sy * size, : sx * size], (sy, size, sx, size)), (0, 2, 1, 3))
    squares: npt.NDArray[Item] = xp.reshape(tiles, (sy * sx, size, size))
    return squares


def square_statistics(steps: Steps, limits: tuple[int, int], size: int) -> SquareStatistics:
    """Return what is measured on each square of a channel.

    Parameters
    ----------
    steps
        ``[ny, nx]``, pixels in ADC steps.
    limits
        The lowest and the highest code if pixels are clipped there, else codes that no pixel has.
    size
        Side of a square, pixels.
    """
    if (compiled := loops_for(steps)) is not None:
        counts = SquareCounts(*compiled.squares.counted(steps, size, *limits))
        if int(counts.largest.max()) <= RESIDUAL_LIMIT:
            return _statistics(counts, compiled.squares.lined(steps, size), size)

    def measured(rows: slice) -> SquareStatistics:
        return measured_squares(as_squares(steps[rows.start * size : rows.stop * size, :], size), *limits)

    rows, columns = (side // size for side in steps.shape)
    bands = in_pieces(measured, rows, max(1, SQUARES_AT_ONCE // columns), whole=not is_on_host(steps))
    return SquareStatistics.joined(bands)


def middles(magnitudes: npt.NDArray[np.integer]) -> tuple[int, int]:
    """Return the two middle values of whole numbers from 0 on; of an odd number of them they are the same."""
    places = (magnitudes.size - 1) // 2, magnitudes.size // 2
    if int(magnitudes.max()) >= COUNTED_BELOW:
        lower, upper = np.partition(magnitudes, places, axis=None)[list(places)]
    else:
        lower, upper = np.bincount(magnitudes.ravel()).cumsum().searchsorted(places, side="right")
    return int(lower), int(upper)


def laplacian(squares: npt.NDArray[Integer]) -> npt.NDArray[Integer]:
    """Return the five-point Laplacian of ``[n, side, side]`` on the interior, ``[n, side - 2, side - 2]``."""
    residual: npt.NDArray[Integer] = squares[:, 1:-1, 1:-1] * 4
    residual -= squares[:, :-2, 1:-1]
    residual -= squares[:, 2:, 1:-1]
    residual -= squares[:, 1:-1, :-2]
    residual -= squares[:, 1:-1, 2:]
    return residual


def measured_squares(squares: Steps, bottom: int, top: int) -> SquareStatistics:
    """Return what `square_statistics` does, of ``[n, side, side]``, codes clipped at `bottom` and `top`."""
    xp = namespace_of(squares)
    count, side, _ = squares.shape
    residual = laplacian(squares)
    magnitude = xp.reshape(xp.abs(residual), (count, (side - 2) ** 2))
    exact = _narrowed(residual, magnitude)
    flat = xp.reshape(squares, (count, side * side))
    counts = SquareCounts(
        median=upper_middles(magnitude),
        largest=xp.max(magnitude, axis=1),
        energy=square_products(exact, exact),
        along=square_products(exact[:, :, 1:], exact[:, :, :-1]),
        across=square_products(exact[:, 1:, :], exact[:, :-1, :]),
        busy=xp.count_nonzero(magnitude, axis=1),
        odd=xp.count_nonzero(flat & 1, axis=1),
        bottom=_how_often(flat, bottom),
        top=_how_often(flat, top),
    )
    return _statistics(SquareCounts(*map(on_host, counts)), on_host(_has_line(squares)), side)


def _how_often(values: Steps, code: int) -> npt.NDArray[np.signedinteger]:
    """Return how often each row has a code, which may be one that its type does not hold."""
    xp = namespace_of(values)
    held = xp.iinfo(values.dtype)
    occurs = held.min <= code <= held.max
    often: npt.NDArray[np.signedinteger] = xp.count_nonzero(values == (code if occurs else 0), axis=1)
    return often if occurs else often * 0


def _statistics(counts: SquareCounts, has_line: npt.NDArray[np.bool_], side: int) -> SquareStatistics:
    """Return what follows from the counts of squares of this side."""
    scale = (side - 2) / (side - 3) / np.maximum(counts.energy, 1)
    pixels = side * side
    return SquareStatistics(
        sigma=np.asarray(counts.median * (MAD_TO_SIGMA / LAPLACIAN_NORM), dtype=np.float64),
        correlation_x=counts.along * scale,
        correlation_y=counts.across * scale,
        zero_share=1 - counts.busy / (side - 2) ** 2,
        odd_share=counts.odd / pixels,
        bottom_share=counts.bottom / pixels,
        top_share=counts.top / pixels,
        has_line=has_line,
        banded=np.zeros(len(has_line), dtype=np.bool_),
    )


def correlation_over_two_rows(squares: Steps) -> PerSquare:
    """Return the autocorrelation of the Laplacian residual of ``[n, side, side]`` along columns, at lag 2."""
    exact = _exact_residual(squares)
    energy = np.maximum(on_host(square_products(exact, exact)), 1)
    rows = exact.shape[1]
    products: PerSquare = on_host(square_products(exact[:, 2:, :], exact[:, :-2, :])) * (rows / (rows - 2)) / energy
    return products


def energy_shares(part: Steps, whole: Steps) -> PerSquare:
    """Return the energy of the Laplacian residual of each square of `part`, as a share of the same one of `whole`."""
    xp = namespace_of(part)
    residual = xp.concat([laplacian(part), laplacian(xp.astype(whole, part.dtype))], axis=1)
    exact = _narrowed(residual, xp.reshape(xp.abs(residual), (residual.shape[0], -1)))
    half = exact.shape[1] // 2
    energies = [on_host(square_products(rows, rows)) for rows in (exact[:, :half, :], exact[:, half:, :])]
    shares: PerSquare = energies[0] / np.maximum(energies[1], 1)
    return shares


def _exact_residual(squares: Steps) -> PerSquare:
    """Return the Laplacian residual of squares as `_narrowed` has it."""
    xp = namespace_of(squares)
    residual = laplacian(squares)
    return _narrowed(residual, xp.reshape(xp.abs(residual), (residual.shape[0], -1)))


def _narrowed(residual: Steps, magnitude: Steps) -> PerSquare:
    """Return residuals as float64 whose sums of products are exact: of large ones only the upper bits are kept."""
    xp = namespace_of(residual)
    if int(xp.max(magnitude)) > RESIDUAL_LIMIT:
        excess = np.maximum(on_host(xp.max(magnitude, axis=1)).astype(np.float64) / RESIDUAL_LIMIT, 1)
        shift = xp.astype(beside(np.ceil(np.log2(excess)).astype(np.int64), residual), residual.dtype)
        residual = residual >> shift[:, None, None]
    exact: PerSquare = xp.astype(residual, xp.float64)
    return exact


def _has_line(squares: Steps) -> npt.NDArray[np.bool_]:
    """Tell whether each square has a row or column that is constant or a copy of its neighbour: a lost line."""
    xp = namespace_of(squares)
    along = xp.ones(squares.shape, dtype=xp.bool)
    along[:, :, :-1] = squares[:, :, 1:] == squares[:, :, :-1]
    across = squares[:, 1:, :] == squares[:, :-1, :]
    has_line: npt.NDArray[np.bool_] = xp.any(full_lines(along), axis=1) | xp.any(full_lines(across), axis=1)
    has_line |= xp.any(xp.all(along[:, :, :-1], axis=1), axis=1) | xp.any(xp.all(across, axis=1), axis=1)
    return has_line


def judge(measured: SquareStatistics, missing: npt.NDArray[np.bool_], recipe: Recipe) -> npt.NDArray[np.uint8]:
    """Return the `Verdict` on each square: the first limit of the recipe that it breaks.

    Lines at the lowest code are lost lines (constant), unless the frame is clipped at both ends.

    Parameters
    ----------
    measured
        The statistics of the squares of one channel.
    missing
        ``bool[square]``, the square holds a pixel without a measurement.
    recipe
        The limits.
    """
    clipped = recipe.max_clipped_share
    both_ends = bool(measured.top_share.any() and measured.bottom_share.any())
    return np.select(
        [
            missing,
            measured.top_share > clipped,
            both_ends & (measured.bottom_share + measured.top_share > clipped),
            measured.has_line,
            measured.bottom_share > clipped,
            (measured.sigma < recipe.min_sigma) | (measured.zero_share > recipe.max_zero_share),
            is_coloured(measured.correlation_x, measured.correlation_y, recipe),
            bit_entropy(measured.odd_share) < recipe.min_lsb_entropy,
        ],
        [
            Verdict.MISSING,
            Verdict.SATURATED,
            Verdict.SATURATED,
            Verdict.CONSTANT,
            Verdict.SATURATED,
            Verdict.QUANTISED,
            Verdict.CORRELATED,
            Verdict.BIASED_LSB,
        ],
        default=Verdict.LIVE,
    ).astype(np.uint8)


def is_coloured(correlation_x: PerSquare, correlation_y: PerSquare, recipe: Recipe) -> npt.NDArray[np.bool_]:
    """Tell whether residuals of these lag-1 autocorrelations are not those of white noise, in either axis."""
    white, tolerance = recipe.residual_correlation, recipe.correlation_tolerance
    along, across = (np.abs(rho - white) >= tolerance for rho in (correlation_x, correlation_y))
    coloured: npt.NDArray[np.bool_] = along | across
    return coloured


def at_black(measured: SquareStatistics, recipe: Recipe) -> npt.NDArray[np.bool_]:
    """Tell whether each square, if it is clipped, is so at black: not in a channel that is as often clipped at white.

    A few hot pixels at the highest code do not make a dark such a channel.
    """
    black: npt.NDArray[np.bool_] = measured.bottom_share > measured.top_share
    return black & bool(measured.top_share.mean() <= recipe.max_clipped_share)


def bit_entropy(share: PerSquare) -> PerSquare:
    """Return the entropy of a bit that is set in `share` of cases, bits."""
    p = np.clip(share, 1e-300, 1 - 1e-16)
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
