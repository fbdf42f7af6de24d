"""Sections 2.9, 2.11 and 2.12: by the book, and the moments of Maurer's statistic recomputed."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.sp800_22 import kernels, patterns
from entropy_assets.core.sp800_22.findings import Parameters
from entropy_assets.core.sp800_22.packed import PackedBits
from entropy_assets.core.sp800_22.suite import run_suite
from entropy_assets_tests.core.sp800_22 import by_the_book
from entropy_assets_tests.core.sp800_22.sequences import bit_arrays

CORON_NACCACHE = {
    3: (0.2732725, 0.4890883), 6: (0.3489769, 0.3941338), 7: (0.3631815, 0.3813210), 8: (0.3732189, 0.3730195),
}  # fmt: skip
"""d and e of Coron and Naccache (SAC 1998): sigma**2 is (d + e 2**L / K) times that of independent distances."""


def p_of(bits: Any, name: str, **parameters: Any) -> list[float | None]:
    report = run_suite(PackedBits.of(bits), tests=[name], sizes=False, parameters=Parameters(**parameters))
    return [value.p for value in report.findings[0].p_values]


def test_patterns_are_counted_as_the_book_says(way: str) -> None:
    @given(bit_arrays(most=300), st.integers(2, 8))
    @settings(max_examples=40, deadline=None)
    def agree(bits: Any, m: int) -> None:
        plain = bits.tolist()
        assert p_of(bits, "serial", serial=m) == pytest.approx(by_the_book.serial(plain, m), abs=1e-9)
        expected = by_the_book.approximate_entropy(plain, m)
        assert p_of(bits, "approximate_entropy", approximate_entropy=m) == pytest.approx(expected, abs=1e-9)

    agree()


def test_distances_are_summed_as_the_book_says(way: str) -> None:
    """Those of blocks that were never seen count from place 0; the longest are kept one by one."""

    @given(bit_arrays(least=30, most=3000), st.integers(1, 8), st.integers(1, 20))
    @settings(max_examples=60, deadline=None)
    def agree(bits: Any, length: int, first: int) -> None:
        if len(bits) // length <= first:
            return
        parameters = Parameters(universal=length, universal_first=first)
        finding = run_suite(PackedBits.of(bits), tests=["universal"], sizes=False, parameters=parameters)["universal"]
        total, tested = by_the_book.universal_sum(bits.tolist(), length, first)
        assert finding.parameters["K"] == tested
        assert finding.statistics["sum"] == pytest.approx(total, rel=1e-12, abs=1e-12)

    agree()


def test_longer_patterns_are_folded_to_shorter_ones() -> None:
    """Asked for in any order, the counts are those of a count of their own."""
    bits = PackedBits(np.random.default_rng(4).bytes(500))
    for m in (9, 3, 7, 12, 8):
        own = kernels.ARRAYS.histograms.cyclic_windows(bits, m)
        assert np.array_equal(patterns.window_counts(bits, m), own)


@pytest.mark.parametrize("length", [6, 7, 8, 9, 10])
def test_the_moments_of_a_distance_are_those_that_are_printed(length: int) -> None:
    """Which have eight and four digits."""
    mean, variance = patterns.STS_UNIVERSAL[length]
    assert patterns.distance_moments(length) == (pytest.approx(mean, abs=6e-8), pytest.approx(variance, abs=7e-4))


@pytest.mark.parametrize("length", CORON_NACCACHE)
def test_the_variance_is_that_of_coron_and_naccache(length: int) -> None:
    """To the seven digits that they print; Maurer's approximation is 4 to 10 % below."""
    tested = 1000 << length
    d, e = CORON_NACCACHE[length]
    independent = patterns.distance_moments(length)[1] / tested
    found = patterns.universal_sigma(length, tested) ** 2 / independent
    assert found == pytest.approx(d + e * 2**length / tested, abs=1e-7)


@pytest.mark.parametrize("many", [3000, pytest.param(60_000, marks=pytest.mark.slow)])
def test_the_variance_is_met_by_simulation(many: int) -> None:
    """Also for few blocks: 200 of three bits. Independent distances would have four times as much."""
    rng = np.random.default_rng(many)
    length, first, tested = 3, 100, 200
    means = []
    for _ in range(many):
        bits = PackedBits(rng.bytes((first + tested) * length // 8 + 1))
        short, long = kernels.counting().histograms.distances(bits, length, first, tested)
        seen = np.flatnonzero(short)
        means.append((float(short[seen] @ np.log2(seen)) + float(np.log2(long).sum())) / tested)
    sigma = patterns.universal_sigma(length, tested)
    assert np.var(means) / sigma**2 == pytest.approx(1.0, abs=4.5 * math.sqrt(2 / many))
    assert np.mean(means) == pytest.approx(patterns.distance_moments(length)[0], abs=4.5 * sigma / math.sqrt(many))
