"""Section 2.6: the same peaks as one long transform has, and the variance of their count."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from entropy_assets.core.sp800_22 import spectral
from entropy_assets.core.sp800_22.packed import PackedBits
from entropy_assets_tests.core.sp800_22 import by_the_book
from entropy_assets_tests.core.sp800_22.sequences import bit_arrays


def test_peaks_are_counted_as_the_book_says(way: str) -> None:
    """The limit lies where no peak of the book's sums can be on its other side by rounding."""

    @given(bit_arrays(least=2, most=200))
    @settings(max_examples=40, deadline=None)
    def agree(bits: Any) -> None:
        limit = len(bits) * math.log(20) * 1.000123
        expected = by_the_book.peaks_below(bits.tolist(), math.sqrt(limit))
        assert spectral.peaks_below(PackedBits.of(bits), limit) == expected

    agree()


@pytest.mark.parametrize("n", [2, 3, 4, 6, 8, 10, 12, 16, 24, 32, 48, 99, 1000, 4096, 9984, 10_000, 12_345, 65_536])
def test_short_transforms_have_the_peaks_of_the_long_one(n: int, way: str) -> None:
    """At every limit, so each of the peaks is there: for each number of factors of 2, odd and even thereafter."""
    bits = np.random.default_rng(n).integers(0, 2, n).astype(np.uint8)
    peaks = np.sort(np.abs(np.fft.rfft(2.0 * bits - 1.0)[: n // 2]) ** 2)
    sequence = PackedBits.of(bits)
    for place in np.linspace(0, len(peaks), 9).astype(int):
        between = (peaks[place - 1] if place else -1.0, peaks[place] if place < len(peaks) else 2.0 * n * n)
        if between[1] - between[0] > 1e-6:
            assert spectral.peaks_below(sequence, sum(between) / 2) == place


def test_the_divisor_is_where_others_found_it() -> None:
    """Pareschi, Rovatti and Setti give 3.8; rev 1a has 4."""
    assert spectral.divisor() == pytest.approx(3.79, abs=0.001)


@pytest.mark.parametrize("n, many", [(1000, 40_000), pytest.param(4000, 40_000, marks=pytest.mark.slow)])
def test_the_variance_of_the_count_is_what_parseval_leaves(n: int, many: int) -> None:
    """Within 4 standard errors of a simulation; that of rev 1a is 5 % and more than that away."""
    rng = np.random.default_rng(n)
    counts = []
    for _ in range(0, many, 500):
        signs = 2.0 * rng.integers(0, 2, (500, n)) - 1.0
        peaks = np.fft.rfft(signs)[:, : n // 2]
        counts.append((peaks.real**2 + peaks.imag**2 < n * math.log(20)).sum(axis=1))
    variance = np.concatenate(counts).var()
    error = variance * math.sqrt(2 / many)
    assert abs(variance - n * 0.0475 / spectral.divisor()) < 4 * error
    assert abs(variance - n * 0.0475 / spectral.STS_DIVISOR) > 4 * error
