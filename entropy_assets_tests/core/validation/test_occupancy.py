"""The null distributions of the byte counts are exact: against full enumeration, and against published moments."""

import numpy as np
import pytest
from scipy import special

from entropy_assets.core.validation.occupancy import (
    CELLS,
    SHANNON_FLOOR_BITS,
    Statistic,
    chi_square_of_pairs,
    null_of,
    shannon_floor_applies,
    shannon_of_log_likelihood,
)


def enumerated_pairs(n_bytes, most):
    """Return the probability of each number of pairs up to `most`, by convolving 256 cells with no approximation."""
    table = np.zeros((n_bytes + 1, most + 1))
    mean = n_bytes / CELLS
    for count in range(n_bytes + 1):
        pairs = count * (count - 1) // 2
        if pairs <= most:
            table[count, pairs] = np.exp(count * np.log(mean) - mean - special.gammaln(count + 1))
    shape = [2 * size for size in table.shape]
    for _ in range(8):  # 256 cells are 8 doublings; what leaves the table can't come back, counts only grow
        spectrum = np.fft.rfft2(table, shape)
        table = np.fft.irfft2(spectrum * spectrum, shape)[: n_bytes + 1, : most + 1]
    return table[n_bytes] / np.exp(n_bytes * np.log(n_bytes) - n_bytes - special.gammaln(n_bytes + 1))


@pytest.mark.parametrize("n_bytes, most", [(128, 110), (256, 260), (512, 760)])
def test_the_distribution_of_pairs_is_exact(n_bytes, most):
    """Both tails agree with full enumeration down to one in a million, and so does every step between whole numbers."""
    probability = enumerated_pairs(n_bytes, most)
    assert probability.sum() == pytest.approx(1.0, abs=1e-9)
    null = null_of(Statistic.PAIRS, n_bytes)
    steps = np.arange(most + 1)
    below, above = np.cumsum(probability), 1.0 - np.cumsum(probability) + probability
    for exact, series in ((below, null.lower(steps + 0.5)), (above, null.upper(steps - 0.5))):
        far = (exact > 1e-6) & (exact < 0.9)
        assert np.abs(series[far] / exact[far] - 1.0).max() < 1e-6
    middle = below[:-1] + probability[1:] / 2
    usual = (middle > 1e-4) & (middle < 0.9)
    assert np.allclose(null.lower(steps[1:] + 0.0)[usual], middle[usual], rtol=1e-6)


@pytest.mark.parametrize(
    "n_bytes, mean, sd",
    [
        (256, 7.17497, 0.0524),
        (512, 7.59044, 0.0336),
        (1024, 7.80876, 0.0172),
        (2048, 7.90797, 0.0082),
        (4096, 7.95459, 0.00403),
        (16384, 7.98874, 0.00100),
        (65536, 7.99719, 0.00025),
    ],
)
def test_shannon_entropy_has_the_published_mean_and_spread(n_bytes, mean, sd):
    """Mean and standard deviation of the plug-in entropy of uniform bytes, to the digits of the reference table."""
    null = null_of(Statistic.LOG_LIKELIHOOD, n_bytes)
    assert shannon_of_log_likelihood(np.array([null.mean]), n_bytes)[0] == pytest.approx(mean, abs=6e-6)
    assert null.sd / n_bytes / np.log(2) == pytest.approx(sd, rel=0.02)


def test_the_mean_of_shannon_entropy_is_that_of_the_binomial_counts():
    """The series gives the mean that follows from one binomial count alone, which needs no series."""
    for n_bytes in (128, 1000, 4096):
        counts = np.arange(n_bytes + 1.0)
        log_probability = (
            special.gammaln(n_bytes + 1) - special.gammaln(counts + 1) - special.gammaln(n_bytes - counts + 1)
        )
        log_probability += special.xlogy(counts, 1 / CELLS) + (n_bytes - counts) * np.log1p(-1 / CELLS)
        mean = CELLS * np.sum(np.exp(log_probability) * special.xlogy(counts, counts))
        null = null_of(Statistic.LOG_LIKELIHOOD, n_bytes)
        assert null.mean == pytest.approx(mean, abs=1e-6 * null.sd)


@pytest.mark.parametrize("n_bytes", [128, 256, 4096, 65536, 1 << 20])
def test_chi_square_has_255_degrees_of_freedom(n_bytes):
    """Mean 255 and variance 510 (1 - 1/N), at every length."""
    null = null_of(Statistic.PAIRS, n_bytes)
    assert chi_square_of_pairs(np.array([null.mean]), n_bytes)[0] == pytest.approx(255.0, abs=1e-6)
    step = 2 * CELLS / n_bytes
    assert (null.sd * step) ** 2 == pytest.approx(510.0 * (1 - 1 / n_bytes), rel=1e-4)


def test_chi_square_meets_its_limit_on_long_blocks():
    """At a mebibyte the exact distribution is the chi-square distribution of the textbook."""
    n_bytes = 1 << 20
    for quantile in (159.4, 187.2, 200.6, 255.0, 316.9, 335.9, 381.1):
        pairs = np.array([((quantile + n_bytes) * n_bytes / CELLS - n_bytes) / 2])
        null = null_of(Statistic.PAIRS, n_bytes)
        assert null.lower(pairs)[0] == pytest.approx(special.gammainc(127.5, quantile / 2), rel=0.005)
        assert null.upper(pairs)[0] == pytest.approx(special.gammaincc(127.5, quantile / 2), rel=0.005)


def test_both_tails_add_up_and_are_monotone():
    """A distribution function: from 0 to 1, never back, its complement the other tail."""
    for statistic in Statistic:
        null = null_of(statistic, 777)
        values = np.linspace(null.mean - 12 * null.sd, null.mean + 12 * null.sd, 1001)
        lower, upper = null.lower(values), null.upper(values)
        assert np.all(np.diff(lower) >= 0)
        assert np.all(np.diff(upper) <= 0)
        assert np.allclose(lower + upper, 1.0, atol=2e-5)


def test_the_floor_of_7_8_applies_where_it_costs_one_block_in_a_million():
    """A perfect 1024-byte block fails 7.8 in three cases of ten; from about 1450 bytes on, hardly ever."""
    at_floor = 1024 * (np.log(1024) - SHANNON_FLOOR_BITS * np.log(2))
    assert null_of(Statistic.LOG_LIKELIHOOD, 1024).upper(np.array([at_floor]))[0] == pytest.approx(0.30, abs=0.02)
    assert not shannon_floor_applies(1024)
    assert not shannon_floor_applies(1400)
    assert shannon_floor_applies(1500)
    assert shannon_floor_applies(4096)
