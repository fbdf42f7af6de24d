"""What Gaussian noise of some width can hold is computed from its law."""

import numpy as np
import pytest

from entropy_assets.core.credit.gaussian import pair_entropy
from entropy_assets_tests.scenarios.laws import Gaussian, pair_bits


@pytest.mark.parametrize("sigma", [0.1, 0.25, 0.5, 1.0, 2.0, 2.9, 3.1, 8.0])
def test_the_min_entropy_of_a_pair_is_the_computed_truth(sigma: float) -> None:
    """Levels on a code, and levels spread evenly between codes."""
    assert pair_entropy(sigma) == pytest.approx(pair_bits(Gaussian(sigma), 1000.0), abs=0.02)
    levels = np.random.default_rng(3).uniform(1000, 1100, (256, 256))
    assert pair_entropy(sigma, 16) == pytest.approx(pair_bits(Gaussian(sigma), levels), abs=0.06)
