"""A sequence of bits, eight to a byte, and what is done with it 64 bits at a time.

A word is a ``uint64`` whose highest bit comes first in the sequence, as in sts-2.1.2 and in the files of NIST. Bits
beyond the end are 0.
"""

from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]
Made = TypeVar("Made")

SPARE: Final = 2
"""Words of 0 behind the last bit: a window that begins in the sequence may be read to its end."""
WORDS_AT_ONCE: Final = 1 << 12
"""Words whose 64 windows each are looked at at once: some megabytes, whatever the length of the sequence."""


class PackedBits:
    """The first `n` bits of `data`, the most significant bit of each byte first.

    Parameters
    ----------
    data
        Bytes, or ``uint8`` of one dimension. It is not copied unless an array has gaps, and must not change meanwhile.
    n
        Number of bits, at most eight times the bytes; all of them if it is not given.

    Raises
    ------
    ValueError
        If there are fewer bits than `n`, or `n` is negative.
    TypeError
        If an array isn't ``uint8``.
    """

    def __init__(self, data: bytes | bytearray | memoryview | npt.NDArray[np.uint8], n: int | None = None) -> None:
        packed = data if isinstance(data, np.ndarray) else np.frombuffer(data, dtype=np.uint8)
        if packed.dtype != np.uint8 or packed.ndim != 1:
            raise TypeError(f"bits are packed in one row of uint8, not in {packed.ndim} dimensions of {packed.dtype}")
        self.n: Final = 8 * len(packed) if n is None else n
        if not 0 <= self.n <= 8 * len(packed):
            raise ValueError(f"{8 * len(packed)} bits are there, {self.n} are asked for")
        self.data: Final = np.ascontiguousarray(packed[: -(-self.n // 8)])
        self._made: dict[Hashable, Any] = {}

    @classmethod
    def of(cls, bits: npt.ArrayLike) -> "PackedBits":
        """Return the sequence of `bits`, each 0 or 1 or a bool."""
        array = np.asarray(bits).astype(np.uint8)
        return cls(np.packbits(array), len(array))

    @cached_property
    def words(self) -> Words:
        """``uint64[ceil(n / 64) + 2]``: the sequence, then only zeros."""
        room = np.zeros(8 * (-(-self.n // 64) + SPARE), dtype=np.uint8)
        room[: len(self.data)] = self.data
        if self.n % 8:
            room[len(self.data) - 1] &= 0xFF << (8 - self.n % 8) & 0xFF
        return room.view(">u8").astype(np.uint64)

    @cached_property
    def ones(self) -> "Ones":
        """Where the ones are."""
        return Ones(self.words)

    @property
    def sum(self) -> int:
        """S_n: the ones less the zeros."""
        return 2 * self.ones.total - self.n

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what `make` gives; it is called once for each `key`, since several tests stand on the same counts."""
        if key not in self._made:
            self._made[key] = make()
        made: Made = self._made[key]
        return made


class Ones:
    """How many bits of words are set before any place."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._before = np.zeros(len(words) + 1, dtype=np.int64)
        np.cumsum(np.bitwise_count(words), out=self._before[1:])

    @property
    def total(self) -> int:
        """All of them."""
        return int(self._before[-1])

    def before(self, places: Indices) -> Indices:
        """Return how many of the bits ``0 .. place - 1`` are set, for places that lie in the words."""
        word, bits = places >> 6, (places & 63).astype(np.uint64)
        rest = (self._words[word] >> np.uint64(1)) >> (np.uint64(63) - bits)
        found: Indices = self._before[word] + np.bitwise_count(rest)
        return found

    def in_blocks(self, blocks: int, length: int, window: int = 1) -> Indices:
        """Return how many are set in each of the first blocks of `length` bits, of those that begin a whole window."""
        starts = np.arange(blocks, dtype=np.int64) * length
        return self.before(starts + (length - window + 1)) - self.before(starts)


def ahead(words: Words, bits: int) -> Words:
    """Return the words of the sequence that begins `bits` later, 0 to 63, with zeros behind the end."""
    if not bits:
        return words
    moved = words << np.uint64(bits)
    moved[:-1] |= words[1:] >> np.uint64(64 - bits)
    return moved


def all_ones(words: Words, length: int) -> Words:
    """Return words that have a 1 where `length` ones begin; `length` is 1 to 64."""
    reach, found = 1, words
    while reach < length:
        step = min(reach, length - reach)
        found = found & ahead(found, step)
        reach += step
    return found


def cyclic(bits: PackedBits) -> Words:
    """Return the words with the sequence begun again behind its end, for 64 bits more."""
    words = bits.words.copy()
    if not bits.n:
        return words
    first = "".join(np.binary_repr(int(word), 64) for word in words[:1])[: min(64, bits.n)]
    again = int((first * 64)[:64], 2)
    word, shift = bits.n >> 6, bits.n & 63
    words[word] |= np.uint64(again >> shift)
    words[word + 1] |= np.uint64((again << (64 - shift)) & (2**64 - 1))
    return words


def windows(words: Words, length: int, start: int, stop: int) -> Indices:
    """Return the `length` bits from each of the places ``start .. stop - 1`` on, as numbers; `length` is 1 to 62."""
    first, last = start >> 6, -(-stop // 64)
    own, after = words[first:last, None], words[first + 1 : last + 1, None]
    shifts = np.arange(64, dtype=np.uint64)
    found = (own << shifts) | ((after >> np.uint64(1)) >> (np.uint64(63) - shifts))
    found >>= np.uint64(64 - length)
    return found.reshape(-1)[start - 64 * first : stop - 64 * first].view(np.int64)


def pieces(n: int) -> list[tuple[int, int]]:
    """Return the places ``0 .. n - 1`` as ranges that are looked at at once."""
    step = 64 * WORDS_AT_ONCE
    return [(start, min(n, start + step)) for start in range(0, n, step)]
