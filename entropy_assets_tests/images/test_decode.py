"""Decoding any file gives a frame or one reason; the store gives back what it was given, or says so."""

import gzip
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageAltered, ImageMissing, ImageRejected, RejectionReason
from entropy_assets.images.decode import decode
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.stores.images import ImageStore
from entropy_assets_tests.images.image_files import COLOUR, NOISE, compressed, fits, picture, reason


class TestFile:
    """What is decided before a reader is chosen."""

    def test_format_is_told_by_content_alone(self) -> None:
        """Text, HTML and unknown bytes are no image; nothing is an empty file."""
        assert reason(b"") is RejectionReason.EMPTY_FILE
        for data in (b"hello", b"<!doctype html><title>429</title>", bytes(100), b"\x89PN", b"SIMPLE"):
            assert reason(data) is RejectionReason.UNKNOWN_FORMAT

    def test_size_limit_holds_before_and_after_unpacking(self) -> None:
        """A file is bounded as it comes, and again as gzip unpacks it."""
        limits = DecodeLimits(max_file_bytes=10_000)
        assert reason(b"x" * 10_001, limits=limits) is RejectionReason.FILE_TOO_LARGE
        assert reason(gzip.compress(b"SIMPLE  =" + bytes(1 << 22)), limits=limits) is RejectionReason.FILE_TOO_LARGE

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


@pytest.mark.parametrize("seed", SEEDS)
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(draw=st.data())
def test_damaged_file_is_a_frame_or_one_reason(seed: str, draw: st.DataObject) -> None:
    """Cut anywhere, with bytes changed anywhere: nothing but a frame or an `ImageRejected` comes out."""
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


class TestImageStore:
    """The content-addressed store."""

    def test_what_is_put_comes_back_and_twice_is_once(self, tmp_path: Path) -> None:
        """Bytes in, SHA-256 out, bytes back; repeating it writes nothing."""
        store = ImageStore(tmp_path / "images")
        sha256 = store.put(b"image")
        written = store.path(sha256).stat().st_mtime_ns
        assert store.put(b"image") == sha256
        assert store.get(sha256) == b"image"
        assert sha256 in store
        assert store.path(sha256).stat().st_mtime_ns == written
        assert [path.name for path in (tmp_path / "images").rglob("*") if path.is_file()] == [sha256]
        assert store.path(sha256).parent.name == sha256[:2]

    def test_altered_image_is_noticed_and_repaired_by_putting_it_again(self, tmp_path: Path) -> None:
        """One flipped bit is found on reading; the same image heals it."""
        store = ImageStore(tmp_path)
        sha256 = store.put(b"image")
        store.path(sha256).write_bytes(b"imagf")
        with pytest.raises(ImageAltered) as caught:
            store.get(sha256)
        assert caught.value.data["image_sha256"] == sha256
        store.put(b"image")
        assert store.get(sha256) == b"image"

    @pytest.mark.parametrize("name", ["0" * 64, "", "../../etc/passwd", "A" * 64, "0" * 63 + "\n", "é" * 64])
    def test_unknown_and_malformed_names_are_missing(self, tmp_path: Path, name: str) -> None:
        """A name that is no SHA-256 never becomes a path."""
        with pytest.raises(ImageMissing):
            ImageStore(tmp_path).get(name)

    def test_failure_while_writing_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A full disk loses the new image only: no half file, no temporary one."""
        store = ImageStore(tmp_path)

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            store.put(b"image")
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
