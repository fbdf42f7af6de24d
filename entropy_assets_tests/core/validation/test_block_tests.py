"""Every vectorised statistic is what its definition says, bit by bit."""

import json
import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from entropy_assets.core.validation import block_tests
from entropy_assets.core.validation.block_tests import (
    TESTS,
    autocorrelation,
    byte_counts,
    chi_square,
    fair_coin_p,
    lags_of,
    run_tests,
    runs_sp80022,
    shannon_entropy,
    sidak,
    unequal_bits,
)
from entropy_assets_tests.core.second_hashing import BLOCK_LENGTHS, kept_vectors, pattern
from entropy_assets_tests.core.validation.defects import good


def bits_of(block):
    return [int(bit) for byte in block for bit in f"{byte:08b}"]


small_blocks = st.integers(128, 150).flatmap(
    lambda n: hnp.arrays(np.uint8, st.tuples(st.integers(1, 3), st.just(n)), elements=st.integers(0, 255))
)


@given(small_blocks)
@settings(max_examples=25, deadline=None)
def test_statistics_are_those_of_plain_python(blocks):
    """Entropy, chi-square, ones, runs and every lag, against loops over bytes and bits, at odd lengths too."""
    m, n = blocks.shape
    lags = lags_of(n)
    values = run_tests(blocks)
    counted = unequal_bits(blocks, np.array(lags))
    for i in range(m):
        bits, tally = bits_of(blocks[i]), [blocks[i].tolist().count(value) for value in range(256)]
        entropy = -sum(count / n * math.log2(count / n) for count in tally if count)
        assert values.shannon_bits[i] == pytest.approx(entropy, abs=1e-9)
        assert values.chi_square[i] == pytest.approx(sum((c - n / 256) ** 2 for c in tally) * 256 / n)
        assert values.ones[i] == sum(bits)
        assert values.runs[i] == 1 + sum(a != b for a, b in pairwise(bits))
        unequal = [sum(a != b for a, b in zip(bits, bits[lag:], strict=False)) for lag in lags]
        assert counted[i].tolist() == unequal
        z = [(8 * n - lag - 2 * u) / math.sqrt(8 * n - lag) for lag, u in zip(lags, unequal, strict=True)]
        worst = max(range(len(z)), key=lambda k: abs(z[k]))
        assert abs(values.worst_lag_z[i]) == pytest.approx(abs(z[worst]))


def test_lags_cover_words_and_rows_up_to_a_quarter_of_the_block():
    """All lags of a 64-bit word at every length; rows of 16 to 2048 bytes where four of them fit."""
    assert lags_of(128) == (*range(1, 65), 128, 256)
    assert lags_of(4096) == (*range(1, 65), 128, 256, 512, 1024, 2048, 4096, 8192)
    assert lags_of(65536)[-1] == 16384


def test_chunks_change_nothing(monkeypatch):
    """Working memory is bounded by cutting batches and long blocks; the numbers are the same."""
    blocks = good(np.random.Generator(np.random.PCG64(1)), 7, 1000)
    whole = run_tests(blocks)
    monkeypatch.setattr(block_tests, "_CHUNK_BYTES", 2500)
    monkeypatch.setattr(block_tests, "_HISTOGRAM_BYTES", 70)
    cut = run_tests(blocks)
    for name in TESTS:
        assert np.array_equal(whole.p_values[name], cut.p_values[name])


def test_a_p_value_is_a_function_of_its_block_alone():
    """The same block gives the same P-values in any batch, at any place, in any memory layout."""
    blocks = good(np.random.Generator(np.random.PCG64(2)), 9, 640)
    together = run_tests(np.asfortranarray(blocks))
    for i in range(9):
        alone = run_tests(blocks[i : i + 1])
        assert all(alone.p_values[name][0] == together.p_values[name][i] for name in TESTS)


@pytest.mark.parametrize("length", BLOCK_LENGTHS)
def test_the_uniform_numbers_of_a_block_are_the_vectors(length):
    """P-values are spread by numbers that anybody can repeat from the block alone."""
    block = np.frombuffer(pattern("block", length), np.uint8)
    assert block_tests._uniforms(block[None]).tolist() == [kept_vectors()["uniforms"][str(length)]]


@pytest.mark.parametrize("name, expected", [("pi", 0.41926842044315493), ("e", 0.5619168850302544)])
def test_runs_of_the_standard_agree_with_its_tool(shared_data, name, expected):
    """The formula of SP 800-22 2.3.4 on a million bits of pi and e, as sts-2.1.2 prints it."""
    block = np.fromfile(shared_data / "statistics" / f"{name}_1e6.bin", np.uint8)[None]
    reference = json.loads((shared_data / "statistics" / "sp80022_reference.json").read_text())
    row = next(row for row in reference["results"] if (row["file"], row["test"]) == (name, "Runs"))
    values = run_tests(block)
    assert row["p_sts212_full"] == [expected]
    assert values.runs[0] == row["statistics"]["V_n"]
    assert values.ones[0] / 1e6 == pytest.approx(row["statistics"]["pi"])
    assert values.runs_sp80022[0] == pytest.approx(expected, rel=1e-9)


def test_the_worked_example_of_the_runs_test():
    """SP 800-22 2.3.8: 100 bits of pi, 42 ones, 52 runs, P = 0.500798; and the prerequisite that it starts from."""
    assert runs_sp80022(np.array([42]), np.array([51]), 100)[0] == pytest.approx(0.500798, abs=5e-7)
    assert runs_sp80022(np.array([29]), np.array([51]), 100)[0] == 0.0
    assert runs_sp80022(np.array([0, 100]), np.array([0, 0]), 100).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("n", [9, 10, 33])
def test_the_binomial_p_value_is_exact_and_uniform(n):
    """Spread over its steps, the two-sided P-value has the size that it says, in exact fractions."""
    probability = [Fraction(math.comb(n, k), 2**n) for k in range(n + 1)]
    grid = (np.arange(200) + 0.5) / 200
    p_value = np.array([fair_coin_p(np.full(200, k), n, grid) for k in range(n + 1)])
    for alpha in (0.5, 0.1, 0.05, 0.01):
        size = sum(float(weight) * np.mean(row < alpha) for weight, row in zip(probability, p_value, strict=True))
        assert size == pytest.approx(alpha, abs=0.003)
    edge = fair_coin_p(np.array([n]), n, np.array([0.5]))[0]
    assert edge == pytest.approx(float(probability[0]))


def test_the_binomial_p_value_never_reaches_zero():
    """The smallest P-value is a floor, so that logarithms and scores stay finite."""
    assert fair_coin_p(np.array([0, 32768]), 32768, np.array([0.5, 0.5])).tolist() == [1e-13, 1e-13]


@given(st.floats(0, 1), st.integers(1, 200))
def test_sidak_is_the_chance_of_the_smallest_of_k(p_value, k):
    """``1 - (1 - p)**k``, without losing small values."""
    assert sidak(np.array([p_value]), k)[0] == pytest.approx(1 - (1 - Fraction(p_value)) ** k, rel=1e-9, abs=1e-300)


def test_too_even_and_too_uneven_are_both_defects():
    """Chi-square is two-sided, Shannon entropy is not: it can't be too high for its own test."""
    even = np.full((1, 256), 16)
    uneven = np.concatenate([np.full((1, 128), 26), np.full((1, 128), 6)], axis=1)
    half = np.array([0.5])
    assert chi_square(even, 4096, half)[1][0] < 1e-12
    assert chi_square(uneven, 4096, half)[1][0] < 1e-12
    assert shannon_entropy(even, 4096)[0][0] == pytest.approx(8.0)
    assert shannon_entropy(even, 4096)[1][0] > 0.999
    assert shannon_entropy(uneven, 4096)[1][0] < 1e-12


def test_a_correlation_that_is_spread_over_all_lags_is_seen():
    """No lag stands out, yet the sum of their squares does: the half of the test that a worst lag can't see."""
    lags, n_bits = np.array(lags_of(4096)), 32768
    unequal = np.round((n_bits - lags) / 2 - 1.9 * np.sqrt(n_bits - lags) / 2).astype(np.int64)[None]
    assert autocorrelation(unequal, lags, n_bits, np.array([0.5]))[2][0] < 1e-9
    alone = np.round((n_bits - lags) / 2).astype(np.int64)[None]
    alone[0, 5] -= 4 * 90
    worst, z, p_value = autocorrelation(alone, lags, n_bits, np.array([0.5]))
    assert (worst[0], round(float(z[0]))) == (6, 4)
    assert p_value[0] == pytest.approx(2 * 71 * 6.3e-5, rel=0.2)


def test_the_calmest_possible_block_gives_numbers():
    """All lags exactly balanced: improbable beyond measure, but no NaN and no warning."""
    lags = np.array(lags_of(256))
    p_value = autocorrelation(((2048 - lags) // 2)[None], lags, 2048, np.array([0.5]))[2]
    assert 0.9 < p_value[0] <= 1.0


def test_counts_are_whole_at_every_width():
    """Long blocks are counted in pieces; no byte is lost or counted twice."""
    block = good(np.random.Generator(np.random.PCG64(3)), 1, 3_000_001)
    assert np.array_equal(byte_counts(block)[0], np.bincount(block[0], minlength=256))
