"""Sections 2.13 to 2.15: by the book, and the tail of the walk and the chances of visits recomputed."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.sp800_22 import kernels, walks
from entropy_assets.core.sp800_22.packed import PackedBits
from entropy_assets.core.sp800_22.suite import run_suite
from entropy_assets_tests.core.sp800_22 import by_the_book
from entropy_assets_tests.core.sp800_22.sequences import bit_arrays


def test_walks_go_as_the_book_says(way: str) -> None:
    """How far, in both directions; where each cycle comes by, and how often all do."""

    @given(bit_arrays(most=2000))
    @settings(max_examples=60, deadline=None)
    def agree(bits: Any) -> None:
        plain = bits.tolist()
        (last, largest, smallest, many), classes, visits = kernels.counting().walks.walk(PackedBits.of(bits))
        assert [max(largest, -smallest), max(largest - last, last - smallest)] == by_the_book.farthest(plain)
        cycles = by_the_book.cycles(plain)
        assert many == len(cycles)
        for state in walks.NEAR_STATES:
            expected = by_the_book.classes([cycle.count(state) for cycle in cycles], 0, 5)
            assert classes[state + 4].tolist() == expected
        for state in walks.FAR_STATES:
            assert visits[state + 9] == sum(cycle.count(state) for cycle in cycles)

    agree()


@pytest.mark.parametrize("sign", [0, 1])
def test_no_visit_is_missed_on_the_way_back(sign: int, way: str) -> None:
    """Straight away from zero and straight back, from as far as eight steps can lead to the states that count."""
    for k in range(5, 30):
        bits = np.array([sign] * k + [1 - sign] * (2 * k) + [sign] * k, dtype=np.uint8)
        (_, largest, smallest, many), _, visits = kernels.counting().walks.walk(PackedBits.of(bits))
        assert (largest, -smallest, many) == (k, k, 2)
        assert visits[[0, 9, 18]].tolist() == [2 if k > 9 else k == 9, 2, 2 if k > 9 else k == 9]


@given(st.integers(1, 400), st.integers(100, 10**6))
@settings(max_examples=100, deadline=None)
def test_the_tail_is_one_less_the_sums_of_the_standard(z: int, n: int) -> None:
    """Of 2.13.4 step 4 over all k that matter, wherever these sums have digits left."""

    def normal(x: float) -> float:
        return 0.5 * math.erfc(-x / math.sqrt(2))

    a = z / math.sqrt(n)
    far = int(3 / a) + 2
    inner = math.fsum(normal((4 * k + 1) * a) - normal((4 * k - 1) * a) for k in range(-far, far + 1))
    outer = math.fsum(normal((4 * k + 3) * a) - normal((4 * k + 1) * a) for k in range(-far, far + 1))
    assert walks.walk_tail(z, n) == pytest.approx(1 - inner + outer, abs=1e-12)


def test_small_tails_keep_their_digits() -> None:
    """Where one less the sums is rounded away: 2 erfc(a / sqrt 2) is all that is left of the series."""
    assert walks.walk_tail(10_000, 10**6) == pytest.approx(2 * math.erfc(10 / math.sqrt(2)), rel=1e-12)
    assert walks.walk_tail(10_000, 10**6) < 1e-22
    assert walks.sts_walk_tail(10_000, 10**6) < 1e-15  # whatever is left of 1 - 1


def test_the_tail_has_both_ends() -> None:
    assert [walks.walk_tail(1, 10**8), walks.walk_tail(10**8, 10**8)] == [1.0, 0.0]


def test_the_limits_of_the_program_matter_for_few_bits_only() -> None:
    """Example 2.13.4 has .411659 with them and .411511 without; from 100 bits on there is no difference."""
    assert walks.sts_walk_tail(4, 10) == pytest.approx(0.411659, abs=5e-7)
    assert walks.walk_tail(4, 10) == pytest.approx(0.411511, abs=5e-7)
    for z in range(8, 60):
        assert walks.sts_walk_tail(z, 100) == pytest.approx(walks.walk_tail(z, 100), abs=1e-9)


def test_a_walk_that_goes_nowhere_is_soon_done() -> None:
    """The program adds up n / 2 terms that are 0."""
    assert walks.sts_walk_tail(1, 10**12) == 1.0


@pytest.mark.parametrize("state", [1, 2, 3, 4])
def test_the_chances_of_visits_follow_from_the_gamblers_ruin(state: int) -> None:
    """A cycle that is off to the right side gets to x with 1/|x|, and from x back to 0 without x with 1 / (2 |x|)."""
    reach, leave = Fraction(1, 2 * state), Fraction(1, 2 * state)
    exact = [1 - reach] + [reach * (1 - leave) ** (k - 1) * leave for k in range(1, 5)] + [reach * (1 - leave) ** 4]
    assert sum(exact) == 1
    for x in (state, -state):
        assert walks.visit_chances(x) == pytest.approx([float(one) for one in exact], abs=1e-15)
    assert walks.STS_VISIT_CHANCES[state] == pytest.approx([float(one) for one in exact], abs=2e-10)


@pytest.mark.parametrize("name", ["random_excursions", "random_excursions_variant"])
def test_few_cycles_give_a_reason_and_no_zero(name: str) -> None:
    """The program prints 0.000000 for each state, and its report drops them."""
    enough = np.full(125_000, 0xCC, dtype=np.uint8)
    enough[:499], enough[499] = 0xF0, 0xFF  # 499 cycles, and one that never comes back
    assert run_suite(enough, tests=[name]).findings[0].applicable
    enough[498] = 0xFF
    assert run_suite(enough, tests=[name]).findings[0].reason.startswith("J = 499 cycles; ")
    drift = run_suite(np.full(125_000, 0xF1, dtype=np.uint8), tests=[name])
    assert drift.findings[0].reason.startswith("J = 1 cycles; ")
    assert {value.p for value in drift.findings[0].p_values} == {None}
    assert "1,000,000" in run_suite(b"\xa5" * 1000, tests=[name]).findings[0].reason


def test_the_program_has_no_room_for_many_cycles() -> None:
    """It stops where zeros are more than one in a hundred bits; strictly that has P-values, and very small ones."""
    bits = np.full(125_000, 0b10101010, dtype=np.uint8)
    strict, sts = (run_suite(bits, tests=["random_excursions"], compat=compat) for compat in ("strict", "sts"))
    assert sts.findings[0].reason == "J = 500,000 cycles; sts-2.1.2 has room for 10,000 of this length"
    assert strict.findings[0].smallest_p == 0.0
