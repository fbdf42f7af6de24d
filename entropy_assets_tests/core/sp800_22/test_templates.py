"""Sections 2.7 and 2.8: by the book, and the chances of the overlapping template recomputed."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.sp800_22 import templates
from entropy_assets.core.sp800_22.findings import Parameters
from entropy_assets.core.sp800_22.packed import PackedBits
from entropy_assets.core.sp800_22.suite import run_suite
from entropy_assets_tests.core.sp800_22 import by_the_book
from entropy_assets_tests.core.sp800_22.sequences import bit_arrays

HAMANO_KANEKO = (0.364091, 0.185659, 0.139381, 0.100571, 0.070432, 0.139865)
"""As sts-2.1.2 has them in its source, and does not use them."""
ANNOUNCED = (0.367879, 0.183940, 0.137955, 0.099634, 0.069935, 0.140657)
"""What it computes instead."""


@pytest.mark.parametrize("m, many", [(2, 2), (3, 4), (4, 6), (5, 12), (6, 20), (7, 40), (8, 74), (9, 148), (10, 284)])
def test_templates_do_not_overlap_themselves(m: int, many: int) -> None:
    """As many as sts-2.1.2 has for each length, in its order for 9 bits."""
    found = [f"{template:0{m}b}" for template in templates.aperiodic(m).tolist()]
    assert found == ["".join(map(str, template)) for template in by_the_book.aperiodic_templates(m)]
    assert len(found) == many


def test_occurrences_are_those_of_the_search_of_the_book(way: str) -> None:
    """Which goes on behind each occurrence."""

    @given(bit_arrays(least=20), st.integers(2, 5), st.integers(1, 4))
    @settings(max_examples=40, deadline=None)
    def agree(bits: Any, m: int, blocks: int) -> None:
        parameters = Parameters(template=m, template_blocks=blocks)
        report = run_suite(PackedBits.of(bits), tests=["non_overlapping_template"], parameters=parameters, sizes=False)
        found = [value.p for value in report.findings[0].p_values]
        expected = by_the_book.non_overlapping(bits.tolist(), m, blocks) if len(bits) // blocks >= m else [None]
        assert found == pytest.approx(expected, abs=1e-12) or not report.findings[0].applicable

    agree()


def test_the_program_has_room_for_148_templates() -> None:
    """Of 284 it takes the first ones, of 568 every third; strictly all are tested."""
    bits = np.random.default_rng(3).bytes(20_000)
    for m, first, second in ((10, "0000000001", "0000000011"), (11, "00000000001", "00000000111")):
        strict, sts = (
            run_suite(bits, compat=compat, tests=["non_overlapping_template"], parameters=Parameters(template=m))
            for compat in ("strict", "sts")
        )
        assert len(strict.findings[0].p_values) == len(templates.aperiodic(m))
        assert len(sts.findings[0].p_values) == 148
        assert [value.label for value in sts.findings[0].p_values[:2]] == [first, second]


@given(bit_arrays(least=30), st.integers(1, 12), st.integers(12, 60))
@settings(max_examples=60, deadline=None)
def test_overlapping_ones_are_counted_as_the_book_says(bits: Any, m: int, length: int) -> None:
    parameters = Parameters(overlapping_template=m, overlapping_block=length)
    finding = run_suite(PackedBits.of(bits), tests=["overlapping_template"], parameters=parameters, sizes=False)
    if len(bits) >= length >= m + 4:  # else no block holds it five times
        expected = by_the_book.overlapping_classes(bits.tolist(), m, length)
        assert finding["overlapping_template"].counts["classes"] == expected


def test_ones_that_lie_in_two_blocks_are_in_neither() -> None:
    """Eight before the border and eight behind it hold no nine."""
    bits = np.zeros(2064, dtype=np.uint8)
    bits[1024:1040] = 1
    found = run_suite(PackedBits.of(bits), tests=["overlapping_template"], sizes=False).findings[0]
    assert found.counts["classes"] == [2, 0, 0, 0, 0, 0]
    bits[1023] = 1
    found = run_suite(PackedBits.of(bits), tests=["overlapping_template"], sizes=False).findings[0]
    assert found.counts["classes"] == [1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("m, length", [(9, 1032), (3, 20), (1, 6), (5, 5)])
def test_the_chances_of_overlapping_ones_are_exact(m: int, length: int) -> None:
    """In whole numbers: sequences by their occurrences, 5 at most, and by the ones that stand last, m at most."""
    counts = {(0, 0): 1}
    for _ in range(length):
        after: dict[tuple[int, int], int] = {}
        for (hits, run), count in counts.items():
            longer = min(m, run + 1)
            for state in ((hits, 0), (min(5, hits + (longer == m)), longer)):
                after[state] = after.get(state, 0) + count
        counts = after
    exact = [float(Fraction(sum(c for (h, _), c in counts.items() if h == k), 2**length)) for k in range(6)]
    assert templates.overlapping_chances(m, length) == pytest.approx(exact, abs=1e-13)


def test_the_chances_of_the_standards_template_are_those_of_hamano_and_kaneko() -> None:
    """And the program's differ by 1 %: .084 of chi-square in a million bits."""
    exact, sts = templates.overlapping_chances(9, 1032), templates.sts_overlapping_chances(9, 1032)
    assert exact == pytest.approx(HAMANO_KANEKO, abs=5e-7)
    assert sts == pytest.approx(ANNOUNCED, abs=5e-7)
    assert math.fsum(968 * (p - q) ** 2 / q for p, q in zip(exact, sts, strict=True)) == pytest.approx(0.084, abs=2e-3)
