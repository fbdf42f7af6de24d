"""Linearity: bits of a generator that adds modulo 2 are repeated by a short shift register, those of a sensor are not.

Shift registers, xorshift and all their kin are linear over GF(2), and so is every n-th bit of them. So a bit plane of a
frame that such a generator filled has a linear complexity of its state, a few dozen bits, where noise needs half the
length of the plane (SP 800-22 2.10).

That takes long live runs. A small window needs none: its bits are linear functions of the state at its corner, the same
ones for every window of that shape. So the matrix whose rows are windows has at most the rank of the state, where noise
has full rank (SP 800-22 2.5), in whatever order of rows or columns the generator filled the frame, in one live square.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.arrays import on_host, windows_at
from entropy_assets.core.extraction.compiled import loops, loops_for
from entropy_assets.core.extraction.squares import MAD_TO_SIGMA, Steps
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
WINDOW_BITS: Final = 192
"""Most bits of a window: with 3/4 of them as the limit, states of up to 143 bits are found, xorshift128 among them."""


def relative_complexity(steps: Steps, live: npt.NDArray[np.bool_], size: int, sigma: float) -> float:
    """Return the least linear complexity of bits of the frame, as a share of what noise needs.

    The lowest bits of consecutive live pixels are looked at, along rows and along columns; so is each higher plane that
    the noise fills evenly, and the bits of those planes pixel by pixel, from either end. Of windows the rank is
    counted: of their lowest bits, of the bits of all those planes, and of those above the lowest.

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
        About 1 for noise, next to 0 for a linear generator; 1 if no square is live.
    """
    planes = _planes_of(sigma)
    along = list(_stretches(steps, live, size))
    across = list(_stretches(steps.T, live.T, size))
    sequences = [stretch & 1 for stretch in along + across]
    for stretch in along[:1]:
        # Where the stretch is quieter than the frame its upper planes are constant, which no generator need have made.
        bits = stretch[:LONGEST_OTHERS, np.newaxis] >> np.arange(min(planes, _planes_of(_noise_of(stretch)))) & 1
        sequences += [*bits.T[1:], bits.ravel()[:LONGEST_OTHERS], bits[:, ::-1].ravel()[:LONGEST_OTHERS]]
    shares = [2 * _complexity(bits) / len(bits) for bits in sequences if len(bits) >= SHORTEST]
    shares += [_window_rank(steps, live, size, chosen) for chosen in _plane_sets(planes)]
    return min(shares)


def _planes_of(sigma: float) -> int:
    """Return how many of the lowest bits noise of `sigma` fills evenly, `MOST_PLANES` at most, one at least."""
    return max(1, min(MOST_PLANES, int(np.log2(max(2.0, EVEN_WIDTH * sigma)))))


def _noise_of(stretch: npt.NDArray[np.int64]) -> float:
    """Return the noise of consecutive pixels, ADC steps, from the median difference of two neighbours."""
    return float(np.median(np.abs(np.diff(stretch)))) * MAD_TO_SIGMA / math.sqrt(2) if len(stretch) > 1 else 0.0


def _complexity(bits: npt.NDArray[np.int64]) -> int:
    """Return the linear complexity of `bits`."""
    compiled = loops()
    return linear_complexity(bits) if compiled is None else compiled.linearity.complexity(bits.astype(np.uint8))


def _stretches(steps: Steps, live: npt.NDArray[np.bool_], size: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield up to `LONGEST` consecutive pixels of each of the `ROWS` rows of squares with the longest live runs.

    A row of squares that is live from end to end goes on with its next row of pixels; else one row of pixels is all.
    """
    runs = [_longest_run(row) for row in live]
    longest = sorted(range(len(runs)), key=lambda row: -(runs[row][1] - runs[row][0]))
    for row in longest[:ROWS]:
        start, stop = runs[row]
        whole = stop - start == live.shape[1]
        lines = min(size, -(-LONGEST // steps.shape[1])) if whole else 1
        band = on_host(steps[row * size : row * size + lines, :])
        stretch = band.ravel() if whole else band[0, start * size : stop * size]
        yield stretch[:LONGEST].astype(np.int64)


def _plane_sets(planes: int) -> Iterator[range]:
    """Yield which bit planes are looked at together in a window."""
    yield range(1)
    if planes > 1:
        yield range(planes)
        yield range(1, planes)


def _window_rank(steps: Steps, live: npt.NDArray[np.bool_], size: int, planes: range) -> float:
    """Return the rank over GF(2) of windows as large as `WINDOW_BITS` allow, one a row, as a share of its most.

    There are as many windows as a window has bits, evenly spread over all places in the live squares.
    """
    y, x = np.nonzero(live)
    side = int((WINDOW_BITS / len(planes)) ** 0.5)
    height, width = min(size, side), min(size, WINDOW_BITS // len(planes) // side)
    count = height * width * len(planes)
    down, across = size - height + 1, size - width + 1
    place = np.linspace(0, len(y) * down * across - 1, count).astype(np.int64)
    square, place = np.divmod(place, down * across)
    top, left = y[square] * size + place // across, x[square] * size + place % across
    if (compiled := loops_for(steps)) is not None:
        return float(compiled.linearity.window_rank(steps, top, left, height, width, planes.start, len(planes)) / count)
    windows = on_host(windows_at(steps, top, left, height, width))
    if (compiled := loops()) is not None:
        low = (windows.reshape(count * height, width) & 255).astype(np.int16)
        tops, lefts = height * np.arange(count), np.zeros(count, dtype=np.int64)
        return float(compiled.linearity.window_rank(low, tops, lefts, height, width, planes.start, len(planes)) / count)
    bits = windows[..., np.newaxis] >> np.array(planes, dtype=windows.dtype) & 1
    packed = np.packbits(bits.reshape(count, count).astype(np.uint8), axis=1)
    return gf2_rank([int.from_bytes(row.tobytes(), "big") for row in packed]) / count


def gf2_rank(rows: Iterable[int]) -> int:
    """Return the rank over GF(2) of a matrix whose rows are the binary digits of whole numbers (SP 800-22 2.5)."""
    pivots: dict[int, int] = {}
    for row in rows:
        rest = row
        while rest:
            pivot = pivots.setdefault(rest.bit_length(), rest)
            if pivot is rest:
                break
            rest ^= pivot
    return len(pivots)


def _longest_run(flags: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Return the first and one past the last place of the longest run of set flags."""
    if flags.all():
        return 0, len(flags)
    ends = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    if len(ends) == 0:
        return 0, 0
    starts, stops = ends[::2], ends[1::2]
    best = int((stops - starts).argmax())
    return int(starts[best]), int(stops[best])
