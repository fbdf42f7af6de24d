"""Both ways to take the counts, and the numbers that NIST tests its program with."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from entropy_assets.core.sp800_22 import kernels

EXTRACT = "sts_2_1_2.json"
PI_100 = f"{0xC90FDAA22168C234C4C6628B8 >> 0:0100b}"
STS_NAMES = {
    "Frequency": "frequency",
    "BlockFrequency": "block_frequency",
    "CumulativeSums": "cumulative_sums",
    "Runs": "runs",
    "LongestRun": "longest_run",
    "Rank": "rank",
    "FFT": "spectral",
    "NonOverlappingTemplate": "non_overlapping_template",
    "OverlappingTemplate": "overlapping_template",
    "Universal": "universal",
    "ApproximateEntropy": "approximate_entropy",
    "RandomExcursions": "random_excursions",
    "RandomExcursionsVariant": "random_excursions_variant",
    "Serial": "serial",
    "LinearComplexity": "linear_complexity",
}


@contextmanager
def by_arrays() -> Iterator[None]:
    """Leave the compiled loops out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "compiled", lambda: None)
        yield


@pytest.fixture(params=["arrays", "compiled"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a test by arrays and by compiled loops."""
    if request.param == "compiled":
        pytest.importorskip("numba")
        assert kernels.counting() is not kernels.ARRAYS
        yield request.param
    else:
        with by_arrays():
            yield request.param


@pytest.fixture(scope="session")
def sts_reference(shared_data: Path) -> dict[str, Any]:
    """Give what sts-2.1.2 prints, with 17 digits, of three sequences of a million bits."""
    reference: dict[str, Any] = json.loads((shared_data / "statistics" / "sp80022_reference.json").read_text())
    return reference


@pytest.fixture(scope="session")
def extract(vectors: Path) -> dict[str, Any]:
    """Give the P-values of sts-2.1.2 for the first million bits of e and pi, which any clone has."""
    found: dict[str, Any] = json.loads((vectors / EXTRACT).read_text())
    return found


@pytest.fixture(scope="session")
def e_million(extract: dict[str, Any]) -> npt.NDArray[np.uint8]:
    """Give the first million bits of e from its series, as they stand in data.e of sts-2.1.2."""
    numerator, denominator = _series(0, 68_410)  # 68,410! has more than a million bits
    shift = 1_000_000 - 2
    scaled = (numerator + denominator) << shift
    guess = (numerator + denominator) * _inverse(denominator, shift + 32) >> (denominator.bit_length() + 32)
    while (rest := scaled - guess * denominator) < 0 or rest >= denominator:
        guess += rest // denominator
    packed = guess.to_bytes(125_000, "big")
    assert hashlib.sha256(packed).hexdigest() == extract["sha256"]["e"]
    return np.frombuffer(packed, dtype=np.uint8)


def _series(first: int, last: int) -> tuple[int, int]:
    """Return the sum of first! / k! over first < k <= last, as a fraction."""
    if last - first == 1:
        return 1, last
    middle = (first + last) // 2
    (p, q), (r, s) = _series(first, middle), _series(middle, last)
    return p * s + r, q * s


def _inverse(number: int, bits: int) -> int:
    """Return about 2**(len(number) + bits) / number, by Newton's steps: Python's division takes seconds for it."""
    if bits <= 64:
        return (1 << (number.bit_length() + bits)) // number
    half = bits // 2 + 2
    near = _inverse(number, half)
    top = number >> max(0, number.bit_length() - bits - 8)
    return (near << (bits - half + 1)) - (near * near * top >> (top.bit_length() + 2 * half - bits))
