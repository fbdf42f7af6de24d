"""The restart tests of SP 800-90B 3.1.4 on frames of one sensor: a row is a frame, a column the same pixel pair in all.

A camera is not restarted between exposures, but the question is the same: whether it gives the same again. What a
column has in common is fixed pattern. The standard wants 1,000 rows; with fewer every cutoff is that of their number.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.credit.assessment import symbol_bits
from entropy_assets.core.credit.estimates import raster_samples
from entropy_assets.core.credit.restart import FixedPattern, shared_share
from entropy_assets.core.credit.shared_parts import least_sigma
from entropy_assets.core.extraction.noise import NoiseExtractor, deterministic_nonce
from entropy_assets.core.extraction.phases import laid_out
from entropy_assets.core.extraction.squares import MAD_TO_SIGMA, steps_of
from entropy_assets.core.extraction.survey import Survey
from entropy_assets.core.frame import Frame
from entropy_assets.core.sp800_90b.non_iid import WANTED_SAMPLES, NonIidAssessment, assess_non_iid
from entropy_assets.core.sp800_90b.restarts import RESTARTS, SANITY_ALPHA, SanityCheck, count_cutoff
from entropy_assets.errors import InputRefused
from entropy_assets.recipe import STANDARD, Recipe

Samples = npt.NDArray[np.uint8]
Differences = npt.NDArray[np.int32]

CANDIDATES: Final = 1 << 14
"""Pixel pairs that are kept of each frame; those that are live in most frames become the columns."""
GOLDEN: Final = (610, 987)
"""Candidates are taken in steps of this share of all live pairs: evenly, and in step with no period of a readout."""

OUTLIER: Final = 6.0
"""Differences are clipped at this many of their standard deviations."""


@dataclass(frozen=True, slots=True)
class FrameRestarts:
    """What the restart tests say of frames of one sensor.

    Attributes
    ----------
    frames, columns, bits_per_symbol
        Rows and columns of the matrix, and low bits of each pair difference in it.
    h_i
        H_I, bits per sample.
    of_rows, of_columns
        The sanity checks of the rows, each with `columns` samples, and of the columns, each with `frames` (3.1.4.3).
    h_r, h_c
        Least estimate of the rows and of the columns, bits per sample, whatever the sanity checks say.
    rows, columns_assessed
        What the estimators say of each.
    pattern
        The share of the variance that is the same in all frames: not of the standard, but what decides for a camera.
    """

    frames: int
    columns: int
    bits_per_symbol: int
    h_i: float
    of_rows: SanityCheck
    of_columns: SanityCheck
    h_r: float
    h_c: float
    rows: NonIidAssessment
    columns_assessed: NonIidAssessment
    pattern: FixedPattern | None

    @property
    def enough_frames(self) -> bool:
        """Whether there are as many rows as the standard wants."""
        return self.frames >= RESTARTS

    @property
    def columns_can_fail(self) -> bool:
        """Whether a column could hold more of one symbol than the cutoff allows."""
        return self.of_columns.cutoff < self.frames

    @property
    def is_sane(self) -> bool:
        """Whether no symbol is too frequent in any row or column (3.1.4.3)."""
        return self.of_rows.passed and self.of_columns.passed

    @property
    def passed(self) -> bool:
        """Whether rows and columns are sane and at least at half of H_I (3.1.4.2 step 4)."""
        return self.is_sane and min(self.h_r, self.h_c) >= self.h_i / 2

    @property
    def h_fresh(self) -> float | None:
        """What is left to who has another frame of the sensor, bits per sample; None without pattern or min-entropy.

        With a share p of the variance known, noise that is Gaussian holds ``-0.5 * log2(1 - p)`` bits less. Two
        standard errors are added to p.
        """
        if self.pattern is None or self.h is None:
            return None
        known = min(1.0, max(0.0, self.pattern.share + 2 * self.pattern.error))
        return max(0.0, min(self.h, self.h_i + 0.5 * math.log2(1 - known))) if known < 1 else 0.0

    @property
    def h(self) -> float | None:
        """Return the min-entropy that is left, min(H_r, H_c, H_I), bits per sample; None if the sensor fails."""
        return min(self.h_r, self.h_c, self.h_i) if self.passed else None

    def to_row(self) -> dict[str, Any]:
        """Return all of it as JSON-able values."""
        row = asdict(self) | {
            "rows": self.rows.to_row(),
            "columns_assessed": self.columns_assessed.to_row(),
            "pattern": self.pattern._asdict() if self.pattern else None,
        }
        for name, check in (("of_rows", self.of_rows), ("of_columns", self.of_columns)):
            row[name] |= {"passed": check.passed}
        derived = {"enough_frames": self.enough_frames, "columns_can_fail": self.columns_can_fail}
        return row | derived | {"passed": self.passed, "h": self.h, "h_fresh": self.h_fresh}


class PairMatrix:
    """Takes frames of one sensor in, one after the other, and keeps 64 KB of each.

    Parameters
    ----------
    recipe
        Sizes, and how many low bits are assessed.
    """

    def __init__(self, recipe: Recipe = STANDARD) -> None:
        self.recipe = recipe
        self._sensor: tuple[Any, ...] | None = None
        self._places: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._live: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._rows: list[Differences] = []
        self._seen: set[str] = set()
        self._consecutive: list[Samples] = []
        self._bits = 8

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return len(self._rows)

    @property
    def bits_per_symbol(self) -> int:
        """Low bits of a pair difference that are in the matrix: those of the frame with the least noise."""
        return self._bits

    def add(self, frame: Frame, survey: Survey) -> None:
        """Take in channel 0 of a frame; the live pairs of the first one say which pairs are looked at.

        Parameters
        ----------
        survey
            The live-area map of `frame`.

        Raises
        ------
        InputRefused
            If the frame is not of the sensor of the first one, or was taken in before.
        ImageRejected
            If too little of it is live.
        """
        sensor = (frame.pixels.shape, frame.parts, frame.mosaic, frame.instrument)
        if self._sensor is not None and sensor != self._sensor:
            raise InputRefused("it is of another sensor than the first frame: other sides, or another camera")
        if frame.pixel_sha256 in self._seen:
            raise InputRefused("the same exposure was taken in before")
        noise = NoiseExtractor(self.recipe).extract(frame, deterministic_nonce(frame.image_sha256), survey)
        pairs = _pairs(frame, survey.square_size)
        live = survey.live.repeat(survey.square_size, axis=0).repeat(survey.square_size // 2, axis=1)
        if self._sensor is None:
            self._sensor = sensor
            self._places = _spread(np.flatnonzero(live), CANDIDATES)
            self._live = np.zeros(len(self._places), dtype=np.int64)
        self._seen.add(frame.pixel_sha256)
        self._rows.append(pairs.reshape(-1)[self._places])
        self._live += live.reshape(-1)[self._places]
        self._bits = min(self._bits, symbol_bits(least_sigma(survey, frame.parts), self.recipe))
        wanted = WANTED_SAMPLES - sum(map(len, self._consecutive))
        if wanted > 0:
            self._consecutive.append(raster_samples(noise, 0, wanted))

    def matrix(self) -> Samples:
        """Return ``uint8[frames, columns]``: the low bits of up to 1,000 pairs, those that are live in most frames.

        Where a pair is not live its difference stands there all the same: a pattern that shows only then shows here.
        """
        order = np.argsort(-self._live, kind="stable")[:RESTARTS]
        chosen = np.sort(order)
        return np.stack([row[chosen].astype(np.uint8) for row in self._rows]) & np.uint8((1 << self._bits) - 1)

    def consecutive(self) -> Samples:
        """Return the low bits of the first 1,000,000 pair differences of live area, in the order of the sensor."""
        return np.concatenate(self._consecutive) & np.uint8((1 << self._bits) - 1)

    def pattern(self) -> FixedPattern | None:
        """Return how much of the variance of the pair differences is the same in all frames; None for fewer than two.

        It is measured on all candidates, which are more than the columns of the matrix.
        """
        return shared_share(np.stack([_clipped(row) for row in self._rows])) if self.frames > 1 else None


def assess_frames(
    matrix: Samples,
    bits_per_symbol: int,
    h_i: float,
    pattern: FixedPattern | None = None,
    alpha: float = SANITY_ALPHA,
) -> FrameRestarts:
    """Return what the restart tests say of any number of frames; of 1,000 with 1,000 pairs as `assess_restarts`.

    Unlike that it estimates whatever the sanity checks say, so that a report shows by how much frames fail.

    Parameters
    ----------
    matrix
        ``uint8[frames, columns]``.
    bits_per_symbol
        1 to 8.
    h_i
        H_I, bits per sample, more than 0.
    pattern
        What is told with it.
    alpha
        Probability that frames as they are claimed fail a sanity check in any row or column.

    Raises
    ------
    InputRefused
        If there are fewer than two frames, or H_I is none.
    """
    frames, columns = matrix.shape
    if frames < 2:
        raise InputRefused(f"{frames} frame can't show whether a sensor gives the same again: two are needed at least")
    if not 0.0 < h_i <= bits_per_symbol:
        raise InputRefused(f"a sample of {bits_per_symbol} bits can't hold {h_i} bits of min-entropy", h_i=h_i)
    of_one = -math.expm1(math.log1p(-alpha) / (frames + columns))
    by_row, by_column = (
        assess_non_iid(np.ascontiguousarray(one).reshape(-1), bits_per_symbol, bits_too=False)
        for one in (matrix, matrix.T)
    )
    return FrameRestarts(
        frames=frames,
        columns=columns,
        bits_per_symbol=bits_per_symbol,
        h_i=h_i,
        of_rows=SanityCheck(_largest_count(matrix), count_cutoff(h_i, columns, of_one), of_one),
        of_columns=SanityCheck(_largest_count(matrix.T), count_cutoff(h_i, frames, of_one), of_one),
        h_r=by_row.h_original,
        h_c=by_column.h_original,
        rows=by_row,
        columns_assessed=by_column,
        pattern=pattern,
    )


def _largest_count(lines: Samples) -> int:
    return max(int(np.bincount(line).max()) for line in lines)


def _pairs(frame: Frame, square_size: int) -> Differences:
    """Return the pair differences of channel 0, ``int32[ny, nx // 2]`` of the whole squares."""
    steps = laid_out(steps_of(frame, 0), frame.mosaic, square_size)
    rows, columns = (side // square_size * square_size for side in steps.shape)
    whole = steps[:rows, :columns]
    return np.subtract(whole[:, 1::2], whole[:, ::2], dtype=np.int32, casting="same_kind")


def _clipped(row: Differences) -> npt.NDArray[np.float64]:
    """Return pair differences about their median, clipped so that a few bright stars don't decide."""
    differences: npt.NDArray[np.float64] = row - np.median(row)
    most = OUTLIER * max(1.0, MAD_TO_SIGMA * float(np.median(np.abs(differences))))
    return np.clip(differences, -most, most)


def _spread(places: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Return `count` of `places`, or all if there are fewer, evenly spread and ascending."""
    total = len(places)
    if total <= count:
        return places
    step = total * GOLDEN[0] // GOLDEN[1]
    while math.gcd(step, total) > 1:
        step += 1
    return np.sort(places[np.arange(count, dtype=np.int64) * step % total])
