"""What the raw noise of each source is worth by SP 800-90B, looked at again beside what its frames were credited.

The credit judges every frame by itself, on some 100,000 samples. Here the newest frames of a sensor are looked at
longer, glued to the 1,000,000 consecutive samples that 3.1.1 wants, and side by side (3.1.4, row = frame, column = the
same pixel pair). Nothing here changes a credit: it says when one was too high.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.credit.pair_matrix import FrameRestarts, assess_frames
from entropy_assets.core.sp800_90b.non_iid import WANTED_SAMPLES, NonIidAssessment, assess_non_iid
from entropy_assets.core.sp800_90b.restarts import RESTARTS
from entropy_assets.stages.reports.frames import Sensor, SpentFrame, glued, in_common, spent_lately
from entropy_assets.stages.reports.nights import ALPHA_YEAR, LOOKS_A_YEAR
from entropy_assets.stores.home import Home

LEAST_FOR_CREDIT: Final = 100_000
"""Samples of a matrix from which on its estimates are compared with the credit: bounds of fewer are too wide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much one night looks at; the rest of what is there is left out, and that is told.

    Attributes
    ----------
    batches
        Newest batches.
    sensors
        Sensors that were used last.
    frames
        Frames of a sensor that are assessed each by itself, the newest.
    frame_samples
        Samples of each of them.
    glued_samples
        Samples of the newest frames that are assessed as one sequence.
    matrix_frames
        Rows of a restart matrix.
    matrix_bytes
        Stored noise that is read for it, bytes.
    """

    batches: int = 2000
    sensors: int = 8
    frames: int = 8
    frame_samples: int = 262_144
    glued_samples: int = WANTED_SAMPLES
    matrix_frames: int = RESTARTS
    matrix_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class FrameFinding:
    """What the non-IID track says of one frame, of the channel that is worth least."""

    frame: SpentFrame
    assessment: NonIidAssessment


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorFinding:
    """What is known of one sensor of one source.

    Attributes
    ----------
    source, sensor
        Which it is.
    symbol_bits
        Low bits of a sample that were assessed: those that most of its frames were credited by.
    claim
        H_submitter, bits per sample: the least of its frames.
    credited
        What the frames that are glued were credited, bits per sample: all their credit over all their samples.
    frames
        What each of the newest frames is worth by itself.
    glued_frames
        Frames that are glued.
    glued
        What they are worth as one sequence, of the channel that is worth least.
    restarts
        What the restart matrix says; None if frames have not enough in common, or there is one alone.
    """

    source: str
    sensor: str
    symbol_bits: int
    claim: float
    credited: float
    frames: tuple[FrameFinding, ...]
    glued_frames: int
    glued: NonIidAssessment
    restarts: FrameRestarts | None

    @property
    def name(self) -> str:
        """Source and sensor, for people."""
        return f"{self.source}, {self.sensor}"

    @property
    def least_of_frames(self) -> float:
        """H_I of the frame that is worth least, bits per sample."""
        return min(each.assessment.h_i for each in self.frames)

    @property
    def h_restart(self) -> float | None:
        """The lower of H_r and H_c, bits per sample; None without a matrix."""
        return None if self.restarts is None else min(self.restarts.h_r, self.restarts.h_c)

    @property
    def margin(self) -> float:
        """The least of all that was assessed, less what was credited, bits per sample; under 0 is an alarm."""
        of_frames = [each.assessment.h_i - each.frame.credited for each in self.frames]
        return min([*of_frames, self.glued.h_i - self.credited, *self._margin_of_matrix()])

    def _margin_of_matrix(self) -> list[float]:
        if self.restarts is None or self.restarts.frames * self.restarts.columns < LEAST_FOR_CREDIT:
            return []
        return [min(self.restarts.h_r, self.restarts.h_c) - self.credited]

    @property
    def over_credited(self) -> tuple[str, ...]:
        """Each finding that is under what was credited, in a sentence."""
        found = [
            f"{self.name}: {each.frame.row.file} is assessed at {each.assessment.h_i:.3f} bits per sample"
            f" ({each.assessment.decided_by}) and was credited {each.frame.credited:.3f}"
            for each in self.frames
            if each.assessment.h_i < each.frame.credited
        ]
        if self.glued.h_i < self.credited:
            found.append(
                f"{self.name}: {self.glued_frames} frames in a row are assessed at {self.glued.h_i:.3f} bits per"
                f" sample ({self.glued.decided_by}) and were credited {self.credited:.3f}"
            )
        if any(margin < 0 for margin in self._margin_of_matrix()):
            found.append(
                f"{self.name}: frames side by side are assessed at {self.h_restart:.3f} bits per sample and were"
                f" credited {self.credited:.3f}"
            )
        return tuple(found)

    @property
    def patterned(self) -> str:
        """What the restart matrix has against the sensor, a sentence; empty if nothing."""
        found = self.restarts
        if found is None or found.h:
            return ""
        if found.is_sane:
            return f"{self.name}: H_r {found.h_r:.3f} or H_c {found.h_c:.3f} is under half of H_I {found.h_i:.3f}"
        return (
            f"{self.name}: one value stands {found.of_rows.largest_count} times in a frame (at most"
            f" {found.of_rows.cutoff}), or {found.of_columns.largest_count} times at one pixel pair (at most"
            f" {found.of_columns.cutoff})"
        )


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What is known of the sources that were used lately.

    Attributes
    ----------
    sensors
        One finding for each sensor, that used last first.
    left_out
        Sensors that were used before those, and not looked at.
    bounds
        How much was looked at.
    """

    sensors: tuple[SensorFinding, ...]
    left_out: int
    bounds: Bounds

    @property
    def over_credited(self) -> tuple[str, ...]:
        """Every finding that is under what was credited."""
        return tuple(sentence for sensor in self.sensors for sentence in sensor.over_credited)

    @property
    def patterned(self) -> tuple[str, ...]:
        """What restart matrices have against sensors."""
        return tuple(sensor.patterned for sensor in self.sensors if sensor.patterned)


def report_on_sources(home: Home, bounds: Bounds | None = None) -> SourceReport:
    """Return what the noise of the newest frames of each source and sensor is worth.

    Raises
    ------
    BatchError
        If noise is missing, or is not the noise that was assessed.
    LedgerError
        If the ledger can't be read.
    """
    bounds = bounds or Bounds()
    found = spent_lately(home.batches(), home.ledger(readonly=True), bounds.batches, bounds.matrix_frames)
    chosen = list(found.items())[: bounds.sensors]
    alpha = ALPHA_YEAR / LOOKS_A_YEAR / max(1, len(chosen))
    sensors = tuple(finding_on(sensor, frames, bounds, alpha) for sensor, frames in chosen)
    return SourceReport(sensors, len(found) - len(chosen), bounds)


def finding_on(sensor: Sensor, frames: Sequence[SpentFrame], bounds: Bounds, alpha: float) -> SensorFinding:
    """Return what is known of the sensor of `frames`, which stand newest first.

    Parameters
    ----------
    alpha
        Probability that a sensor as it is claimed fails the sanity check of the restart matrix.

    Raises
    ------
    BatchError
        If noise is missing, or is not the noise that was assessed.
    """
    bits = Counter(frame.symbol_bits for frame in frames).most_common(1)[0][0]
    alike = [frame for frame in frames if frame.symbol_bits == bits]
    claim = min(frame.claim for frame in alike)
    joined = _enough(alike, bounds.glued_samples)
    assessed = _least([*glued(joined, bounds.glued_samples)], bits, claim)
    findings = tuple(
        FrameFinding(frame, _least(frame.in_order(bounds.frame_samples), frame.symbol_bits, frame.claim))
        for frame in frames[: bounds.frames]
    )
    matrix = _matrix(alike, bounds)
    return SensorFinding(
        source=sensor[0],
        sensor=sensor[1],
        symbol_bits=bits,
        claim=claim,
        credited=sum(frame.row.credit_bits for frame in joined) / sum(frame.row.samples for frame in joined),
        frames=findings,
        glued_frames=len(joined),
        glued=assessed,
        restarts=None if matrix is None or not assessed.h_i else assess_frames(matrix, bits, assessed.h_i, alpha=alpha),
    )


def _enough(frames: Sequence[SpentFrame], wanted: int) -> list[SpentFrame]:
    """Return the newest frames that hold so many samples together; two at least, since what is glued is frames."""
    kept: list[SpentFrame] = []
    for frame in frames:
        if len(kept) > 1 and sum(each.row.samples for each in kept) >= wanted:
            break
        kept.append(frame)
    return kept


def _least(sequences: Sequence[npt.NDArray[np.uint8]], bits: int, claim: float) -> NonIidAssessment:
    """Return what the channel is worth that is worth least."""
    of_each = (assess_non_iid(sequence, bits, h_submitter=claim) for sequence in sequences)
    return min(of_each, key=lambda assessment: assessment.h_i)


def _matrix(frames: Sequence[SpentFrame], bounds: Bounds) -> npt.NDArray[np.uint8] | None:
    """Return the restart matrix of the newest frames, ``uint8[frame, pixel pair]``; None if there is none."""
    kept, squares = in_common(_within(frames, bounds.matrix_bytes))
    if len(kept) < 2:
        return None
    return np.stack([frame.line(squares, RESTARTS) for frame in kept])


def _within(frames: Sequence[SpentFrame], most_bytes: int) -> list[SpentFrame]:
    """Return the newest frames whose stored noise has so many bytes together at most."""
    kept: list[SpentFrame] = []
    for frame in frames:
        most_bytes -= frame.stored_bytes
        if most_bytes < 0:
            break
        kept.append(frame)
    return kept
