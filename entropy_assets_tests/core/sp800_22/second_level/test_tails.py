"""The tails of the second level are exact: against all ways to fall into ten bins, and plain binomial sums."""

from fractions import Fraction
from math import comb, factorial, prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from entropy_assets.core.sp800_22.second_level.tails import (
    BINS,
    LARGEST_EXACT,
    binomial_p,
    chi_square_bound,
    extreme_p,
    holm,
    tail_of,
    uneven_p,
    uniformity_p,
)


@given(st.integers(0, 40), st.integers(0, 40), st.sampled_from([0.01, 0.3, 1e-6]))
def test_the_binomial_p_value_is_twice_the_smaller_tail(successes, more, share):
    """Against a plain sum of the binomial probabilities."""
    n = successes + more
    probability = [comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]
    expected = min(1.0, 2 * min(sum(probability[: successes + 1]), sum(probability[successes:])))
    assert binomial_p(successes, n, share) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_uniformity_is_that_of_the_standard():
    """SP 800-22 4.2.2: ten bins; a P-value of 1 falls into the last bin. Long batches: nine degrees of freedom."""
    assert uniformity_p((np.arange(100) + 0.5) / 100) == 1.0
    assert uniformity_p(np.array([1.0] * 10 + [0.0] * 10)) == pytest.approx(2.16e-9, rel=1e-3)  # chi-square: 3e-14
    uneven = np.repeat(np.arange(10) / 10 + 0.05, np.array([1100, 900] * 5))
    assert uniformity_p(uneven) == pytest.approx(special.gammaincc(4.5, 100 / 2), rel=0.05)


def test_the_smallest_of_many_is_small_by_chance():
    """1 - (1 - p)**n, without loss where p is tiny, and defined where it is 1."""
    assert extreme_p(1e-30, 10) == pytest.approx(1e-29, rel=1e-12)
    assert extreme_p(0.5, 2) == pytest.approx(0.75)
    assert extreme_p(1.0, 3) == pytest.approx(1.0)


def test_holm_steps_down():
    """The smallest is multiplied by all, the next by one less, and none becomes smaller than one before it."""
    corrected = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert corrected == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"only": 0.7, "other": 0.9}) == {"only": 1.0, "other": 1.0}


def partitions(total, parts, largest):
    """Yield the ways to write `total` as a sum of `parts` counts, the largest first."""
    if parts == 0:
        if total == 0:
            yield ()
        return
    for first in range(min(total, largest), -(-total // parts) - 1, -1):
        for rest in partitions(total - first, parts - 1, first):
            yield (first, *rest)


def exact_chances(blocks):
    """Return how likely each sum of squared counts is, by counting all ways in whole numbers."""
    ways = {}
    for counts in partitions(blocks, BINS, blocks):
        orders = factorial(BINS) // prod(factorial(counts.count(count)) for count in set(counts))
        squares = sum(count * count for count in counts)
        chance = orders * (factorial(blocks) // prod(factorial(count) for count in counts))
        ways[squares] = ways.get(squares, 0) + chance
    assert sum(ways.values()) == BINS**blocks
    return {squares: Fraction(ways[squares], BINS**blocks) for squares in sorted(ways, reverse=True)}


@pytest.mark.parametrize("blocks", [1, 2, 3, 10, 17, 30])
def test_the_chance_of_counts_so_uneven_is_exact(blocks):
    """Against all ways in which so many P-values fall into tenths, counted in whole numbers; never below the truth."""
    tail = Fraction(0)
    for squares, chance in exact_chances(blocks).items():
        tail += chance
        assert tail <= uneven_p(squares, blocks, BINS) <= tail + Fraction(2, 10**12)


def chances_by_bins(blocks):
    """Return how likely each sum of squared counts is, adding one bin after the other; sums of positive terms only."""
    most = blocks * blocks
    after = np.zeros((blocks + 1, most + 1))
    after[0, 0] = 1.0
    for bins_left in range(BINS, 0, -1):
        before, after = after, np.zeros_like(after)
        for held in range(blocks + 1):
            row = before[held]
            if not row.any():
                continue
            left = blocks - held
            for count in range(left + 1) if bins_left > 1 else (left,):
                share = comb(left, count) / bins_left**left * (bins_left - 1) ** (left - count)
                after[held + count, count * count :] += share * row[: most + 1 - count * count]
    return after[blocks]


@pytest.mark.parametrize("blocks", [55, 64, 100])
def test_an_honest_batch_fails_uniformity_no_more_often_than_is_said(blocks):
    """The chance of a P-value of at most some level is at most that level, and within 2e-12 of the step below it.

    By the chi-square with nine degrees of freedom it was 8.4 times the level at 55 blocks, where batches are decided.
    """
    chances = chances_by_bins(blocks)
    assert chances.sum() == pytest.approx(1.0, abs=1e-12)
    tail = np.cumsum(chances[::-1])[::-1]
    seen = np.flatnonzero(chances)
    p_values = np.array([uneven_p(int(squares), blocks, BINS) for squares in seen])
    assert (tail[seen] * (1 - 1e-13) <= p_values).all()  # less what this sum itself rounds
    assert (p_values <= tail[seen] + 2e-12).all()


@pytest.mark.parametrize("blocks", [LARGEST_EXACT, pytest.param(4 * LARGEST_EXACT, marks=pytest.mark.slow)])
def test_the_chi_square_of_long_batches_is_never_too_small(blocks):
    """Past the largest batch whose tail is summed: the bound holds at every level that decides, and is close."""
    exact, offset = tail_of(blocks, BINS)
    squares = np.flatnonzero((exact < 0.5) & (exact > 1e-9)) + offset
    tails = exact[squares - offset]
    bounds = np.array([chi_square_bound(int(value), blocks, BINS) for value in squares])
    assert (tails <= bounds).all()
    assert (bounds <= 1.65 * tails).all()
