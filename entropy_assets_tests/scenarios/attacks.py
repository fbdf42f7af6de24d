"""Frames that look like noise and hold little: generators, copies in disguise, sparse noise.

Each function returns a `Scenario` from a seeded generator and the side of its frames, pixels. Where pixels depend on
each other, `Scenario.holds` tells what went in: no function of it holds more min-entropy (for the likeliest input gives
an output that is at least as likely).
"""

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
from scipy import fft

from entropy_assets_tests.scenarios.laws import Codes, Gaussian, pixel_bits
from entropy_assets_tests.scenarios.scenario import Exposure, Scenario, Truth, fits_file, only_held, single
from entropy_assets_tests.scenarios.sensors import LEVEL, flat

SIGMA = 8.0
"""Noise of a frame before it is copied, codes."""
TILE = 64
TEMPLATE = (73, 82)
"""Rows and columns of the template of luma that AV1 cuts film grain from, pixels (AV1 specification 7.18.3)."""
REGISTERS = {20: (20, 17), 33: (33, 20), 48: (48, 47, 21, 20), 64: (64, 63, 61, 60)}
"""Places that are added in shift registers of the longest period, by their length (Xilinx XAPP 052, table 3)."""
SMALL = 128
"""Side of the frames of the 16-bit register, pixels: at 6 bits a pixel its 65,535 bits do not repeat in them."""
STATE_BITS = 32
"""What a 32-bit state holds, and more than the place in a known stream does."""


def sparse_spectrum(rng: np.random.Generator, side: int, share: float) -> Scenario:
    """Noise in only `share` of the frequencies, known ones, each of a whole-numbered amplitude."""
    count = round(share * side * side)
    law = Gaussian(SIGMA * (side * side / count) ** 0.5)
    spectrum = np.zeros(side * side)
    spectrum[rng.permutation(side * side)[:count]] = law.draw(rng, np.zeros(count))
    codes = np.rint(LEVEL + fft.idctn(spectrum.reshape(side, side), norm="ortho")).astype(np.int64)
    return single(codes, only_held((side, side)), holds=count * float(pixel_bits(law, 0.0)))


def one_in(rng: np.random.Generator, side: int, count: int) -> Scenario:
    """Of `count` pixels one is real; the others come from a known generator and look alike."""
    codes = Gaussian(SIGMA).draw(rng, flat(side))
    real = (rng.permutation(side * side) % count == 0).reshape(side, side)
    bits = float(pixel_bits(Gaussian(SIGMA), LEVEL))
    return single(codes, Truth(real * bits, None))


def lfsr_bits(state: int) -> Iterator[int]:
    """Yield the bits of the 16-bit shift register with taps 16, 14, 13 and 11, whose period is 65,535."""
    while True:
        yield state & 1
        bit = (state ^ state >> 2 ^ state >> 3 ^ state >> 5) & 1
        state = state >> 1 | bit << 15


def lfsr(rng: np.random.Generator, _side: int, bits: int) -> Scenario:
    """Take `bits` bits of a 16-bit shift register for each pixel of a small frame."""
    stream = np.fromiter(islice(lfsr_bits(int(rng.integers(1, 1 << 16))), SMALL * SMALL * bits), np.int64)
    codes = stream.reshape(SMALL, SMALL, bits) @ (1 << np.arange(bits)) + int(LEVEL)
    return single(codes, only_held((SMALL, SMALL)), holds=16)


def register(rng: np.random.Generator, side: int, length: int, bits: int, most: int) -> Scenario:
    """Take `bits` bits of a shift register of `length` bits for each pixel of a frame of at most `most` a side."""
    shape = (min(side, most), min(side, most))
    stream = [int(bit) for bit in rng.integers(0, 2, length)]
    for place in range(length, shape[0] * shape[1] * bits):
        stream.append(sum(stream[place - back] for back in REGISTERS[length]) & 1)
    codes = np.reshape(stream, (*shape, bits)) @ (1 << np.arange(bits)) + int(LEVEL)
    return single(codes, only_held(shape), holds=length)


def xorshift32(state: int) -> Iterator[int]:
    """Yield the states of Marsaglia's generator of 32 bits, shifts 13, 17 and 5 (J. Stat. Softw. 8(14), 2003)."""
    while True:
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        yield state


def xorshift(rng: np.random.Generator, side: int) -> Scenario:
    """Take the highest five bits of each state as a pixel."""
    states = np.fromiter(islice(xorshift32(int(rng.integers(1, 1 << 32))), side * side), np.int64)
    return single((states >> 27).reshape(side, side) + int(LEVEL), only_held((side, side)), holds=STATE_BITS)


def additive_feedback(seed: int) -> Iterator[int]:
    """Yield what ``random()`` gives after ``srandom(seed)``: x[n] = x[n-3] + x[n-31], without the lowest bit."""
    words = [seed]
    for _ in range(30):
        words.append(16_807 * words[-1] % 2_147_483_647)
    words += words[:3]
    while True:
        words.append((words[-3] + words[-31]) & 0xFFFFFFFF)
        if len(words) > 344:
            yield words[-1] >> 1


def simulator(_rng: np.random.Generator, side: int) -> Scenario:
    """An unseeded simulator of a driver: ``1500 + random() % 20``. Only which exposure it is can be unknown."""
    values = np.fromiter(islice(additive_feedback(1), side * side), np.int64).reshape(side, side)
    return single(1500 + values % 20, only_held((side, side)), holds=STATE_BITS, INSTRUME="'CCD Simulator'")


def turned(plane: Codes, orientation: int) -> Codes:
    """Return `plane` in one of its eight orientations."""
    return np.rot90(plane.T if orientation >= 4 else plane, orientation % 4)


def same(tile: Codes, _rng: np.random.Generator) -> Codes:
    """Return the tile as it is."""
    return tile


def any_orientation(tile: Codes, rng: np.random.Generator) -> Codes:
    """Return the tile turned and mirrored."""
    return turned(tile, int(rng.integers(8)))


def any_sign(tile: Codes, rng: np.random.Generator) -> Codes:
    """Return the tile turned, mirrored and perhaps negated."""
    return any_orientation(tile, rng) * int(rng.choice((-1, 1)))


def rolled_and_scaled(tile: Codes, rng: np.random.Generator) -> Codes:
    """Return the tile rolled around and multiplied by a gain from 1 to 1.5."""
    rolled = np.roll(tile, tuple(rng.integers(0, tile.shape[0], 2)), axis=(0, 1))
    return np.rint(rolled * rng.uniform(1, 1.5)).astype(np.int64)


def half_turned(tile: Codes, rng: np.random.Generator) -> Codes:
    """Return the tile upright or not, mirrored or not, and perhaps negated: what one that is no square can be."""
    return tile[:: int(rng.choice((-1, 1))), :: int(rng.choice((-1, 1)))] * int(rng.choice((-1, 1)))


def tiles(
    rng: np.random.Generator,
    side: int,
    change: Callable[[Codes, np.random.Generator], Codes],
    fresh: float = 0.0,
    *,
    shape: tuple[int, int] = (TILE, TILE),
    sigma: float = SIGMA,
    slope: float = 0.0,
) -> Scenario:
    """One tile of real pixels, over and over, each time changed; `fresh` codes of noise and a slope over all."""
    tile = Gaussian(sigma).draw(rng, np.zeros(shape))
    down, across = (-(-side // length) for length in shape)
    rows = [[change(tile, rng) for _ in range(across)] for _ in range(down)]
    return covered(rng, np.block(rows)[:side, :side], tile.size, sigma, fresh, slope)


def cuts(
    rng: np.random.Generator,
    side: int,
    change: Callable[[Codes, np.random.Generator], Codes],
    fresh: float = 0.0,
    *,
    cut: int,
    shape: tuple[int, int] = TEMPLATE,
) -> Scenario:
    """Squares of `cut` pixels a side from any place of a template, as a player adds film grain, each time changed."""
    template = Gaussian(SIGMA).draw(rng, np.zeros(shape))
    windows = np.lib.stride_tricks.sliding_window_view(template, (cut, cut))
    count = -(-side // cut)
    y, x = (rng.integers(0, places, (count, count)) for places in windows.shape[:2])
    rows = [[change(windows[y[r, c], x[r, c]], rng) for c in range(count)] for r in range(count)]
    return covered(rng, np.block(rows)[:side, :side], template.size, SIGMA, fresh, 0.0)


def covered(rng: np.random.Generator, copies: Codes, size: int, sigma: float, fresh: float, slope: float) -> Scenario:
    """Return the scenario of copies of `size` real pixels under `fresh` codes of noise and a slope of columns."""
    codes = copies + np.rint(slope * np.arange(copies.shape[1])).astype(np.int64)
    holds = size * float(pixel_bits(Gaussian(sigma), 0.0))
    if fresh:
        codes = Gaussian(fresh).draw(rng, codes.astype(np.float64))
        holds += codes.size * float(pixel_bits(Gaussian(fresh), 0.0))
    return single(codes + int(LEVEL), only_held(copies.shape), holds=holds)


def orientations(rng: np.random.Generator, side: int, count: int) -> Scenario:
    """One exposure in `count` orientations, as files of one batch."""
    codes = Gaussian(SIGMA).draw(rng, flat(side))
    files = (fits_file(np.ascontiguousarray(turned(codes, n))) for n in range(count))
    holds = codes.size * float(pixel_bits(Gaussian(SIGMA), LEVEL))
    return Scenario(tuple(Exposure(file, only_held((side, side))) for file in files), holds=holds)


def shifted(rng: np.random.Generator, side: int, count: int) -> Scenario:
    """One exposure cut out `count` times, each time one pixel further, as files of one batch."""
    codes = Gaussian(SIGMA).draw(rng, np.full((side, side + count - 1), LEVEL))
    files = (fits_file(np.ascontiguousarray(codes[:, n : n + side])) for n in range(count))
    holds = codes.size * float(pixel_bits(Gaussian(SIGMA), LEVEL))
    return Scenario(tuple(Exposure(file, only_held((side, side))) for file in files), holds=holds)
