"""The chi-square tests are the tool's to the digit, and have the size that they claim."""

from pathlib import Path

import numpy as np
import pytest

from entropy_assets.core.sp800_90b.alphabets import numbered
from entropy_assets.core.sp800_90b.iid.chi_square import goodness_of_fit, independence, shares
from entropy_assets_tests.core.sp800_90b.references import IID_FILES, known, symbols_of


@pytest.mark.parametrize("name", IID_FILES)
def test_the_statistics_are_those_of_the_tool(shared_data: Path, name: str) -> None:
    """T, degrees of freedom and P-value, 5.2.1 to 5.2.4."""
    told = known(shared_data)["iid"][name]["chi_square"]
    places, alphabet = numbered(symbols_of(shared_data, name))
    for test, found in (
        ("independence", independence(places, alphabet)),
        ("goodness of fit", goodness_of_fit(places, alphabet)),
    ):
        assert found.statistic == pytest.approx(float(told[test]["T"]), abs=1e-10), test
        assert found.degrees_of_freedom == int(told[test]["df"])
        assert found.p_value == pytest.approx(float(told[test]["P-value"]), abs=1e-10)


def test_shares_are_added_sample_by_sample() -> None:
    """As the tool does, across portions: ten times a tenth is not one."""
    assert shares(np.zeros(10, dtype=np.uint8), 1)[0] == sum([0.1] * 10) != 1.0


@pytest.mark.parametrize("alphabet", [2, 4])
def test_neighbours_that_depend_are_found(alphabet: int) -> None:
    """Each second symbol is the one before, seven times in ten."""
    rng = np.random.default_rng(alphabet)
    symbols = rng.integers(0, alphabet, 6000).astype(np.uint8)
    assert independence(symbols, alphabet).passed
    symbols[1::2] = np.where(rng.random(3000) < 0.7, symbols[::2], symbols[1::2])
    assert not independence(symbols, alphabet).passed


@pytest.mark.parametrize("alphabet", [2, 4])
def test_a_law_that_drifts_is_found(alphabet: int) -> None:
    """The last third has more of the highest symbol."""
    rng = np.random.default_rng(alphabet)
    symbols = rng.integers(0, alphabet, 6000).astype(np.uint8)
    assert goodness_of_fit(symbols, alphabet).passed
    symbols[4000:] = np.where(rng.random(2000) < 0.2, alphabet - 1, symbols[4000:])
    assert not goodness_of_fit(symbols, alphabet).passed


def test_too_few_samples_are_no_failure() -> None:
    """Where no bin expects five, nothing can be tested."""
    few = np.array([0, 1, 2, 3], dtype=np.uint8)
    assert independence(few, 4).p_value is None
    assert independence(few, 4).passed
    assert independence(np.array([0, 1] * 4, dtype=np.uint8), 2).p_value is None


@pytest.mark.slow
@pytest.mark.parametrize("alphabet", [2, 8])
def test_p_values_of_iid_samples_are_uniform(alphabet: int) -> None:
    """Of 2,000 sequences, as many P-values as a tenth of them in each tenth: by a chi-square with 9 degrees."""
    rng = np.random.default_rng(alphabet)
    for test in (independence, goodness_of_fit):
        found = [test(rng.integers(0, alphabet, 4000).astype(np.uint8), alphabet).p_value for _ in range(2000)]
        assert ((np.histogram(found, 10, (0, 1))[0] - 200) ** 2 / 200).sum() < 33.7  # once in 10,000
