"""The generators make what they say: periods, sequences, copies, bounds; and a name fixes every pixel."""

from itertools import islice

import numpy as np
import pytest
from scipy import fft

from entropy_assets.images.decode import decode
from entropy_assets_tests.scenarios import attacks, processing, sensors
from entropy_assets_tests.scenarios.catalogue import CATALOGUE, scenario_named
from entropy_assets_tests.scenarios.judging import judge, whole_bits
from entropy_assets_tests.scenarios.laws import Codes
from entropy_assets_tests.scenarios.scenario import Scenario


def codes_of(scenario: Scenario, place: int = 0) -> Codes:
    return decode(scenario.exposures[place].data, source="raw-ccd").pixels[0].astype(np.int64)


def test_the_register_has_the_longest_period() -> None:
    """65,535 bits, and no shorter one that divides it: 3, 5, 17 and 257 are its factors."""
    bits = list(islice(attacks.lfsr_bits(0xACE1), 2 * 65_535))
    assert bits[:65_535] == bits[65_535:]
    assert all(bits[: 65_535 - 65_535 // prime] != bits[65_535 // prime : 65_535] for prime in (3, 5, 17, 257))


def test_xorshift_gives_the_published_sequence() -> None:
    """The first number after the paper's seed 2463534242."""
    assert next(attacks.xorshift32(2_463_534_242)) == 723_471_715


def test_the_simulators_generator_is_that_of_every_libc() -> None:
    """What ``random()`` gives in a program that never calls ``srandom()``."""
    assert list(islice(attacks.additive_feedback(1), 3)) == [1_804_289_383, 846_930_886, 1_681_692_777]


def test_eight_orientations_are_eight() -> None:
    plane = np.arange(9).reshape(3, 3)
    assert len({attacks.turned(plane, n).tobytes() for n in range(8)}) == 8


def test_a_sparse_spectrum_has_the_frequencies_that_it_says() -> None:
    """But for the rounding of pixels, a twelfth of a code squared in every frequency."""
    scenario = attacks.sparse_spectrum(np.random.default_rng(1), 128, 0.1)
    power = fft.dctn(codes_of(scenario) - 1000.0, norm="ortho") ** 2
    assert np.sort(power, axis=None)[: int(0.89 * power.size)].max() < 3
    assert codes_of(scenario).std() == pytest.approx(attacks.SIGMA, rel=0.1)


def test_dither_leaves_the_code_that_it_was_added_to() -> None:
    """Each 16-bit value lies in the box of its 8-bit code, so who knows the dither learns no more than the code."""
    codes = codes_of(processing.dithered(np.random.default_rng(1), 64, 16, 0.3))
    assert set(np.unique(codes // 16)) <= {99, 100, 101, 102}
    assert len(np.unique(codes % 16)) == 16


def test_uneven_codes_are_as_uneven_as_they_say() -> None:
    codes = codes_of(sensors.uneven_adc(np.random.default_rng(1), 512, 24.0, 0.419))
    assert (codes % 2).mean() == pytest.approx(0.419, abs=0.005)


def test_copies_hold_what_one_of_them_holds() -> None:
    """The bound of eight orientations is the bits of one exposure; of tiles, those of one tile."""
    one = whole_bits(attacks.orientations(np.random.default_rng(1), 64, 1))
    assert whole_bits(attacks.orientations(np.random.default_rng(1), 64, 8)) == one
    small, large = (attacks.tiles(np.random.default_rng(1), side, attacks.any_sign) for side in (64, 256))
    assert whole_bits(small) == whole_bits(large) == pytest.approx(one)


def test_b_counts_the_credited_regions_and_no_others() -> None:
    """Half of a frame is lost lines: B is what the other half holds."""
    scenario = sensors.clean(np.random.default_rng(1), 128, 8.0)
    data = bytearray(scenario.exposures[0].data)
    data[2880 : 2880 + 128 * 64 * 2] = data[2880:2882] * (128 * 64)
    exposure = type(scenario.exposures[0])(bytes(data), scenario.exposures[0].truth)
    judged = judge(Scenario((exposure,)), "raw-ccd")
    assert judged.regions == pytest.approx(whole_bits(scenario) / 2)
    assert 0 < judged.ratio < 1


@pytest.mark.parametrize("name", ["sky of 20 e-, read noise 1.5 e-, 1 e- per code", "64 x 64 tile, rolled + gain"])
def test_a_name_fixes_every_pixel(name: str) -> None:
    first, second = scenario_named(name, 64), scenario_named(name, 64)
    assert [one.data for one in first.exposures] == [one.data for one in second.exposures]
    assert len({scenario_named(other, 64).exposures[0].data for other in list(CATALOGUE)[:4]}) == 4
