"""Frame: the integer pixels of one exposure, the true step of its ADC, and the hashes that tell a replay."""

import math
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from entropy_assets.core import encoding
from entropy_assets.core.digests import CHUNK, Pixels, distinct_channels, pixel_digest, range_of
from entropy_assets.errors import ImageRejected, RejectionReason

StatementKind: TypeAlias = Literal["simulated", "simulator", "stacked", "resampled", "calibrated", "developed"]

RAW_CONTAINERS: Final = ("fits", "tiff", "raw")
"""Containers in which cameras and archives deliver raw frames."""
PIXEL_LIMIT: Final = 1 << 53
"""Largest magnitude of a pixel, ADU: exact in float64, and eight of them add up in int64."""
NARROW_LIMIT: Final = 1 << 26
"""Largest magnitude kept as int32, ADU: the residual of any 3x3 kernel with weights up to 8 fits too."""
NARROWEST_LIMIT: Final = (1 << 12) - 1
"""Largest magnitude kept as int16, ADU: the residual of a five-point Laplacian fits too."""
COUNTED_SPAN: Final = 1 << 20
"""Widest range of codes that is counted in a table rather than sorted."""
STRAY_SHARE: Final = 1e-3
"""Share of pixels that may lie off the ADC's grid (repaired, interpolated) without hiding its step."""
GRID_SHARE: Final = 0.5
"""Share of pixels that must be one step from their neighbour code before an uneven grid is believed."""


def adc_step(pixels: Pixels, usable: npt.NDArray[np.bool_]) -> int:
    """Return the true step of the ADC, in stored units.

    12 bits left-justified in 16 have step 16, 8 bits stretched to 16 have 257, 12 bits stretched by bit replication
    have 16 (their spacing alternates between 16 and 17). The lowest and the highest code are left out where others
    remain, since clipping and filling put codes off the grid; so are rare codes.

    Parameters
    ----------
    pixels
        ``[channel, ny, nx]`` integers, ADU.
    usable
        ``[ny, nx]``, False where the container says that there is no measurement.

    Returns
    -------
    int
        The common step of all channels, at least 1; 1 if nothing varies.
    """
    everywhere = bool(usable.all())
    steps = [_grid_step(*_codes(plane.ravel() if everywhere else plane[usable])) for plane in pixels]
    return math.gcd(*steps) or 1


class Statement(NamedTuple):
    """What a file says of itself that bears on its noise.

    Attributes
    ----------
    kind
        ``simulated``: by the camera of this project; ``simulator``: by another one; ``stacked``: of several exposures;
        ``resampled``: on another grid than the sensor's; ``calibrated``: bias, dark or flat applied; ``developed``:
        edited, or given a colour profile.
    words
        The words of the file, as ``"NCOMBINE = 400"``.
    """

    kind: StatementKind
    words: str


class CameraNoise(NamedTuple):
    """What a file says of its camera's noise. Everybody can write a header, so it can lower the credit only.

    Attributes
    ----------
    gain
        Thousandths of an electron per ADU; more than 0.
    read_noise
        Thousandths of an electron, of what is stored as one pixel.
    words
        The words of the file, as ``"EGAIN = 0.25, RDNOISE = 3.5"``.
    """

    gain: int
    read_noise: int
    words: str


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One exposure as the core sees it.

    Attributes
    ----------
    pixels
        ``int16``, ``int32`` or ``int64`` ``[channel, ny, nx]``, ADU, C-contiguous and read-only. ``int32`` only if
        no pixel exceeds 2**26 in magnitude, ``int16`` only if none reaches 2**12, so that residuals never overflow.
    usable
        ``bool[ny, nx]``, read-only; False where the container says blank or non-finite.
    bit_depth
        Bits that the container stores per sample.
    adc_step
        True step of the ADC, ADU.
    container
        ``"fits"``, ``"png"``, ``"jpeg"``, ``"tiff"``, ``"jpeg2000"``, ``"bmp"``, ``"webp"`` or ``"raw"``
        (a camera's own file).
    lossy
        The container does not, or need not, give back what the sensor delivered.
    file_bytes
        Size of the file as it came, bytes.
    coded_bytes
        How many of them code the samples, without headers, comments, padding and further images: the credit is capped
        by it. Never more than `file_bytes`.
    image_sha256
        Hex SHA-256 of the file.
    pixel_sha256
        `pixel_digest` of the exposure.
    source
        Where the image came from; ``"simulated"`` wherever the header says so.
    captured_at
        Time of exposure from the header, ISO 8601, or None.
    float_data
        The container stores floats, all of them integer-valued.
    statements
        What the file says of itself that bears on its noise, in its order.
    camera_noise
        What the file says of gain and read noise; None if it does not say both in a known unit.
    parts
        Planes, pages or amplifiers of one file that lie below each other in `pixels`, each as high as all others.
    is_stack
        The parts are planes or pages of one image: exposures, one after the other, of the same pixels of a sensor.
        Extensions may be other chips or amplifiers.
    selection
        What was taken of a file with several images, a sentence for people; empty if there is one alone.
    instrument
        What the header calls the camera, empty if it says nothing.
    mosaic
        Period of the colour mosaic, pixels: 2 for a Bayer array, 1 for a frame without one. `pixels` are as the sensor
        lies all the same; `extraction.phases` sets the colours apart.
    file_height
        Rows of the image in the file. Of a very large one there are more than `shape` tells: those in its middle are
        the frame, and its hash is of them.
    """

    pixels: Pixels
    usable: npt.NDArray[np.bool_]
    bit_depth: int
    adc_step: int
    container: str
    lossy: bool
    file_bytes: int
    coded_bytes: int
    image_sha256: str
    pixel_sha256: str
    source: str
    captured_at: str | None
    float_data: bool
    statements: tuple[Statement, ...] = ()
    camera_noise: CameraNoise | None = None
    parts: int = 1
    is_stack: bool = False
    selection: str = ""
    instrument: str = ""
    mosaic: int = 1
    file_height: int = 0

    @classmethod
    def build(
        cls,
        pixels: npt.NDArray[np.integer],
        usable: npt.NDArray[np.bool_] | None = None,
        *,
        data: bytes,
        bit_depth: int,
        container: str,
        lossy: bool,
        source: str,
        captured_at: str | None = None,
        float_data: bool = False,
        coded_bytes: int | None = None,
        statements: tuple[Statement, ...] = (),
        camera_noise: CameraNoise | None = None,
        parts: int = 1,
        is_stack: bool = False,
        selection: str = "",
        instrument: str = "",
        mosaic: int = 1,
        file_height: int | None = None,
        copy: bool = True,
    ) -> Self:
        """Return the frame of `pixels`, with step and hashes computed.

        Parameters
        ----------
        pixels
            Integers ``[channel, ny, nx]`` or ``[ny, nx]``, ADU; not empty. Three equal channels become one.
        usable
            ``bool[ny, nx]``, or None if every pixel is.
        data
            The file as it came.
        bit_depth, container, lossy, source, captured_at, float_data, statements, camera_noise, mosaic, parts, is_stack
            As the attributes, like `selection` and `instrument`.
        coded_bytes
            As the attribute; the whole file if None.
        file_height
            As the attribute; that of `pixels` if None.
        copy
            False hands `pixels` over: it may become the frame's own, read-only.

        Raises
        ------
        ImageRejected
            ``NOT_FINITE`` if no pixel is usable; ``UNSUPPORTED_PIXELS`` if one exceeds 2**53 in magnitude.
        """
        planes = pixels[np.newaxis] if pixels.ndim == 2 else pixels
        mask = np.ones(planes.shape[1:], dtype=np.bool_) if usable is None else np.array(usable, dtype=np.bool_)
        narrow = distinct_channels(_narrowed(planes, mask, copy))
        narrow.flags.writeable = mask.flags.writeable = False
        step = adc_step(narrow, mask)
        return cls(
            pixels=narrow,
            usable=mask,
            bit_depth=bit_depth,
            adc_step=step,
            container=container,
            lossy=lossy,
            file_bytes=len(data),
            coded_bytes=len(data) if coded_bytes is None else min(coded_bytes, len(data)),
            image_sha256=encoding.plain_sha256(data).hexdigest(),
            pixel_sha256=pixel_digest(narrow, mask, step),
            source=source,
            captured_at=captured_at,
            float_data=float_data,
            statements=statements,
            camera_noise=camera_noise,
            parts=parts,
            is_stack=is_stack,
            selection=selection,
            instrument=instrument,
            mosaic=mosaic,
            file_height=narrow.shape[1] if file_height is None else file_height,
        )

    def split(self) -> tuple[Self, ...]:
        """Return each part as a frame of its own, without a copy; its hashes stay those of the whole."""
        height = self.shape[0] // self.parts
        rows = [slice(place * height, (place + 1) * height) for place in range(self.parts)]
        return tuple(replace(self, pixels=self.pixels[:, part, :], usable=self.usable[part], parts=1) for part in rows)

    @property
    def is_picture(self) -> bool:
        """Tell whether it is stored as pictures are: 8 bits or less, or in a container made to be looked at."""
        return self.bit_depth <= 8 or self.container not in RAW_CONTAINERS

    @property
    def part_of_file(self) -> str | None:
        """Return a sentence on which rows of the file are the frame; None if all are."""
        height = self.shape[0]
        if self.file_height <= height:
            return None
        return f"the {height} rows in the middle of {self.file_height} are used: {height * self.shape[1]} pixels"

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.pixels.shape[0])

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return int(self.pixels.shape[1]), int(self.pixels.shape[2])


def _narrowed(planes: npt.NDArray[np.integer], mask: npt.NDArray[np.bool_], copy: bool) -> Pixels:
    """Return `planes` in the narrowest type that their residuals fit; masked pixels become the least usable one."""
    if not mask.any():
        raise ImageRejected(RejectionReason.NOT_FINITE, "no pixel holds a measurement: all are blank or not finite")
    everywhere = bool(mask.all())
    low, high = range_of(planes, mask, everywhere)
    if max(-low, high) > PIXEL_LIMIT:
        raise ImageRejected(
            RejectionReason.UNSUPPORTED_PIXELS,
            f"pixels run from {low} to {high}, beyond 2**53, where residuals stop being exact",
            low=str(low),
            high=str(high),
        )
    narrow: Pixels
    if max(-low, high) <= NARROWEST_LIMIT:
        narrow = planes.astype(np.int16, order="C", copy=copy)
    elif max(-low, high) <= NARROW_LIMIT:
        narrow = planes.astype(np.int32, order="C", copy=copy)
    else:
        narrow = planes.astype(np.int64, order="C", copy=copy)
    if not everywhere:
        narrow[:, ~mask] = low
    return narrow


def _codes(values: Pixels) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the codes that occur, ascending, and how often each does."""
    low, high = int(values.min()), int(values.max())
    span = high - low
    if span >= COUNTED_SPAN:
        codes, counts = np.unique(values, return_counts=True)
        return codes.astype(np.int64), counts.astype(np.int64)
    table = np.zeros(span + 1, dtype=np.int64)
    for start in range(0, values.size, CHUNK):
        table += np.bincount(values[start : start + CHUNK] - low, minlength=span + 1)
    occupied = np.flatnonzero(table)
    return occupied + low, table[occupied]


def _grid_step(codes: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> int:
    """Return the step of one channel's codes, 0 if it has only one code."""
    if len(codes) > 3:
        codes, counts = codes[1:-1], counts[1:-1]
    gaps = np.diff(codes)
    if len(gaps) == 0:
        return 0
    exact = int(np.gcd.reduce(gaps))
    return exact if exact > 1 else _usual_gap(gaps, counts)


def _usual_gap(gaps: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> int:
    """Return the least gap between neighbouring codes that is not a stray's, or 1 if the gaps follow no grid.

    A gap weighs as much as the rarer of its two codes, so a stray code weighs next to nothing.
    """
    weights = np.minimum(counts[:-1], counts[1:])
    order = np.argsort(gaps, kind="stable")
    reached = np.cumsum(weights[order])
    least = int(gaps[order[np.searchsorted(reached, STRAY_SHARE * reached[-1], side="right")]])
    on_grid = weights[(gaps >= least) & (gaps <= least + 1)].sum()
    return least if on_grid >= GRID_SHARE * reached[-1] else 1
