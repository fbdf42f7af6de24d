"""Sources with a named defect, and good ones: ``uint8[m, n]`` blocks from a seeded generator."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

Blocks = NDArray[np.uint8]
Source = Callable[[np.random.Generator, int, int], Blocks]

ENGLISH: Final = (
    b"The noise of a detector is what remains when everything that can be known about a picture has been taken away. "
    b"It is small, it is everywhere, and no two exposures share it. Whoever measures it with care will find that most "
    b"of it is the arrival of single photons and single electrons, which nobody can foretell. "
)


def good(generator: np.random.Generator, m: int, n: int) -> Blocks:
    """Return uniform independent bytes."""
    words = generator.integers(0, 1 << 64, (m, -(-n // 8)), np.uint64)
    return np.ascontiguousarray(words.view(np.uint8)[:, :n])


def biased(share: float) -> Source:
    """Give a source whose bits are one with probability `share`."""

    def source(generator: np.random.Generator, m: int, n: int) -> Blocks:
        return np.packbits(generator.random((m, 8 * n)) < share, axis=1)

    return source


def stuck_bit(generator: np.random.Generator, m: int, n: int) -> Blocks:
    """Return bytes whose lowest bit is always one."""
    return good(generator, m, n) | np.uint8(1)


def periodic(period: int) -> Source:
    """Give a source that repeats its first `period` bytes."""

    def source(generator: np.random.Generator, m: int, n: int) -> Blocks:
        return np.tile(good(generator, m, period), (1, -(-n // period)))[:, :n]

    return source


def repeated_16_once(generator: np.random.Generator, m: int, n: int) -> Blocks:
    """Return bytes in which every 16 are followed by the same 16 again."""
    halves = good(generator, m, -(-n // 32) * 16).reshape(m, -1, 1, 16)
    return np.tile(halves, (1, 1, 2, 1)).reshape(m, -1)[:, :n]


def without_repeats(generator: np.random.Generator, m: int, n: int) -> Blocks:
    """Return bytes that never equal the byte before: de-duplicated neighbours."""
    steps = generator.integers(1, 256, (m, n))
    return np.cumsum(steps, axis=1).astype(np.uint8)


def deduplicated(generator: np.random.Generator, m: int, n: int) -> Blocks:
    """Return bytes drawn without replacement from a deck that holds each value equally often: too even."""
    deck = np.tile(np.arange(256, dtype=np.uint8), (m, -(-n // 256)))
    return generator.permuted(deck, axis=1)[:, :n]


def counter(generator: np.random.Generator, m: int, n: int) -> Blocks:
    """Return a 32-bit big-endian counter from a random start."""
    start = generator.integers(0, 1 << 31, (m, 1))
    return (start + np.arange(-(-n // 4))).astype(">u4").view(np.uint8)[:, :n]


def byte_counter(generator: np.random.Generator, m: int, n: int) -> Blocks:
    """Return bytes that count up by one."""
    return (generator.integers(0, 256, (m, 1)) + np.arange(n)).astype(np.uint8)


def english(generator: np.random.Generator, m: int, n: int) -> Blocks:
    """Return English text from a random place."""
    text = np.frombuffer(ENGLISH, np.uint8)
    return text[(generator.integers(0, len(text), (m, 1)) + np.arange(n)) % len(text)]


def ramp_low_bits(generator: np.random.Generator, m: int, n: int) -> Blocks:
    """Return the low bits of a brightness ramp with a slope of 3.7 and noise of one unit."""
    ramp = 3.7 * np.arange(n) + 1000 * generator.random((m, 1)) + generator.normal(0, 1, (m, n))
    return np.round(ramp).astype(np.int64).astype(np.uint8)


def smooth_ramp_low_bits(generator: np.random.Generator, m: int, n: int) -> Blocks:
    """Return the low bits of a noiseless ramp with a random slope."""
    slope = generator.uniform(2, 200, (m, 1))
    return np.floor(slope * np.arange(n)).astype(np.int64).astype(np.uint8)


DEFECTS: Final[dict[str, Source]] = {
    "bias 0.51": biased(0.51),
    "bias 0.52": biased(0.52),
    "stuck bit": stuck_bit,
    "period 8 bytes": periodic(8),
    "period 64 bytes": periodic(64),
    "period 512 bytes": periodic(512),
    "16 bytes repeated for ever": periodic(16),
    "each 16 bytes twice": repeated_16_once,
    "bytes never repeat their neighbour": without_repeats,
    "de-duplicated bytes (too even)": deduplicated,
    "32-bit counter": counter,
    "8-bit counter": byte_counter,
    "English text": english,
    "low bits of a noisy ramp": ramp_low_bits,
    "low bits of a noiseless ramp": smooth_ramp_low_bits,
}
