"""Images: from the bytes of a file to a `Frame`, and a content-addressed store of the files themselves.

The decoder trusts nothing: format by magic number, sizes from headers before any allocation, every failure an
`ImageRejected` with one reason. The store is trusted for keeping the files, not for leaving them alone: whoever can
write to it can lose an image, but an altered one is noticed on the next read.
"""

import gzip
import hashlib
import re
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageAltered, ImageMissing, ImageRejected, RejectionReason
from entropy_assets.stores.coded import gzip_share
from entropy_assets.stores.durable import write_durably
from entropy_assets.stores.fits import read_fits
from entropy_assets.stores.pictures import read_picture

MAGIC: Final = (
    (b"SIMPLE  =", "fits"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
)
GZIP_MAGIC: Final = b"\x1f\x8b\x08"


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


def decode(data: bytes, *, source: str = "drop", limits: DecodeLimits = DEFAULT_LIMITS) -> Frame:
    """Return the frame in `data`, whatever the file was called.

    Of a file with several images, planes or pages the first is read. Alpha is dropped, orientation tags are ignored,
    colour is not managed. Palettes, 1-bit images, CMYK, colour of more than 8 bits per channel and floats that are
    not integers are refused. A file whose header says that it is simulated gets the source ``"simulated"``.

    Parameters
    ----------
    data
        The whole file.
    source
        Where it came from.
    limits
        What it may cost.

    Raises
    ------
    ImageRejected
        With the one reason that fits; nothing else is raised for any input.
    """
    container = _sniff(data, limits)
    if container == "fits":
        return _decode_fits(data, data, source, limits)
    if container == "gzip":
        return _decode_fits(data, _gunzip(data, limits), source, limits)
    if container == "gif":
        message = "GIF holds a palette of at most 256 colours, mostly dithered; send the original file"
        raise ImageRejected(RejectionReason.UNSUPPORTED_PIXELS, message, container=container)
    return _decode_picture(data, container, source, limits)


class ImageStore:
    """Image files under the SHA-256 of their bytes: ``root/ab/ab12...``.

    Parameters
    ----------
    root
        Folder of the store; made when first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, sha256: str) -> Path:
        """Return where the image is or would be.

        Raises
        ------
        ImageMissing
            If `sha256` is not 64 lower-case hexadecimal digits.
        """
        if not re.fullmatch(r"[0-9a-f]{64}", sha256, re.ASCII):
            raise ImageMissing(f"{sha256!r} is not a SHA-256 in lower-case hexadecimal digits", image_sha256=sha256)
        return self.root / sha256[:2] / sha256

    def __contains__(self, sha256: str) -> bool:
        """Tell whether a file of that name is there; only `get` tells whether it is intact."""
        return self.path(sha256).is_file()

    def put(self, data: bytes) -> str:
        """Keep `data` and return its SHA-256. Repeating it changes nothing, or repairs an altered file."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.path(sha256)
        try:
            self.get(sha256)
        except (ImageMissing, ImageAltered):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, data)
        return sha256

    def get(self, sha256: str) -> bytes:
        """Return the image.

        Raises
        ------
        ImageMissing
            If it is not there.
        ImageAltered
            If its bytes no longer have that hash.
        """
        try:
            data = self.path(sha256).read_bytes()
        except FileNotFoundError:
            raise ImageMissing(f"the store holds no image {sha256}", image_sha256=sha256) from None
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            message = f"the image stored as {sha256} was altered: its SHA-256 is {found}; restore it from a copy"
            raise ImageAltered(message, image_sha256=sha256, found=found)
        return data


def begins_like_an_image(data: bytes) -> bool:
    """Tell whether `data` has the magic number of a format that is read here."""
    return any(data.startswith(magic) for magic in (GZIP_MAGIC, b"RIFF", *(magic for magic, _ in MAGIC)))


def _sniff(data: bytes, limits: DecodeLimits) -> str:
    """Return the container by its magic number."""
    if not data:
        raise ImageRejected(RejectionReason.EMPTY_FILE, "the file is empty")
    if len(data) > limits.max_file_bytes:
        message = f"the file has {len(data)} bytes; the limit is {limits.max_file_bytes}"
        raise ImageRejected(RejectionReason.FILE_TOO_LARGE, message, file_bytes=len(data))
    if data.startswith(GZIP_MAGIC):
        return "gzip"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    for magic, container in MAGIC:
        if data.startswith(magic):
            return container
    message = f"no image format that is read here begins with {data[:16]!r}"
    raise ImageRejected(RejectionReason.UNKNOWN_FORMAT, message, first_bytes=data[:16].hex())


def _gunzip(data: bytes, limits: DecodeLimits) -> bytes:
    """Return the FITS file inside a gzip file, reading no further than the limit."""
    try:
        with gzip.open(BytesIO(data)) as file:
            unpacked = file.read(limits.max_file_bytes + 1)
    except EOFError as error:
        raise ImageRejected(RejectionReason.TRUNCATED, f"the gzip file is cut short: {error}") from error
    except (OSError, zlib.error) as error:
        raise ImageRejected(RejectionReason.DECODE_ERROR, f"the gzip file is damaged: {error}") from error
    if len(unpacked) > limits.max_file_bytes:
        message = f"the gzip file unpacks to more than {limits.max_file_bytes} bytes"
        raise ImageRejected(RejectionReason.FILE_TOO_LARGE, message, file_bytes=len(data))
    if not unpacked.startswith(b"SIMPLE  ="):
        message = f"the gzip file holds no FITS file; it begins with {unpacked[:16]!r}"
        raise ImageRejected(RejectionReason.UNKNOWN_FORMAT, message, first_bytes=unpacked[:16].hex())
    return unpacked


def _decode_picture(data: bytes, container: str, source: str, limits: DecodeLimits) -> Frame:
    picture = read_picture(data, container, max_pixels=limits.max_pixels, max_samples=limits.max_samples)
    return Frame.build(
        picture.pixels,
        picture.usable,
        data=data,
        bit_depth=picture.bit_depth,
        container=container,
        lossy=picture.lossy,
        source=source,
        captured_at=picture.captured_at,
        float_data=picture.float_data,
        coded_bytes=min(picture.coded_bytes, _plain_bytes(picture.pixels.size, picture.bit_depth)),
        copy=False,
    )


def _decode_fits(data: bytes, unpacked: bytes, source: str, limits: DecodeLimits) -> Frame:
    image = read_fits(unpacked, min(limits.max_pixels, limits.max_samples))
    coded = image.size if unpacked is data else gzip_share(data, image.start, image.size)
    return Frame.build(
        image.pixels,
        image.usable,
        data=data,
        bit_depth=image.bit_depth,
        container="fits",
        lossy=False,
        source="simulated" if image.simulated else source,
        captured_at=image.captured_at,
        float_data=image.float_data,
        coded_bytes=min(coded, _plain_bytes(image.pixels.size, image.bit_depth)),
        copy=False,
    )


def _plain_bytes(samples: int, bit_depth: int) -> int:
    """Return the size of `samples` stored plainly: what no coding of them needs more than, padded as it may be."""
    return -(-samples * bit_depth // 8)
