"""What is said of grids is so: against the exact laws of the counts."""

import numpy as np
import pytest
from scipy.stats import binom, multinomial

from entropy_assets.core.sp800_22.linear import rank_chances
from entropy_assets.core.sp800_22.second_level.grain import grain, heavy_tail, too_coarse
from entropy_assets.core.sp800_22.suite import run_suite
from entropy_assets_tests.core.sp800_22.second_level.wide_tails import chances_of_templates

GOOD = np.random.Generator(np.random.PCG64(3)).bytes(125_000)


def grain_of(test: str, n: int) -> float:
    [finding] = run_suite(GOOD, n, tests=[test]).findings
    return grain(finding, n)


@pytest.mark.parametrize("n", [100, 10_000, 1_000_000])
def test_the_grain_of_the_frequency_test_is_the_chance_of_its_likeliest_value(n):
    """S = 2 and S = -2 together; S = 0 has half of that."""
    assert grain_of("frequency", n) == pytest.approx(2 * binom.pmf(n // 2 + 1, n, 0.5), rel=0.05)


def test_the_grain_of_the_rank_test_is_the_chance_of_the_likeliest_ranks():
    """Full, one less, and lower ranks of 976 matrices."""
    chances = rank_chances()
    full, less = (round(976 * chance) for chance in chances[:2])
    likeliest = multinomial.pmf([full, less, 976 - full - less], 976, chances)
    assert grain_of("rank", 1_000_000) == pytest.approx(likeliest, rel=0.05)


def test_a_walk_reaches_no_farthest_point_more_often_than_is_said():
    """By simulation of 10,000 walks of 400 steps."""
    generator = np.random.Generator(np.random.PCG64(4))
    walks = np.cumsum(1 - 2 * generator.integers(0, 2, (10_000, 400), dtype=np.int16), axis=1)
    most = np.bincount(np.abs(walks).max(axis=1)).max() / 10_000
    assert 0.9 * grain_of("cumulative_sums", 400) < most < 1.1 * grain_of("cumulative_sums", 400)


def test_what_is_fine_and_what_is_coarse():
    """A million bits are fine for hundreds of sequences; a thousand are not, where whole numbers are counted."""
    assert not too_coarse(grain_of("frequency", 1_000_000), 10_000)
    assert not too_coarse(grain_of("spectral", 1_000_000), 1000)
    assert too_coarse(grain_of("spectral", 10_000), 100)
    assert grain_of("serial", 1_000_000) == grain_of("random_excursions_variant", 1_000_000) == 0.0
    assert not too_coarse(grain_of("longest_run", 1_000_000), 100_000)
    assert not too_coarse(grain_of("block_frequency", 1_000_000), 100_000)
    assert grain_of("non_overlapping_template", 60_000) == 1.0
    assert grain_of("non_overlapping_template", 1_000_000) == 0.0


def test_a_grid_adds_to_the_chi_square_what_is_said():
    """15 K a**2, in the mean over grids and over the ways in which their steps may lie."""
    k, told = 10_000, []
    for step in np.linspace(0.01, 0.03, 200):
        for offset in (np.arange(20) + 0.5) / 20:
            edges = (np.round(np.arange(11) / 10 / step - offset) + offset) * step
            edges[0], edges[-1] = 0.0, 1.0
            told.append(10 * k * float(((np.diff(edges) - 0.1) ** 2).sum()) / (15 * k * step**2))
    assert np.mean(told) == pytest.approx(1.0, rel=0.05)
    assert too_coarse(0.03, k)
    assert not too_coarse(0.03, 60)


@pytest.mark.parametrize("n, times", [(32_768, (7.0, 9.5)), (262_144, (1.5, 1.9)), (1_000_000, (1.0, 1.3))])
def test_small_p_values_of_templates_are_as_much_too_frequent_as_is_said(n, times):
    [chance] = chances_of_templates(n, [5e-6])
    assert times[0] < chance / 5e-6 < times[1]
    [finding] = run_suite(GOOD, n, tests=["non_overlapping_template"]).findings
    assert heavy_tail(finding) is (times[1] > 1.9)
