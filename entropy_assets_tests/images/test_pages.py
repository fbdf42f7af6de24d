"""Grey TIFF pages: what was written comes back, in every width, order and packing; damage gives one reason."""

import struct
import tracemalloc
import zlib
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images import decode as decoder
from entropy_assets.images import pages as reader
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.recipe import recipe_named
from entropy_assets_tests.images import image_files
from entropy_assets_tests.images.image_files import COLOUR, NOISE, fits, picture

decode = partial(decoder.decode, reading=3)
reason = partial(image_files.reason, reading=3)
EARLIER = recipe_named("ea-2026-1").reading
PLANE = np.random.default_rng(6).normal(0, 25, (45, 52))
STACK = np.rint(np.random.default_rng(7).normal(900, 9, (5, 45, 52)))
KINDS = {"u1": 120, "i1": 0, "u2": 40_000, "i2": 0, "u4": 3_000_000_000, "i4": -70_000, "f4": 0, "f8": 0}
"""Type and level of a page."""
FORMATS = {"u": 1, "i": 2, "f": 3}


def grey(kind: str) -> Any:
    """Return a page of integers of this type."""
    return np.clip(np.rint(PLANE) + KINDS[kind], *(LIMITS[kind[1:]] if kind[0] == "i" else (0, None)))


LIMITS = {"1": (-128, 127), "2": (-32768, 32767), "4": (-(2**31), 2**31 - 1)}


def written(
    pages: Any, kind: str, order: str = "<", *, is_big: bool = False, compression: int = 1, rows: int = 10, **tags: int
) -> bytes:
    """Return grey pages as a TIFF file in strips of `rows` rows; `tags` (``t317=2``) replace or join its own."""
    out = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if is_big else 42))
    out += struct.pack(order + "HHQ", 8, 0, 0) if is_big else struct.pack(order + "I", 0)
    count, field, width, integer = ("Q", "Q", 8, 16) if is_big else ("H", "I", 4, 4)
    last = len(out) - width
    for page in pages:
        stored = page.astype(f"{order}{kind}")
        if tags.get("t317") == 2:
            stored = np.diff(stored, axis=1, prepend=stored[:, :1] * 0).astype(stored.dtype)
        strips = [packed(stored[top : top + rows].tobytes(), compression) for top in range(0, len(page), rows)]
        places = [len(out) + sum(map(len, strips[:n])) for n in range(len(strips))]
        out += b"".join(strips)
        arrays = [places[0], len(strips[0])] if len(strips) == 1 else [len(out), len(out) + width * len(strips)]
        out += struct.pack(f"{order}{2 * len(strips)}{field}", *places, *map(len, strips))
        own = {256: page.shape[1], 257: len(page), 258: 8 * stored.itemsize, 259: compression, 262: 1, 273: arrays[0],
               277: 1, 278: rows, 279: arrays[1], 339: FORMATS[kind[0]]}  # fmt: skip
        entries = sorted((own | {int(name[1:]): value for name, value in tags.items()}).items())
        struct.pack_into(order + field, out, last, len(out))
        out += struct.pack(order + count, len(entries))
        for tag, value in entries:
            values = len(strips) if tag in (273, 279) else 1
            out += struct.pack(f"{order}HH2{field}", tag, integer, values, value)
        last = len(out)
        out += struct.pack(order + field, 0)
    return bytes(out)


def packed(raw: bytes, compression: int) -> bytes:
    if compression in (8, 32946):
        return zlib.compress(raw)
    if compression == 32773:
        return b"".join(bytes([len(part) - 1]) + part for part in (raw[n : n + 128] for n in range(0, len(raw), 128)))
    return raw


def outcome(data: bytes, **options: Any) -> Any:
    """Return the pixels in `data`, or why there are none."""
    try:
        frame = decode(data, **options)
    except ImageRejected as rejection:
        return rejection.reason
    assert isinstance(frame, Frame)
    return frame.pixels[0]


@pytest.mark.parametrize("compression", [1, 8, 32946, 32773])
@pytest.mark.parametrize("order, is_big", [("<", False), (">", False), ("<", True), (">", True)])
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_written_is_read(kind: str, order: str, is_big: bool, compression: int) -> None:
    """Integers with their sign and floats that are integers, in both orders, classic and BigTIFF."""
    page = grey(kind)
    frame = decode(written([page], kind, order, is_big=is_big, compression=compression))
    assert np.array_equal(frame.pixels[0], page)
    assert (frame.bit_depth, frame.float_data, frame.lossy) == (8 * int(kind[1:]), kind[0] == "f", False)
    assert (frame.parts, frame.selection) == (1, "")


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4"])
def test_differences_are_added_up(kind: str, order: str) -> None:
    """Predictor 2, whose sums go round as the integers do."""
    page = grey(kind)
    assert np.array_equal(decode(written([page], kind, order, compression=8, t317=2)).pixels[0], page)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate", "packbits"])
def test_pages_of_another_writer_are_the_same(compression: str) -> None:
    """Pillow writes 8 and 16 bits; both readers give the same frame, and only strips count as coded."""
    for plane in (NOISE, NOISE.astype(np.uint16) * 200):
        data = picture(plane, "TIFF", compression=compression)
        frame = decode(data)
        assert np.array_equal(frame.pixels[0], plane)
        earlier = decode(data, reading=EARLIER)
        assert (frame.pixel_sha256, frame.bit_depth) == (earlier.pixel_sha256, earlier.bit_depth)
        assert 0 < frame.coded_bytes < len(data)


def test_white_is_zero_is_turned_around() -> None:
    """So that one exposure is one pixel hash, and a signed one keeps its order."""
    for kind in ("u1", "u2", "i2"):
        page = grey(kind)
        turned = np.iinfo(kind).max - page if kind[0] == "u" else -1 - page
        frame = decode(written([turned], kind, t262=0))
        assert np.array_equal(frame.pixels[0], page)


def test_tiles_are_joined() -> None:
    """Tiles that reach over both edges, packed or not."""
    tiled = np.zeros((64, 64))
    tiled[:45, :52] = grey("u2")
    tiles = [tiled[top : top + 16, left : left + 32] for top in range(0, 64, 16) for left in (0, 32)]
    data = written([np.concatenate(tiles[:6])], "u2", rows=16)
    for old, new in ((257, 45), (256, 52)):
        at = data.index(struct.pack("<HHI", old, 4, 1))
        data = data[: at + 8] + struct.pack("<I", new) + data[at + 12 :]
    tags = {273: 324, 279: 325, 278: 323}
    for old, new in tags.items():
        at = data.rindex(struct.pack("<HH", old, 4))
        data = data[:at] + struct.pack("<H", new) + data[at + 2 :]
    end = len(data) - 4
    entries = struct.unpack_from("<H", data, struct.unpack_from("<I", data, 4)[0])[0]
    start = struct.unpack_from("<I", data, 4)[0]
    data = data[:start] + struct.pack("<H", entries + 1) + data[start + 2 : end]
    data += struct.pack("<HHII", 322, 4, 1, 32) + bytes(4)
    assert np.array_equal(decode(data).pixels[0], tiled[:45, :52])


def test_pages_lie_below_each_other() -> None:
    """As the planes of a cube, with the same pixel hash; thumbnails, masks and flat pages are passed over."""
    frame = decode(written(STACK, "u2", ">", is_big=True))
    assert np.array_equal(frame.pixels[0], STACK[:, :32].reshape(-1, 52))
    assert (frame.parts, frame.selection) == (5, "all 5 images of the file, below each other")
    assert frame.coded_bytes == 2 * frame.pixels.size
    assert frame.pixel_sha256 == decode(fits(STACK)).pixel_sha256
    flat = decode(written([np.full((45, 52), 9), *STACK[:2]], "u2"))
    assert np.array_equal(flat.pixels[0], STACK[:2, :32].reshape(-1, 52))
    assert flat.selection.startswith("2 of the 3 images")
    many = decode(written([*STACK] * 5, "u2"))
    assert (many.parts, many.selection[:9]) == (16, "16 of the")
    first = decode(written(STACK, "u2"), reading=2)
    assert np.array_equal(first.pixels[0], STACK[0])
    assert first.selection.startswith("1 of the 5 images")
    assert decode(written(STACK, "u2"), reading=EARLIER).selection == ""


def test_pages_of_another_kind_are_not_used() -> None:
    """Another shape or type: told, not mixed in; a later page that is damaged changes nothing."""
    first = picture(Image.fromarray(NOISE), "TIFF", save_all=True, append_images=[Image.fromarray(COLOUR)])
    frame = decode(first)
    assert np.array_equal(frame.pixels[0], NOISE)
    assert frame.selection.startswith("1 of the 2 images")
    lower = written([STACK[0], STACK[1][:32], STACK[2]], "u2")
    assert np.array_equal(decode(lower).pixels[0], np.concatenate([STACK[0][:32], STACK[2][:32]]))
    two = bytearray(written(STACK[:2], "u2", compression=8))
    last = struct.unpack_from("<I", two, two.rindex(struct.pack("<HHI", 273, 4, 5)) + 8)[0]
    two[last : last + 4] = bytes(4)
    damaged = decode(bytes(two))
    assert np.array_equal(damaged.pixels[0], STACK[0])
    assert damaged.selection.startswith("1 of the 2 images")


def test_what_the_first_page_says_is_heard() -> None:
    """The time, the program and a colour profile."""
    tags = {305: "Adobe Photoshop 25", 306: "2026:11:05 01:02:03"}
    info = {"tiffinfo": tags, "icc_profile": b"x" * 200}
    frame = decode(picture(NOISE.astype(np.uint16), "TIFF", **info))
    assert frame.captured_at == "2026-11-05T01:02:03"
    assert [said.words for said in frame.statements] == ["a colour profile (ICC)", "Software = Adobe Photoshop 25"]


def test_sizes_are_checked_before_a_pixel_is_read() -> None:
    """Of a page, of its tiles, of their number, and of all pages together."""
    limits = DecodeLimits(max_pixels=45 * 52, max_samples=45 * 52)
    data = written([grey("u2")], "u2")
    assert decode(data, limits=limits).shape == (45, 52)
    assert reason(written([grey("u2")], "u2", t256=53), limits=limits) is RejectionReason.OVER_PIXEL_BUDGET
    assert reason(written([grey("u2")], "u2", t256=2**31, t257=2**31)) is RejectionReason.OVER_PIXEL_BUDGET
    huge = {"t322": 2**16, "t323": 2**16, "t324": 8, "t325": 8}
    assert reason(written([grey("u2")], "u2", **huge)) is RejectionReason.OVER_PIXEL_BUDGET
    small = {"t322": 1, "t323": 1, "t324": 8, "t325": 8, "t256": 4096, "t257": 4096}
    assert reason(written([grey("u2")], "u2", **small)) is RejectionReason.OVER_PIXEL_BUDGET
    assert reason(written(STACK[:2], "u2"), limits=limits) is RejectionReason.OVER_PIXEL_BUDGET


@pytest.mark.parametrize(
    "data, expected",
    [
        (written([grey("u2")], "u2", t257=46), RejectionReason.TRUNCATED),
        (written([grey("u2")], "u2", t257=60), RejectionReason.DECODE_ERROR),
        (written([grey("u2")], "u2", t259=8), RejectionReason.DECODE_ERROR),
        (written([grey("u2")], "u2", t259=5), RejectionReason.DECODE_ERROR),
        (written([grey("u2")], "u2", compression=8)[:-1500], RejectionReason.DECODE_ERROR),
        (written([grey("f4") + 0.5], "f4"), RejectionReason.UNSUPPORTED_PIXELS),
        (written([np.full((45, 52), np.nan)], "f8"), RejectionReason.NOT_FINITE),
    ],
)
def test_damage_has_a_reason(data: bytes, expected: RejectionReason) -> None:
    """Missing rows, missing strips, streams that are none, floats that no ADC gives."""
    assert outcome(data) is expected


def test_one_strip_that_is_too_large_at_once_is_refused() -> None:
    """Pillow's own limit, met by a strip of eight bytes a pixel: no error of another kind comes out."""
    data = written([grey("f8")], "f8", compression=32773, rows=45, t256=5000, t257=5000, t278=5000)
    assert reason(data) is RejectionReason.OVER_PIXEL_BUDGET


def test_the_strips_of_all_pages_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flat page costs as much as it has pixels, and strips, so both are bounded for all that are passed over."""
    data = written([*[np.full((45, 52), 9)] * 3, STACK[0]], "u2", rows=1)
    assert np.array_equal(decode(data).pixels[0], STACK[0])
    assert (decode(data, limits=DecodeLimits(max_pixels=2 * 45 * 52)).pixels == 9).all()
    monkeypatch.setattr(reader, "MOST_SEGMENTS", 3 * 45)
    assert (decode(data).pixels == 9).all()


def test_strips_that_share_bytes_share_what_they_code() -> None:
    """One strip repeated: the page is as large, and the file codes no more than it holds."""
    page = np.repeat(grey("u2")[:5], 9, axis=0)
    data = bytearray(written([page], "u2", rows=5))
    places = data.rindex(struct.pack("<HHI", 273, 4, 9)) + 8
    at = struct.unpack_from("<I", data, places)[0]
    struct.pack_into("<9I", data, at, *[8] * 9)
    assert decode(bytes(data)).coded_bytes == 5 * 52 * 2


def test_a_strip_is_unpacked_no_further_than_its_rows() -> None:
    """A deflate bomb costs what a page costs."""
    page = np.zeros((45, 52))
    page[0, 0] = 1
    bomb = bytearray(written([page], "u2", rows=45, compression=8) + zlib.compress(bytes(60 << 20)))
    strip = bomb.rindex(struct.pack("<HHI", 273, 4, 1)) + 8
    length = bomb.rindex(struct.pack("<HHI", 279, 4, 1)) + 8
    start = len(bomb) - len(zlib.compress(bytes(60 << 20)))
    struct.pack_into("<I", bomb, strip, start)
    struct.pack_into("<I", bomb, length, len(bomb) - start)
    tracemalloc.start()
    assert decode(bytes(bomb)).shape == (45, 52)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["<", ">"]), st.booleans(), st.sampled_from([1, 5, 8, 32773]), st.integers(0, 400), st.data())
def test_any_damage_is_a_frame_or_one_reason(order: str, is_big: bool, compression: int, at: int, drawn: Any) -> None:
    """Bytes of the directory, or of the strips, replaced by others."""
    data = bytearray(written(STACK[:2, :33, :40], "i2", order, is_big=is_big, compression=compression))
    noise = drawn.draw(st.binary(min_size=1, max_size=12))
    place = max(8, len(data) - at)
    data[place : place + len(noise)] = noise
    outcome(bytes(data))
