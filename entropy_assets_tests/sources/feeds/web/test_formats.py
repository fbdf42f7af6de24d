"""What is no image is told by its first bytes, and so is one that is far too large."""

import gzip
import io
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from entropy_assets.images import decode, raw
from entropy_assets.sources.feeds.interface import FeedError, FeedLies
from entropy_assets.sources.feeds.web.faults import Fault, Trouble
from entropy_assets.sources.feeds.web.formats import NOT_READ, READ, announced_sides, require_image, without_tags
from entropy_assets.sources.feeds.web.headers import Headers


def typed(kind: str) -> Headers:
    return Headers([(b"Content-Type", kind.encode())], 0.0)


def fault_of(data: bytes, kind: str = "", most_pixels: int = 1 << 40) -> tuple[type[FeedError], Fault] | None:
    try:
        require_image(data, typed(kind), most_pixels=most_pixels)
    except Trouble as trouble:
        return trouble.kind, trouble.fault
    return None


def test_what_the_decoder_reads_is_let_through() -> None:
    """By the decoder's own tables: what it learns to read must be let through here too."""
    theirs = {(0, magic) for magic, _ in decode.MAGIC} | set(raw.MAGIC)
    assert set(READ) == theirs | {(8, b"WEBP")}
    for place, magic in READ:
        assert fault_of(bytes(place) + magic + bytes(99)) is None
    foreign = {magic for magic, _, _ in decode.FOREIGN}
    assert foreign <= set(NOT_READ)
    for magic in NOT_READ:
        assert fault_of(magic + bytes(99)) == (FeedError, Fault.NOT_READ)


def test_every_bundled_and_shared_image_is_let_through(samples: Path, shared_data: Path) -> None:
    """All of the reference data that the decoder takes, hostile ones aside."""
    files = [file for folder in (samples, shared_data / "sample", shared_data / "bench") for file in folder.rglob("*")]
    images = [file for file in files if file.suffix in {".fits", ".png", ".jpg", ".tif", ".jp2"}]
    assert len(images) > 30
    for file in images:
        with file.open("rb") as opened:
            assert fault_of(opened.read(64 << 10), "application/octet-stream") is None, file


@pytest.mark.parametrize(
    "kind",
    ["text/html", "application/json", "application/xml", "text/xml", "application/problem+json", "image/svg+xml"],
)
def test_nothing_under_the_type_of_a_page_is_an_image(kind: str) -> None:
    assert fault_of(b"SIMPLE  =" + bytes(99), kind) == (FeedLies, Fault.NOT_AN_IMAGE)


@pytest.mark.parametrize("kind", ["", "image/jpeg", "text/plain", "application/octet-stream", "application/x-gzip"])
def test_any_other_type_is_what_servers_call_images(kind: str) -> None:
    """They call FITS what they like: its first bytes decide."""
    assert fault_of(b"SIMPLE  =" + bytes(99), kind) is None
    assert fault_of(b"hello", kind) == (FeedLies, Fault.NOT_AN_IMAGE)


@given(st.binary(max_size=64))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_an_image_or_are_none(data: bytes) -> None:
    fault_of(data)
    for place, magic in READ:
        start = bytes(place) + magic
        fault_of(start + data)
        announced_sides(start + data)


def test_a_packed_image_is_looked_into() -> None:
    """As far as its first card; what is in it may be a bomb."""
    assert fault_of(gzip.compress(b"SIMPLE  =" + bytes(9000))[:60]) is None
    assert fault_of(gzip.compress(b"<html>")) == (FeedLies, Fault.NOT_AN_IMAGE)
    assert fault_of(b"\x1f\x8b\x08" + b"\xff" * 99) == (FeedLies, Fault.NOT_AN_IMAGE)
    assert fault_of(gzip.compress(gzip.compress(b"SIMPLE  ="))) == (FeedLies, Fault.NOT_AN_IMAGE)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "JPEG2000"])
def test_sides_are_read_as_the_decoder_does(kind: str) -> None:
    """Of files that the decoder's own library writes."""
    file = io.BytesIO()
    Image.new("L", (41, 23)).save(file, kind)
    assert announced_sides(file.getvalue()) == (41, 23)
    assert fault_of(file.getvalue(), most_pixels=41 * 23) is None
    assert fault_of(file.getvalue(), most_pixels=41 * 23 - 1) == (FeedError, Fault.TOO_LARGE)


def test_sides_of_fits_are_in_its_first_block() -> None:
    cards = ["SIMPLE  =                    T", "BITPIX  = 16", "NAXIS   = 2", "NAXIS1  =                 4096 / wide"]
    header = "".join(card.ljust(80) for card in [*cards, "NAXIS2  =                 2048"]).encode().ljust(2880)
    assert announced_sides(header) == (4096, 2048)
    assert announced_sides(header[:320]) is None


@pytest.mark.parametrize(
    "data, sides",
    [
        (b"\xff\x4f\xff\x51" + struct.pack(">HHIIII", 41, 0, 50, 30, 9, 7), (41, 23)),
        (b"\xff\x4f\xff\x51" + struct.pack(">HHIIII", 41, 0, 5, 3, 9, 7), (0, 0)),
        (b"\xff\xd8\xff\xff\xff\xe0\0\0", None),
        (b"\xff\xd8\xff\xe0\0\4ab\xff\xff\xc2\0\x11\x08\0\x17\0\x29", (41, 23)),
        (b"\xff\xd8\xffab", None),
        (b"BM" + bytes(16) + struct.pack("<ii", 41, -23), (41, 23)),
        (b"\x89PNG\r\n\x1a\n", None),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(99), None),
        (b"II*\0" + bytes(99), None),
    ],
)
def test_sides_are_told_where_they_stand(data: bytes, sides: tuple[int, int] | None) -> None:
    assert announced_sides(data) == sides


@pytest.mark.parametrize(
    "page, words",
    [
        (b"<html><script>x < 1</script><STYLE>p</style><p>a<br/>b</html>", "a b"),
        (b"<script>never ended", ""),
        (b"1 < 2 \xff", "1 < 2 \ufffd"),
        (b"<" * 5000, "<" * 4096),
    ],
)
def test_the_words_of_a_page_are_what_is_not_a_tag(page: bytes, words: str) -> None:
    assert " ".join(without_tags(page).split()) == words
