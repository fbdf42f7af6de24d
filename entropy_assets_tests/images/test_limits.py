"""What a file may cost is known before it costs anything."""

import gzip
import io
from functools import partial
from typing import Any

import numpy as np
import pytest
from astropy.io import fits as astropy_fits

from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images.decode import decode
from entropy_assets.images.limits import STRIP_PIXELS, STRIP_SAMPLES, DecodeLimits, strip_of
from entropy_assets_tests.images.image_files import COLOUR, NOISE, fits, picture, png, reason, webp_canvas


def test_size_limit_holds_before_and_after_unpacking() -> None:
    """A file is bounded as it comes, and again as gzip unpacks it."""
    limits = DecodeLimits(max_file_bytes=10_000)
    assert reason(b"x" * 10_001, limits=limits) is RejectionReason.FILE_TOO_LARGE
    assert reason(gzip.compress(b"SIMPLE  =" + bytes(1 << 22)), limits=limits) is RejectionReason.FILE_TOO_LARGE


def test_pixel_budget_is_checked_before_the_pixels() -> None:
    """Headers alone decide: by area, and by area times channels."""
    assert reason(png(100_000, 100_000, 16, 2)) is RejectionReason.OVER_PIXEL_BUDGET
    assert reason(png(9_000, 9_000, 8, 0)) is RejectionReason.OVER_PIXEL_BUDGET
    assert reason(png(8_000, 8_000, 8, 2)) is RejectionReason.OVER_PIXEL_BUDGET
    small = DecodeLimits(max_pixels=100)
    assert reason(picture(NOISE, "PNG"), limits=small) is RejectionReason.OVER_PIXEL_BUDGET
    assert reason(webp_canvas(16_384, 16_384)) is RejectionReason.OVER_PIXEL_BUDGET


def test_a_frame_as_large_as_the_limit_is_read_and_one_pixel_more_is_not() -> None:
    """Pixels count once, samples once a channel; of what is not unpacked as a whole, pixels alone."""
    height, width, channels = COLOUR.shape
    colour, grey = picture(COLOUR, "PNG"), fits(NOISE)
    just = DecodeLimits(max_pixels=height * width, max_samples=height * width * channels)
    assert decode(colour, limits=just).shape == decode(grey, limits=just).shape == (height, width)
    fewer_pixels = DecodeLimits(max_pixels=height * width - 1)
    fewer_samples = DecodeLimits(max_samples=height * width * channels - 1)
    for data, limits in ((colour, fewer_pixels), (colour, fewer_samples), (grey, fewer_pixels)):
        assert reason(data, limits=limits) is RejectionReason.OVER_PIXEL_BUDGET
    assert decode(grey, limits=DecodeLimits(max_samples=NOISE.size - 1)).shape == NOISE.shape
    first = {"limits": DecodeLimits(max_samples=NOISE.size - 1), "reading": 1}
    assert reason(grey, **first) is RejectionReason.OVER_PIXEL_BUDGET


@pytest.mark.parametrize(
    "height, width, channels, rows",
    [
        (6388, 9576, 1, 2496),  # 61 Mpixel: IMX455
        (10652, 14204, 1, 1728),  # 151 Mpixel: IMX411
        (4176, 6248, 1, 3840),  # 26 Mpixel: IMX571
        (4096, 6144, 1, 4096),
        (4096, 6145, 1, 4032),
        (4096, 4096, 3, 4096),
        (4097, 4096, 3, 4032),
        (300, 25_000_000, 1, 1),
        (1, 1, 1, 1),
    ],
)
def test_of_a_very_large_image_the_middle_is_used(height: int, width: int, channels: int, rows: int) -> None:
    strip = strip_of(height, width, channels)
    assert strip.stop - strip.start == rows
    assert abs(strip.start - (height - strip.stop)) <= 1
    if rows > 1:
        assert rows * width * channels <= (STRIP_PIXELS if channels == 1 else STRIP_SAMPLES)


@pytest.fixture
def small_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let images of more than 16,000 pixels be very large."""
    monkeypatch.setattr("entropy_assets.images.limits.STRIP_PIXELS", 16_000)
    monkeypatch.setattr("entropy_assets.images.limits.STRIP_STEP", 64)


@pytest.mark.parametrize("kind", ["FITS", "fz", "PNG", "TIFF"])
@pytest.mark.usefixtures("small_strip")
def test_a_strip_is_the_same_out_of_every_container(kind: str) -> None:
    """Rows 68 to 195 of 264: the frame, its hash and its cap are of them, whatever the rest of the file holds."""
    pixels = np.random.default_rng(7).normal(1000, 9, (264, 120)).round().astype(np.uint16)
    files = {"FITS": fits, "fz": tiled, "PNG": partial(picture, kind="PNG"), "TIFF": partial(picture, kind="TIFF")}
    data = files[kind](pixels)
    frame = decode(data)
    np.testing.assert_array_equal(frame.pixels[0], pixels[68:196])
    assert frame.file_height == 264
    assert frame.part_of_file == "the 128 rows in the middle of 264 are used: 15360 pixels"
    assert frame.coded_bytes <= min(len(data) * 128 // 264 + 2, 2 * 128 * 120)
    whole = decode(data, reading=1) if kind != "fz" else None
    assert whole is None or (whole.shape == (264, 120) and whole.part_of_file is None)


def tiled(pixels: np.ndarray[Any, np.dtype[np.uint16]]) -> bytes:
    out = io.BytesIO()
    hdus = astropy_fits.HDUList([astropy_fits.PrimaryHDU(), astropy_fits.CompImageHDU(pixels)])
    hdus.writeto(out)
    return out.getvalue()


def test_a_refusal_names_the_setting_and_both_figures() -> None:
    large = fits(NOISE, NAXIS1=14_204, NAXIS2=20_000)
    with pytest.raises(ImageRejected, match=r"284080000 in all; ENTROPY_MAX_PIXELS is 167772160: raise it"):
        decode(large)
    with pytest.raises(
        ImageRejected, match=r"80000000 in all; they must be unpacked .* more than 67108864 that is not"
    ):
        decode(png(8000, 10_000, 16, 0))
    with pytest.raises(ImageRejected, match=r"announces 151300000 pixels; they must .* more than 67108864 that is"):
        decode(png(15_130, 10_000, 16, 0))
    with pytest.raises(
        ImageRejected, match=r"6000 x 4000 x 3 channels of pixels, 24000000 in all;.* more than 22369621"
    ):
        decode(png(6000, 4000, 8, 2))


def test_wide_integers_count_by_their_size() -> None:
    """A plane that is unpacked as a whole takes as many bytes whether it is of 4 or of 8 bytes a pixel."""
    limits = DecodeLimits(max_samples=1000)
    assert [limits.unpacked_pixels(size) for size in (1, 2, 4, 8)] == [1000, 1000, 1000, 500]


def test_the_first_reading_keeps_its_limit() -> None:
    assert DecodeLimits().of_reading(1) == DecodeLimits(max_pixels=48 << 20, max_samples=48 << 20)
    assert DecodeLimits(max_pixels=100).of_reading(1).max_pixels == 100
    assert DecodeLimits().of_reading(2) == DecodeLimits()
