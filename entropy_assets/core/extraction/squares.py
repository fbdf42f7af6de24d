"""Liveness: what is measured on the squares of one channel, and the verdict on each.

Every sum is exact (integers, or integers in float64 below 2**53), so a verdict is the same on every machine.
"""

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Final, NamedTuple, Self, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

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
EIGHT_FLAGS: Final = np.uint64(0x0101010101010101)
"""Eight flags that are all set, as one integer."""


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
    plane = frame.pixels[channel]
    low, high = int(plane.min()), int(plane.max())
    span = (high - low) // frame.adc_step
    steps: Steps = np.empty(plane.shape, dtype=np.int16 if span <= NARROW_SPAN else plane.dtype)
    band = max(1, CHUNK // plane.shape[1])
    for top in range(0, len(plane), band):
        above = plane[top : top + band] - plane.dtype.type(low)
        if frame.adc_step > 1:
            above //= plane.dtype.type(frame.adc_step)
        steps[top : top + band] = above
    return steps


def clip_codes(steps: Steps, frame: Frame, channel: int) -> tuple[int, int]:
    """Return the lowest and the highest code if pixels are clipped there, else codes that no pixel has.

    At least one pixel in 10,000 must have the code, and it must be the container's own limit, or more frequent than
    the next code inwards: noise thins out towards its extremes, clipped noise does not. A constant frame is at its
    lowest code, unless that is the container's highest.
    """
    plane = frame.pixels[channel]
    top, high, low = int(steps.max()), int(plane.max()), int(plane.min())
    full = {1 << frame.bit_depth, 1 << (frame.bit_depth - 1)}
    at_full = bool({high + 1, high + frame.adc_step} & full)
    at_floor = low in {0, -(1 << (frame.bit_depth - 1))} and not (top == 0 and at_full)
    return (
        0 if _piles_up(steps, 0, 1, at_floor) else -1,
        top if _piles_up(steps, top, top - 1, at_full) and (top > 0 or at_full) else top + 1,
    )


def _piles_up(steps: Steps, code: int, inner: int, at_limit: bool) -> bool:
    """Tell whether pixels are clipped at `code`; `inner` is the next code inwards."""
    count = np.count_nonzero(steps == code)
    return bool(count * 10_000 >= steps.size and (at_limit or count > np.count_nonzero(steps == inner)))


def as_squares(plane: npt.NDArray[Item], size: int) -> npt.NDArray[Item]:
    """Return ``[square, size, size]``, the whole squares of `plane` in row-major order, as a contiguous copy."""
    sy, sx = (side // size for side in plane.shape)
    tiles = plane[: sy * size, : sx * size].reshape(sy, size, sx, size).swapaxes(1, 2)
    return np.ascontiguousarray(tiles).reshape(sy * sx, size, size)


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
    band = max(1, SQUARES_AT_ONCE // (steps.shape[1] // size)) * size
    whole = steps.shape[0] // size * size
    bands = [as_squares(steps[top : min(top + band, whole)], size) for top in range(0, whole, band)]
    return SquareStatistics.joined([measured_squares(squares, *limits) for squares in bands])


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
    residual: npt.NDArray[Integer] = squares[:, 1:-1, 1:-1] * squares.dtype.type(4)
    residual -= squares[:, :-2, 1:-1]
    residual -= squares[:, 2:, 1:-1]
    residual -= squares[:, 1:-1, :-2]
    residual -= squares[:, 1:-1, 2:]
    return residual


def measured_squares(squares: Steps, bottom: int, top: int) -> SquareStatistics:
    """Return what `square_statistics` does, of ``[n, side, side]``, codes clipped at `bottom` and `top`."""
    count, side, _ = squares.shape
    residual = laplacian(squares)
    size = residual[0].size
    magnitude = np.abs(residual).reshape(count, size)
    median = np.partition(magnitude, size // 2, axis=1)[:, size // 2]
    exact = _narrowed(residual, magnitude)
    flat = squares.reshape(count, side * side)
    counts = SquareCounts(
        median=median,
        largest=magnitude.max(axis=1),
        energy=np.einsum("ijk,ijk->i", exact, exact),
        along=np.einsum("ijk,ijk->i", exact[:, :, 1:], exact[:, :, :-1]),
        across=np.einsum("ijk,ijk->i", exact[:, 1:], exact[:, :-1]),
        busy=np.count_nonzero(magnitude, axis=1),
        odd=np.count_nonzero(flat & 1, axis=1),
        bottom=np.count_nonzero(flat == bottom, axis=1),
        top=np.count_nonzero(flat == top, axis=1),
    )
    return _statistics(counts, _has_line(squares), side)


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
    residual = laplacian(squares)
    exact = _narrowed(residual, np.abs(residual).reshape(len(residual), -1))
    energy = np.maximum(np.einsum("ijk,ijk->i", exact, exact), 1)
    rows = exact.shape[1]
    products: PerSquare = np.einsum("ijk,ijk->i", exact[:, 2:], exact[:, :-2]) * (rows / (rows - 2)) / energy
    return products


def energy_shares(part: Steps, whole: Steps) -> PerSquare:
    """Return the energy of the Laplacian residual of each square of `part`, as a share of the same one of `whole`."""
    wide = part.dtype
    residual = np.concatenate([laplacian(part), laplacian(whole.astype(wide))], axis=1)
    exact = _narrowed(residual, np.abs(residual).reshape(len(residual), -1))
    half = exact.shape[1] // 2
    energies = [np.einsum("ijk,ijk->i", rows, rows) for rows in (exact[:, :half], exact[:, half:])]
    shares: PerSquare = energies[0] / np.maximum(energies[1], 1)
    return shares


def _narrowed(residual: Steps, magnitude: Steps) -> PerSquare:
    """Return residuals as float64 whose sums of products are exact: of large ones only the upper bits are kept."""
    widest = int(magnitude.max())
    if widest <= RESIDUAL_LIMIT:
        return residual.astype(np.float64)
    excess = np.maximum(magnitude.max(axis=1).astype(np.float64) / RESIDUAL_LIMIT, 1)
    shift = np.ceil(np.log2(excess)).astype(residual.dtype)
    narrow: PerSquare = (residual >> shift[:, np.newaxis, np.newaxis]).astype(np.float64)
    return narrow


def _has_line(squares: Steps) -> npt.NDArray[np.bool_]:
    """Tell whether each square has a row or column that is constant or a copy of its neighbour: a lost line."""
    along, across = np.ones(squares.shape, dtype=np.bool_), np.ones(squares.shape, dtype=np.bool_)
    np.equal(squares[:, :, 1:], squares[:, :, :-1], out=along[:, :, :-1])
    np.equal(squares[:, 1:], squares[:, :-1], out=across[:, :-1])
    lines = (_full_lines(along), _full_lines(across[:, :-1]), along[:, :, :-1].all(axis=1), across[:, :-1].all(axis=1))
    has_line: npt.NDArray[np.bool_] = np.logical_or.reduce([np.asarray(full).any(axis=1) for full in lines])
    return has_line


def _full_lines(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return ``flags.all(axis=-1)``, eight flags at a time: the last axis is too short for NumPy to be fast on it."""
    eights = flags.view(np.uint64)
    full: npt.NDArray[np.bool_] = np.bitwise_and.reduce(np.moveaxis(eights, -1, 0)) == EIGHT_FLAGS
    return full


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
