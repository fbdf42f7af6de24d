"""Small image files, made byte by byte or by the libraries that users have."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images.decode import decode

NOISE = np.random.default_rng(4).normal(120, 9, (40, 56)).astype(np.uint8)
COLOUR = np.random.default_rng(5).normal(120, 9, (40, 56, 3)).astype(np.uint8)


def picture(image: Any, kind: str, **options: Any) -> bytes:
    """Return `image` as a file."""
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, kind, **options)
    return out.getvalue()


def fits(array: Any, big_endian: str = ">i2", **cards: Any) -> bytes:
    """Return `array` as a FITS file, with further cards; a card of None leaves it out."""
    bitpix = {">u1": 8, ">i2": 16, ">i4": 32, ">i8": 64, ">f4": -32, ">f8": -64}[big_endian]
    axes = {f"NAXIS{n}": size for n, size in enumerate(reversed(array.shape), 1)}
    values = {"SIMPLE": "T", "BITPIX": bitpix, "NAXIS": array.ndim, **axes, **cards}
    return header(**values) + block(array.astype(big_endian).tobytes(), b"\0")


def header(**values: Any) -> bytes:
    """Return a FITS header; underscores in keywords stand for hyphens."""
    present = {key.replace("_", "-"): value for key, value in values.items() if value is not None}
    cards = "".join(f"{key:<8}= {value!s:>20}".ljust(80) for key, value in present.items())
    return block((cards + "END").encode(), b" ")


def block(data: bytes, fill: bytes) -> bytes:
    """Return `data` filled up to a FITS block."""
    return data + fill * (-len(data) % 2880)


def reason(data: bytes, **options: Any) -> RejectionReason:
    """Return why `data` is rejected."""
    with pytest.raises(ImageRejected) as caught:
        decode(data, **options)
    assert caught.value.message
    assert "0x" not in caught.value.message
    return caught.value.reason


def png(width: int, height: int, depth: int, colour: int, rows: bytes | None = None) -> bytes:
    """Return a PNG with the header asked for; its pixels are zero or `rows`."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    row = 1 + -(-width * channels * depth // 8)
    body = rows if rows is not None else bytes(min(row * height, 1 << 16))
    parts = (b"IHDR", struct.pack(">2I5B", width, height, depth, colour, 0, 0, 0)), (b"IDAT", zlib.compress(body))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts) + chunk(b"IEND", b"")


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return one PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def tiff(**tags: int) -> bytes:
    """Return an 8 x 8 grey TIFF of zeros; `tags` (``t322=...``) replace or join its own."""
    own = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: 64}
    entries = sorted((own | {int(name[1:]): value for name, value in tags.items()}).items())
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<I", 72) + bytes(64) + struct.pack("<H", len(entries)) + directory + bytes(4)


def webp_canvas(width: int, height: int) -> bytes:
    """Return a WebP file that announces a canvas and holds a small image."""
    inner = picture(NOISE, "WEBP", lossless=True)[12:]
    canvas = b"\x02\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + canvas + inner
    return b"RIFF" + struct.pack("<I", len(body)) + body


def compressed(plane: Any, codec: str, quantize: int | None = None, **options: Any) -> bytes:
    """Return `plane` as a tile-compressed FITS file; quantize 1 dithers, -1 doesn't; options as astropy's."""
    from astropy.io import fits as astropy_fits

    out = io.BytesIO()
    if quantize is not None:
        options |= {"quantize_method": quantize, "quantize_level": 4.0, "dither_seed": 1}
    hdu = astropy_fits.CompImageHDU(np.asarray(plane), compression_type=codec, **options)
    astropy_fits.HDUList([astropy_fits.PrimaryHDU(), hdu]).writeto(out)
    return out.getvalue()
