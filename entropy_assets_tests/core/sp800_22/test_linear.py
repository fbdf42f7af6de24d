"""Sections 2.5 and 2.10: by the book, and the chances of the classes recomputed."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.sp800_22 import kernels, linear
from entropy_assets.core.sp800_22.berlekamp_massey import linear_complexity
from entropy_assets.core.sp800_22.packed import PackedBits
from entropy_assets.core.sp800_22.suite import run_suite
from entropy_assets_tests.core.sp800_22 import by_the_book
from entropy_assets_tests.core.sp800_22.sequences import bit_arrays


def test_ranks_are_those_of_gauss(way: str) -> None:
    """Also of matrices that have rows twice, no rows, or one."""

    @given(bit_arrays(least=1024, most=5000))
    @settings(max_examples=20, deadline=None)
    def agree(bits: Any) -> None:
        counts = run_suite(PackedBits.of(bits), tests=["rank"], sizes=False)["rank"].counts
        assert list(counts.values()) == by_the_book.ranks(bits.tolist())

    agree()


def test_complexities_are_those_of_berlekamp_and_massey(way: str) -> None:
    """64 at a time or one by one, for any block length, also blocks of zeros."""

    @given(bit_arrays(most=2000), st.integers(1, 130))
    @settings(max_examples=60, deadline=None)
    def agree(bits: Any, m: int) -> None:
        blocks = len(bits) // m
        found = kernels.counting().linear.complexities(PackedBits.of(bits), blocks, m)
        expected = [linear_complexity(block) for block in bits[: blocks * m].reshape(blocks, m)]
        assert found.tolist() == expected
        assert linear.complexity_classes(found, m) == by_the_book.complexity_classes(expected, m)

    agree()


@pytest.mark.parametrize("m", [1, 2, 3, 12, 13, 500, 501])
def test_the_classes_are_those_of_2_10_4(m: int) -> None:
    """For every complexity that `m` bits can have."""
    every = np.arange(m + 1)
    assert linear.complexity_classes(every, m) == by_the_book.complexity_classes(every.tolist(), m)


@pytest.mark.parametrize("m", [40, 41])
def test_the_chances_of_the_classes_follow_from_the_counts(m: int) -> None:
    """Of 2**M sequences 2**min(2 M - 2 L, 2 L - 1) have complexity L > 0 (3.10): the first class has 1/96."""
    counts = {length: 2 ** min(2 * m - 2 * length, 2 * length - 1) if length else 1 for length in range(m + 1)}
    assert sum(counts.values()) == 2**m
    chances = [0] * 7
    for length, count in counts.items():
        chances[linear.complexity_classes(np.array([length]), m).index(1)] += count
    assert [float(Fraction(count, 2**m)) for count in chances] == pytest.approx(linear.COMPLEXITY_CHANCES, abs=1e-10)
    assert sum(linear.COMPLEXITY_CHANCES) == pytest.approx(1.0, abs=1e-15)
    assert linear.STS_COMPLEXITY_CHANCES[0] - linear.COMPLEXITY_CHANCES[0] == pytest.approx(5.3e-5, abs=1e-6)


def test_the_chances_of_the_ranks_follow_from_the_counts() -> None:
    """Matrices of each rank, built up row by row: r rows span 2**r of 2**32 next rows."""
    chances = [Fraction(1)] + [Fraction(0)] * 32
    for _ in range(32):
        inside = [Fraction(2**r, 2**32) for r in range(33)]
        chances = [chances[r] * inside[r] + (chances[r - 1] * (1 - inside[r - 1]) if r else 0) for r in range(33)]
    exact = [chances[32], chances[31], 1 - chances[32] - chances[31]]
    assert linear.rank_chances() == pytest.approx([float(one) for one in exact], abs=1e-14)


def test_example_2_10_8_without_the_programs_slip(e_million: Any) -> None:
    """.845406 with .01047 for the first class, .844738 with 1/96 (as riesinger-e/nist-sts prints it too)."""
    from entropy_assets.core.sp800_22.findings import Parameters

    parameters = Parameters(linear_complexity=1000)
    reports = [
        run_suite(e_million, compat=compat, tests=["linear_complexity"], parameters=parameters)
        for compat in ("sts", "strict")
    ]
    assert [report.findings[0].smallest_p for report in reports] == pytest.approx([0.845406, 0.844738], abs=5e-7)
