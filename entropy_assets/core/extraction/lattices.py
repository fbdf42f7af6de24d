"""Lattices: the coefficients of a lossy coder are multiples of its steps, whatever picture they are.

A coder predicts a block, transforms what is left, and rounds it to a few steps. In most predictions (a constant, rows,
columns, sums of these) whatever is added stands in the first row and column of the transform, so the other coefficients
of the decoded block are still multiples of a step, but for the rounding of pixels. A sensor's are not.

No step need be known to tell them apart: the characteristic function of coefficients c, abs(mean(exp(2j * pi * f *
c))), falls with the frequency f for any mixture of noises, since each falls. For multiples of a step q it rises again
towards f = 1 / q. The largest rise is measured in standard errors of independent values.
"""

from functools import cache, reduce
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft

from entropy_assets.core.extraction.compiled import loops
from entropy_assets.core.extraction.squares import LAPLACIAN_NORM, MAD_TO_SIGMA, Item, Steps, laplacian

Reals = npt.NDArray[np.float64]

BLOCKS: Final = (4, 8, 16, 32)
"""Sides of blocks that are searched where the frame begins with a whole one, pixels: cosine transforms of JPEG, MPEG,
H.264, H.265, VP8, VP9, AV1, JPEG XR and JPEG XL, or next to them."""
CROPPED: Final = (4, 8)
"""Sides of blocks that are searched wherever the grid begins."""
ORDERS: Final = 7
"""Highest order of a coefficient in either axis; orders above are mostly zero, and order 0 holds the prediction."""
ALIGNED_SQUARES: Final = 128
"""Squares that are searched on the grid of the frame, evenly spread."""
CROPPED_SQUARES: Final = 8
"""Squares that are searched on all grids."""
LEAST_SQUARES: Final = 3
"""Fewest squares that say something."""
SPIKE: Final = 6
"""How far a pixel may stand out of its four neighbours, sigma."""
HIGH_PASS: Final = (1.115087052456994, -0.5912717631142470, -0.05754352622849957, 0.09127176311424948)
"""Middle and one side of the high-pass filter of the 9/7 wavelet (JPEG 2000, ISO/IEC 15444-1 annex F); the coefficients
of the 5/3 wavelet show in it too."""
WAVELET_PLACES: Final = 4
"""Neighbouring places of the wavelet that are told apart as if they were orders of a block: a pattern of the sensor
with a period of up to 8 pixels moves each by its own."""
EIGHTHS: Final = 8
"""Parts of a step in which squares are given: the luma of colours is no whole number of steps."""
WEIGHT_BITS: Final = 10
"""Bits of the fixed-point weights of a transform in one axis."""
SPAN_BITS: Final = 26
"""Bits that a pixel may have over the corner of its square, so that all sums stay below 2**53; wider ones lose their
lowest bits, which are nothing beside such noise."""
NARROW: Final = 1 << 27
"""Pixels below this have a Laplacian that fits int32."""
BINS: Final = 1024
"""Bins of the histogram of coefficients; what lies beyond goes round."""
FINEST_BITS: Final = 2 * WEIGHT_BITS
"""Width of the narrowest bin, an eighth of a step, in bits of a coefficient. Widths are powers of two, so that the
coefficients that are quarters or eighths by themselves, as sums of 16 or 64 pixels are, don't beat with the bins."""
STEP_BITS: Final = FINEST_BITS + EIGHTHS.bit_length() - 1
"""Width of a step in bits of a coefficient."""
BINS_PER_SIGMA: Final = 64
"""Most bins that a sigma is divided into: 16 sigmas must find room."""
SAMPLED: Final = 61
"""Of so many coefficients one is looked at for their spread; a prime, so that all orders are."""
LONG_ROW: Final = 256
"""Values of an order from which on compiled loops find their middle faster than NumPy does."""
HIGHEST: Final = 0.75
"""Highest frequency that is looked at, per step: the rounding of pixels blurs steps below 4/3."""


def lattice_rise(squares: Steps) -> float:
    """Return how far the characteristic function of transform coefficients rises, in standard errors.

    Parameters
    ----------
    squares
        ``[n, size, size]``, live squares in eighths of an ADC step, whose distances are multiples of 32 pixels and
        whose size is 32 or more. Fewer than `LEAST_SQUARES` of them give 0.

    Returns
    -------
    float
        Noise has 2 to 4.6, decoded pictures 7 to 150.
    """
    if len(squares) < LEAST_SQUARES:
        return 0.0
    chosen = _spread(squares, ALIGNED_SQUARES)
    narrow = max(int(chosen.max()), -int(chosen.min())) < NARROW
    calm = _without_spikes(chosen.astype(np.int32 if narrow else np.int64, copy=False))
    calm -= calm[:, :1, :1].copy()
    excess = max(0, max(int(calm.max()), -int(calm.min())).bit_length() - SPAN_BITS)
    if excess:
        calm >>= excess
    size = calm.shape[1]
    aligned = [*(_cosines(block, size, 0) for block in BLOCKS), _wavelet(size)]
    crops = [_cosines(block, size, block - 1) for block in CROPPED]
    return max(_largest_rise(calm, aligned), _largest_rise(_spread(calm, CROPPED_SQUARES), crops))


def _spread(squares: npt.NDArray[Item], count: int) -> npt.NDArray[Item]:
    """Return up to `count` of the squares, evenly spread."""
    if len(squares) <= count:
        return squares
    return squares[np.unique(np.linspace(0, len(squares) - 1, count).astype(np.int64))]


def _without_spikes(squares: Steps) -> Steps:
    """Return the squares with each pixel brought within `SPIKE` sigma of its four neighbours.

    Hot pixels of one brightness give each coefficient a few values of its own, which look like steps.
    """
    if (compiled := loops()) is not None:
        calm: Steps = compiled.lattices.without_spikes(squares, SPIKE * MAD_TO_SIGMA / LAPLACIAN_NORM)
        return calm
    residuals = np.abs(laplacian(squares)[:, ::3, ::3]).reshape(len(squares), -1)
    middle = np.partition(residuals, residuals.shape[1] // 2, axis=1)[:, residuals.shape[1] // 2]
    most = np.ceil(SPIKE * MAD_TO_SIGMA / LAPLACIAN_NORM * middle).astype(np.int64)[:, np.newaxis, np.newaxis]
    wide = np.pad(squares, ((0, 0), (1, 1), (1, 1)), mode="reflect")
    beside = (wide[:, :-2, 1:-1], wide[:, 2:, 1:-1], wide[:, 1:-1, :-2], wide[:, 1:-1, 2:])
    lowest, highest = (reduce(least, beside) for least in (np.minimum, np.maximum))
    return np.clip(squares, lowest - most, highest + most)


class _Transform(NamedTuple):
    """A transform of one axis, on one or several grids.

    Attributes
    ----------
    weights
        ``float64[order, tap]``, whole numbers; as many taps as make a multiple of four.
    starts
        ``int64[grid, place, order]``: the pixel at which the taps begin.
    """

    weights: Reals
    starts: npt.NDArray[np.int64]

    def matrices(self, size: int) -> Reals:
        """Return ``[grid, row, pixel]``; a row is a place and, in it, an order."""
        grids, places, orders = self.starts.shape
        matrices = np.zeros((grids, places, orders, size))
        for grid, place, order in np.ndindex(grids, places, orders):
            start = self.starts[grid, place, order]
            matrices[grid, place, order, start : start + self.weights.shape[1]] = self.weights[order]
        return matrices.reshape(grids, places * orders, size)


@cache
def _cosines(block: int, size: int, latest: int) -> _Transform:
    """Return the cosine transform of blocks, on a grid for each start up to `latest`."""
    waves = np.rint(fft.dct(np.eye(block), axis=0, norm="ortho")[1 : ORDERS + 1] * (1 << WEIGHT_BITS))
    starts = np.add.outer(np.arange(latest + 1), block * np.arange((size - latest) // block))
    return _Transform(np.ascontiguousarray(waves), starts[:, :, np.newaxis].repeat(len(waves), axis=2))


@cache
def _wavelet(size: int) -> _Transform:
    """Return the high-pass filter at even and at odd places, with a tap of no weight more than it has."""
    reach = len(HIGH_PASS) - 1
    taps = np.rint(np.array((*HIGH_PASS[:0:-1], *HIGH_PASS, 0.0)) * (1 << WEIGHT_BITS))
    places = 2 * np.arange((size - 2 * reach - 1) // (2 * WAVELET_PLACES) * WAVELET_PLACES)
    starts = np.add.outer(np.arange(2), places).reshape(2, -1, WAVELET_PLACES)
    return _Transform(np.tile(taps, (WAVELET_PLACES, 1)), starts)


def _largest_rise(squares: Steps, transforms: list[_Transform]) -> float:
    """Return the largest rise of the coefficients of ``[n, size, size]`` by any of the transforms, standard errors."""
    compiled, count = loops(), len(squares)
    planes = squares.astype(np.float64) if compiled is None else compiled.lattices.side_by_side(squares)
    room = np.empty(
        0 if compiled is None else count * max(len(one.starts) * one.starts[0].size ** 2 for one in transforms)
    )
    counts, highest = [], []
    for weights, starts in transforms:
        for across in starts:
            if compiled is None:
                values = _coefficients(planes, _Transform(weights, starts), _Transform(weights, across[np.newaxis]))
            else:
                values = compiled.lattices.coefficients(planes, count, weights, starts, across, room)
            of_grids, bits = _histograms(values, count)
            counts.append(of_grids)
            highest += [min(int(HIGHEST * BINS * 2.0 ** (bits - STEP_BITS)), 7 * BINS // 16)] * len(starts)
    tallies, limits = np.concatenate(counts), np.array(highest)
    waves = fft.rfft(tallies, axis=1)[:, : limits.max() + 1]
    sizes = np.abs(waves) / np.sqrt(tallies.sum(axis=1, keepdims=True))
    rises = sizes - np.minimum.accumulate(sizes, axis=1)
    return float(rises[np.arange(rises.shape[1]) <= limits[:, np.newaxis]].max())


def _coefficients(squares: Reals, down: _Transform, across: _Transform) -> Reals:
    """Return ``[grid, order, value]``, the coefficients by a transform for each axis, that of rows on one grid.

    Of orders and of places those down come first, then those across; of the values at each place, all squares.
    """
    count, size, _ = squares.shape
    grids, places, orders = down.starts.shape
    values = down.matrices(size).reshape(-1, size) @ squares @ across.matrices(size)[0].T
    by_order = values.reshape(count, grids, places, orders, places, orders).transpose(1, 3, 5, 2, 4, 0)
    found: Reals = by_order.reshape(grids, orders * orders, -1)
    return found


def _histograms(values: Reals, squares: int) -> tuple[npt.NDArray[np.int64], int]:
    """Return ``int64[grid, bin]`` of ``[grid, order, value]``, all orders together, and the width of a bin in bits.

    Each order is taken from its median, which a pattern with the period of the blocks would move.

    Parameters
    ----------
    squares
        How many of them there are: so many values at each place.
    """
    count = values.shape[2]
    compiled = loops()
    if compiled is None or count < LONG_ROW:
        middles = np.partition(values, count // 2, axis=2)[:, :, count // 2]
    else:
        middles = compiled.lattices.middles(values)
    spread = (_median_distance if compiled is None else compiled.lattices.spread)(values, middles, squares, SAMPLED)
    bits = max(FINEST_BITS, int(np.ceil(np.log2(max(1.0, MAD_TO_SIGMA * spread / BINS_PER_SIGMA)))))
    return (_tallied if compiled is None else compiled.lattices.tallied)(values, middles, bits, BINS), bits


def _median_distance(values: Reals, middles: Reals, squares: int, apart: int) -> float:
    """Return the median distance of some of the values from the middle of their order.

    One of `apart` is looked at, counted as if all places of a square stood together: so they are of all squares.
    """
    grids, orders, count = values.shape
    by_square = values.reshape(grids, orders, count // squares, squares).swapaxes(2, 3).reshape(-1)[::apart]
    distances = np.abs(by_square - middles.reshape(-1)[np.arange(0, values.size, apart) // count])
    half = len(distances) // 2
    upper, lower = np.partition(distances, (half, half - 1 + len(distances) % 2))[[half, half - 1 + len(distances) % 2]]
    return float((lower + upper) / 2)


def _tallied(values: Reals, middles: Reals, bits: int, bins: int) -> npt.NDArray[np.int64]:
    """Return ``int64[grid, bin]``: values less the middle of their order, by bins of two to the power of `bits`."""
    grids = len(values)
    places = np.floor((values - middles[:, :, np.newaxis]) * 2.0**-bits).astype(np.int64) & (bins - 1)
    places += bins * np.arange(grids)[:, np.newaxis, np.newaxis]
    return np.bincount(places.ravel(), minlength=grids * bins).reshape(grids, bins)
