"""A sketch of a frame's noise: 26 KB in which the same pattern, or exposure, is known again however it lies.

The Laplacian of the whole live area is folded onto a square of 128 x 128 with wrapped edges: pixel (y, x) is added to
(y mod 128, x mod 128). Folding keeps what matters: frames that share a part of their noise have folds that share it
too; a shift of the frame turns the fold around its edges, whatever the shift; and the fold of a turned frame is the
turned fold. No pixel is left out, so nothing can be hidden in a corner that nobody looks at.

Where frames lie alike the credited pair differences themselves are compared, for patterns of columns are wider in them
than in a Laplacian. They are folded within each of 16 cells of the frame, so that a copied half is told from a pattern
that is everywhere; and some are kept as they are (`squarewise.probes`). All sums are of whole numbers, and a root is
rounded as IEEE 754 says, so an outsider's sketch of the same frame is the same.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from entropy_assets.core.credit.squarewise.evened import evened, less_slopes
from entropy_assets.core.credit.squarewise.probes import Probes
from entropy_assets.core.digests import oriented
from entropy_assets.core.extraction.phases import laid_out, squares_as_they_lie
from entropy_assets.core.extraction.slopes import FINE, without_slopes
from entropy_assets.core.extraction.squares import steps_of
from entropy_assets.core.extraction.survey import Survey
from entropy_assets.core.frame import Frame

Fold = npt.NDArray[np.int8]
Wide = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

SIDE: Final = 128
"""Side of the fold, cells."""
CELLS: Final = 4
"""Cells of the frame down, and across."""
PAIR_FOLD: Final = (32, 16)
"""Rows and pairs of the fold of a cell: those of a square."""
BYTES_OF_FOLDS: Final = SIDE * SIDE + CELLS**2 * PAIR_FOLD[0] * PAIR_FOLD[1]
"""Bytes of both folds: all of a sketch that was kept without probes."""
SIGN_FACTORS: Final = (0x9E3779B1, 0x85EBCA77)
"""Odd factors that make the sign of a square of its column and its row: of no meaning, but the same for all frames."""
SIGN_BIT: Final = 15
CODE_RMS: Final = 24
"""Root mean square of a fold, codes of int8: of noise, one cell in five million is clipped."""
LYING: Final = 32
"""Side of the fold in the index that is compared as it lies."""
LOWEST: Final = 2
"""Frequencies up to this many cycles per fold are left out of the spectrum: they are of the scene."""
CLIPPED_POWER: Final = 6.0
"""Power over its mean at which a frequency is clipped; that of noise is beyond once in 400."""


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """What is remembered of a frame.

    Attributes
    ----------
    image_sha256
        Hash of the file, hex.
    sensor
        What is taken for one sensor: shape of a frame or part, and what the header calls the instrument.
    sigma
        Median noise of the live squares, ADC steps.
    live_pixels
        Pixels in live squares.
    fold
        ``int8[128, 128]``, the folded Laplacian.
    pairs
        ``int8[16, 32, 16]``, the folded pair differences of each cell, by row, then by column.
    cell_pixels
        Live pixels of each cell.
    probes
        Some pair differences of each square.
    part
        Which of several parts of the file it is of; None if the frame has one alone.
    mosaic
        Period of its mosaic, pixels; 1 of a grey frame, and of a sketch that was kept without it.
    """

    image_sha256: str
    sensor: str
    sigma: float
    live_pixels: int
    fold: Fold
    pairs: Fold
    cell_pixels: tuple[int, ...] = ()
    probes: Probes = field(default_factory=lambda: Probes.none_live((0, 0)))
    part: int | None = None
    mosaic: int = 1

    @property
    def name(self) -> str:
        """Return what it is remembered under: the hash of the file, and behind a slash the place of a part."""
        return self.image_sha256 if self.part is None else f"{self.image_sha256}/{self.part}"

    @property
    def shape(self) -> str:
        """Return columns and rows of its frame, which the name of its sensor begins with."""
        return shape_of(self.sensor)

    def may_be_half(self, sensor: str, live_pixels: int) -> bool:
        """Tell whether its frame may be the half of one of this sensor, or that one of it.

        Of frames of one shape it may if noise is in half of it at most: what is beside a half may be anything.
        """
        columns, rows = (int(side) for side in self.shape.split("x"))
        return 2 * min(self.live_pixels, live_pixels) <= rows * columns or shape_of(sensor) != self.shape

    def to_bytes(self) -> bytes:
        """Return both folds, `BYTES_OF_FOLDS` bytes, behind them the probes, and of a mosaic a byte with its period."""
        period = bytes([self.mosaic]) if self.mosaic > 1 else b""
        return self.fold.tobytes() + self.pairs.tobytes() + self.probes.to_bytes() + period

    @classmethod
    def from_bytes(cls, name: str, sensor: str, live_pixels: int, data: bytes) -> Self:
        """Return the sketch that `to_bytes` gave; what it is not compared by stays empty.

        Raises
        ------
        ValueError
            If `data` has another length, or `name` is none.
        """
        image_sha256, _, part = name.partition("/")
        codes = np.frombuffer(data[:BYTES_OF_FOLDS], dtype=np.int8)
        fold, pairs = codes[: SIDE * SIDE].reshape(SIDE, SIDE), codes[SIDE * SIDE :].reshape(-1, *PAIR_FOLD)
        # both folds and the probes have an even number of bytes
        probes, period = data[BYTES_OF_FOLDS : len(data) & ~1], data[len(data) & ~1 :]
        place, mosaic = int(part) if part else None, period[0] if period else 1
        probed = Probes.from_bytes(probes)
        return cls(image_sha256, sensor, 0.0, live_pixels, fold, pairs, probes=probed, part=place, mosaic=mosaic)


def sketches_of(frame: Frame, surveys: Sequence[Survey]) -> tuple[Sketch, ...]:
    """Return the sketch of each part of `frame`; `surveys` are their maps.

    A part has the sketch that its exposure has in a file of its own, where it may have a few rows more.
    """
    if frame.parts == 1:
        return (sketch_of(frame, surveys[0]),)
    of_file = _sensor((frame.file_height, frame.shape[1]), frame.instrument)
    return tuple(
        replace(sketch_of(part, survey), sensor=of_file, part=place)
        for place, (part, survey) in enumerate(zip(frame.split(), surveys, strict=True))
    )


def sketch_of(frame: Frame, survey: Survey) -> Sketch:
    """Return the sketch of channel 0 of `frame`; `survey` is its live-area map.

    A colour mosaic is sketched as the sensor lies, each colour less its own light: so a shifted or turned copy has the
    same, and one that is not called a mosaic too.
    """
    size, period = survey.square_size, frame.mosaic
    steps: npt.NDArray[np.signedinteger] = steps_of(frame, 0)
    fine = 1
    if period > 1:
        steps, fine = without_slopes(laid_out(steps, period, size), period), FINE
    live = squares_as_they_lie(survey.live, period)
    fold = np.zeros((SIDE, SIDE), dtype=np.int64)
    cells = np.zeros((CELLS, CELLS, *PAIR_FOLD), dtype=np.int64)
    probes = Probes.none_live(live.shape)
    columns = live.shape[1] * size
    for row in range(live.shape[0]):
        if not live[row].any():
            continue
        top = row * size
        band = steps[max(0, top - 1) : top + size + 1].astype(np.int32)
        residual, _ = evened(_laplacian_rows(band, top > 0, size, columns), live[row], fine)
        fold[top % SIDE : top % SIDE + size] += _folded_columns(residual)
        rows = band[1 if top else 0 :][:size, :columns]
        level = less_slopes(rows[:, 1::2] - rows[:, ::2], live.shape[1])
        differences, kept = evened(level, live[row], fine)
        _add_squares(cells[row * CELLS // live.shape[0]], differences, row)
        probes.take(row, differences, kept, live[row])
    pixels = np.zeros((CELLS, CELLS), dtype=np.int64)
    for y, x in np.argwhere(live):
        pixels[y * CELLS // live.shape[0], x * CELLS // live.shape[1]] += size * size
    return Sketch(
        image_sha256=frame.image_sha256,
        sensor=_sensor(frame.shape, frame.instrument),
        sigma=survey.median_sigma,
        live_pixels=int(pixels.sum()),
        fold=_coded(fold),
        pairs=np.stack([_coded(cell) for cell in cells.reshape(-1, *PAIR_FOLD)]),
        cell_pixels=tuple(int(count) for count in pixels.ravel()),
        probes=probes,
        mosaic=period,
    )


def _sensor(shape: tuple[int, int], instrument: str) -> str:
    return f"{shape[1]}x{shape[0]} {instrument}".strip()


def shape_of(sensor: str) -> str:
    """Return columns and rows of the frames of a sensor."""
    return sensor.split(" ", 1)[0]


def folded(fold: npt.NDArray[np.integer], side: int) -> Wide:
    """Return a fold of the side 128 folded again, onto ``[side, side]``; `side` divides 128."""
    parts = SIDE // side
    again: Wide = fold.astype(np.int64).reshape(parts, side, parts, side).sum(axis=(0, 2))
    return again


def _laplacian_rows(band: npt.NDArray[np.int32], has_above: bool, size: int, columns: int) -> npt.NDArray[np.int32]:
    """Return the Laplacian of `size` rows, ``int32[size, columns]``; 0 at the borders of the frame."""
    first = 1 if has_above else 0
    residual = np.zeros((size, columns), dtype=np.int32)
    has_below = len(band) > first + size
    top, bottom = (0 if has_above else 1), (size if has_below else size - 1)
    width = min(columns, band.shape[1] - 1)
    rows = slice(first + top, first + bottom)
    middle = band[rows]
    above, below = band[first + top - 1 : first + bottom - 1], band[first + top + 1 : first + bottom + 1]
    residual[top:bottom, 1:width] = (
        4 * middle[:, 1:width]
        - above[:, 1:width]
        - below[:, 1:width]
        - middle[:, : width - 1]
        - middle[:, 2 : width + 1]
    )
    return residual


def _folded_columns(rows: npt.NDArray[np.int32]) -> Wide:
    """Return ``[rows, 128]``: the sum over every 128th column."""
    whole = rows.shape[1] // SIDE * SIDE
    total: Wide = rows[:, :whole].reshape(len(rows), -1, SIDE).sum(axis=1, dtype=np.int64)
    total[:, : rows.shape[1] - whole] += rows[:, whole:]
    return total


def _add_squares(cells: Wide, differences: npt.NDArray[np.int32], row: int) -> None:
    """Add the pair differences of row `row` of the squares to its cells, ``[4, 32, 16]``.

    Each square has a sign of its own. Without, the columns of a pattern would add up where noise does not, and seem
    wider than they are.
    """
    squares = differences.reshape(len(differences), -1, PAIR_FOLD[1])
    mixed = np.arange(squares.shape[1]) * SIGN_FACTORS[0] ^ row * SIGN_FACTORS[1]
    squares = squares * (1 - 2 * (mixed >> SIGN_BIT & 1))[:, np.newaxis]
    ends = [-(-cell * squares.shape[1] // CELLS) for cell in range(CELLS + 1)]
    for cell, (first, end) in enumerate(itertools.pairwise(ends)):
        cells[cell] += squares[:, first:end].sum(axis=1, dtype=np.int64)


def _coded(sums: Wide) -> Fold:
    """Return `sums` in units in which their root mean square is `CODE_RMS`, rounded, in integers alone."""
    energy = sum(int(row @ row) for row in sums)
    spread = max(1, math.isqrt(energy // sums.size))
    return np.clip((2 * CODE_RMS * sums + spread) // (2 * spread), -127, 127).astype(np.int8)


# The index


def index_of(sketch: Sketch) -> npt.NDArray[np.int8]:
    """Return what is looked through: the fold of 32 x 32 as it lies, and its spectrum without shift and sign."""
    lying, spectra = views(sketch)
    parts = (lying[0] * (CODE_RMS * LYING), spectra[0] * (CODE_RMS * math.sqrt(spectra.shape[1])))
    return np.concatenate([np.clip(np.rint(part), -127, 127).astype(np.int8) for part in parts])


def views(sketch: Sketch) -> tuple[Floats, Floats]:
    """Return a sketch as the index compares it: its 8 orientations as it lies, and the 4 of its spectrum."""
    small = folded(sketch.fold, LYING)
    lying = np.stack([unit(oriented(small, way).ravel()) for way in range(8)])
    power = _whitened(small)
    mirrored = np.roll(power[:, ::-1], 1, axis=1)
    spectra = np.stack([unit(each[HALF_PLANE]) for each in (power, mirrored, power.T, mirrored.T)])
    return lying, spectra


def spectrum_of(fold: Fold) -> Floats:
    """Return the spectrum of a fold as it lies, as the index compares it."""
    return unit(_whitened(folded(fold, LYING))[HALF_PLANE])


def _whitened(small: Wide) -> npt.NDArray[np.float64]:
    """Return the power of each frequency of a fold over that of a Laplacian of white noise, less its mean; clipped."""
    power = np.abs(np.fft.fft2(small)) ** 2 / _LAPLACIAN_POWER
    kept = power[HALF_PLANE]
    return np.asarray(np.clip(power / max(1e-12, float(kept.mean())), 0.0, CLIPPED_POWER) - 1.0)


def _laplacian_power() -> npt.NDArray[np.float64]:
    angle = 2 * np.pi * np.fft.fftfreq(LYING)
    response = 4 - 2 * np.cos(angle)[:, np.newaxis] - 2 * np.cos(angle)
    return np.asarray(np.maximum(response**2, 1e-3))


def _half_plane() -> npt.NDArray[np.bool_]:
    """Return which frequencies are kept: of each pair of opposite ones one, without the lowest."""
    rows, columns = np.meshgrid(np.fft.fftfreq(LYING, 1 / LYING), np.fft.fftfreq(LYING, 1 / LYING), indexing="ij")
    upper = (rows > 0) | ((rows == 0) & (columns > 0))
    return np.asarray(upper & (np.maximum(abs(rows), abs(columns)) > LOWEST))


_LAPLACIAN_POWER: Final = _laplacian_power()
HALF_PLANE: Final = _half_plane()
"""Frequencies of the index, ``bool[32, 32]``: of each pair of opposite ones one, without the lowest."""
INDEXED: Final = LYING * LYING + int(np.count_nonzero(HALF_PLANE))
"""Bytes of an index."""


def unit(values: npt.NDArray[np.number[Any]]) -> Floats:
    """Return `values` with the length 1."""
    wide = values.astype(np.float32)
    return wide / np.float32(max(1e-12, float(np.linalg.norm(wide))))
