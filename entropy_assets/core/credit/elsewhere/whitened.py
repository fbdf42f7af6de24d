"""The noise of a frame on the square of its fold, without the Laplacian: every pixel counts by itself there.

Folding is linear, so what is done to the pixels of a frame the same way everywhere can be done to its fold: every
second row of the pixels on a square of 128 x 128 is the fold of a frame of every second row, and signs that alternate
by pixels alternate there too, since 128 is even. Only the Laplacian stands between, for that of a half is not half of
that of a whole. So it is divided out: in the frequencies where it is next to nothing, the lowest ones, nothing is kept.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.credit.sketches import SIDE, Wide

Reals = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LOWEST: Final = 16
"""Frequencies up to this many cycles per fold are left out: of the scene, and of what rounding left."""
CLIPPED_POWER: Final = 8.0
"""Power over its mean at which a frequency is clipped: waves are in frames of other noise too."""
RMS: Final = 1000
"""Root mean square of what comes out."""


def refolded(fold: npt.NDArray[np.integer], rows: int, columns: int) -> Wide:
    """Return a fold that was folded again, onto so many rows and columns; both divide its own."""
    down, across = fold.shape[0] // rows, fold.shape[1] // columns
    again: Wide = fold.astype(np.int64).reshape(down, rows, across, columns).sum(axis=(0, 2))
    return again


def kept_frequencies(rows: int, columns: int, least: int = LOWEST) -> Flags:
    """Return which frequencies of a fold tell noise from noise, ``bool[rows, columns]``.

    Not the lowest ones; nor those of lines, along which all pixels are alike or alternate: columns and rows of a
    sensor have offsets.

    Parameters
    ----------
    least
        As of `LOWEST`.
    """
    down, across = (np.abs(np.fft.fftfreq(side, 1 / side)) for side in (rows, columns))
    lowest = least * rows / SIDE, least * columns / SIDE
    kept = (down[:, np.newaxis] / lowest[0]) ** 2 + (across / lowest[1]) ** 2 > 1
    no_lines = [(each > 0) & (each < side // 2) for each, side in ((down, rows), (across, columns))]
    return np.asarray(kept & no_lines[0][:, np.newaxis] & no_lines[1])


def response(rows: int, columns: int) -> Reals:
    """Return what the Laplacian makes of each frequency, ``float64[rows, columns]``."""
    down, across = (2 * np.pi * np.fft.fftfreq(side) for side in (rows, columns))
    return np.asarray(4 - 2 * np.cos(down)[:, np.newaxis] - 2 * np.cos(across))


def whitened(fold: npt.NDArray[np.integer], kept: Flags) -> Wide:
    """Return the pixels whose Laplacian a fold is, in whole numbers of the root mean square `RMS`.

    Parameters
    ----------
    fold
        As of a `Sketch`, or folded again.
    kept
        ``bool``, of the same shape: the frequencies that are kept.
    """
    half = kept[:, : fold.shape[1] // 2 + 1]
    spectrum = np.fft.rfft2(fold) * half / np.maximum(response(*fold.shape)[:, : half.shape[1]], 1e-3)
    power = np.abs(spectrum) ** 2
    limit = CLIPPED_POWER * float(power.sum()) / max(1, int(np.count_nonzero(half)))
    spectrum *= np.sqrt(limit / np.maximum(np.maximum(power, limit), 1e-12))
    pixels = np.fft.irfft2(spectrum, s=fold.shape)
    return np.rint(pixels * (RMS / max(1e-12, float(pixels.std())))).astype(np.int64)
