"""Decoding any file gives a frame or one reason."""

import gzip
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images.decode import begins_like_an_image, decode
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.recipe import recipe_named
from entropy_assets_tests.images.image_files import COLOUR, NOISE, compressed, fits, picture, reason


class TestFile:
    """What is decided before a reader is chosen."""

    def test_format_is_told_by_content_alone(self) -> None:
        """Text, HTML and unknown bytes are no image; nothing is an empty file."""
        assert reason(b"") is RejectionReason.EMPTY_FILE
        for data in (b"hello", b"<!doctype html><title>429</title>", bytes(100), b"\x89PN", b"SIMPLE"):
            assert reason(data) is RejectionReason.UNKNOWN_FORMAT

    def test_gzip_holds_fits_or_nothing(self) -> None:
        """A gzipped FITS gives the same exposure; its size is the packed one, which caps the credit."""
        plain = fits(NOISE)
        packed = gzip.compress(plain, mtime=0)
        frame = decode(packed)
        assert frame.pixel_sha256 == decode(plain).pixel_sha256
        assert frame.file_bytes == len(packed)
        assert reason(gzip.compress(picture(NOISE, "PNG"))) is RejectionReason.UNKNOWN_FORMAT
        assert reason(packed[:-20]) is RejectionReason.TRUNCATED
        assert reason(packed[:20] + b"\xff" * 40) is RejectionReason.DECODE_ERROR

    def test_same_pixels_in_any_lossless_container_are_one_exposure(self) -> None:
        """The replay check can't be passed by repackaging."""
        files = [fits(NOISE), fits(NOISE, ">i4"), fits(NOISE, ">f8"), fits(NOISE.astype(int) * 16, BZERO=32768)]
        files += [picture(NOISE, kind) for kind in ("PNG", "TIFF", "BMP")] + [picture(NOISE.astype(np.uint16), "PNG")]
        frames = [decode(data) for data in files]
        assert len({frame.pixel_sha256 for frame in frames}) == 1
        assert len({frame.image_sha256 for frame in frames}) == len(files)

    def test_decoding_in_threads_gives_the_same(self) -> None:
        """No state is shared between decodings."""
        files = [picture(COLOUR, kind) for kind in ("PNG", "TIFF", "BMP")] * 8
        found: list[str] = []
        threads = [threading.Thread(target=lambda d=data: found.append(decode(d).pixel_sha256)) for data in files]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [decode(files[0]).pixel_sha256] * len(files)


SEEDS = {
    "png": picture(COLOUR, "PNG"),
    "png16": picture(NOISE.astype(np.uint16) * 200, "PNG"),
    "jpeg": picture(COLOUR, "JPEG"),
    "tiff": picture(NOISE, "TIFF", compression="tiff_lzw"),
    "jp2": picture(NOISE, "JPEG2000"),
    "webp": picture(COLOUR, "WEBP"),
    "bmp": picture(COLOUR, "BMP"),
    "fits": fits(NOISE, BZERO=32768, BLANK=3, DATE_OBS="'2026-01-01'"),
    "float": fits(NOISE, ">f4"),
    "rice": compressed(NOISE.astype(np.int16), "RICE_1"),
    "gzip": gzip.compress(fits(NOISE), mtime=0),
}


@pytest.mark.parametrize("examples", [40, pytest.param(400, marks=pytest.mark.slow)])
@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_file_is_a_frame_or_one_reason(seed: str, examples: int) -> None:
    """Cut anywhere, with bytes changed anywhere: nothing but a frame or an `ImageRejected` comes out."""

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(draw=st.data())
    def damaged(draw: st.DataObject) -> None:
        data = bytearray(SEEDS[seed])
        for _ in range(draw.draw(st.integers(1, 6))):
            near = st.integers(0, min(len(data), 400) - 1) | st.integers(0, len(data) - 1)
            data[draw.draw(near)] = draw.draw(st.integers(0, 255) | st.sampled_from(b" 0129-TF'"))
        if draw.draw(st.booleans()):
            del data[draw.draw(st.integers(0, len(data))) :]
        limits = DecodeLimits(max_pixels=1 << 20, max_samples=1 << 20)
        try:
            assert isinstance(decode(bytes(data), limits=limits), Frame)
        except ImageRejected as rejection:
            assert isinstance(rejection.reason, RejectionReason)  # noqa: PT017 - either outcome is right

    damaged()


@pytest.mark.parametrize(
    "data, what, program",
    [
        (b"XISF0100" + bytes(8), "an XISF file of PixInsight", "PixInsight"),
        (b"LUCAM-RECORDER" + bytes(164), "a SER video", "Siril"),
        (b"#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%YAML 1.1\n", "an ASDF file", "astropy"),
        (b"PDS_VERSION_ID                  = PDS3\r\n", "a PDS3 product", "GDAL"),
        (b"CCSD3ZF0000100000001NJPL3IF0PDS200000001 = SFDU_LABEL\r\n", "a PDS3 product", "GDAL"),
        (b"LBLSIZE=2048            FORMAT='HALF'", "a VICAR image", "GDAL"),
        (b"Object = IsisCube\n", "an ISIS cube", "GDAL"),
        (
            b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- a label -->\n<Product xmlns="http://pds.nasa.gov/pds4/pds/v1">',
            "the label of a PDS4 product",
            "GDAL",
        ),
    ],
)
def test_a_container_of_raw_frames_that_is_not_read_is_named(data: bytes, what: str, program: str) -> None:
    """By its first bytes, whatever it is called, with a program that converts it; older recipes say as before."""
    with pytest.raises(ImageRejected) as caught:
        decode(data)
    assert caught.value.reason is RejectionReason.UNSUPPORTED_CONTAINER
    assert f"this is {what}, which is not read here" in caught.value.message
    assert program in caught.value.message
    assert begins_like_an_image(data)
    assert reason(data, reading=recipe_named("ea-2026-1").reading) is RejectionReason.UNKNOWN_FORMAT


def test_other_texts_are_no_labels() -> None:
    """A page about planetary data, or any other XML, is no image."""
    for data in (
        b"<?xml version='1.0'?><svg/>",
        b"<html>http://pds.nasa.gov/pds4/</html>",
        b" " * 5000 + b"PDS_VERSION_ID",
    ):
        assert reason(data) is RejectionReason.UNKNOWN_FORMAT
        assert not begins_like_an_image(data)
