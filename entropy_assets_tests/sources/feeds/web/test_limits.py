"""Limits are limits."""

import pytest

from entropy_assets.images.limits import DEFAULT_LIMITS
from entropy_assets.sources.feeds.web.limits import DEFAULT_WEB_LIMITS, WebLimits


@pytest.mark.parametrize(
    "wrong",
    [
        *({"attempts": 0}, {"document_bytes": 0}, {"image_bytes": 0}, {"image_pixels": 0}, {"connect_s": 0}),
        *({"read_s": 0}, {"document_s": 0}, {"image_s": -1}, {"redirects": -1}, {"budget_s": -1}),
        *({"longest_wait_s": -1}, {"least_interval_s": -1}),
    ],
)
def test_what_would_be_no_limit_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"at least 1|above 0"):
        WebLimits(**wrong)


def test_an_image_may_be_as_large_as_the_decoder_takes_it() -> None:
    assert DEFAULT_WEB_LIMITS.image_bytes == DEFAULT_LIMITS.max_file_bytes
    assert DEFAULT_WEB_LIMITS.image_pixels == DEFAULT_LIMITS.max_pixels
