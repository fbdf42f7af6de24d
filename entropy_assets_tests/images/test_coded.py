"""Padding a file, in any way that readers overlook, does not add to the bytes that its credit is capped by."""

import gzip
import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from entropy_assets.core.credit.assessment import container_cap
from entropy_assets.core.extraction.noise import NoiseExtractor
from entropy_assets.images.coded import CODED_IN, gzip_share
from entropy_assets.images.decode import decode
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.images.image_files import COLOUR, NOISE, chunk, fits, picture

PADDING = 1 << 20
LARGE = np.random.default_rng(6).normal(120, 9, (128, 160)).astype(np.uint8)


def after(data: bytes) -> bytes:
    """Return `data` with zeros behind it."""
    return data + bytes(PADDING)


def jpeg_segments(marker: int) -> Callable[[bytes], bytes]:
    """Return what puts segments of `marker` behind SOI, each of the largest size."""
    segment = bytes((0xFF, marker)) + (0xFFFF).to_bytes(2, "big") + bytes(0xFFFD)
    return lambda data: data[:2] + segment * 16 + data[2:]


def fill_bytes(data: bytes) -> bytes:
    """Put fill bytes, which T.81 B.1.1.2 allows before any marker, before EOI."""
    assert data.endswith(b"\xff\xd9")
    return data[:-2] + b"\xff" * PADDING + data[-2:]


def text_chunk(data: bytes) -> bytes:
    """Put a text chunk behind IHDR."""
    return data[:33] + chunk(b"tEXt", b"Comment\0" + b"x" * (PADDING // 2)) + data[33:]


def comment_segment(data: bytes) -> bytes:
    """Put comments into the main header of a JPEG 2000 codestream, before its first tile-part."""
    first = data.index(b"\xff\x90")
    return data[:first] + (b"\xff\x64" + struct.pack(">HH", 0xFFFF, 0) + bytes(0xFFFD - 2)) * 16 + data[first:]


def free_box(data: bytes) -> bytes:
    """Put a box of something else behind the codestream of a JP2 file."""
    return data + struct.pack(">I4s", PADDING + 8, b"uuid") + b"x" * PADDING


def exif_chunk(data: bytes) -> bytes:
    """Append a chunk of metadata inside the RIFF container."""
    return (
        b"RIFF"
        + struct.pack("<I", len(data) + PADDING)
        + data[8:]
        + struct.pack("<4sI", b"EXIF", PADDING)
        + bytes(PADDING)
    )


def second_page(compression: str) -> bytes:
    """Return a TIFF of the image and a larger one."""
    pages = [Image.fromarray(LARGE), Image.fromarray(np.tile(LARGE, (4, 4)))]
    out = io.BytesIO()
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:], compression=compression)
    return out.getvalue()


def second_unit(data: bytes) -> bytes:
    """Append a second image to a FITS file."""
    other = fits(np.zeros((512, 1024)), ">i2")
    return data + b"XTENSION= 'IMAGE   '".ljust(80) + other[80:]


def jp2(data: np.ndarray = LARGE, **options: Any) -> bytes:
    """Return a JPEG 2000 file."""
    return picture(data, "JPEG2000", irreversible=False, **options)


PADDED = {
    "jpeg, zeros after": (picture(LARGE, "JPEG", quality=90), after),
    "jpeg, application data": (picture(LARGE, "JPEG", quality=90), jpeg_segments(0xE1)),
    "jpeg, comments": (picture(LARGE, "JPEG", quality=90, progressive=True), jpeg_segments(0xFE)),
    "jpeg, fill bytes": (picture(LARGE, "JPEG", quality=90), fill_bytes),
    "jpeg, another image after": (picture(LARGE, "JPEG"), lambda data: data + picture(COLOUR, "JPEG", quality=100)),
    "jpeg2000, zeros after": (jp2(), after),
    "jpeg2000, zeros after a codestream": (jp2(no_jp2=True), after),
    "jpeg2000, comments": (jp2(no_jp2=True), comment_segment),
    "jpeg2000, another box": (jp2(), free_box),
    "png, zeros after": (picture(LARGE, "PNG"), after),
    "png, text": (picture(LARGE, "PNG"), text_chunk),
    "webp, zeros after": (picture(LARGE, "WEBP", quality=90), after),
    "webp, metadata": (picture(LARGE, "WEBP", lossless=True), exif_chunk),
    "tiff, zeros after": (picture(LARGE, "TIFF"), after),
    "tiff, packed, zeros after": (picture(LARGE, "TIFF", compression="tiff_adobe_deflate"), after),
    "tiff, second page": (picture(LARGE, "TIFF"), lambda _: second_page("raw")),
    "tiff, packed, second page": (
        picture(LARGE, "TIFF", compression="tiff_adobe_deflate"),
        lambda _: second_page("tiff_adobe_deflate"),
    ),
    "bmp, zeros after": (picture(LARGE, "BMP"), after),
    "fits, zeros after": (fits(LARGE), after),
    "fits, second unit": (fits(LARGE), second_unit),
    "gzip, second unit": (gzip.compress(fits(LARGE)), lambda data: gzip.compress(second_unit(gzip.decompress(data)))),
}


@pytest.mark.parametrize("name", PADDED)
def test_padding_adds_nothing(name: str) -> None:
    """Same pixels, a larger file, the same coded bytes; and these are most of the file as it was."""
    data, pad = PADDED[name]
    padded = pad(data)
    plain, fat = decode(data), decode(padded)
    assert fat.pixel_sha256 == plain.pixel_sha256
    assert fat.file_bytes == len(padded) > len(data)
    # where packing starts anew with other data behind it, blocks of the deflate stream end elsewhere
    assert fat.coded_bytes == pytest.approx(plain.coded_bytes, rel=0.1 if name.startswith("gzip") else 0)
    assert 0.6 * len(data) < plain.coded_bytes < len(data)


def test_stuffing_restarts_and_padding_inside_scans_are_bounded() -> None:
    """Stuffed zeros and restart markers code nothing; what hides in a scan never counts for more than the pixels."""
    assert CODED_IN["jpeg"](b"\xff\xd8\xff\xda\0\2ab\xff\0\xff\xd0c\xff\xd9more") == 4
    data = picture(LARGE, "JPEG", quality=90)
    assert decode(data[:-2] + bytes(PADDING) + data[-2:]).coded_bytes == LARGE.size


def test_colour_and_several_parts_count_whole() -> None:
    """Every scan of a progressive JPEG, every tile-part, every IDAT chunk, every strip and both members of a gzip."""
    big = np.random.default_rng(7).normal(120, 9, (400, 400, 3)).astype(np.uint8)
    for kind, options in (
        ("JPEG", {"progressive": True, "quality": 95}),
        ("JPEG2000", {"irreversible": False, "tile_size": (128, 128)}),
        ("PNG", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
    ):
        data = picture(big, kind, **options)
        assert 0.98 * min(len(data), big.size) < decode(data).coded_bytes <= min(len(data), big.size)
    plain = fits(NOISE)
    packed = gzip.compress(plain[:4000]) + gzip.compress(plain[4000:])
    assert 0.3 * len(packed) < decode(packed).coded_bytes < len(packed)


def test_animation_counts_its_first_frame() -> None:
    """WebP frames after the first are never seen, so they don't count."""
    frames = [Image.fromarray(COLOUR), *(Image.fromarray(np.roll(COLOUR, n, axis=0)) for n in range(1, 5))]
    out = io.BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert 0 < decode(out.getvalue()).coded_bytes < len(out.getvalue()) / 3


@given(st.sampled_from(sorted(CODED_IN)), st.binary(max_size=300), st.integers(0, 200))
def test_nothing_is_raised_and_no_file_codes_more_than_it_holds(container: str, noise: bytes, kept: int) -> None:
    """Whatever follows a valid beginning: an integer from 0 to the length of the file."""
    whole = PADDED[f"{container}, zeros after"][0]
    data = whole[: kept * len(whole) // 200] + noise
    assert 0 <= CODED_IN[container](data) <= len(data)


@given(st.binary(max_size=200), st.integers(0, 500), st.integers(0, 500))
def test_any_gzip_file_has_a_share(data: bytes, start: int, size: int) -> None:
    """Never more than the file, whether it is intact or not."""
    packed = gzip.compress(data)
    for file in (packed, packed + bytes(9), packed[:-9], data):
        assert 0 <= gzip_share(file, start, size) <= len(file)


def test_hostile_lengths_take_no_time() -> None:
    """Ten megabytes of fill bytes, restarts or empty segments are walked through once."""
    size = 10 << 20
    start = picture(LARGE, "JPEG")[:2]
    scan = start + b"\xff\xda\0\2"
    for data in (start + b"\xff" * size, scan + b"\xff" * size + b"\0", scan + b"\xff\xd0" * (size // 2)):
        assert CODED_IN["jpeg"](data) <= len(data)


def test_padding_gives_the_sample_no_credit(samples: Path) -> None:
    """The bundled JPEG 2000 image is capped by its container: with 20 MB of zeros behind it, by just as much."""
    data = (samples / "sdo_hmi_continuum_512.jp2").read_bytes()
    caps = []
    for file in (data, data + bytes(20 << 20)):
        frame = decode(file)
        caps.append(container_cap(frame, NoiseExtractor().extract(frame, bytes(32)), STANDARD))
    assert caps[0] == caps[1] < len(data)


def test_text_of_a_png_is_no_image() -> None:
    """Compressed text, as Pillow writes it, counts for nothing either."""
    info = PngInfo()
    info.add_text("Comment", "x" * 10_000, zip=False)
    assert decode(picture(LARGE, "PNG", pnginfo=info)).coded_bytes == decode(picture(LARGE, "PNG")).coded_bytes
