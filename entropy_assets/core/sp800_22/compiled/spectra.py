"""Twin of `arrays.spectra`, in one pass over the patterns."""

from typing import Any

import numpy as np

from entropy_assets.core.compiling import kernel
from entropy_assets.core.sp800_22.arrays.spectra import Patterns
from entropy_assets.core.sp800_22.packed import PackedBits


def patterns(bits: PackedBits, joined: int) -> Patterns:
    """Return the bits that are n / `joined` apart, as bytes of even rows and bytes of odd rows."""
    found = np.zeros((2, -(-joined // 16), bits.n // joined), dtype=np.uint8)
    _patterns(bits.words, joined, found)
    return found


@kernel
def _patterns(words: Any, joined: int, found: Any) -> None:
    many = found.shape[2]
    spread = np.zeros(256, dtype=np.uint64)  # the bits of a byte as bytes, its highest bit in the lowest one
    for byte in range(256):
        for bit in range(8):
            spread[byte] |= np.uint64((byte >> (7 - bit)) & 1) << np.uint64(8 * bit)
    square = np.empty(8, dtype=np.uint64)
    for group in range(2 * found.shape[1]):
        half, index = group & 1, group >> 1
        for start in range(0, many, 64):
            square[:] = 0
            for k in range(8):
                row = 16 * index + 2 * k + half
                if row < joined:
                    place = row * many + start
                    word, off = place >> 6, np.uint64(place & 63)
                    own = (words[word] << off) | ((words[word + 1] >> np.uint64(1)) >> (np.uint64(63) - off))
                    for byte in range(8):
                        value = spread[(own >> np.uint64(56 - 8 * byte)) & np.uint64(255)]
                        square[byte] |= value << np.uint64(7 - k)
            for place in range(min(64, many - start)):
                found[half, index, start + place] = (square[place >> 3] >> np.uint64(8 * (place & 7))) & np.uint64(255)


@kernel
def turned_sums(found: Any, sums: Any, tables: Any, starts: Any, steps: Any) -> None:
    """Fill `sums` for class q, and for class R / 2 - q if it has two rows."""
    size, many = steps.shape[1], sums.shape[1]
    for start in range(starts.shape[1]):
        first = start * size
        for place in range(first, min(many, first + size)):
            even = tables[0, 0, found[0, 0, place]]
            odd = tables[1, 0, found[1, 0, place]]
            for index in range(1, found.shape[1]):
                even += tables[0, index, found[0, index, place]]
                odd += tables[1, index, found[1, index, place]]
            sums[0, place] = (even + odd) * (starts[0, start] * steps[0, place - first])
            if len(sums) > 1:
                sums[1, place] = (even - odd).conjugate() * (starts[1, start] * steps[1, place - first])


@kernel
def below(peaks: Any, limit: float) -> int:
    """Return how many of `peaks` have a square below `limit`."""
    found = 0
    for place in range(len(peaks)):
        peak = peaks[place]
        found += peak.real * peak.real + peak.imag * peak.imag < limit
    return found
