"""The truth is true: what is computed is what 1,000,000 draws show, and what books say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropy_assets_tests.scenarios import processing
from entropy_assets_tests.scenarios.laws import (
    Electrons,
    Gaussian,
    Law,
    MedianOf,
    UnevenCodes,
    difference_bits,
    masses_at,
    mean_of,
    pair_bits,
    pixel_bits,
    through_table,
)

DRAWS = 1_000_000
LAWS: dict[str, tuple[Law, float]] = {
    "sigma 0.2, in the middle of a code": (Gaussian(0.2), 5.0),
    "sigma 0.2, between two codes": (Gaussian(0.2), 5.5),
    "sigma 0.6, a third up": (Gaussian(0.6), 5.33),
    "sigma 3": (Gaussian(3.0), 50.2),
    "20 electrons and read noise": (Electrons(1.3, 2.0, 4.0), 20 / 1.3),
    "3 electrons, no read noise": (Electrons(1.0, 0.0, 2.0), 3.0),
    "15,000 electrons in 8 bits": (Electrons(93.7, 0.0, 1.31), 15_000 / 93.7),
    "median of 5": (MedianOf(Gaussian(2.0), 5), 30.4),
    "wide even codes": (UnevenCodes(1.5, 0.162), 31.0),
}


@pytest.mark.parametrize("law, level", LAWS.values(), ids=LAWS)
def test_the_bits_of_a_pixel_are_those_of_a_million_draws(law: Law, level: float) -> None:
    """And so are those of a difference: five standard errors of the likeliest code's share."""
    drawn = law.draw(np.random.default_rng(7), np.full(2 * DRAWS, level))
    differences = drawn[::2] - drawn[1::2]
    for values, bits in ((drawn[:DRAWS], float(pixel_bits(law, level))), (differences, pair_bits(law, level))):
        share = np.bincount(values - values.min()).max() / DRAWS
        assert share == pytest.approx(2.0**-bits, abs=5 * (share * (1 - share) / DRAWS) ** 0.5)


@pytest.mark.parametrize("law, level", LAWS.values(), ids=LAWS)
def test_the_masses_of_all_codes_add_up_to_one(law: Law, level: float) -> None:
    """And the likeliest of them is the one that `pixel_bits` found beside the level."""
    _, masses = masses_at(law, level)
    assert masses.sum() == pytest.approx(1, abs=1e-12)
    assert -np.log2(masses.max()) == pytest.approx(float(pixel_bits(law, level)), abs=1e-12)


@given(st.floats(0.05, 20), st.floats(0, 1), st.floats(0, 1))
def test_a_difference_holds_no_less_than_one_pixel_and_no_more_than_two(
    sigma: float, left: float, right: float
) -> None:
    """Whatever the levels: the other pixel can only blur, and two hold no more than both."""
    law = Gaussian(sigma)
    bits = [float(pixel_bits(law, 100 + level)) for level in (left, right)]
    found = difference_bits(*(masses_at(law, 100 + level)[1] for level in (left, right)))
    assert max(bits) - 1e-9 <= found <= sum(bits) + 1e-9


@given(st.floats(0.05, 20), st.floats(1.01, 3), st.floats(-0.5, 0.5))
def test_wider_noise_never_holds_less(sigma: float, factor: float, place: float) -> None:
    """At any place between two codes, whoever knows the place."""
    assert pixel_bits(Gaussian(sigma * factor), place) >= pixel_bits(Gaussian(sigma), place) - 1e-9


def test_the_place_between_two_codes_decides_where_noise_is_narrow() -> None:
    """Known to the adversary, it leaves nothing in the middle of a code and one bit on its border."""
    middle, border = pixel_bits(Gaussian(0.1), np.array([10.0, 10.5]))
    assert middle < 1e-5
    assert border == pytest.approx(1.0)


def test_wide_noise_holds_what_its_density_says() -> None:
    """log2(sigma sqrt(2 pi)) bits, and half a bit more for a difference."""
    density = np.log2(40 * np.sqrt(2 * np.pi))
    assert float(pixel_bits(Gaussian(40.0), 100.0)) == pytest.approx(density, abs=1e-4)
    assert pair_bits(Gaussian(40.0), 100.0) == pytest.approx(density + 0.5, abs=1e-4)


def test_the_rounded_mean_of_rounded_exposures_follows_its_law() -> None:
    """Rounding twice is in the law: the likeliest of the means of four is as frequent as it says."""
    law, rng = mean_of(2.0, 4), np.random.default_rng(8)
    total = sum(Gaussian(2.0).draw(rng, np.full(DRAWS, 50.0)) for _ in range(4))
    share = np.bincount((total + 2) // 4).max() / DRAWS
    bits = float(pixel_bits(law, 50.0 + 0.125))
    assert share == pytest.approx(2.0**-bits, abs=5 * (share * (1 - share) / DRAWS) ** 0.5)


def test_a_table_that_merges_codes_adds_their_masses() -> None:
    """A digital gain of 0.5 gives what two codes held together; one of 1.37 keeps all codes apart."""
    codes, masses = masses_at(Gaussian(3.0), 1000.0)
    merged = through_table(codes, masses, processing.gain(0.5))
    assert merged.max() == pytest.approx(max(masses[1:] + masses[:-1]), rel=1e-12)
    comb = through_table(codes, masses, processing.gain(1.37))
    assert comb.max() == masses.max()
    assert difference_bits(comb, comb) == pytest.approx(difference_bits(masses, masses))
