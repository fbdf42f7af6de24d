"""Camera raw files (DNG, CR2, CR3, NEF, ARW, RAF, ...): the raw data by LibRaw, in a process of its own.

What is read are the pixels that saw light, as the sensor gave them: no thumbnail, no masked border, no black level
taken off, no demosaicing. The filter array is told to the frame. docs/raw-files.md says why LibRaw, and why so.
"""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import IO, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images import raw_reader
from entropy_assets.images.limits import DecodeLimits, strip_of, too_many_pixels
from entropy_assets.images.tiff import is_lossless_raw

LIBRAW: Final = "0.22."
"""The LibRaw that reading 2 is defined by: another one may know another border of a sensor, and so other pixels."""
SECONDS: Final = 300
LONGEST_LINE: Final = 4096
MAGIC: Final = MappingProxyType(
    {
        (0, b"FUJIFILMCCD-RAW"): "Fujifilm RAF",
        (4, b"ftypcrx "): "Canon CR3",
        (0, b"IIRO"): "Olympus ORF",
        (0, b"IIRS"): "Olympus ORF",
        (0, b"IIU\0"): "Panasonic RW2",
    }
)
"""Place and first bytes of raw files that are no TIFF."""
CONVERT: Final = (
    "install entropy-assets[raw] to read camera raw files, or convert the raw data to FITS or 16-bit TIFF, for example"
    " with Siril"
)


class RawImage(NamedTuple):
    """The raw data of a file, ``uint16[ny, nx]``, the period of its mosaic, and whether its coder may have lost any.

    `height` counts all rows, used or not.
    """

    pixels: npt.NDArray[np.uint16]
    mosaic: int
    lossy: bool
    height: int


def begins_like_raw(data: bytes) -> bool:
    """Tell whether `data` has the magic number of a raw file that is no TIFF."""
    return any(data[place : place + len(magic)] == magic for place, magic in MAGIC)


def can_read_raw() -> bool:
    """Tell whether LibRaw is installed; it is not loaded here."""
    return find_spec("rawpy") is not None


def read_raw(data: bytes, limits: DecodeLimits) -> RawImage:
    """Return the raw data of a camera's file.

    Raw data that a DNG, or another TIFF, stores plainly or as lossless JPEG lost nothing. Of all else nothing proves it
    (Sony, Nikon, Canon and Fujifilm have lossy kinds of the same file), so it counts as lossy.

    Raises
    ------
    ImageRejected
        With the one reason that fits.
    """
    if not can_read_raw():
        raise ImageRejected(RejectionReason.UNSUPPORTED_PIXELS, f"this is a camera's raw file; {CONVERT}")
    most = limits.unpacked_pixels(np.dtype(np.uint16).itemsize)
    with TemporaryFile() as given, TemporaryFile() as answer:
        given.write(data)
        given.seek(0)
        command = [sys.executable, "-I", str(Path(raw_reader.__file__)), str(most), str(2 * most + LONGEST_LINE)]
        try:
            done = subprocess.run(  # noqa: S603 - our own program; the file is its input and never an argument
                command, stdin=given, stdout=answer, stderr=subprocess.DEVNULL, env=ALONE, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ImageRejected(RejectionReason.DECODE_ERROR, f"LibRaw took more than {SECONDS} s") from error
        answer.seek(0)
        told = _first_line(answer, done.returncode)
        if "error" in told:
            raise _refusal(told, limits, most)
        return _checked(told, answer, most, lossy=not is_lossless_raw(data))


ALONE: Final = MappingProxyType({"OMP_NUM_THREADS": "1", "TZ": "UTC", "MALLOC_PERTURB_": "255"})
"""All of the reader's environment: one thread, no secret of ours, and memory that nobody filled is the same each time
(glibc)."""


def _first_line(answer: IO[bytes], returncode: int) -> dict[str, Any]:
    """Return what the reader says before the pixels; it may say anything, for what it reads may have taken it over."""
    line = answer.readline(LONGEST_LINE)
    try:
        told = json.loads(line) if returncode == 0 and line.endswith(b"\n") else None
    except ValueError:
        told = None
    if not isinstance(told, dict):
        message = f"the reader of raw files ended with code {returncode}: the file is damaged, or too large to unpack"
        raise ImageRejected(RejectionReason.DECODE_ERROR, message)
    return told


def _refusal(told: dict[str, Any], limits: DecodeLimits, most: int) -> ImageRejected:
    """Return the reason that the reader gives, in words of ours where we have them."""
    reasons = {reason.value: reason for reason in RejectionReason}
    reason = reasons.get(str(told.get("error")), RejectionReason.DECODE_ERROR)
    message, pixels = str(told.get("message"))[:200], told.get("pixels")
    if reason is RejectionReason.OVER_PIXEL_BUDGET and isinstance(pixels, int):
        message = too_many_pixels(message, pixels, limits.max_pixels, most)
    if reason in (RejectionReason.UNSUPPORTED_PIXELS, RejectionReason.NOT_RAW):
        message = f"{message}; {CONVERT.partition(', or ')[2]}"
    return ImageRejected(reason, message)


def _checked(told: dict[str, Any], answer: IO[bytes], most: int, *, lossy: bool) -> RawImage:
    """Return the pixels that follow, once they are as many as was told."""
    height, width, period = (_side(told.get(name), most) for name in ("height", "width", "period"))
    libraw = str(told.get("libraw"))[:20]
    if not libraw.startswith(LIBRAW):
        message = (
            f"this recipe reads raw files with LibRaw {LIBRAW}x, installed is {libraw}: install what the lock names"
        )
        raise ImageRejected(RejectionReason.DECODE_ERROR, message)
    start, size = answer.tell(), height * width * 2
    answer.seek(0, 2)
    if height * width > most or answer.tell() - start != size:
        raise ImageRejected(RejectionReason.DECODE_ERROR, "the reader of raw files gave other pixels than it told of")
    rows = strip_of(height, width)
    answer.seek(start + rows.start * width * 2)
    pixels = np.frombuffer(answer.read((rows.stop - rows.start) * width * 2), dtype=np.uint16)
    return RawImage(pixels.reshape(-1, width), period if period in (2, 6) else 1, lossy, height)


def _side(told: object, most: int) -> int:
    if type(told) is not int or not 0 < told <= most:
        raise ImageRejected(RejectionReason.DECODE_ERROR, "the reader of raw files tells of impossible sizes")
    return told
