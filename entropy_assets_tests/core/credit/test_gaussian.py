"""What is left beside what is known is computed from the law of the noise."""

import numpy as np
import pytest

from entropy_assets.core.credit.gaussian import first_frame_entropy, left_beside, pair_entropy, pixel_entropy
from entropy_assets_tests.scenarios.laws import Gaussian, pair_bits, pixel_bits


@pytest.mark.parametrize("sigma", [0.1, 0.25, 0.5, 1.0, 2.0, 2.9, 3.1, 8.0])
def test_the_min_entropy_of_a_pair_is_the_computed_truth(sigma: float) -> None:
    """Levels on a code, and levels spread evenly between codes."""
    assert pair_entropy(sigma) == pytest.approx(pair_bits(Gaussian(sigma), 1000.0), abs=0.02)
    levels = np.random.default_rng(3).uniform(1000, 1100, (256, 256))
    assert pair_entropy(sigma, 16) == pytest.approx(pair_bits(Gaussian(sigma), levels), abs=0.06)


@pytest.mark.parametrize("sigma", [0.15, 0.5, 1.0, 2.9, 3.1, 8.0])
def test_the_min_entropy_of_a_pixel_is_the_computed_truth(sigma: float) -> None:
    levels = np.random.default_rng(4).uniform(1000, 1100, (256, 256))
    assert pixel_entropy(sigma) == pytest.approx(float(pixel_bits(Gaussian(sigma), levels).mean()), abs=0.02)
    assert pixel_entropy(0.0) == 0


@pytest.mark.parametrize("sigma", [0.66, 1.0, 2.0, 4.0, 6.0, 9.0, 25.0])
def test_a_first_frame_is_credited_less_than_it_holds_beside_a_pattern_eight_times_as_wide(sigma: float) -> None:
    """And nothing more than nine tenths of known variance leave, nor less than either says."""
    levels = np.random.default_rng(5).uniform(1000, 1100, (256, 256))
    both = 2 * float(pixel_bits(Gaussian(sigma / 65**0.5), levels).mean())
    worth = first_frame_entropy(sigma, 0.9, 8, (3, 4))
    assert 0.75 * worth < 0.93 * both
    assert worth == pytest.approx(min(1.2 * both, pair_entropy(sigma * 0.1**0.5, 16)), rel=0.03)
    assert first_frame_entropy(sigma, 0.9, 0, (3, 4)) == pytest.approx(pair_entropy(sigma * 0.1**0.5, 16))


@pytest.mark.parametrize("sigma", [1.0, 3.0, 8.0])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_beside_a_known_pattern_no_more_is_left_than_the_fresh_noise_holds(sigma: float, share: float) -> None:
    """However rich the whole was found; and nothing is taken off where nothing is known."""
    fresh = pair_bits(Gaussian(sigma * (1 - share) ** 0.5), 1000.0)
    for whole in (pair_entropy(sigma), pair_entropy(sigma) - 0.7, 8.0):
        assert left_beside(whole, sigma, 8, share) <= min(whole, fresh + 0.02)
        assert left_beside(whole, sigma, 8, 0.0) == whole
        assert left_beside(whole, sigma, 8, 1.0) == 0
    poorer = pair_entropy(sigma) / 2
    assert left_beside(poorer, sigma, 8, share) == pytest.approx(fresh / 2, abs=0.02)
