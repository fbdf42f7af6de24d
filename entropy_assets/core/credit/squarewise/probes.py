"""Pair differences at fixed places of each square, kept one by one: which squares were live, and what was copied.

A fold tells how much of all noise two frames share, and not whether every pixel shares a part of it, as with a
pattern, or a part of the pixels all of it, as with a copy into which other noise was spliced. Of the variance the same
may be known, and of the copy far less is left. So some pair differences of every square are kept as they are: where two
frames are both live, the distance of each from its twin is what is fresh there. Their mean in bits needs no law for how
fresh noise is spread over the frame, and squares that are live in one of the frames alone are not among them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from entropy_assets.core.credit.squarewise.evened import RMS

Codes = npt.NDArray[np.int16]
Counts = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

LEAST: Final = 1024
"""Probes of a frame at least, if it has the pixels: they tell what is left to .05 bit. Large frames have more, one in
each square: none may be without."""
MOST_OF_SQUARE: Final = 512
"""Pair differences of a square."""
PLACE_FACTORS: Final = (0x9E3779B1, 0x85EBCA77)
"""Odd factors that make the first place in a square of its column and its row: of no meaning, as signs of `sketches`.
"""
PLACE_BITS: Final = 12
STEP: Final = 211
"""From one place in a square to the next, modulo 512."""
DEAD: Final = -(1 << 15)
"""Code of a probe in a square that is not live."""
OUTLIER: Final = DEAD + 1
"""Code of an outlier of its square; one in either frame holds nothing."""
LEAST_COMPARED: Final = 16
"""Probes that must be live in both frames for them to tell anything."""
COPIED: Final = 0.5
"""Distance of two pair differences below which one is a copy, ADC steps: they are whole numbers, but for the weights
of their squares."""
ALIKE: Final = 16
"""Part of a pair difference by which the weights of two squares may differ, if other noise is in a part of the one. It
counts where most probes lie so near, or by so much more than by chance: noise beside a pattern seldom does."""
COPIED_ERRORS: Final = 6.0
"""Standard errors beyond which it is believed that more probes are copies than by chance, which is measured as well."""
LEAST_APART: Final = 1e-6
"""Least share of the variance that frames are taken to differ by."""
KAPPA: Final = 2.0**0.91625
"""Noise over the geometric mean of its magnitude: 2 to the power of (Euler's gamma + ln 2) / ln 4, for a Gaussian."""
PEAK: Final = 0.11
"""Width of the peak of what comes back the same, in shares of the fresh noise: two and a half times the error of the
weights of two squares, each of which is that of a root mean square of 512 pair differences."""
PEAK_ERRORS: Final = 5.0
"""Standard errors by which that peak must stand out of what lies beside it before fresh noise counts as discrete."""
PEAK_OF_ROUNDING: Final = 2.0
"""By so much it must be higher than the rounding to ADC steps makes it: of those the law of a Gaussian tells."""
BESIDE: Final = 4
"""Probes that lie beside each other: those of a square, in a frame of 512 x 512 pixels."""
IN_PLACES: Final = 0.5
"""Correlation of one probe with the next from which on what comes back the same lies in places of its own, as a copied
half or copied squares do: who knows these knows where other noise is, and `fresh_bits` tells how much it is."""
FEW_OUTLIERS: Final = 8
"""Part of the probes that may be outliers for that to be believed: noise with whole steps in it has many."""
MCV_ERRORS: Final = 2.576
"""Standard errors of the upper bound on a probability, as in SP 800-90B 6.3.1."""
PARTS: Final = 1_000_000
"""Bits are rounded to one part in this, so that their sum is exact."""


class FreshBits(NamedTuple):
    """What is left of a pair difference on the mean, and the standard error of that; bits."""

    bits: float
    error: float


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """The probes of a frame.

    Attributes
    ----------
    codes
        ``int16[square, probe]``, pair differences of `evened` squares, `DEAD` or `OUTLIER`; by row, then by column. Of
        a frame of which none were kept, nothing.
    """

    codes: Codes

    @classmethod
    def none_live(cls, shape: tuple[int, int]) -> Self:
        """Return the probes of a frame of so many rows and columns of squares, none of which is live yet."""
        squares = shape[0] * shape[1]
        return cls(np.full((squares, probes_of_square(squares)), DEAD, dtype=np.int16))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return what `to_bytes` gave, in one row: who compares it knows its shape."""
        return cls(np.frombuffer(data, dtype="<i2").astype(np.int16).reshape(1, -1))

    def to_bytes(self) -> bytes:
        """Return two bytes for each probe."""
        return self.codes.astype("<i2").tobytes()

    def take(self, row: int, differences: npt.NDArray[np.int32], kept: Flags, live: Flags) -> None:
        """Take the probes of a row of squares in.

        Parameters
        ----------
        differences, kept
            ``[size, squares * size / 2]`` of `evened`: pair differences, and which are no outliers.
        live
            ``bool[squares]``.
        """
        count, width = len(live), differences.shape[1] // len(live)
        columns = np.arange(count)
        first = (columns * PLACE_FACTORS[0] ^ row * PLACE_FACTORS[1]) >> PLACE_BITS
        places = (first[:, np.newaxis] + STEP * np.arange(self.codes.shape[1])) % (len(differences) * width)
        where = places // width, columns[:, np.newaxis] * width + places % width
        codes = np.where(kept[where], np.clip(differences[where], OUTLIER + 1, -OUTLIER - 1), OUTLIER)
        self.codes[row * count : (row + 1) * count] = np.where(live[:, np.newaxis], codes, DEAD)


def probes_of_square(squares: int) -> int:
    """Return how many probes each of so many squares of a frame has."""
    return min(MOST_OF_SQUARE, max(1, LEAST // max(1, squares)))


class Twins:
    """The probes of two frames of one shape, in pairs.

    Parameters
    ----------
    mine
        Of the frame that is looked at.
    other
        Of an earlier one.
    """

    def __init__(self, mine: Probes, other: Probes) -> None:
        self._mine, self._other = mine.codes, other.codes.reshape(mine.codes.shape)
        self._live = self._mine != DEAD, self._other != DEAD

    @classmethod
    def of(cls, mine: Probes, other: Probes) -> Self | None:
        """Return them; None if one of the frames has no probes, or they are of another shape."""
        return cls(mine, other) if mine.codes.size and mine.codes.size == other.codes.size else None

    @property
    def overlap(self) -> float:
        """Return the probes that are live in both frames over the geometric mean of those that are in each."""
        both, mine, other = (int(np.count_nonzero(live)) for live in (self._live[0] & self._live[1], *self._live))
        return both / math.sqrt(mine * other) if both else 0.0

    def fresh_bits(self, sigma: float, sign: int) -> FreshBits | None:
        """Return what is left of a pair difference to who knows its twin; None if they can't tell.

        It is the mean of what noise as wide as each distance would hold, which for Gaussian noise is at least its
        min-entropy. A distance of less than half a code is that of a copy.

        Parameters
        ----------
        sigma
            Noise of a pixel, ADC steps.
        sign
            -1 if the one frame is the other one's negative, else 1.
        """
        both = self._live[0] & self._live[1]
        mine, other = self._mine[both].astype(np.int64), self._other[both].astype(np.int64)
        count = len(mine)
        if count < LEAST_COMPARED:
            return None
        apart = mine - sign * other
        told = (mine != OUTLIER) & (other != OUTLIER)
        level = np.where(told, apart - _beside(apart, told), apart)
        return min(_fresh_bits(mine, each, told, sigma) for each in (apart, level))

    def discrete_bits(self, sigma: float, sign: int) -> float | None:
        """Return what is left of a pair difference whose fresh part takes a few values only; None if it does not.

        Noise of an ADC whose steps are many codes wide is of that kind, under a pattern that fills the codes between:
        so are frames of 8 bits that were divided by a flat. A pair difference comes back the same then more often than
        nearly the same. With the probability ``c`` that it does, the likeliest value of an independent draw has the
        probability ``sqrt(c)`` at most, whatever its law is, so ``-log2(c) / 2`` is left at least; on the mean over
        the pixels too, since the logarithm is concave. For c its upper bound is taken.

        Parameters
        ----------
        sigma, sign
            As of `fresh_bits`.
        """
        both = self._live[0] & self._live[1]
        mine, other = self._mine[both].astype(np.int64), sign * self._other[both].astype(np.int64)
        count = len(mine)
        whole = (mine > OUTLIER) & (np.abs(other) < -OUTLIER)
        if count < LEAST_COMPARED or not whole.any():
            return None
        mine, other = mine[whole], other[whole]
        scale = math.sqrt(int(mine @ mine)) * math.sqrt(int(other @ other))
        common = min(1.0, max(0.0, int(mine @ other) / scale)) if scale else 1.0
        narrow = PEAK * math.sqrt(1 - common * common) * np.abs(mine)
        apart, reach = np.abs(mine - other), np.maximum(narrow, COPIED * RMS / (math.sqrt(2) * sigma))
        are_same = apart <= reach
        same, near = int(np.count_nonzero(are_same)), int(np.count_nonzero(apart <= 3 * reach))
        excess = same - (near - same) / 2
        fresh = max(LEAST_APART, sigma * math.sqrt(1 - common))
        by_rounding = math.erf(COPIED / (2 * math.sqrt(2) * fresh))
        stands_out = excess > PEAK_ERRORS * math.sqrt(same + (near - same) / 4)
        if not stands_out or 2 * excess < same or same < PEAK_OF_ROUNDING * by_rounding * len(mine):
            return None
        share, in_a_row = same / len(mine), int(np.count_nonzero(are_same[1:] & are_same[:-1])) / (len(mine) - 1)
        is_in_places = in_a_row - share * share >= IN_PLACES * (share - share * share)
        # With many outliers it may be the weights that differ from square to square.
        if is_in_places and FEW_OUTLIERS * (count - len(mine)) < count:
            return None
        # The weights of some squares differ by more, and an outlier may be any value.
        likely = (near + count - len(mine)) / count
        upper = min(1.0, likely + MCV_ERRORS * math.sqrt(likely * (1 - likely) / (count - 1)))
        return -math.log2(upper) / 2


def _fresh_bits(mine: Counts, apart: Counts, told: Flags, sigma: float) -> FreshBits:
    """Return what is left of pair differences that are so far apart from their twins; nothing where it isn't told."""
    count, apart = len(mine), np.abs(apart)
    distances = apart * (math.sqrt(2) * sigma / RMS)
    holds_nothing = ~told | (distances < COPIED)
    alike = ALIKE * apart <= np.abs(mine)
    if 2 * np.count_nonzero(holds_nothing | alike) > count:
        holds_nothing |= alike
    bits = np.where(holds_nothing, 0.0, np.log2(1 + math.pi * (KAPPA * distances) ** 2) / 2)
    parts = np.rint(bits * PARTS).astype(np.int64)
    total, squares = int(parts.sum()), int(parts @ parts)
    spread = math.sqrt(max(0, count * squares - total * total)) / count
    return FreshBits(total / (count * PARTS), spread / (math.sqrt(count) * PARTS))


def _beside(apart: Counts, told: Flags) -> Counts:
    """Return the median of the other three of four distances that follow one another, of those that are told.

    Four lie in one square, or in neighbours, and a slope shifts them alike. As it does not contain the distance itself,
    fresh noise is no less apart from it, but more.
    """
    far = np.where(np.arange(len(apart)) % 2, DEAD, -DEAD)  # to either side of all that is told
    known = np.where(told, apart, far)[: len(apart) // BESIDE * BESIDE].reshape(-1, BESIDE)
    first, second = np.sort(known, axis=1)[:, 1:3].T[:, :, np.newaxis]
    middle = np.zeros_like(apart)
    middle[: known.size] = np.where(known <= first, second, first).ravel()
    return middle


def copied_share(mine: Probes, others: Sequence[Probes], sigma: float) -> float:
    """Return which share of a frame is put together of others, pixel by pixel; 0 if that may be chance.

    A probe is a copy if it is that of any of them. How many are so by chance is told by the probes beside: with those
    of other pixels they have nothing in common but the law of the noise. Frames of one pattern lie closer to each other
    than that, by what their correlation says.

    Parameters
    ----------
    mine, others
        Of the frame and of those that it may be put together of, which have one shape.
    sigma
        Noise of a pixel, ADC steps.
    """
    codes = mine.codes.reshape(-1).astype(np.int64)
    if not all(other.codes.size == codes.size for other in others):
        return 0.0
    copied, new_by_chance = np.zeros(codes.size, dtype=np.bool_), np.ones(codes.size)
    for other in others:
        theirs = other.codes.reshape(-1).astype(np.int64)
        both = (codes > OUTLIER) & (theirs > OUTLIER)
        sign, apart = _correlated(codes[both], theirs[both])
        copied |= both & _are_copies(codes, sign * theirs, sigma)
        beside = np.roll(theirs, 1)
        compared = (codes > OUTLIER) & (beside > OUTLIER)
        chance = np.count_nonzero(compared & _are_copies(codes, sign * beside, sigma)) / max(1, int(compared.sum()))
        new_by_chance[both] *= 1 - min(1.0, chance / math.sqrt(apart))
    expected = 1 - new_by_chance[codes > OUTLIER]
    by_chance = float(expected.sum())
    excess = int(np.count_nonzero(copied)) - by_chance
    error = math.sqrt(2 * float((expected * (1 - expected)).sum()) + 1)
    if 2 * by_chance > len(expected) or excess <= COPIED_ERRORS * error:
        return 0.0
    return excess / (len(expected) - by_chance)


def _correlated(mine: Counts, other: Counts) -> tuple[int, float]:
    """Return the sign of the correlation of probes, and the least share of the variance by which they differ."""
    product, scale = int(mine @ other), math.sqrt(int(mine @ mine)) * math.sqrt(int(other @ other))
    unexplained = 1 - abs(product) / scale if scale else 1.0
    return (-1 if product < 0 else 1), max(LEAST_APART, unexplained * (1 - 4 / math.sqrt(max(16, len(mine)))))


def _are_copies(mine: Counts, other: Counts, sigma: float) -> Flags:
    apart = np.abs(mine - other)
    copies: Flags = (apart * (math.sqrt(2) * sigma / RMS) < COPIED) | (ALIKE * apart <= np.abs(mine))
    return copies
