"""A first frame is taken for mostly pattern, and a copy of an earlier one for nothing."""

import numpy as np

from entropy_assets_tests.scenarios.judging import Memory, assessed
from entropy_assets_tests.scenarios.laws import Gaussian
from entropy_assets_tests.scenarios.scenario import fits_file


def test_the_first_frame_of_a_sensor_is_taken_for_mostly_pattern_and_the_next_one_is_not() -> None:
    rng = np.random.default_rng(8)
    files = [fits_file(Gaussian(2.0).draw(rng, np.full((160, 160), 1000.0))) for _ in range(2)]
    memory = Memory()
    first, second = (memory.spend(*assessed(data, "raw-ccd")) for data in files)
    assert first.limited_by == "sole_frame"
    assert second.limited_by != "sole_frame"
    assert 2 * first.credit_bits < second.credit_bits


def test_coarse_steps_limit_a_first_frame_and_what_the_memory_measures_the_next() -> None:
    """Half a photon a pixel, of 37 codes, over a pattern of 8: a few values are new, and they look like noise of 25."""
    rng = np.random.default_rng(10)
    pattern = 1000 + rng.normal(0, 8, (256, 256))
    files = [fits_file(np.rint(pattern + 37.3 * rng.poisson(0.5, pattern.shape)).astype(int)) for _ in range(2)]
    memory = Memory()
    (first, second), holds = (memory.spend(*assessed(data, "raw-ccd")) for data in files), 0.5 / np.log(2)
    assert (first.limited_by, second.limited_by) == ("coarse_steps", "repeats")
    assert 0 < first.credit_bits < second.credit_bits < holds * pattern.size


def test_a_frame_that_is_mostly_an_earlier_one_moved_is_worth_nothing() -> None:
    """Rolled around its edges it fits at four places, of which the smallest may stay unseen."""
    rng = np.random.default_rng(9)
    codes = Gaussian(9.0).draw(rng, np.full((160, 192), 1000.0))
    memory = Memory()
    assert memory.spend(*assessed(fits_file(codes), "raw-ccd")).credit_bits > 0
    for other in (np.rot90(codes), np.roll(codes, (30, 50), axis=(0, 1)), codes[::-1]):
        assert memory.spend(*assessed(fits_file(np.ascontiguousarray(other)), "raw-ccd")).credit_bits == 0
