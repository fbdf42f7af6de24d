"""A scenario: files as they would be handed in, and how many bits nobody could know of them."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from entropy_assets_tests.images.image_files import fits
from entropy_assets_tests.scenarios.laws import Law, Reals, pair_bits, pixel_bits

UNSIGNED_ZERO = 1 << 15


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What of one file is fresh, bits.

    Attributes
    ----------
    pixel_bits
        ``float64[ny, nx]``, min-entropy of each pixel (of all its channels) to who knows all else; infinite where
        only `Scenario.holds` bounds it. Pixels add up.
    pair_bits
        Mean min-entropy of the differences of pixel pairs: what is credited. None where it has no meaning.
    """

    pixel_bits: Reals
    pair_bits: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """One file and the truth about it."""

    data: bytes
    truth: Truth


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """What is handed in together, as one batch.

    Attributes
    ----------
    exposures
        The files, in the order in which they are credited.
    earlier
        Files that were spent before, in batches of their own.
    holds
        Most bits that the seed, the spectrum, the tile or the coded stream behind all of `exposures` can hold.
    stream_bits
        Length of the lossy stream that the pictures were decoded from, bits; 0 if there was none.
    """

    exposures: tuple[Exposure, ...]
    earlier: tuple[bytes, ...] = ()
    holds: float = math.inf
    stream_bits: int = 0


def fits_file(codes: npt.NDArray[np.integer], **cards: object) -> bytes:
    """Return `codes` as a FITS file of unsigned 16 bits; strings among the cards bring their own quotes."""
    if codes.min() < 0 or codes.max() >= 1 << 16:
        raise ValueError(f"codes from {codes.min()} to {codes.max()} do not fit 16 bits")
    return fits(codes - UNSIGNED_ZERO, BZERO=UNSIGNED_ZERO, **cards)


def constant(shape: tuple[int, int], bits: float, pair: float | None) -> Truth:
    """Return the truth of pixels that all hold the same."""
    return Truth(np.full(shape, bits), pair)


def only_held(shape: tuple[int, int]) -> Truth:
    """Return the truth of pixels about which only the scenario's bound is known."""
    return constant(shape, math.inf, None)


def truth_of(law: Law, levels: Reals) -> Truth:
    """Return the truth of pixels drawn by `law` about known `levels`, ``float64[ny, nx]``, codes."""
    first = float(levels.flat[0])
    if (levels == first).all():
        return constant(levels.shape, float(pixel_bits(law, first)), pair_bits(law, first))
    return Truth(pixel_bits(law, levels), pair_bits(law, levels))


def single(codes: npt.NDArray[np.integer], truth: Truth, holds: float = math.inf, **cards: object) -> Scenario:
    """Return the scenario of one FITS file."""
    return Scenario((Exposure(fits_file(codes, **cards), truth),), holds=holds)
