"""Tile compression: what is lossless comes out exactly, and no damage does more than reject the image."""

import random
import struct
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images.decode import decode
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.recipe import recipe_named
from entropy_assets_tests.images.image_files import NOISE, block, compressed, fits, header, reason

CODECS = ("RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "NOCOMPRESS", "PLIO_1")
EARLIER = recipe_named("ea-2026-1").reading
ODD = np.random.default_rng(8).normal(1000, 9, (37, 53))


def table(stream: list[bytes], codec: str, *, heap: bytes | None = None, **cards: Any) -> bytes:
    """Return a FITS file whose 40 x 56 16-bit image is in tiles of 40 / len(stream) rows, one stream each."""
    lengths = [len(tile) for tile in stream]
    offsets = np.cumsum([0, *lengths[:-1]])
    rows = np.stack([lengths, offsets], axis=1).astype(">i4").tobytes()
    body = rows + (b"".join(stream) if heap is None else heap)
    own = {
        "XTENSION": "'BINTABLE'", "BITPIX": 8, "NAXIS": 2, "NAXIS1": 8, "NAXIS2": len(stream),
        "PCOUNT": len(body) - len(rows), "GCOUNT": 1, "TFIELDS": 1, "TTYPE1": "'COMPRESSED_DATA'", "TFORM1": "'1PB'",
        "ZIMAGE": "T", "ZBITPIX": 16, "ZNAXIS": 2, "ZNAXIS1": 56, "ZNAXIS2": 40, "ZTILE1": 56,
        "ZTILE2": 40 // len(stream), "ZCMPTYPE": f"'{codec}'",
    }  # fmt: skip
    return header(SIMPLE="T", BITPIX=8, NAXIS=0) + header(**own | cards) + block(body, b"\0")


def gzipped(data: bytes) -> bytes:
    """Return `data` as one gzip member."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def plain_tile(plane: Any = NOISE, kind: str = ">i2") -> bytes:
    """Return the pixels as they lie in a tile."""
    return np.asarray(plane).astype(kind).tobytes()


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", "int32"])
@pytest.mark.parametrize("codec", CODECS)
def test_every_lossless_codec_gives_the_exposure_that_was_packed(codec: str, kind: str) -> None:
    """Same pixels, same hash as the plain image, at a size that no tile divides; and nothing counts as lost."""
    plane = (ODD / (8 if kind == "uint8" else 1)).astype(kind)
    if codec == "PLIO_1" and kind == "uint16":
        pytest.skip("PLIO holds no negative numbers, which unsigned ones are stored as")
    frame = decode(compressed(plane, codec))
    assert np.array_equal(frame.pixels[0], plane)
    assert frame.pixel_sha256 == decode(fits(plane, ">i4")).pixel_sha256
    assert (frame.lossy, frame.bit_depth) == (False, plane.dtype.itemsize * 8)


@pytest.mark.parametrize("codec", CODECS)
def test_tiles_of_any_shape_come_together(codec: str) -> None:
    """Tiles that are cut at both edges, and the planes of a cube: their whole squares, in their order."""
    plane = ODD.astype(np.int16)
    assert np.array_equal(decode(compressed(plane, codec, tile_shape=(11, 18))).pixels[0], plane)
    cube = np.stack([plane, 2000 - plane])
    frame = decode(compressed(cube, codec, tile_shape=(1, 11, 18)), reading=3)
    assert np.array_equal(frame.pixels[0], np.concatenate([plane[:32], 2000 - plane[:32]]))


def test_64_bit_integers_are_read_where_a_codec_holds_them() -> None:
    """GZIP packs bytes, so it packs these too."""
    wide = ODD.astype(np.int64) << 32
    streams = gzipped(plain_tile(wide, ">i8"))
    cards = {"ZNAXIS1": 53, "ZNAXIS2": 37, "ZTILE1": 53, "ZTILE2": 37, "ZBITPIX": 64}
    assert np.array_equal(decode(table([streams], "GZIP_1", **cards)).pixels[0], wide)
    assert reason(table([streams], "HCOMPRESS_1", **cards)) is RejectionReason.INVALID_HEADER


def test_narrow_integers_packed_as_32_bits_are_read_if_they_fit() -> None:
    """Some writers pack 16-bit images as 32-bit integers; what does not fit is no 16-bit image."""
    assert np.array_equal(decode(table([gzipped(plain_tile(NOISE, ">i4"))], "GZIP_1")).pixels[0], NOISE)
    wide = NOISE.astype(np.int32) + 70_000
    assert reason(table([gzipped(plain_tile(wide, ">i4"))], "GZIP_1")) is RejectionReason.DECODE_ERROR


@pytest.mark.parametrize("name", ["tile_GZIP_1.fits.fz", "tile_HCOMPRESS_1.fits.fz"])
def test_files_as_fpack_writes_them_are_read(shared_data: Any, name: str) -> None:
    """They were refused, though they are lossless; the bytes of the tiles cap their credit."""
    data = (shared_data / "faults" / name).read_bytes()
    frame = decode(data)
    assert frame.shape == (256, 256)
    assert 40_000 < frame.coded_bytes < len(data) - 2 * 2880
    with pytest.raises(ImageRejected):
        decode(data, reading=EARLIER)


@pytest.mark.parametrize("plane, quantize, expected", [
    (NOISE / 7, 1, RejectionReason.DITHERED),
    (NOISE / 7, -1, RejectionReason.UNSUPPORTED_PIXELS),
])  # fmt: skip
@pytest.mark.parametrize("codec", ["RICE_1", "GZIP_1", "HCOMPRESS_1"])
def test_floats_in_tiles_are_refused(plane: Any, quantize: int, expected: RejectionReason, codec: str) -> None:
    """Dither is a public sequence; floats without it are no output of an ADC."""
    assert reason(compressed(plane, codec, quantize)) is expected


@pytest.mark.parametrize("scale", [2, 4])
def test_hcompress_with_a_scale_is_refused(scale: int) -> None:
    """Above 1 it rounds: by its header, and by the stream where the header says otherwise."""
    data = compressed(NOISE.astype(np.int16), "HCOMPRESS_1", hcomp_scale=scale, tile_shape=(40, 56))
    assert reason(data) is RejectionReason.UNSUPPORTED_PIXELS
    told = data.replace(f"ZVAL1   = {scale:>20}".encode(), b"ZVAL1   =                    0")
    assert told != data
    assert reason(told) is RejectionReason.DECODE_ERROR


def test_further_columns_are_refused() -> None:
    """They hold what did not fit the codec, or scale integers into others."""
    tile = gzipped(plain_tile())
    assert np.array_equal(decode(table([tile], "GZIP_1")).pixels[0], NOISE)
    for cards in ({"TFIELDS": 2}, {"TTYPE2": "'ZSCALE'"}, {"TTYPE1": "'GZIP_COMPRESSED_DATA'"}, {"TTYPE1": None}):
        assert reason(table([tile], "GZIP_1", **cards)) is RejectionReason.UNSUPPORTED_PIXELS
    assert reason(table([tile], "MADE_UP_1")) is RejectionReason.UNSUPPORTED_PIXELS


@pytest.mark.parametrize(
    "cards, expected",
    [
        ({"TFORM1": "'1PI'"}, RejectionReason.INVALID_HEADER),
        ({"TFORM1": "'1QB'"}, RejectionReason.INVALID_HEADER),
        ({"TFORM1": "'2PB'"}, RejectionReason.INVALID_HEADER),
        ({"NAXIS1": 16}, RejectionReason.INVALID_HEADER),
        ({"NAXIS2": 1}, RejectionReason.INVALID_HEADER),
        ({"THEAP": 10**9}, RejectionReason.INVALID_HEADER),
        ({"THEAP": 0}, RejectionReason.INVALID_HEADER),
        ({"ZTILE2": 0}, RejectionReason.INVALID_HEADER),
        ({"ZTILE2": 10**8}, RejectionReason.OVER_PIXEL_BUDGET),
        ({"ZNAXIS1": 10**6, "ZNAXIS2": 10**6}, RejectionReason.OVER_PIXEL_BUDGET),
        ({"ZNAXIS1": 1 << 20, "ZNAXIS2": 32, "ZTILE1": 1}, RejectionReason.OVER_PIXEL_BUDGET),
        ({"PCOUNT": 10**9}, RejectionReason.TRUNCATED),
        ({"PCOUNT": 10}, RejectionReason.DECODE_ERROR),
    ],
)
def test_table_is_checked_before_a_tile_is_unpacked(cards: dict[str, Any], expected: RejectionReason) -> None:
    """Form, rows and heap must be those of the image, and every tile must lie in the file."""
    halves = [gzipped(plain_tile(half)) for half in (NOISE[:20], NOISE[20:])]
    assert np.array_equal(decode(table(halves, "GZIP_1")).pixels[0], NOISE)
    assert reason(table(halves, "GZIP_1", **cards)) is expected


@pytest.mark.parametrize("codec", ["GZIP_1", "GZIP_2"])
def test_a_gzip_bomb_is_unpacked_no_further_than_its_pixels(codec: str) -> None:
    """A hundred megabytes of zeros in a tile of 2240 pixels."""
    bomb = table([gzipped(bytes(100 << 20))], codec)
    tracemalloc.start()
    assert reason(bomb) is RejectionReason.DECODE_ERROR
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize(
    "stream",
    [
        gzipped(plain_tile())[:-1],
        gzipped(plain_tile()) + b"more",
        gzipped(plain_tile()) + gzipped(b""),
        gzipped(plain_tile()[:-2]),
        gzipped(plain_tile() + b"\0\0"),
        gzipped(b""),
        plain_tile(),
    ],
    ids=["cut", "junk after", "member after", "too short", "too long", "empty", "not packed"],
)
def test_a_gzip_tile_is_its_pixels_and_nothing_else(stream: bytes) -> None:
    """One member that ends where the tile ends."""
    assert reason(table([stream], "GZIP_1")) is RejectionReason.DECODE_ERROR


def hcompress_tile() -> bytearray:
    """Return a valid HCOMPRESS stream of the whole image."""
    data = compressed(NOISE.astype(np.int16), "HCOMPRESS_1", tile_shape=(40, 56))
    start = data.index(b"\xdd\x99")
    return bytearray(data[start : len(data.rstrip(b"\0"))] + bytes(4))


@pytest.mark.parametrize(
    "place, value",
    [(0, 0), (2, 1), (5, 41), (9, 57), (4, 4), (12, 0x7F), (10, 0xFF), (13, 2), (22, 63), (24, 255)],
)
def test_an_hcompress_stream_is_of_the_tile_that_it_is_in(place: int, value: int) -> None:
    """Its decoder believes the sizes and bit planes of the stream: others would write beyond the tile."""
    stream = hcompress_tile()
    assert np.array_equal(decode(table([bytes(stream)], "HCOMPRESS_1")).pixels[0], NOISE)
    stream[place] = value
    assert reason(table([bytes(stream)], "HCOMPRESS_1")) is RejectionReason.DECODE_ERROR


def test_bit_planes_beyond_the_decoders_integers_are_refused() -> None:
    """62 of them are read, here all zero; one more would be shifted out of 64 bits."""
    zeros = [struct.pack(">2sIIiq3B", b"\xdd\x99", 40, 56, 0, 0, planes, 0, 0) + bytes(99_999) for planes in (62, 63)]
    assert not decode(table(zeros[:1], "HCOMPRESS_1")).pixels.any()
    assert reason(table(zeros[1:], "HCOMPRESS_1")) is RejectionReason.DECODE_ERROR


def test_a_tile_ends_inside_the_heap() -> None:
    """What follows the heap is no part of the image, though the file goes on."""
    halves = [gzipped(plain_tile(half)) for half in (NOISE[:20], NOISE[20:])]
    data = table(halves, "GZIP_1", PCOUNT=sum(map(len, halves)) - 1)
    assert reason(data) is RejectionReason.DECODE_ERROR


def test_an_hcompress_stream_that_ends_early_is_read_in_memory_of_its_own() -> None:
    """Its decoder knows no end of the stream. Cut anywhere, in a file that ends there: one reason, or some image."""
    stream = bytes(hcompress_tile())
    for kept in range(0, len(stream), 97):
        data = table([stream[:kept]], "HCOMPRESS_1")
        if kept < 25:
            assert reason(data) is RejectionReason.DECODE_ERROR
        else:
            outcome(data)


@pytest.mark.parametrize(
    "words",
    [
        [0, 7, -100, 32767, 32767, 0, 0],
        [0, 7, 32767, 9, 0, 0, 0],
        [0, -32768, -100, 7, 0, 0, 0],
        [0, 7, -100],
    ],
    ids=["list longer than the tile", "old list longer", "header before the tile", "no header"],
)
def test_a_pixel_list_stays_in_its_tile(words: list[int]) -> None:
    """The PLIO decoder believes the lengths that the list has in its header."""
    stream = np.array(words, dtype=">i2").tobytes()
    data = table([stream], "PLIO_1", TFORM1="'1PI'")
    table_start = data.index((len(stream)).to_bytes(4, "big") + bytes(4), 5760)
    data = data[:table_start] + len(words).to_bytes(4, "big") + data[table_start + 4 :]
    assert reason(data) is RejectionReason.DECODE_ERROR


@pytest.mark.parametrize("codec", CODECS)
def test_padding_the_heap_adds_nothing_to_what_is_coded(codec: str) -> None:
    """Bytes that no tile points at don't count; tiles that share bytes count them once."""
    plane = np.random.default_rng(9).normal(3000, 200, (64, 64)).astype(np.int16)
    data = compressed(plane, codec)
    plain = decode(data)
    assert 0 < plain.coded_bytes < len(data) - 2880
    place = data.index(b"PCOUNT  =", 2880)
    size = int(data[place + 10 : place + 30])
    start = data.index(b"END" + b" " * 77, place) // 2880 * 2880 + 2880
    rows = int(data[data.index(b"NAXIS2  =", 2880) + 10 :][:20]) * int(data[data.index(b"NAXIS1  =", 2880) + 10 :][:20])
    padding = 1 << 20
    padded = data[: place + 10] + f"{size + padding:>20}".encode() + data[place + 30 : start + rows + size]
    frame = decode(block(padded + bytes(padding), b"\0"))
    assert frame.pixel_sha256 == plain.pixel_sha256
    assert frame.coded_bytes == plain.coded_bytes


def test_tiles_that_share_their_bytes_code_them_once() -> None:
    """Twenty copies of one stream are one stream."""
    stream = gzipped(plain_tile(NOISE[:2]))
    data = table([stream] * 20, "GZIP_1", heap=stream)
    place = data.index(len(stream).to_bytes(4, "big"), 5760)
    data = data[:place] + (len(stream).to_bytes(4, "big") + bytes(4)) * 20 + data[place + 160 :]
    assert np.array_equal(decode(data).pixels[0], np.tile(NOISE[:2], (20, 1)))
    assert decode(data).coded_bytes == len(stream)


def outcome(data: bytes) -> Frame | RejectionReason:
    """Return what comes out of `data`; anything but an `ImageRejected` is raised."""
    try:
        return decode(data, limits=DecodeLimits(max_pixels=1 << 20, max_samples=1 << 20))
    except ImageRejected as rejection:
        return rejection.reason


SEEDS = {codec: compressed(NOISE.astype(np.int16), codec) for codec in CODECS}


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), flips=st.integers(0, 8), cut=st.booleans())
def test_no_damage_gives_more_than_one_reason(codec: str, seed: int, flips: int, cut: bool) -> None:
    """Bits flipped in the header, in the table or in the tiles, and the file cut anywhere."""
    chance, data = random.Random(seed), bytearray(SEEDS[codec])
    regions = ((2880, len(data)), (5760, 5760 + 8 * 40), (5760, len(data)))
    for _ in range(flips):
        place = chance.randrange(*chance.choice(regions))
        data[place] ^= 1 << chance.randrange(8)
    if cut:
        del data[chance.randrange(len(data)) :]
    outcome(bytes(data))


@pytest.mark.parametrize(
    "old, new",
    [
        (b"ZNAXIS1 =                   56", b"ZNAXIS1 =            560000000"),
        (b"ZTILE1  =                   56", b"ZTILE1  =            560000000"),
        (b"ZVAL1   =                   32", b"ZVAL1   =                    0"),
        (b"ZVAL1   =                   32", b"ZVAL1   =              9999999"),
        (b"ZBITPIX =                   16", b"ZBITPIX =                   64"),
        (b"ZTILE2  =                    1", b"ZTILE2  =                    0"),
    ],
)
def test_tile_header_is_checked_before_unpacking(old: bytes, new: bytes) -> None:
    """Sizes and codec options that the unpacker would trust."""
    data = compressed(NOISE.astype(np.int16), "RICE_1")
    assert old in data
    assert reason(data.replace(old, new)) in (
        RejectionReason.OVER_PIXEL_BUDGET,
        RejectionReason.INVALID_HEADER,
        RejectionReason.UNSUPPORTED_PIXELS,
    )


def test_damaged_tiles_are_a_decode_error() -> None:
    """Whatever the C codec raises on a stream that ends early or runs on."""
    data = compressed(NOISE.astype(np.int16), "RICE_1")
    start = data.index(b"END" + b" " * 77, 2880) // 2880 * 2880 + 2880
    table = 8 * NOISE.shape[0]
    damaged = data[: start + table] + b"\xff" * 2000 + data[start + table + 2000 :]
    assert reason(damaged) is RejectionReason.DECODE_ERROR
