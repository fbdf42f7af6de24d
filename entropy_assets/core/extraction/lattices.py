"""Lattices: the coefficients of a lossy coder are multiples of its steps, whatever picture they are.

A coder predicts a block, transforms what is left, and rounds it to a few steps. In most predictions (a constant, rows,
columns, sums of these) whatever is added stands in the first row and column of the transform, so the other coefficients
of the decoded block are still multiples of a step, but for the rounding of pixels. A sensor's are not.

No step need be known to tell them apart: the characteristic function of coefficients c, abs(mean(exp(2j * pi * f *
c))), falls with the frequency f for any mixture of noises, since each falls. For multiples of a step q it rises again
towards f = 1 / q. The largest rise is measured in standard errors of independent values.
"""

from collections.abc import Sequence
from functools import cache, reduce
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import fft

from entropy_assets.core.extraction.compiled import loops
from entropy_assets.core.extraction.squares import LAPLACIAN_NORM, MAD_TO_SIGMA, Item, laplacian

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
BINS: Final = 1024
"""Bins of the histogram of coefficients; what lies beyond goes round."""
FINEST_BITS: Final = 2 * WEIGHT_BITS
"""Width of the narrowest bin, an eighth of a step, in bits of a coefficient. Widths are powers of two, so that the
coefficients that are quarters or eighths by themselves, as sums of 16 or 64 pixels are, don't beat with the bins."""
BINS_PER_SIGMA: Final = 64
"""Most bins that a sigma is divided into: 16 sigmas must find room."""
SAMPLED: Final = 61
"""Of so many coefficients one is looked at for their spread; a prime, so that all orders are."""
LONG_ROW: Final = 256
"""Values of an order from which on compiled loops find their middle faster than NumPy does."""
HIGHEST: Final = 0.75
"""Highest frequency that is looked at, per step: the rounding of pixels blurs steps below 4/3."""


def lattice_rise(squares: npt.NDArray[np.integer]) -> float:
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
    calm = _without_spikes(np.asarray(_spread(squares, ALIGNED_SQUARES), dtype=np.int64))
    calm -= calm[:, :1, :1].copy()
    excess = max(0, max(int(calm.max()), -int(calm.min())).bit_length() - SPAN_BITS)
    if excess:
        calm >>= excess
    aligned = calm.astype(np.float64)
    few = _spread(aligned, CROPPED_SQUARES)
    size = aligned.shape[1]
    grids = [_largest_rise(aligned, _cosines(block, size, 0), size // block) for block in BLOCKS]
    wavelet = _wavelet(size)
    waves = _largest_rise(aligned, wavelet, len(wavelet[0]) // WAVELET_PLACES)
    crops = [_largest_rise(few, _cosines(block, size, block - 1), (size + 1) // block - 1) for block in CROPPED]
    return max(*grids, waves, *crops)


def _spread(squares: npt.NDArray[Item], count: int) -> npt.NDArray[Item]:
    """Return up to `count` of the squares, evenly spread."""
    if len(squares) <= count:
        return squares
    return squares[np.unique(np.linspace(0, len(squares) - 1, count).astype(np.int64))]


def _without_spikes(squares: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the squares with each pixel brought within `SPIKE` sigma of its four neighbours.

    Hot pixels of one brightness give each coefficient a few values of its own, which look like steps.
    """
    if (compiled := loops()) is not None:
        calm: npt.NDArray[np.int64] = compiled.lattices.without_spikes(squares, SPIKE * MAD_TO_SIGMA / LAPLACIAN_NORM)
        return calm
    residuals = np.abs(laplacian(squares)[:, ::3, ::3]).reshape(len(squares), -1)
    middle = np.partition(residuals, residuals.shape[1] // 2, axis=1)[:, residuals.shape[1] // 2]
    most = np.ceil(SPIKE * MAD_TO_SIGMA / LAPLACIAN_NORM * middle).astype(np.int64)[:, np.newaxis, np.newaxis]
    wide = np.pad(squares, ((0, 0), (1, 1), (1, 1)), mode="reflect")
    beside = (wide[:, :-2, 1:-1], wide[:, 2:, 1:-1], wide[:, 1:-1, :-2], wide[:, 1:-1, 2:])
    lowest, highest = (reduce(least, beside) for least in (np.minimum, np.maximum))
    return np.clip(squares, lowest - most, highest + most)


@cache
def _cosines(block: int, size: int, latest: int) -> tuple[Reals, ...]:
    """Return for each start of the grid up to `latest` a matrix ``[block and order, pixel]`` of weights."""
    waves = np.rint(fft.dct(np.eye(block), axis=0, norm="ortho")[1 : ORDERS + 1] * (1 << WEIGHT_BITS))
    count = (size - latest) // block
    matrices = np.zeros((latest + 1, count, len(waves), size))
    for start, place in np.ndindex(latest + 1, count):
        left = start + place * block
        matrices[start, place, :, left : left + block] = waves
    return tuple(matrices.reshape(latest + 1, -1, size))


@cache
def _wavelet(size: int) -> tuple[Reals, ...]:
    """Return for even and for odd places a matrix ``[place, pixel]`` of the weights of the high-pass filter."""
    reach = len(HIGH_PASS) - 1
    taps = np.rint(np.array(HIGH_PASS[:0:-1] + HIGH_PASS) * (1 << WEIGHT_BITS))
    rows = np.zeros(((size - 2 * reach) // (2 * WAVELET_PLACES) * 2 * WAVELET_PLACES, size))
    for place, row in enumerate(rows):
        row[place : place + len(taps)] = taps
    return rows[::2], rows[1::2]


def _largest_rise(squares: Reals, transforms: Sequence[Reals], blocks: int) -> float:
    """Return the largest rise of the coefficients by any two of the `transforms`, one for each axis.

    Parameters
    ----------
    squares
        ``[n, size, size]``.
    transforms
        Matrices ``[row, pixel]`` of one shape; a row is a place and, in it, an order.
    blocks
        Places.
    """
    orders = len(transforms[0]) // blocks
    down = np.concatenate(transforms) @ squares
    largest = 0.0
    for across in transforms:
        values = (down @ across.T).reshape(len(squares), len(transforms), blocks, orders, blocks, orders)
        by_order = values.transpose(1, 3, 5, 0, 2, 4).reshape(len(transforms), orders * orders, -1)
        largest = max(largest, float(_rises(by_order).max()))
    return largest


def _rises(values: Reals) -> Reals:
    """Return of ``[grid, order, value]`` the largest rise of each grid, all its orders together, standard errors.

    Each order is taken from its median, which a pattern with the period of the blocks would move.
    """
    _, orders, count = values.shape
    compiled = loops()
    if compiled is None or count < LONG_ROW:
        middles = np.partition(values, count // 2, axis=2)[:, :, count // 2]
    else:
        middles = compiled.lattices.middles(values)
    of_order = middles.ravel()[np.arange(0, values.size, SAMPLED) // count]
    distances = np.abs(values.ravel()[::SAMPLED] - of_order)
    half = len(distances) // 2
    upper, lower = np.partition(distances, (half, half - 1 + len(distances) % 2))[[half, half - 1 + len(distances) % 2]]
    spread = float((lower + upper) / 2)
    bits = max(FINEST_BITS, int(np.ceil(np.log2(max(1.0, 1.4826 * spread / BINS_PER_SIGMA)))))
    tallied = _tallied if compiled is None else compiled.lattices.tallied
    counts = tallied(values, middles, bits, BINS)
    step_bits = FINEST_BITS + EIGHTHS.bit_length() - 1
    highest = min(int(HIGHEST * BINS * 2.0 ** (bits - step_bits)), 7 * BINS // 16)
    sizes = np.abs(fft.rfft(counts, axis=1)[:, : highest + 1]) / np.sqrt(orders * count)
    rises: Reals = (sizes - np.minimum.accumulate(sizes, axis=1)).max(axis=1)
    return rises


def _tallied(values: Reals, middles: Reals, bits: int, bins: int) -> npt.NDArray[np.int64]:
    """Return ``int64[grid, bin]``: values less the middle of their order, by bins of two to the power of `bits`."""
    grids = len(values)
    places = np.floor((values - middles[:, :, np.newaxis]) * 2.0**-bits).astype(np.int64) & (bins - 1)
    places += bins * np.arange(grids)[:, np.newaxis, np.newaxis]
    return np.bincount(places.ravel(), minlength=grids * bins).reshape(grids, bins)
