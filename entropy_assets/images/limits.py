"""What one file may cost, known without loading a decoder."""

from dataclasses import dataclass, replace
from typing import Final, Self

STRIP_PIXELS: Final = 24 << 20
"""Largest image that is used as a whole, pixels; of a larger one as many rows in its middle (reading 2)."""
STRIP_SAMPLES: Final = 48 << 20
"""The same of several channels, pixels times channels."""
STRIP_STEP: Final = 192
"""A strip has a multiple of so many rows: whole squares in each colour of a mosaic of period 2, 3 or 6."""
FIRST_SAMPLES: Final = 48 << 20
"""Most pixels times channels that reading 1 took, whatever was set."""
WIDTH_COUNTED: Final = 4
"""Samples of more bytes than this count as so many more, where an image is unpacked as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeLimits:
    """What a file may cost. The defaults keep the decoder under 1 GB.

    Attributes
    ----------
    max_file_bytes
        Largest file, bytes, also once unpacked from gzip.
    max_pixels
        Largest plane, pixels.
    max_samples
        Largest product of pixels and channels of an image that must be unpacked as a whole before its middle can be
        used: every one but a plain FITS image.
    """

    max_file_bytes: int = 384 << 20
    max_pixels: int = 160 << 20
    max_samples: int = 64 << 20

    def of_reading(self, reading: int) -> Self:
        """Return the limits by the rules of `reading`: the first one used images as a whole."""
        if reading >= 2:
            return self
        most = min(self.max_samples, FIRST_SAMPLES)
        return replace(self, max_pixels=min(self.max_pixels, most), max_samples=most)

    def unpacked_pixels(self, sample_bytes: int) -> int:
        """Return the largest single plane of samples of this size that may be unpacked as a whole, pixels."""
        return min(self.max_pixels, self.max_samples * WIDTH_COUNTED // max(WIDTH_COUNTED, sample_bytes))


DEFAULT_LIMITS: Final = DecodeLimits()


def strip_of(height: int, width: int, channels: int = 1) -> slice:
    """Return which rows of an image are used: all, or of a very large one those in its middle."""
    most = min(STRIP_PIXELS, STRIP_SAMPLES // channels) // width
    if height <= most:
        return slice(0, height)
    rows = most // STRIP_STEP * STRIP_STEP or max(1, most)
    top = (height - rows) // 2
    return slice(top, top + rows)


def too_many_pixels(sides: str, pixels: int, max_pixels: int, unpacked: int) -> str:
    """Return why an image is not read, and what to do.

    Parameters
    ----------
    sides
        Of the image, as its header has them; empty if they are not known.
    pixels
        Of the image in all.
    max_pixels
        The setting.
    unpacked
        Most pixels of such an image that are unpacked as a whole.
    """
    if pixels > max_pixels:
        what = f"ENTROPY_MAX_PIXELS is {max_pixels}: raise it if this machine can afford that"
    else:
        what = (
            f"they must be unpacked as a whole, and of more than {unpacked} that is not done: send a plain FITS image,"
            " of which only a strip is used"
        )
    announced = f"{sides} pixels, {pixels} in all" if sides else f"{pixels} pixels"
    return f"the header announces {announced}; {what}"
