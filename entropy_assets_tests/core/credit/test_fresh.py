"""What is left fresh is computed from the law of the noise, and a first frame is taken for mostly pattern."""

import numpy as np
import pytest

from entropy_assets.core.credit.gaussian import pair_entropy
from entropy_assets_tests.scenarios.judging import Memory, assessed
from entropy_assets_tests.scenarios.laws import Gaussian, pair_bits
from entropy_assets_tests.scenarios.scenario import fits_file


@pytest.mark.parametrize("sigma", [0.1, 0.25, 0.5, 1.0, 2.0, 2.9, 3.1, 8.0])
def test_the_min_entropy_of_a_pair_is_the_computed_truth(sigma: float) -> None:
    """Levels on a code, and levels spread evenly between codes."""
    assert pair_entropy(sigma) == pytest.approx(pair_bits(Gaussian(sigma), 1000.0), abs=0.02)
    levels = np.random.default_rng(3).uniform(1000, 1100, (256, 256))
    assert pair_entropy(sigma, 16) == pytest.approx(pair_bits(Gaussian(sigma), levels), abs=0.06)


def test_the_first_frame_of_a_sensor_is_taken_for_mostly_pattern_and_the_next_one_is_not() -> None:
    rng = np.random.default_rng(8)
    files = [fits_file(Gaussian(2.0).draw(rng, np.full((160, 160), 1000.0))) for _ in range(2)]
    memory = Memory()
    first, second = (memory.spend(*assessed(data, "raw-ccd")) for data in files)
    assert first.limited_by == "sole_frame"
    assert second.limited_by != "sole_frame"
    assert 2 * first.credit_bits < second.credit_bits


def test_a_frame_that_is_mostly_an_earlier_one_moved_is_worth_nothing() -> None:
    """Rolled around its edges it fits at four places, of which the smallest may stay unseen."""
    rng = np.random.default_rng(9)
    codes = Gaussian(9.0).draw(rng, np.full((160, 192), 1000.0))
    memory = Memory()
    assert memory.spend(*assessed(fits_file(codes), "raw-ccd")).credit_bits > 0
    for other in (np.rot90(codes), np.roll(codes, (30, 50), axis=(0, 1)), codes[::-1]):
        assert memory.spend(*assessed(fits_file(np.ascontiguousarray(other)), "raw-ccd")).credit_bits == 0
