"""Sections 2.1 to 2.4: by the book, and the chances of the longest run recomputed."""

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.sp800_22 import ones
from entropy_assets.core.sp800_22.findings import Parameters
from entropy_assets.core.sp800_22.packed import PackedBits
from entropy_assets.core.sp800_22.suite import run_suite
from entropy_assets_tests.core.sp800_22 import by_the_book
from entropy_assets_tests.core.sp800_22.sequences import bit_arrays

EXACT_10_000 = (
    0.086632311080, 0.208200648388, 0.248418581942, 0.193912786742, 0.121458485089, 0.068011089304, 0.073366097456,
)  # fmt: skip
"""By the recurrence in whole numbers; arcetri/sts 3.2.7 has the same."""


def chances(m: int) -> list[Fraction]:
    """The chances of the classes in whole numbers: of 2**m sequences, those whose runs are not longer than k."""
    classes = ones.LONGEST_RUN_CLASSES[m]
    below = [Fraction(0)]
    for k in classes[:-1]:
        counts = [1 << i for i in range(k + 1)]  # sequences of i bits without k + 1 ones in a row
        for i in range(k + 1, m + 1):
            # all that end in a zero behind 0, 1, ... k ones: twice as many as before, less those that became too long
            counts.append(2 * counts[-1] - (counts[i - k - 2] if i > k + 1 else 1))
        below.append(Fraction(counts[m], 1 << m))
    below.append(Fraction(1))
    return [more - less for less, more in pairwise(below)]


def p_of(bits: Any, name: str, **parameters: Any) -> list[float | None]:
    report = run_suite(PackedBits.of(bits), compat="sts", tests=[name], parameters=Parameters(**parameters))
    return [value.p for value in report.findings[0].p_values]


@given(bit_arrays(), st.integers(1, 80))
@settings(max_examples=60, deadline=None)
def test_ones_and_runs_are_counted_as_the_book_says(bits: Any, m: int) -> None:
    plain = bits.tolist()
    assert p_of(bits, "frequency") == pytest.approx(by_the_book.frequency(plain), abs=1e-12)
    assert p_of(bits, "runs") == pytest.approx(by_the_book.runs(plain), abs=1e-12)
    if m <= len(plain):
        expected = by_the_book.block_frequency(plain, m)
        assert p_of(bits, "block_frequency", block_frequency=m) == pytest.approx(expected, abs=1e-12)


@given(bit_arrays(most=3000), st.sampled_from([8, 128]))
@settings(max_examples=60, deadline=None)
def test_longest_runs_are_classed_as_the_book_says(bits: Any, m: int) -> None:
    classes = ones.LONGEST_RUN_CLASSES[m]
    expected = by_the_book.longest_run_classes(bits.tolist(), m, classes[0], classes[-1])
    assert ones.longest_run_counts(PackedBits.of(bits), m, len(bits) // m) == expected


def test_a_run_does_not_go_on_in_the_next_block() -> None:
    """In blocks of 10,000 too, whose borders lie inside of words."""
    bits = np.zeros(30_000, dtype=np.uint8)
    bits[9_992:10_008] = 1
    bits[20_000:20_016] = 1
    assert ones.longest_run_counts(PackedBits.of(bits), 10_000, 3) == [2, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("m", [8, 128, 10_000])
def test_the_chances_of_the_longest_run_are_exact(m: int) -> None:
    exact = [float(one) for one in chances(m)]
    assert ones.longest_run_chances(m, ones.LONGEST_RUN_CLASSES[m]) == pytest.approx(exact, abs=1e-13)
    # the program's tables for short blocks are right; the one for long blocks is off by 0.2 to 2 %
    assert ones.STS_LONGEST_RUN[m] == pytest.approx(exact, abs=1e-9 if m < 10_000 else 2e-3)


def test_the_chances_for_long_blocks_are_those_that_others_found() -> None:
    assert ones.longest_run_chances(10_000, range(10, 17)) == pytest.approx(EXACT_10_000, abs=1e-12)


def test_the_documents_number_of_blocks_can_be_asked_for(shared_data: Any) -> None:
    """2.4.4 has N = 75 where the program takes all 100 blocks: .189704 for pi, which other tools print."""
    data = np.fromfile(shared_data / "statistics" / "pi_1e6.bin", dtype=np.uint8)
    report = run_suite(data, compat="sts", tests=["longest_run"], parameters=Parameters(longest_run_blocks=75))
    assert report["longest_run"].p_values[0].p == pytest.approx(0.189704, abs=5e-7)


def test_too_many_ones_are_for_the_frequency_test() -> None:
    """2.3.4 step 2: the program says 0; strictly there is no P-value, and the reason names the frequency test."""
    bits = PackedBits.of([1] * 700 + [0, 1] * 150)
    strict, sts = (run_suite(bits, compat=compat, tests=["runs"])["runs"] for compat in ("strict", "sts"))
    assert not strict.applicable
    assert "frequency test" in strict.reason
    assert sts.p_values[0].p == 0.0
    assert "frequency test" in sts.note
    # exactly at the limit the program goes on: 100 bits, 70 ones
    edge = PackedBits.of(([1] * 7 + [0] * 3) * 10)
    assert not run_suite(edge, tests=["runs"])["runs"].applicable
    assert run_suite(edge, compat="sts", tests=["runs"])["runs"].note == ""
