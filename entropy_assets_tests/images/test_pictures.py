"""Pillow's formats: what is measured, what is refused, what is decided from the header alone."""

import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from entropy_assets.errors import RejectionReason
from entropy_assets.images.decode import decode
from entropy_assets_tests.images.image_files import COLOUR, NOISE, chunk, picture, png, reason, tiff, webp_canvas


@pytest.mark.parametrize(
    "kind, options, container, lossy",
    [
        ("PNG", {}, "png", False),
        ("TIFF", {}, "tiff", False),
        ("TIFF", {"compression": "tiff_lzw"}, "tiff", False),
        ("TIFF", {"compression": "tiff_adobe_deflate"}, "tiff", False),
        ("TIFF", {"compression": "jpeg"}, "tiff", True),
        ("BMP", {}, "bmp", False),
        ("JPEG", {"quality": 95}, "jpeg", True),
        ("JPEG2000", {"irreversible": True, "quality_layers": [20]}, "jpeg2000", True),
        ("JPEG2000", {"irreversible": False}, "jpeg2000", True),
        ("JPEG2000", {"no_jp2": True}, "jpeg2000", True),
        ("WEBP", {"lossless": True}, "webp", False),
        ("WEBP", {"quality": 90}, "webp", True),
    ],
)
def test_container_is_sniffed_and_says_whether_it_lost_something(
    kind: str, options: dict[str, Any], container: str, lossy: bool
) -> None:
    """Lossless files give the exact pixels; lossy ones are marked as such."""
    frame = decode(picture(COLOUR, kind, **options))
    assert (frame.container, frame.lossy, frame.bit_depth) == (container, lossy, 8)
    assert frame.pixels.shape == (3, 40, 56)
    if not lossy:
        assert np.array_equal(frame.pixels, np.moveaxis(COLOUR, 2, 0))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_of_grey_come_out_whole(kind: str) -> None:
    """16-bit grey keeps every bit; left-justified 12-bit data show their step."""
    codes = (NOISE.astype(np.uint16) * 13) << 4
    frame = decode(picture(codes, kind))
    assert np.array_equal(frame.pixels[0], codes)
    assert (frame.bit_depth, frame.adc_step) == (16, 16 * 13)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_dropped(mode: str) -> None:
    """Alpha is no measurement; fully transparent pixels are measured all the same."""
    image = Image.fromarray(COLOUR).convert(mode)
    image.putalpha(0)
    frame = decode(picture(image, "PNG"))
    assert frame.channels == {"LA": 1, "RGBA": 3}[mode]
    assert frame.pixel_sha256 == decode(picture(image.convert(mode[:-1]), "PNG")).pixel_sha256


@pytest.mark.parametrize(
    "mode, kind", [("P", "PNG"), ("1", "PNG"), ("P", "GIF"), ("L", "GIF"), ("CMYK", "JPEG"), ("LAB", "TIFF")]
)
def test_pixels_that_are_no_measurement_are_refused(mode: str, kind: str) -> None:
    """Palettes, 1 bit and colour spaces other than grey and RGB."""
    image = Image.new("LAB", (56, 40)) if mode == "LAB" else Image.fromarray(COLOUR).convert(mode)
    assert reason(picture(image, kind)) is RejectionReason.UNSUPPORTED_PIXELS


def test_sixteen_bit_colour_is_refused_rather_than_cut_to_eight() -> None:
    """Pillow would keep the high bytes only: bits that are gone must not be credited as a quiet sensor."""
    assert reason(png(8, 8, depth=16, colour=2)) is RejectionReason.UNSUPPORTED_PIXELS
    assert reason(png(8, 8, depth=16, colour=4)) is RejectionReason.UNSUPPORTED_PIXELS


def test_low_bit_depth_shows_in_depth_and_step() -> None:
    """4-bit grey is stretched by the reader: depth 4, step 17."""
    rows = b"".join(b"\0" + bytes([0x01, 0x23, 0x45, 0x67]) for _ in range(8))
    frame = decode(png(8, 8, depth=4, colour=0, rows=rows))
    assert (frame.bit_depth, frame.adc_step) == (4, 17)


LOSSLESS = {"WEBP": {"lossless": True}}


def test_of_an_animation_one_frame_is_read_and_it_is_told() -> None:
    """Colour pages of a TIFF and frames of an animated WebP or PNG: the first, whatever follows."""
    others = [Image.fromarray(255 - COLOUR)]
    for kind in ("TIFF", "WEBP", "PNG"):
        frame = decode(picture(COLOUR, kind, save_all=True, append_images=others, **LOSSLESS.get(kind, {})))
        assert np.array_equal(frame.pixels[1], COLOUR[..., 1])
        assert frame.selection.startswith("1 of the 2 images of the file")
        assert (frame.parts, decode(picture(COLOUR, kind)).selection) == (1, "")


def test_orientation_tag_changes_nothing() -> None:
    """The same exposure with another EXIF orientation is the same exposure, and its time is read."""
    exif = Image.Exif()
    exif[0x0112], exif[0x0132] = 6, "2026:11:05 01:02:03"
    plain = picture(COLOUR, "JPEG")
    turned = decode(picture(COLOUR, "JPEG", exif=exif))
    assert turned.pixel_sha256 == decode(plain).pixel_sha256
    assert turned.captured_at == "2026-11-05T01:02:03"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "WEBP", "JPEG2000"])
def test_truncated_file_is_refused(kind: str) -> None:
    """Half a file is never filled up."""
    data = picture(COLOUR, kind)
    assert reason(data[: len(data) // 2]) in (RejectionReason.TRUNCATED, RejectionReason.DECODE_ERROR)


def test_webp_canvas_is_checked_before_its_reader_allocates_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader makes the canvas on opening, so it must not get to see the file."""

    def opened(*_: Any, **__: Any) -> None:
        pytest.fail("the reader was called")

    data = webp_canvas(16_384, 16_384)
    monkeypatch.setattr(Image, "open", opened)
    assert reason(data) is RejectionReason.OVER_PIXEL_BUDGET


def test_damaged_header_gives_a_message_without_addresses() -> None:
    """What Pillow can't identify is named by us."""
    data = bytearray(picture(NOISE, "PNG"))
    data[30] ^= 1
    assert reason(bytes(data)) is RejectionReason.DECODE_ERROR


def test_giant_tiff_tile_is_refused() -> None:
    """A small image may not announce a tile of a gigabyte."""
    assert decode(tiff()).shape == (8, 8)
    assert reason(tiff(t322=32768, t323=32768, t324=8, t325=64)) is RejectionReason.OVER_PIXEL_BUDGET


def test_text_bomb_is_refused_with_little_memory() -> None:
    """A text chunk that unpacks to 100 MB is not unpacked."""
    bomb = b"k\0\0" + zlib.compress(bytes(100 << 20), 9)
    data = picture(NOISE, "PNG")
    assert reason(data[:33] + chunk(b"zTXt", bomb) + data[33:]) is RejectionReason.DECODE_ERROR


def test_tiff_of_whole_floats_is_read_and_others_are_refused() -> None:
    """The float policy does not depend on the container."""
    frame = decode(picture(Image.fromarray(NOISE.astype(np.float32)), "TIFF"))
    assert np.array_equal(frame.pixels[0], NOISE)
    assert frame.float_data
    halves = Image.fromarray(NOISE.astype(np.float32) / 2)
    assert reason(picture(halves, "TIFF")) is RejectionReason.UNSUPPORTED_PIXELS
