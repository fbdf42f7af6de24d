"""Shuffles that anybody can make again: Fisher and Yates, by the generator xoshiro256** (SP 800-90B 5.1).

The algorithm is that of NIST's tool, which seeds it from the operating system: from the same four words come the same
permutations. Generator: Blackman and Vigna 2018; draws below a bound: Lemire 2019, doi 10.1145/3230636.
"""

from typing import Final, Self

import numpy as np
import numpy.typing as npt

from entropy_assets.core.sp800_90b.alphabets import Symbols
from entropy_assets.core.sp800_90b.kernels import kernels
from entropy_assets.errors import InputRefused

ALGORITHM: Final = "Fisher-Yates by xoshiro256**, seeded by SplitMix64"
"""What a verdict says of its permutations."""
_WORD: Final = (1 << 64) - 1


class Shuffler:
    """A stream of permutations.

    Parameters
    ----------
    state
        Four words of 64 bits, not all 0.
    """

    def __init__(self, state: tuple[int, int, int, int]) -> None:
        if not any(state) or not all(0 <= word <= _WORD for word in state):
            raise InputRefused("the generator begins with four words of 64 bits, not all of them 0")
        self._state: npt.NDArray[np.uint64] = np.array(state, dtype=np.uint64)

    @classmethod
    def seeded(cls, seed: int) -> Self:
        """Return the stream of a seed, whose four words SplitMix64 makes of its lowest 64 bits."""
        words = []
        for step in range(1, 5):
            word = (seed + step * 0x9E3779B97F4A7C15) & _WORD
            word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
            word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD
            words.append(word ^ (word >> 31))
        return cls((words[0], words[1], words[2], words[3]))

    def shuffle(self, places: Symbols) -> None:
        """Shuffle ``uint8[n]`` in place; the stream goes on."""
        if compiled := kernels():
            compiled.shuffles.shuffle(places, self._state)
        else:
            places[:] = np.frombuffer(self._shuffled(bytearray(places.tobytes())), dtype=np.uint8)

    def _shuffled(self, places: bytearray) -> bytearray:
        a, b, c, d = self._state.tolist()
        for last in range(len(places) - 1, 0, -1):
            while True:
                five = (b * 5) & _WORD
                drawn = (((five << 7) | (five >> 57)) & _WORD) * 9 & _WORD
                shifted = (b << 17) & _WORD
                c ^= a
                d ^= b
                b ^= c
                a ^= d
                c ^= shifted
                d = ((d << 45) | (d >> 19)) & _WORD
                product = drawn * (last + 1)
                rest = product & _WORD
                if rest > last or rest >= (1 << 64) % (last + 1):
                    break
            other = product >> 64
            places[last], places[other] = places[other], places[last]
        self._state[:] = a, b, c, d
        return places
