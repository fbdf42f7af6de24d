"""The hash of what was measured, however it is stored, and that of the same exposure turned or mirrored."""

from collections.abc import Iterator
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from entropy_assets.core import encoding

Pixels: TypeAlias = npt.NDArray[np.int16] | npt.NDArray[np.int32] | npt.NDArray[np.int64]
Codes: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]
Number = TypeVar("Number", bound=np.number[Any])

CHUNK: Final = 1 << 20
"""Pixels worked on at once, so that temporaries stay in the cache and small."""


def pixel_digest(pixels: Pixels, usable: npt.NDArray[np.bool_], step: int) -> str:
    """Return the hex SHA-256 of what was measured, however it is stored.

    Container, compression, bit depth, offset and step of the codes don't change it; neither does storing a grey
    exposure as three equal channels, nor the value under the mask.

    Parameters
    ----------
    pixels, usable
        As for `adc_step`.
    step
        The ADC step, stored units.

    Notes
    -----
    A code is ``(pixel - least usable pixel of the channel) // step``, and 0 where a pixel is masked. The width of the
    codes is the least of 1, 2, 4 and 8 bytes that holds them all. `encoding` tells how they are laid out.
    """
    planes, ranges, width = _measured(pixels, usable, step)
    channels, height, columns = planes.shape
    digest = encoding.pixel_hash(channels, height, columns, width)
    for codes in _codes_in_order(planes, ranges, usable, step, width):
        digest.update(codes.data)
    return digest.hexdigest()


def turned_digests(pixels: Pixels, usable: npt.NDArray[np.bool_], step: int, parts: int = 1) -> tuple[str, ...]:
    """Return what `pixel_digest` gives for the same exposure turned or mirrored: seven, by `oriented` 1 to 7.

    Parameters
    ----------
    pixels, usable, step
        As for `pixel_digest`.
    parts
        Images that lie below each other in the height; each is turned by itself.
    """
    planes, ranges, width = _measured(pixels, usable, step)
    codes: Codes = np.empty(planes.shape, dtype=f">u{width}")
    flat, place = codes.reshape(-1), 0
    for piece in _codes_in_order(planes, ranges, usable, step, width):
        flat[place : place + piece.size] = piece.ravel()
        place += piece.size
    return tuple(_turned_digest(codes, parts, orientation) for orientation in range(1, 8))


def oriented(square: npt.NDArray[Number], orientation: int) -> npt.NDArray[Number]:
    """Return `square` mirrored first if `orientation` is 4 to 7, then turned by that many quarters."""
    return np.rot90(square[:, ::-1] if orientation >= 4 else square, orientation % 4)


def _turned_digest(codes: Codes, parts: int, orientation: int) -> str:
    turned = [oriented(part, orientation) for plane in codes for part in np.split(plane, parts)]
    height, columns = turned[0].shape
    digest, rows = encoding.pixel_hash(len(codes), height * parts, columns, codes.itemsize), max(1, CHUNK // columns)
    for part in turned:
        for start in range(0, height, rows):
            digest.update(np.ascontiguousarray(part[start : start + rows]).data)
    return digest.hexdigest()


def _measured(pixels: Pixels, usable: npt.NDArray[np.bool_], step: int) -> tuple[Pixels, list[tuple[int, int]], int]:
    """Return the channels that differ, the range of each, and how many bytes a code takes."""
    planes, everywhere = distinct_channels(pixels), bool(usable.all())
    ranges = [range_of(plane, usable, everywhere) for plane in planes]
    highest = max((high - low) // step for low, high in ranges)
    return planes, ranges, next(width for width in (1, 2, 4, 8) if highest < 1 << 8 * width)


def _codes_in_order(
    planes: Pixels, ranges: list[tuple[int, int]], usable: npt.NDArray[np.bool_], step: int, width: int
) -> Iterator[Codes]:
    """Yield the codes of some rows at a time, each plane after the one before it."""
    everywhere, rows = bool(usable.all()), max(1, CHUNK // planes.shape[2])
    for plane, (offset, _) in zip(planes, ranges, strict=True):
        for start in range(0, planes.shape[1], rows):
            part = slice(start, start + rows)
            codes = plane[part] - offset
            if step > 1:
                codes //= step
            if not everywhere:
                codes[~usable[part]] = 0
            yield codes.astype(f">u{width}", order="C")


def distinct_channels(planes: Pixels) -> Pixels:
    """Return one channel if all are equal: colour files often carry a grey exposure three times."""
    first = planes[0]
    if len(planes) > 1 and all(np.array_equal(first, other) for other in planes[1:]):
        return planes[:1]
    return planes


def range_of(planes: npt.NDArray[np.integer[Any]], mask: npt.NDArray[np.bool_], everywhere: bool) -> tuple[int, int]:
    """Return the least and the greatest usable value."""
    if everywhere:
        return int(planes.min()), int(planes.max())
    ends = np.iinfo(planes.dtype)
    return int(planes.min(where=mask, initial=ends.max)), int(planes.max(where=mask, initial=ends.min))
