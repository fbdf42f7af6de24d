"""Files with several exposures: cubes, ramps, amplifiers, and planes that others have shown before.

Each function returns a `Scenario` from a seeded generator and the side of a frame, pixels; planes have half of it. The
truth of a file is that of its planes below each other, in its order: what a plane holds to who knows those before it.
"""

from collections.abc import Callable

import numpy as np

from entropy_assets_tests.images.image_files import block, header
from entropy_assets_tests.scenarios.laws import Codes, Gaussian, Reals, pixel_bits, rounded
from entropy_assets_tests.scenarios.scenario import UNSIGNED_ZERO, Exposure, Scenario, Truth, fits_file
from entropy_assets_tests.scenarios.sensors import LEVEL

COUNT = 8
"""Planes of a file."""
SIGMA = 8.0
"""Noise of a plane that others are computed from, codes."""


def cube_file(planes: Codes) -> bytes:
    """Return the planes ``[count, ny, nx]`` as one image of three axes."""
    return fits_file(planes)


def extensions_file(planes: Codes) -> bytes:
    """Return the planes as extensions of one file."""
    cards = {"BITPIX": 16, "NAXIS": 2, "NAXIS1": planes.shape[2], "NAXIS2": planes.shape[1], "PCOUNT": 0, "GCOUNT": 1}
    own = header(XTENSION="'IMAGE   '", **cards, BZERO=UNSIGNED_ZERO)
    stored = (block((plane - UNSIGNED_ZERO).astype(">i2").tobytes(), b"\0") for plane in planes)
    return header(SIMPLE="T", BITPIX=8, NAXIS=0) + b"".join(own + data for data in stored)


def truth_of_planes(*bits: Reals | float, shape: tuple[int, int]) -> Truth:
    """Return the truth of planes that hold so many bits in each pixel."""
    return Truth(np.concatenate([np.broadcast_to(each, shape) for each in bits]), None)


def levels_of(rng: np.random.Generator, side: int, width: float) -> Reals:
    """Return the levels of a sensor whose pattern has the given width."""
    return LEVEL + rng.normal(0, width, (side // 2, side // 2))


def drawn(rng: np.random.Generator, levels: Reals, sigma: float) -> Codes:
    """Return `COUNT` exposures of one sensor."""
    return np.stack([Gaussian(sigma).draw(rng, levels) for _ in range(COUNT)])


def cube(rng: np.random.Generator, side: int, multiple: float, sigma: float, *, spent: bool = False) -> Scenario:
    """A cube of a sensor with a known pattern, `multiple` times as wide as its noise; maybe after another one."""
    levels = levels_of(rng, side, multiple * sigma)
    earlier = (cube_file(drawn(rng, levels, sigma)),) if spent else ()
    truth = truth_of_planes(*[pixel_bits(Gaussian(sigma), levels)] * COUNT, shape=levels.shape)
    return Scenario((Exposure(cube_file(drawn(rng, levels, sigma)), truth),), earlier)


def amplifiers(rng: np.random.Generator, side: int, multiple: float, *, spent: bool = False) -> Scenario:
    """Extensions of eight amplifiers, each with its own gain, level and known pattern; maybe after another exposure."""
    laws = [Gaussian(4.0 * gain) for gain in (1, 0.8, 1.25, 0.9, 1.1, 1, 1.05, 0.95)]
    levels = [levels_of(rng, side, multiple * law.sigma) + 90 * place for place, law in enumerate(laws)]
    files = [
        extensions_file(np.stack([law.draw(rng, level) for law, level in zip(laws, levels, strict=True)]))
        for _ in range(1 + spent)
    ]
    bits = [pixel_bits(law, level) for law, level in zip(laws, levels, strict=True)]
    truth = truth_of_planes(*bits, shape=levels[0].shape)
    return Scenario((Exposure(files[-1], truth),), tuple(files[:-1]))


def ramp(
    rng: np.random.Generator, side: int, read: float, electrons: float, reset: float, *, spent: bool = False
) -> Scenario:
    """Groups of a ramp that is read without being reset, one electron a code, over a pattern of twice the read noise.

    The charge of a group is that of the one before and a Poisson number of `electrons`; `reset` is the width of the
    noise that resetting left in all of them, which is fresh in every ramp. Pixels of all groups together have the
    covariance ``read**2 + electrons * min(i, j) + reset**2``. The greatest density of a Gaussian is the product of
    those of each group about what those before it say, so that is what a group holds.
    """
    levels = levels_of(rng, side, 2 * read)

    def file() -> bytes:
        charge = np.cumsum(rng.poisson(electrons, (COUNT, *levels.shape)), axis=0)
        level = levels + rng.normal(0, reset, levels.shape) + charge
        return cube_file(rounded(level + rng.normal(0, read, level.shape)))

    group = np.arange(1, COUNT + 1)
    covariance = read**2 * np.eye(COUNT) + electrons * np.minimum.outer(group, group) + reset**2
    widths = np.diag(np.linalg.cholesky(covariance))
    bits = [float(np.log2(np.sqrt(2 * np.pi) * width)) for width in widths]
    files = [file() for _ in range(1 + spent)]
    return Scenario((Exposure(files[-1], truth_of_planes(*bits, shape=levels.shape)),), tuple(files[:-1]))


def copies(rng: np.random.Generator, side: int, change: Callable[[Codes, int], Reals], fresh: float) -> Scenario:
    """A cube whose planes are the first one, changed, with a little fresh noise on each; the first is sent as it is."""
    shape = (side // 2, side // 2)
    first = Gaussian(SIGMA).draw(rng, np.full(shape, LEVEL))
    planes = [first.astype(np.float64), *(change(first, place) for place in range(1, COUNT))]
    codes = [first, *(rounded(plane + rng.normal(0, fresh, shape)) for plane in planes[1:])]
    bits = [float(pixel_bits(Gaussian(SIGMA), LEVEL)), *[pixel_bits(Gaussian(fresh), each) for each in planes[1:]]]
    return Scenario((Exposure(cube_file(np.stack(codes)), truth_of_planes(*bits, shape=shape)),))


def turned(first: Codes, place: int) -> Reals:
    """Return the first plane in another orientation."""
    return np.rot90(first[:, ::-1] if place >= 4 else first, place % 4).astype(np.float64)


def moved(first: Codes, place: int) -> Reals:
    """Return the first plane shifted, negated and stretched."""
    shifted = np.roll(first, (3 * place, -5 * place), axis=(0, 1))
    return LEVEL + (shifted - LEVEL) * (-1.0) ** place * (1 + 0.1 * place)


def same(first: Codes, place: int) -> Reals:
    """Return the first plane on another level."""
    return first + 10.0 * place


def interleaved(rng: np.random.Generator, side: int, count: int) -> Scenario:
    """A cube of `count` exposures and copies of them turned by a half, one after the other."""
    shape = (side // 2, side // 2)
    exposures = [Gaussian(SIGMA).draw(rng, np.full(shape, LEVEL)) for _ in range(count)]
    planes = [plane for exposure in exposures for plane in (exposure, exposure[::-1, ::-1])]
    bits = [float(pixel_bits(Gaussian(SIGMA), LEVEL)), 0.0] * count
    return Scenario((Exposure(cube_file(np.stack(planes)), truth_of_planes(*bits, shape=shape)),))


def sums(rng: np.random.Generator, side: int) -> Scenario:
    """A cube of two exposures and six combinations of them."""
    shape = (side // 2, side // 2)
    a, b = (Gaussian(SIGMA).draw(rng, np.full(shape, LEVEL)) for _ in range(2))
    others = [a + b - 1000, a - b + 1000, 2 * a - b, 2 * b - a, a + 2 * b - 2000, 3000 - a - b]
    bits = [float(pixel_bits(Gaussian(SIGMA), LEVEL))] * 2 + [0.0] * len(others)
    return Scenario((Exposure(cube_file(np.stack([a, b, *others])), truth_of_planes(*bits, shape=shape)),))


def running_means(rng: np.random.Generator, side: int) -> Scenario:
    """A cube whose planes are the means of all exposures so far."""
    shape = (side // 2, side // 2)
    count = np.arange(1, COUNT + 1)[:, np.newaxis, np.newaxis]
    planes = rounded(LEVEL + np.cumsum(rng.normal(0, SIGMA, (COUNT, *shape)), axis=0) / count)
    bits = [float(pixel_bits(Gaussian(SIGMA / n), LEVEL)) for n in range(1, COUNT + 1)]
    return Scenario((Exposure(cube_file(planes), truth_of_planes(*bits, shape=shape)),))


def plane_again(rng: np.random.Generator, side: int, fresh: float) -> Scenario:
    """A plane of a cube that was spent before, alone, with a little fresh noise."""
    levels = levels_of(rng, side, 0.0)
    planes = drawn(rng, levels, SIGMA)
    codes = Gaussian(fresh).draw(rng, planes[5].astype(np.float64))
    truth = Truth(pixel_bits(Gaussian(fresh), planes[5].astype(np.float64)), None)
    return Scenario((Exposure(fits_file(codes), truth),), (cube_file(planes),))


def cube_of_spent_frames(rng: np.random.Generator, side: int, fresh: float) -> Scenario:
    """Single frames that were spent before, as the planes of a cube, in another order and with a little fresh noise."""
    planes = drawn(rng, levels_of(rng, side, 0.0), SIGMA)
    levels = planes[::-1].astype(np.float64)
    bits = [pixel_bits(Gaussian(fresh), level) for level in levels]
    exposure = Exposure(cube_file(Gaussian(fresh).draw(rng, levels)), truth_of_planes(*bits, shape=levels.shape[1:]))
    return Scenario((exposure,), tuple(fits_file(plane) for plane in planes))


def combined(rng: np.random.Generator, side: int, weights: tuple[float, ...], fresh: float = 0.0) -> Scenario:
    """A frame computed from as many single ones that were spent before, maybe with fresh noise on it."""
    levels = np.full((side, side), LEVEL)
    frames = [Gaussian(SIGMA).draw(rng, levels) for _ in weights]
    made = LEVEL + sum(weight * (each - LEVEL) for weight, each in zip(weights, frames, strict=True))
    if not fresh:
        truth = Truth(np.zeros((side, side)), 0.0)
        return Scenario((Exposure(fits_file(rounded(made)), truth),), tuple(fits_file(each) for each in frames))
    law = Gaussian(fresh)
    exposure = Exposure(fits_file(law.draw(rng, made)), Truth(pixel_bits(law, made), None))
    return Scenario((exposure,), tuple(fits_file(each) for each in frames))


def partly_spent(rng: np.random.Generator, side: int) -> Scenario:
    """A cube of which half the planes were spent before."""
    planes = drawn(rng, levels_of(rng, side, 0.0), SIGMA)
    bits = [0.0 if place % 2 else float(pixel_bits(Gaussian(SIGMA), LEVEL)) for place in range(COUNT)]
    exposure = Exposure(cube_file(planes), truth_of_planes(*bits, shape=planes.shape[1:]))
    return Scenario((exposure,), tuple(fits_file(plane) for plane in planes[1::2]))
