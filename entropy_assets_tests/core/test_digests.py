"""The hash of what was measured is laid out as documented, and found again however the exposure is turned."""

import hashlib
import struct

import numpy as np
import pytest

from entropy_assets.core.digests import pixel_digest, turned_digests
from entropy_assets_tests.core.frames import frame
from entropy_assets_tests.core.second_hashing import PIXEL_CASES, codes_of, kept_vectors


def test_digest_is_the_documented_message() -> None:
    """Domain, shape, width, then the codes: recomputed by hand."""
    pixels = np.array([[[10, 26], [42, 4096 * 16 + 10]]], dtype=np.int32)
    message = b"entropy_assets pixel digest 1\0" + struct.pack(">4Q", 1, 2, 2, 2) + struct.pack(">4H", 0, 1, 2, 4096)
    assert pixel_digest(pixels, np.ones((2, 2), dtype=np.bool_), 16) == hashlib.sha256(message).hexdigest()


@pytest.mark.parametrize("name", PIXEL_CASES)
def test_digest_gives_the_vectors(name: str) -> None:
    """Every width of a code, one and several channels, with masked pixels."""
    planes, usable = codes_of(name)
    step = PIXEL_CASES[name][3]
    assert pixel_digest(np.array(planes), np.array(usable), step) == kept_vectors()["pixel_digest"][name]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("masked", [False, True])
def test_the_digests_of_a_turned_exposure_are_those_of_the_file_that_holds_it(
    channels: int, parts: int, masked: bool
) -> None:
    """However it is turned or mirrored, also where pixels are missing; of several images each by itself."""
    rng = np.random.default_rng(3)
    pixels = 7 * rng.integers(0, 300, (channels, 40 * parts, 30))
    usable = rng.random((40 * parts, 30)) > 0.1 if masked else np.ones((40 * parts, 30), dtype=np.bool_)

    def turned(mirrored: bool, quarters: int) -> str:
        def one(square: np.ndarray) -> np.ndarray:
            return np.rot90(np.fliplr(square) if mirrored else square, quarters)

        planes = [np.concatenate([one(part) for part in np.split(plane, parts)]) for plane in pixels]
        mask = np.concatenate([one(part) for part in np.split(usable, parts)])
        return frame(np.stack(planes), mask, parts=parts).pixel_sha256

    ways = [turned(mirrored, quarters) for mirrored in (False, True) for quarters in range(4)]
    original = frame(pixels, usable, parts=parts)
    assert len(set(ways)) == 8
    assert (
        original.pixel_sha256,
        *turned_digests(original.pixels, original.usable, original.adc_step, parts),
    ) == tuple(ways)
