"""Each square is measured exactly, and a dead one is called by what killed it."""

import numpy as np
import pytest

from entropy_assets.core.credit.assessment import assess_image
from entropy_assets.core.extraction.squares import Verdict, bit_entropy
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.errors import RejectionReason
from entropy_assets.recipe import STANDARD, recipe_named
from entropy_assets_tests.core.frames import frame, survey, white
from entropy_assets_tests.scenarios.laws import Gaussian, UnevenCodes, pair_bits


@pytest.mark.parametrize(
    "damage, verdict",
    [
        (lambda p: p.__setitem__(np.s_[:], 1000), Verdict.CONSTANT),
        (lambda p: p.__setitem__(np.s_[10, :], 1000), Verdict.CONSTANT),
        (lambda p: p.__setitem__(np.s_[:, 10], 1000), Verdict.CONSTANT),
        (lambda p: p.__setitem__(np.s_[10, :], p[9, :]), Verdict.CONSTANT),
        (lambda p: p.__setitem__(np.s_[:, 10], p[:, 9]), Verdict.CONSTANT),
        (lambda p: p.__setitem__(np.s_[:], p // 7 * 7), Verdict.BIASED_LSB),
        (lambda p: p.__setitem__(np.s_[:], np.rint(1000 + (p - 1000) / 16)), Verdict.QUANTISED),
        (lambda p: p.__setitem__(np.s_[:, 1:], (p[:, 1:] + p[:, :-1]) // 2), Verdict.CORRELATED),
        (lambda p: p.__setitem__(np.s_[1:], (p[1:] + p[:-1]) // 2), Verdict.CORRELATED),
        (lambda p: p.__setitem__(np.s_[:], p & ~(p % 3 == 0).astype(int)), Verdict.BIASED_LSB),
    ],
    ids=[
        "flat", "lost row", "lost column", "copied row", "copied column", "coarse step", "quiet", "smoothed in x",
        "smoothed in y", "uneven codes",
    ],
)  # fmt: skip
def test_each_kind_of_dead_square_is_named(damage: object, verdict: Verdict) -> None:
    """One square of live noise is spoiled in one way: exactly that square is masked, for that reason."""
    pixels = white((96, 96))
    damage(pixels[32:64, 32:64])  # type: ignore[operator]
    if verdict is Verdict.BIASED_LSB:
        pixels[32:64, 32:64] &= ~1
    expected = np.zeros((3, 3), dtype=np.uint8)
    expected[1, 1] = verdict
    assert survey(pixels).verdict.tolist() == expected.tolist()


@pytest.mark.parametrize("odd, sigma, is_live", [(0.42, 24.0, True), (0.36, 3.0, True), (0.25, 3.0, False)])
def test_uneven_codes_are_live_by_what_remains(odd: float, sigma: float, is_live: bool) -> None:
    """A lowest bit that holds nine tenths of a bit is noise; one that hangs is not. Recipe ea-2026-1 wanted .99."""
    law = UnevenCodes(sigma, 1 - 2 * odd)
    codes = law.draw(np.random.default_rng(1), np.full((256, 256), 1000.0))
    assert survey(codes).live_fraction == pytest.approx(float(is_live), abs=0.1)
    before = survey_frame(frame(codes), recipe_named("ea-2026-1"))
    assert before.live_fraction < 0.2
    assert before.dominant_reason is RejectionReason.UNEVEN_CODES


@pytest.mark.parametrize("factor", [1.0, 1.37])
def test_noise_of_the_least_width_is_live_and_honestly_worth(factor: float) -> None:
    """0.6 ADC steps in the middle of a code, where the lowest bit is least balanced: P(odd) is .39."""
    codes = np.floor(white((256, 256), 0.6) * factor + 0.5).astype(np.int64)
    assert survey(codes).live_fraction > 0.9
    known = float(pair_bits(Gaussian(0.6), 1000.0))
    image = assess_image(frame(codes), bytes(32), STANDARD)
    assert 0.3 * known < image.assessment.min_entropy < known


def test_saturation_is_found_at_the_container_and_at_the_adc() -> None:
    """Pixels cut at 65,535, or at any code where they pile up, mask their square; a bright star does not."""
    pixels = white((96, 96))
    pixels[:, :32] = np.minimum(pixels[:, :32] + 64_530, 65_535)
    assert (survey(pixels).verdict[:, 0] == Verdict.SATURATED).all()
    clipped = np.minimum(white((96, 96)), 1004)
    assert (survey(clipped).verdict == Verdict.SATURATED).all()
    star = white((96, 96))
    star[50, 50] = 65_535
    assert survey(star).verdict.tolist() != np.full((3, 3), Verdict.SATURATED).tolist()
    assert np.count_nonzero(survey(star).live) >= 8


def test_a_picture_clipped_at_both_ends_is_saturated() -> None:
    """Mostly black with white spots: the rarer end is a limit too, since it is the container's own."""
    pixels = np.where(np.random.default_rng(1).random((96, 96)) < 0.1, 255, 0)
    pixels[:, 5] = 0
    assert (survey(pixels, bit_depth=8).verdict == Verdict.SATURATED).all()


def test_most_squares_of_white_noise_survive_at_any_strength() -> None:
    """From 1 step upwards the limits lose few honest squares."""
    for sigma in (1.0, 2.0, 7.0, 100.0, 1e5, 1e9):
        assert survey(white((256, 256), sigma)).live_fraction > 0.9, sigma


def test_bit_entropy_at_its_corners() -> None:
    """0 and 1 bit, without a logarithm of zero."""
    assert bit_entropy(np.array([0.0, 0.5, 1.0])).tolist() == pytest.approx([0, 1, 0], abs=1e-9)
