"""Camera raw files: the raw data and nothing else, by a reader that is not trusted."""

import io
import json
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images import raw
from entropy_assets.images.decode import begins_like_an_image, decode
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.images.tiff import is_camera_raw, is_lossless_raw
from entropy_assets_tests.images.image_files import picture, tiff

RNG = np.random.default_rng(9)
SIDE = 96
PIXELS = np.rint(RNG.normal(900, 12, (SIDE, SIDE)) + np.tile([[0, 400], [400, 100]], (SIDE // 2, SIDE // 2))).astype(
    np.uint16
)
needs_libraw = pytest.mark.skipif(not raw.can_read_raw(), reason="needs the extra `raw`")


def dng(pixels: npt.NDArray[np.uint16], coded: bytes | None = None, compression: int = 1, **tags: Any) -> bytes:
    """Return a DNG of a Bayer mosaic, without thumbnail."""
    height, width = pixels.shape
    data = pixels.astype("<u2").tobytes() if coded is None else coded
    values: dict[int, tuple[int, tuple[int, ...]]] = {
        254: (4, (0,)),
        256: (4, (width,)),
        257: (4, (height,)),
        258: (3, (16,)),
        259: (3, (compression,)),
        262: (3, (32803,)),
        273: (4, (8,)),
        277: (3, (1,)),
        278: (4, (height,)),
        279: (4, (len(data),)),
        33421: (3, (2, 2)),
        33422: (1, (0, 1, 1, 2)),
        50706: (1, (1, 4, 0, 0)),
    } | {int(key[1:]): value for key, value in tags.items()}
    start = 8 + len(data) + len(data) % 2
    directory, beyond = io.BytesIO(), io.BytesIO()
    after = start + 2 + 12 * len(values) + 4
    for tag, (kind, numbers) in sorted(values.items()):
        packed = struct.pack(f"<{len(numbers)}{ {1: 'B', 3: 'H', 4: 'I'}[kind] }", *numbers)
        if len(packed) > 4:
            where = after + beyond.tell()
            beyond.write(packed)
            packed = struct.pack("<I", where)
        directory.write(struct.pack("<HHI4s", tag, kind, len(numbers), packed.ljust(4, b"\0")))
    body = data + bytes(len(data) % 2)
    count = struct.pack("<H", len(values))
    return b"II*\0" + struct.pack("<I", start) + body + count + directory.getvalue() + bytes(4) + beyond.getvalue()


def lossless_jpeg(pixels: npt.NDArray[np.uint16]) -> bytes:
    """Return `pixels` as one component of lossless JPEG, predictor 1 (ITU-T T.81, annex H); all codes have 5 bits."""
    height, width = pixels.shape
    lengths = bytes([0, 0, 0, 0, 17] + [0] * 11)
    table = b"\xff\xc4" + struct.pack(">HB", 2 + 1 + 16 + 17, 0) + lengths + bytes(range(17))
    frame = b"\xff\xc3" + struct.pack(">HBHHB3B", 11, 16, height, width, 1, 1, 0x11, 0)
    scan = b"\xff\xda" + struct.pack(">HB2B3B", 8, 1, 1, 0, 1, 0, 0)
    bits = []
    for row, line in enumerate(pixels.astype(int)):
        before = 1 << 15 if row == 0 else int(pixels[row - 1, 0])
        for value in line.tolist():
            difference = value - before
            size = abs(difference).bit_length()
            low = difference if difference >= 0 else difference + (1 << size) - 1
            bits.append(f"{size:05b}" + (f"{low:0{size}b}" if size else ""))
            before = value
    joined = "".join(bits)
    joined += "1" * (-len(joined) % 8)
    packed = int(joined, 2).to_bytes(len(joined) // 8, "big").replace(b"\xff", b"\xff\0")
    return b"\xff\xd8" + frame + table + scan + packed + b"\xff\xd9"


# By LibRaw


@needs_libraw
@pytest.mark.parametrize("coding", ["plain", "lossless JPEG"])
def test_a_dng_gives_its_raw_data(coding: str) -> None:
    coded = None if coding == "plain" else lossless_jpeg(PIXELS)
    frame = decode(dng(PIXELS, coded, 1 if coded is None else 7))
    np.testing.assert_array_equal(frame.pixels[0], PIXELS)
    assert (frame.container, frame.lossy, frame.mosaic, frame.bit_depth) == ("raw", False, 2, 16)
    assert not frame.is_picture


@needs_libraw
@pytest.mark.parametrize("name, shape", [("cfa.dng", (256, 256)), ("thumbnail_first.dng", (256, 512))])
def test_the_thumbnail_is_passed_over(shared_data: Path, name: str, shape: tuple[int, int]) -> None:
    frame = decode((shared_data / "faults" / name).read_bytes())
    assert (frame.shape, frame.mosaic, frame.lossy) == (shape, 2, False)


@needs_libraw
def test_the_masked_border_is_no_part_of_the_frame() -> None:
    """ActiveArea leaves out 8 rows and 16 columns; the black level is not taken off."""
    frame = decode(dng(PIXELS, t50829=(4, (8, 16, SIDE, SIDE)), t50714=(3, (500,))))
    np.testing.assert_array_equal(frame.pixels[0], PIXELS[8:, 16:])


@needs_libraw
def test_the_size_is_refused_before_the_pixels() -> None:
    large = dng(PIXELS, t256=(4, (9000,)), t257=(4, (9000,)))
    with pytest.raises(ImageRejected, match="9000 x 9000 pixels, 81000000 in all") as caught:
        decode(large)
    assert caught.value.reason is RejectionReason.OVER_PIXEL_BUDGET
    with pytest.raises(ImageRejected, match=f"{SIDE * SIDE} in all; ENTROPY_MAX_PIXELS is 9000"):
        decode(dng(PIXELS), limits=DecodeLimits(max_pixels=9000))


@needs_libraw
@pytest.mark.parametrize("start", [b"FUJIFILMCCD-RAW ", b"\0\0\0\x18ftypcrx ", b"IIRO\x08\0\0\0", b"IIU\0\x08\0\0\0"])
def test_junk_that_begins_like_a_raw_file_is_refused(start: bytes) -> None:
    for rest in (b"", bytes(4000), RNG.bytes(4000)):
        with pytest.raises(ImageRejected) as caught:
            decode(start + rest)
        assert caught.value.message


@needs_libraw
@pytest.mark.parametrize("kept", [0.2, 0.9])
def test_a_dng_that_is_cut_short_is_refused(kept: float) -> None:
    whole = dng(PIXELS)
    body = 2 * PIXELS.size
    data = whole[:4] + struct.pack("<I", 8) + whole[8 + body :]
    with pytest.raises(ImageRejected):
        decode(data + whole[8 : 8 + int(kept * body)])


@needs_libraw
def test_another_libraw_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may know another border of the sensor, and the pixels would be others than the audit's."""
    monkeypatch.setattr(raw, "LIBRAW", "0.99.")
    with pytest.raises(ImageRejected, match=r"with LibRaw 0\.99\.x, installed is 0\."):
        decode(dng(PIXELS))


# Around it


def test_without_libraw_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "find_spec", lambda name: None)
    for data in (dng(PIXELS), b"FUJIFILMCCD-RAW " + bytes(100)):
        with pytest.raises(ImageRejected, match="with Siril") as caught:
            decode(data)
        assert caught.value.reason is RejectionReason.UNSUPPORTED_PIXELS


def test_earlier_readings_know_no_raw_files() -> None:
    with pytest.raises(ImageRejected) as caught:
        decode(b"FUJIFILMCCD-RAW " + bytes(100), reading=1)
    assert caught.value.reason is RejectionReason.UNKNOWN_FORMAT


@pytest.mark.parametrize("start", [b"FUJIFILMCCD-RAW ", b"\0\0\0\x18ftypcrx ", b"IIRO", b"IIRS", b"IIU\0"])
def test_raw_files_are_taken_for_images(start: bytes) -> None:
    assert begins_like_an_image(start + bytes(20))


def test_what_is_lossless_is_told_by_the_tags() -> None:
    assert is_lossless_raw(dng(PIXELS))
    assert is_lossless_raw(dng(PIXELS, lossless_jpeg(PIXELS), 7))
    assert not is_lossless_raw(dng(PIXELS, picture((PIXELS >> 4).astype(np.uint8), "JPEG"), 7))
    assert not is_lossless_raw(dng(PIXELS, b"\xff\xd8\xff", 7))
    assert not is_lossless_raw(dng(PIXELS, compression=34892))
    assert not is_lossless_raw(dng(PIXELS, t262=(3, (1,))))
    assert not is_lossless_raw(b"FUJIFILMCCD-RAW " + bytes(100))
    assert is_camera_raw(dng(PIXELS))
    assert not is_camera_raw(tiff())


def answered(monkeypatch: pytest.MonkeyPatch, answer: bytes, code: int = 0) -> Frame:
    """Decode a raw file whose reader gives `answer`."""

    def run(command: list[str], *, stdout: io.BufferedRandom, **_: object) -> Any:
        stdout.write(answer)
        return subprocess.CompletedProcess(command, code)

    monkeypatch.setattr(raw, "find_spec", lambda name: True)
    monkeypatch.setattr(raw.subprocess, "run", run)
    return decode(b"FUJIFILMCCD-RAW " + bytes(100))


def told(**changed: object) -> bytes:
    return json.dumps({"libraw": "0.22.2", "height": 4, "width": 6, "period": 6} | changed).encode() + b"\n"


def test_what_the_reader_tells_is_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.arange(24, dtype=np.uint16).reshape(4, 6)
    frame = answered(monkeypatch, told() + pixels.tobytes())
    np.testing.assert_array_equal(frame.pixels[0], pixels)
    assert (frame.mosaic, frame.lossy, frame.file_height) == (6, True, 4)


@pytest.mark.parametrize(
    "answer, code",
    [
        (b"", 0),
        (b"", -11),
        (told() + bytes(48), -9),
        (told() + bytes(46), 0),
        (told() + bytes(50), 0),
        (told(height=-4) + bytes(48), 0),
        (told(height=True, width=24) + bytes(48), 0),
        (told(height="4") + bytes(48), 0),
        (told(height=1 << 40) + bytes(48), 0),
        (told(period=None) + bytes(48), 0),
        (told(libraw=None) + bytes(48), 0),
        (b"[]\n" + bytes(48), 0),
        (b"\xff\n", 0),
        (b"{" + bytes(5000), 0),
        (b'{"error": "no such reason"}\n', 0),
    ],
)
def test_a_reader_that_was_taken_over_gets_no_frame(monkeypatch: pytest.MonkeyPatch, answer: bytes, code: int) -> None:
    with pytest.raises(ImageRejected) as caught:
        answered(monkeypatch, answer, code)
    assert caught.value.reason is RejectionReason.DECODE_ERROR


def test_the_environment_stays_out_of_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTROPY_API_KEY", "secret")
    seen: dict[str, Any] = {}

    def run(command: list[str], **options: Any) -> Any:
        seen.update(options, command=command)
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(raw, "find_spec", lambda name: True)
    monkeypatch.setattr(raw.subprocess, "run", run)
    with pytest.raises(ImageRejected):
        decode(b"FUJIFILMCCD-RAW " + bytes(100))
    assert set(seen["env"]) == {"OMP_NUM_THREADS", "TZ", "MALLOC_PERTURB_"}
    assert seen["command"][1] == "-I"
