"""TIFF: thumbnails of raw files earn nothing, and a valid file that is not read is not called damaged."""

import struct
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images import raw
from entropy_assets.images.decode import decode
from entropy_assets.images.tiff import directories, first_directory, refuse_thumbnails
from entropy_assets.recipe import recipe_named
from entropy_assets_tests.images.image_files import COLOUR, NOISE, picture, tiff

EARLIER = recipe_named("ea-2026-1").reading


@pytest.fixture(autouse=True)
def without_libraw(monkeypatch: pytest.MonkeyPatch) -> None:
    """With it raw files are read (`test_raw`)."""
    monkeypatch.setattr(raw, "find_spec", lambda name: None)


def refusal(data: bytes) -> str:
    """Return the message of a refusal for the layout or kind of the file."""
    with pytest.raises(ImageRejected) as caught:
        decode(data)
    assert caught.value.reason is RejectionReason.UNSUPPORTED_PIXELS
    return caught.value.message


def test_the_thumbnail_of_a_raw_file_is_refused(shared_data: Any) -> None:
    """It is small, developed and mostly JPEG; the photographer is told what to do, and older batches stay."""
    data = (shared_data / "faults" / "thumbnail_first.dng").read_bytes()
    assert refusal(data).startswith("this is the thumbnail of a raw file; convert the raw data to FITS or 16-bit TIFF")
    assert decode(data, reading=EARLIER).shape == (64, 128)


def test_reduced_images_and_raw_files_are_told_by_their_tags() -> None:
    """NewSubfileType or its forerunner, DNGVersion, and the mark of Canon; other subfile types are pages as any."""
    assert "thumbnail" in refusal(tiff(t254=1))
    assert "thumbnail" in refusal(tiff(t254=3))
    assert "thumbnail" in refusal(tiff(t255=2))
    assert "camera's raw file" in refusal(tiff(t50706=1))
    plain = tiff()
    assert "camera's raw file" in refusal(plain[:8] + b"CR\2\0" + plain[12:])
    for tags in ({"t254": 0}, {"t254": 2}, {"t255": 1}):
        assert decode(tiff(**tags)).shape == (8, 8)


def test_a_valid_layout_that_is_not_read_is_named(shared_data: Any) -> None:
    """Nothing is damaged in these: the message says what it is, and what converts it."""
    message = refusal((shared_data / "faults" / "cfa.dng").read_bytes())
    assert message.startswith("this TIFF layout is not read: a colour filter array; convert ")
    assert message.endswith("with Siril")
    message = refusal(tiff(t258=64))
    assert message.startswith("this TIFF layout is not read: 64-bit samples; convert ")
    assert message.endswith("with ImageMagick")
    assert "a big-endian BigTIFF" in refusal(big(tiff(t258=64), ">"))


def test_signed_8_bit_integers_are_never_read_as_unsigned() -> None:
    """-1 as 255 would be noise around two far ends; where they can't be read with their sign they are refused."""
    assert "signed 8-bit" in refusal(tiff(t339=2, t259=7))
    assert decode(tiff(t339=2), reading=EARLIER).shape == (8, 8)
    signed = NOISE.astype(np.int32) - 120
    assert np.array_equal(decode(picture(Image.fromarray(signed), "TIFF")).pixels[0], signed)


@pytest.mark.parametrize("start", [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"])
def test_a_damaged_file_is_still_called_damaged(start: bytes) -> None:
    """No directory where the header points, or one without a size."""
    for rest in (b"", b"\xff" * 40, bytes(40), struct.pack("<I", 8) + bytes(200)):
        with pytest.raises(ImageRejected) as caught:
            decode(start + rest)
        assert caught.value.reason in (RejectionReason.DECODE_ERROR, RejectionReason.TRUNCATED)


def test_the_directory_is_read_in_both_orders_and_sizes() -> None:
    """Classic and big, little and big endian: the same tags, values inside the entry or elsewhere."""
    classic = tiff(t254=1)
    found = {
        tuple(values_of(data).items()) for data in (classic, swapped(classic), big(classic, "<"), big(classic, ">"))
    }
    assert found == {tuple(values_of(classic).items())}
    assert values_of(picture(COLOUR, "TIFF"))[258] == (8, 8, 8)


def values_of(data: bytes) -> dict[int, tuple[int, ...]]:
    """Return the integers of each tag in the first directory."""
    directory = first_directory(data)
    assert directory is not None
    return {tag: directory.values(tag) for tag in directory.entries}


def test_a_loop_of_directories_ends() -> None:
    """Each place is looked at once, and many large directories are not all walked."""
    plain = tiff()
    loop = plain[:-4] + struct.pack("<I", 72)
    assert len(list(directories(loop))) == len(list(directories(plain))) == 1
    assert len(list(directories(plain[:-4] + struct.pack("<I", 10**9)))) == 1
    entries = struct.pack("<H", 4096) + bytes(12 * 4096)
    chained = b"".join(entries + struct.pack("<I", 8 + (n + 1) * (len(entries) + 4)) for n in range(80))
    began = time.process_time()
    assert len(list(directories(b"II*\0" + struct.pack("<I", 8) + chained))) <= 80
    assert time.process_time() - began < 2


def swapped(data: bytes) -> bytes:
    """Return a TIFF of `tiff` in the other byte order."""
    count = struct.unpack_from("<H", data, 72)[0]
    entries = [struct.unpack_from("<HHII", data, 74 + 12 * n) for n in range(count)]
    body = b"".join(struct.pack(">HHII", *entry) for entry in entries)
    return b"MM\0*" + struct.pack(">I", 72) + bytes(64) + struct.pack(">H", count) + body


def big(data: bytes, order: str) -> bytes:
    """Return a TIFF of `tiff` as BigTIFF."""
    count = struct.unpack_from("<H", data, 72)[0]
    entries = [struct.unpack_from("<HHII", data, 74 + 12 * n) for n in range(count)]
    body = b"".join(struct.pack(order + "HHQI4x", *entry) for entry in entries)
    start = b"II+\0" if order == "<" else b"MM\0+"
    return start + struct.pack(order + "HHQQ", 8, 0, 16, count) + body


@given(st.sampled_from([b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]), st.binary(max_size=120), st.integers(0, 400))
def test_any_directory_is_read_or_refused(start: bytes, noise: bytes, kept: int) -> None:
    """Nothing but an `ImageRejected` is raised, wherever offsets and counts point."""
    for data in (start + noise, start + tiff(t254=0)[4:kept] + noise):
        first_directory(data)
        try:
            refuse_thumbnails(data)
        except ImageRejected as rejection:
            assert rejection.message  # noqa: PT017 - either outcome is right
