"""Restart matrices: from a file as NIST's tool reads it, or of frames of one sensor."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from entropy_assets.cli.assessing.images import bytes_of
from entropy_assets.cli.assessing.samples import SampleFile
from entropy_assets.core.credit.pair_matrix import FrameRestarts, PairMatrix, assess_frames
from entropy_assets.core.sp800_90b.non_iid import NonIidAssessment, assess_non_iid
from entropy_assets.core.sp800_90b.restarts import RESTARTS, RestartAssessment, assess_restarts
from entropy_assets.errors import ImageRejected, InputRefused
from entropy_assets.recipe import Recipe
from entropy_assets.stores.file_names import printable

if TYPE_CHECKING:
    from entropy_assets.core.sp800_90b.alphabets import Symbols
    from entropy_assets.images.limits import DecodeLimits


@dataclass(frozen=True, slots=True)
class AssessedSensor:
    """What the restart tests say of frames of one sensor.

    Attributes
    ----------
    restarts
        The tests.
    consecutive
        What the non-IID track says of consecutive samples of the frames, from which H_I is; None if it was told.
    taken, left_out
        Names of the frames that are rows, in their order; of the others, each with its reason.
    exported
        Where the matrix was written, or None.
    """

    restarts: FrameRestarts
    consecutive: NonIidAssessment | None
    taken: list[str]
    left_out: dict[str, str] = field(default_factory=dict)
    exported: str | None = None

    def to_row(self) -> dict[str, Any]:
        """Return all of it as JSON-able values."""
        return {
            "frames": self.taken,
            "left_out": self.left_out,
            "consecutive": self.consecutive.to_row() if self.consecutive else None,
            "restart": self.restarts.to_row(),
            "exported": self.exported,
        }


def assessed_matrix(file: SampleFile, h_i: float, *, column_dataset: bool, iid: bool) -> RestartAssessment:
    """Return what the restart tests say of a file with 1,000 samples after each of 1,000 restarts.

    Parameters
    ----------
    h_i
        H_I, bits per sample.
    column_dataset
        Whether the samples stand column by column in it, not row by row (3.1.4.1).
    iid
        Whether the source was found to be IID.

    Raises
    ------
    InputRefused
        If it holds another number of samples, or H_I is none.
    """
    if len(file.symbols) != RESTARTS**2:
        raise InputRefused(
            f"{file.name} holds {len(file.symbols):,} samples; restart data are {RESTARTS:,} samples after each of"
            f" {RESTARTS:,} restarts (3.1.4.1)",
            samples=len(file.symbols),
        )
    matrix = file.symbols.reshape(RESTARTS, RESTARTS)
    return assess_restarts(
        np.ascontiguousarray(matrix.T) if column_dataset else matrix, file.bits_per_symbol, h_i, iid=iid
    )


def assessed_sensor(
    paths: Iterable[Path],
    source: str,
    recipe: Recipe,
    limits: "DecodeLimits",
    *,
    h_i: float | None = None,
    h_submitter: float | None = None,
    export: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> AssessedSensor:
    """Return what the restart tests say of frames of one sensor: a row for each, a column for each pixel pair.

    Parameters
    ----------
    h_i
        H_I, bits per sample; if None, what the non-IID track says of consecutive samples of the frames.
    h_submitter
        What the submitter's model says, bits per sample.
    export
        Folder into which the matrix is written, row by row.
    progress
        Is told how many frames were read.

    Raises
    ------
    InputRefused
        If fewer than two of them can be used.
    """
    matrix, taken, left_out = _laid_out(list(paths), source, recipe, limits, progress)
    if len(taken) < 2:
        why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise InputRefused(f"{len(taken)} usable frames, and two are needed at least{why and ': '}{why}")
    consecutive = None
    if h_i is None:
        consecutive = assess_non_iid(matrix.consecutive(), matrix.bits_per_symbol, h_submitter=h_submitter)
        h_i = consecutive.h_i
    symbols = matrix.matrix()
    restarts = assess_frames(symbols, matrix.bits_per_symbol, h_i, matrix.pattern())
    where = _written(symbols, matrix.bits_per_symbol, export) if export else None
    return AssessedSensor(restarts, consecutive, taken, left_out, where)


def _laid_out(
    paths: list[Path],
    source: str,
    recipe: Recipe,
    limits: "DecodeLimits",
    progress: Callable[[str, int, int], None] | None,
) -> tuple[PairMatrix, list[str], dict[str, str]]:
    """Return the matrix of the frames that can be used, their names, and why the others can't."""
    from entropy_assets.core.extraction.survey import survey_of
    from entropy_assets.images.decode import decode

    matrix, taken, left_out = PairMatrix(recipe), [], {}
    for count, path in enumerate(paths, 1):
        name = printable(path.name)
        try:
            frame = decode(bytes_of(path, limits.max_file_bytes), source=source, limits=limits, reading=recipe.reading)
            matrix.add(frame, survey_of(frame, recipe))
        except (ImageRejected, InputRefused) as refusal:
            left_out[name] = printable(refusal.message)
        else:
            taken.append(name)
        if progress:
            progress("frames", count, len(paths))
    return matrix, taken, left_out


def _written(symbols: "Symbols", bits: int, folder: Path) -> str:
    """Write a matrix row by row, one byte a symbol, and return where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"restart-{symbols.shape[0]}x{symbols.shape[1]}-{bits}bit.bin"
    path.write_bytes(symbols.tobytes())
    return printable(str(path))
