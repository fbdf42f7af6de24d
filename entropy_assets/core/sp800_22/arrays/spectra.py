"""Transforms of many short sequences in place of one long one, and their peaks below a limit (SP 800-22 2.6).

Of n = R m bits those m apart make one pattern of R bits, those of even rows apart from those of odd rows. For each byte
of it a table has what its bits add up to when they are turned as class q of the transform wants it. The sum of the even
rows and the odd ones is that of class q; their difference is that of class q + R / 2, of which the sequence being real
class R / 2 - q is the mirror image.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.sp800_22.packed import PackedBits

Complex = npt.NDArray[np.complex128]
Patterns = npt.NDArray[np.uint8]

STEPS: Final = 256
"""Places whose turns are in one table; another one has where they begin."""


def patterns(bits: PackedBits, joined: int) -> Patterns:
    """Return ``uint8[2, ceil(joined / 16), n / joined]``: bit ``t + row * m`` of the sequence in pattern t.

    Row ``2 * k + i`` is bit k of half i. The first bits of a byte are its highest.
    """
    m = bits.n // joined
    found = np.zeros((2, -(-joined // 16), m), dtype=np.uint8)
    for row in range(joined):
        first = row * m
        unpacked = np.unpackbits(bits.data[first // 8 : -(-(first + m) // 8)])[first % 8 :][:m]
        unpacked <<= 7 - row // 2 % 8
        found[row % 2, row // 16] |= unpacked
    return found


def turned_sums(found: Patterns, sums: Complex, tables: Complex, starts: Complex, steps: Complex) -> None:
    """Fill `sums` for class q, and for class R / 2 - q if it has two rows.

    Parameters
    ----------
    sums
        ``complex128[1 or 2, m]``.
    tables
        ``complex128[2, bytes, 256]``, what the bits of each byte of even and of odd rows add up to.
    starts, steps
        ``complex128[2, ...]``. The turn at place t is ``starts[t // STEPS] * steps[t % STEPS]``.
    """
    even, odd = (
        sum((table[row] for table, row in zip(tables[half], found[half], strict=True)), np.zeros(sums.shape[1]))
        for half in (0, 1)
    )
    np.add(even, odd, out=sums[0])
    if len(sums) > 1:
        np.subtract(even, odd, out=sums[1])
        np.conjugate(sums[1], out=sums[1])
    for row, first, step in zip(sums, starts, steps, strict=False):
        for place, turn in enumerate(first):
            part = row[place * STEPS : (place + 1) * STEPS]
            part *= (step * turn)[: len(part)]


def below(peaks: Complex, limit: float) -> int:
    """Return how many of `peaks`, which are used up, have a square below `limit`."""
    parts = peaks.view(np.float64)
    parts *= parts
    return int(np.count_nonzero(parts[0::2] + parts[1::2] < limit))
