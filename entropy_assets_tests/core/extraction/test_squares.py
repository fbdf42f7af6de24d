"""Each square is measured exactly, and a dead one is called by what killed it."""

import numpy as np
import pytest

from entropy_assets.core.extraction.squares import Verdict, bit_entropy
from entropy_assets_tests.core.frames import survey, white


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
