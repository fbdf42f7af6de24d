"""Shuffles by the generator xoshiro256**, for the permutation tests of SP 800-90B 5.1."""

from typing import Any

import numpy as np

from entropy_assets.core.compiling import kernel


@kernel
def shuffle(places: Any, state: Any) -> None:
    """Shuffle `places` from the last to the second with one below or at each; `state`, ``uint64[4]``, goes on.

    A draw below a bound is the upper half of the product of both, drawn again where that would favour some values.
    """
    a, b, c, d = state[0], state[1], state[2], state[3]
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    for last in range(len(places) - 1, 0, -1):
        bound = np.uint64(last + 1)
        while True:
            five = b * np.uint64(5)
            drawn = ((five << np.uint64(7)) | (five >> np.uint64(57))) * np.uint64(9)
            shifted = b << np.uint64(17)
            c ^= a
            d ^= b
            b ^= c
            a ^= d
            c ^= shifted
            d = (d << np.uint64(45)) | (d >> np.uint64(19))
            rest = drawn * bound
            if rest >= bound or rest >= (np.uint64(0) - bound) % bound:
                break
        other = np.int64(((drawn >> half) * bound + (((drawn & low) * bound) >> half)) >> half)
        places[last], places[other] = places[other], places[last]
    state[0], state[1], state[2], state[3] = a, b, c, d
