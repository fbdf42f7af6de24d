"""What one file may cost, known without loading a decoder."""

from dataclasses import dataclass
from typing import Final


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
        Largest product of pixels and channels.
    """

    max_file_bytes: int = 256 << 20
    max_pixels: int = 32 << 20
    max_samples: int = 48 << 20


DEFAULT_LIMITS: Final = DecodeLimits()
