"""What a file may cost is known before it costs anything."""

import gzip

from entropy_assets.errors import RejectionReason
from entropy_assets.images.decode import decode
from entropy_assets.images.limits import DecodeLimits
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
    """Pixels count once, samples once a channel; FITS keeps to the lesser of both."""
    height, width, channels = COLOUR.shape
    colour, grey = picture(COLOUR, "PNG"), fits(NOISE)
    just = DecodeLimits(max_pixels=height * width, max_samples=height * width * channels)
    assert decode(colour, limits=just).shape == decode(grey, limits=just).shape == (height, width)
    fewer_pixels = DecodeLimits(max_pixels=height * width - 1)
    fewer_samples = DecodeLimits(max_samples=height * width * channels - 1)
    for data, limits in ((colour, fewer_pixels), (colour, fewer_samples), (grey, fewer_pixels)):
        assert reason(data, limits=limits) is RejectionReason.OVER_PIXEL_BUDGET
    assert reason(grey, limits=DecodeLimits(max_samples=NOISE.size - 1)) is RejectionReason.OVER_PIXEL_BUDGET
