"""Pair differences at fixed places of each square, kept one by one: which squares were live, and what was copied.

A fold tells how much of all noise two frames share, and not whether every pixel shares a part of it, as with a
pattern, or a part of the pixels all of it, as with a copy into which other noise was spliced. Of the variance the same
may be known, and of the copy far less is left. So some pair differences of every square are kept as they are: where two
frames are both live, the distance of each from its twin is what is fresh there. Their mean in bits needs no law for how
fresh noise is spread over the frame, and squares that are live in one of the frames alone are not among them.
"""

import math
from dataclasses import dataclass
from typing import Final, Self

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
"""Odd factors that make the first place in a square of its column and its row: of no meaning, as `sketches` has them."""
PLACE_BITS: Final = 12
STEP: Final = 211
"""From one place in a square to the next, modulo 512."""
DEAD: Final = -(1 << 15)
"""Code of a probe in a square that is not live."""
OUTLIER: Final = DEAD + 1
"""Code of an outlier of its square; one in either frame holds nothing."""
LEAST_COMPARED: Final = 16
"""Probes that must be live in both frames for them to tell anything."""
ERRORS: Final = 3.0
"""Standard errors that are added to what is left: of the 40 frames that one is compared with, the worst counts."""
KAPPA: Final = 2.0**0.91625
"""Noise over the geometric mean of its magnitude: 2 to the power of (Euler's gamma + ln 2) / ln 4, for a Gaussian."""
PARTS: Final = 1_000_000
"""Bits are rounded to one part in this, so that their sum is exact."""


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

    def thinned(self, cell_of_square: Counts, cells: int) -> list[float]:
        """Return by how much squares that are live in one frame alone thin the correlation of each cell out.

        If all squares weigh the same it is the live squares of both frames, in the geometric mean, over those that are
        live in both; 1 where there are none.
        """
        mine, other = (flags[:, 0] for flags in self._live)
        counts = [np.bincount(cell_of_square[which], minlength=cells).tolist() for which in (mine, other, mine & other)]
        return [math.sqrt(a * b) / both if both else 1.0 for a, b, both in zip(*counts, strict=True)]

    def fresh_bits(self, sigma: float, sign: int) -> float:
        """Return the most that is left of a pair difference to who knows its twin, bits; infinite if they can't tell.

        It is the mean of what noise as wide as each distance would hold, which for Gaussian noise is at least its
        min-entropy, and `ERRORS` standard errors.

        Parameters
        ----------
        sigma
            Noise of a pixel, ADC steps.
        sign
            -1 if the one frame is the other one's negative, else 1.
        """
        both = self._live[0] & self._live[1]
        mine, other = self._mine[both].astype(np.int64), self._other[both].astype(np.int64)
        if len(mine) < LEAST_COMPARED:
            return math.inf
        widths = np.abs(mine - sign * other) * (KAPPA * sigma / (math.sqrt(2) * RMS))
        bits = np.where((mine == OUTLIER) | (other == OUTLIER), 0.0, np.log2(1 + 4 * math.pi * widths**2) / 2)
        parts = np.rint(bits * PARTS).astype(np.int64)
        total, squares, count = int(parts.sum()), int(parts @ parts), len(parts)
        spread = math.sqrt(max(0, count * squares - total * total)) / count
        return (total + ERRORS * spread * math.sqrt(count)) / (count * PARTS)
