"""Linearity: bits of a generator that adds modulo 2 are repeated by a short shift register, those of a sensor are not.

Shift registers, xorshift and all their kin are linear over GF(2), and so is every n-th bit of them. So a bit plane of a
frame that such a generator filled has a linear complexity of its state, a few dozen bits, where noise needs half the
length of the plane (SP 800-22 2.10).
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.extraction.squares import Steps
from entropy_assets.core.sp800_22.berlekamp_massey import linear_complexity

LONGEST: Final = 2048
"""Most lowest bits that are looked at together, one a pixel."""
SHORTEST: Final = 256
"""Fewest bits that are looked at: lowest bits of a live square, 0.56 of them alike at most, would have to follow a rule
for 64 bits to fall below 3/4 of what noise needs, which chance gives once in 2**53."""
LONGEST_OTHERS: Final = 1024
"""Most bits of a higher plane, or of several planes together, that are looked at."""
ROWS: Final = 2
"""Stretches along rows that are looked at, and stretches along columns."""
EVEN_WIDTH: Final = 2.2
"""Sigmas of noise that 2**k codes may span for the lowest k bits to be even within 4 %."""
MOST_PLANES: Final = 8
"""Most bit planes that are looked at."""


def relative_complexity(steps: Steps, live: npt.NDArray[np.bool_], size: int, sigma: float) -> float:
    """Return the least linear complexity of bits of the frame, as a share of what noise needs.

    The lowest bits of consecutive live pixels are looked at, along rows and along columns; so is each higher plane that
    the noise fills evenly, and the bits of those planes pixel by pixel, from either end.

    Parameters
    ----------
    steps
        ``[ny, nx]``, pixels in ADC steps.
    live
        ``bool[sy, sx]``, the live squares.
    size
        Side of a square, pixels.
    sigma
        Noise, ADC steps.

    Returns
    -------
    float
        About 1 for noise, next to 0 for a linear generator; 1 if no `SHORTEST` bits follow each other.
    """
    planes = max(1, min(MOST_PLANES, int(np.log2(max(2.0, EVEN_WIDTH * sigma)))))
    along = list(_stretches(steps, live, size))
    across = list(_stretches(steps.T, live.T, size))
    sequences = [stretch & 1 for stretch in along + across]
    for stretch in along[:1]:
        bits = stretch[:LONGEST_OTHERS, np.newaxis] >> np.arange(planes) & 1
        sequences += [*bits.T[1:], bits.ravel()[:LONGEST_OTHERS], bits[:, ::-1].ravel()[:LONGEST_OTHERS]]
    shares = [2 * linear_complexity(bits) / len(bits) for bits in sequences if len(bits) >= SHORTEST]
    return min(shares, default=1.0)


def _stretches(steps: Steps, live: npt.NDArray[np.bool_], size: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield up to `LONGEST` consecutive pixels of each of the `ROWS` rows of squares with the longest live runs.

    A row of squares that is live from end to end goes on with its next row of pixels; else one row of pixels is all.
    """
    runs = [_longest_run(row) for row in live]
    longest = sorted(range(len(runs)), key=lambda row: -(runs[row][1] - runs[row][0]))
    for row in longest[:ROWS]:
        start, stop = runs[row]
        band = steps[row * size : (row + 1) * size]
        whole = stop - start == live.shape[1]
        stretch = band.ravel() if whole else band[0, start * size : stop * size]
        yield stretch[:LONGEST].astype(np.int64)


def _longest_run(flags: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Return the first and one past the last place of the longest run of set flags."""
    ends = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    if len(ends) == 0:
        return 0, 0
    starts, stops = ends[::2], ends[1::2]
    best = int((stops - starts).argmax())
    return int(starts[best]), int(stops[best])
