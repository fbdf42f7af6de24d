"""Every P-value has the size that it claims, at every block length, and every named defect is caught.

`python -m benchmarks.calibration` prints the full tables. The limits here are 4.5 standard errors of the simulation;
the seeds are fixed.
"""

import numpy as np
import pytest

from entropy_assets.core.sp800_22.second_level.tails import uniformity_p
from entropy_assets.core.validation.block_tests import TESTS, autocorrelation, lags_of, unequal_bits
from entropy_assets.core.validation.second_level import batch_report
from entropy_assets.core.validation.validator import EntropyValidator
from entropy_assets_tests.core.validation.defects import DEFECTS, good


def simulate(n, m, seed):
    """Return the P-values of `m` good blocks of `n` bytes, and their family values."""
    generator = np.random.Generator(np.random.PCG64(seed))
    pieces = []
    while m > 0:
        size = min(m, (1 << 24) // n)
        verdicts = EntropyValidator().validate_blocks(good(generator, size, n))
        pieces.append({**verdicts.p_values, "p_star": verdicts.p_star})
        m -= size
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def assert_sizes(columns, alphas):
    for name, p_values in columns.items():
        for alpha in alphas:
            error = np.sqrt(alpha * (1 - alpha) / len(p_values))
            # Chi-square and Shannon entropy share bytes with the bit tests, so p* may lie under its claim by 2 %.
            slack = 0.02 * alpha if name == "p_star" else 0.0
            assert abs(np.mean(p_values < alpha) - alpha) < 4.5 * error + slack, (name, alpha)


@pytest.mark.parametrize("n, m", [(128, 8000), (256, 20_000), (1024, 8000), (4096, 3000), (65536, 250)])
def test_every_test_has_its_size(n, m):
    """The share of good blocks below 0.05 and 0.01 is 0.05 and 0.01, and the P-values are uniform."""
    columns = simulate(n, m, seed=n)
    assert_sizes(columns, (0.05, 0.01))
    assert all(uniformity_p(columns[name]) > 1e-4 for name in TESTS if n > 128)


@pytest.mark.slow
@pytest.mark.parametrize("n, m", [(256, 400_000), (1024, 200_000), (4096, 100_000), (65536, 6000)])
def test_every_test_has_its_size_far_out(n, m):
    """The same down to one in ten thousand, and uniform over their whole range.

    Shannon entropy takes few enough values at 256 bytes that 400 000 blocks show its steps.
    """
    columns = simulate(n, m, seed=n + 1)
    assert_sizes(columns, (0.05, 0.01, 1e-3, 1e-4))
    assert all(uniformity_p(columns[name]) > 1e-4 for name in TESTS if (name, n) != ("shannon_entropy", 256))


@pytest.mark.slow
def test_the_ties_between_lags_are_accounted_for():
    """At 128 bytes 66 lags share 1024 bits: the covariance of their squares must be in the moments, up to the third.

    What is left of it there is a size of 1.02 at 0.01 and bins within 2 %; at longer blocks it vanishes.
    """
    p_values = simulate(128, 400_000, seed=6)["autocorrelation"]
    assert 0.95 < np.mean(p_values < 0.01) / 0.01 < 1.08
    assert uniformity_p(p_values) > 1e-6


@pytest.mark.slow
def test_the_triples_of_lags_are_accounted_for():
    """Lags d, e and d + e tie their z-values in threes: without that the size at 128 bytes is 1.066 at 0.01."""
    generator, lags = np.random.Generator(np.random.PCG64(6)), np.array(lags_of(128))
    p_values = []
    for _ in range(500):
        unequal = unequal_bits(good(generator, 2048, 128), lags)
        p_values.append(autocorrelation(unequal, lags, 1024, generator.random(2048))[2])
    assert 0.98 < np.mean(np.concatenate(p_values) < 0.01) / 0.01 < 1.045


WEAK = {"bias 0.51": (0.0, 0.25), "bias 0.52": (0.9, 1.0), "bytes never repeat their neighbour": (0.0, 0.05)}
"""Power at 4096 bytes where it is not 1. A bias of 0.51 is 3.6 standard deviations of one block. Bytes that only avoid
their neighbour keep every frequency and hardly touch a bit (a loss of 0.006 bits a byte); none of the four sees it."""


@pytest.mark.parametrize("name", DEFECTS)
def test_every_defect_is_rejected_at_4096_bytes(name):
    """All 40 blocks of each defective source are rejected, or as many as the recorded power says."""
    blocks = DEFECTS[name](np.random.Generator(np.random.PCG64(31)), 40, 4096)
    power = 1.0 - EntropyValidator().validate_blocks(blocks).passed.mean()
    low, high = WEAK.get(name, (1.0, 1.0))
    assert low <= power <= high


@pytest.mark.parametrize("name", [name for name in DEFECTS if name != "bytes never repeat their neighbour"])
def test_a_batch_of_64_blocks_shows_every_defect(name):
    """Also the bias that single blocks hide."""
    blocks = DEFECTS[name](np.random.Generator(np.random.PCG64(32)), 64, 4096)
    assert not batch_report(EntropyValidator().validate_blocks(blocks)).passed
