"""Probes tell a copy from a pattern, whatever part of the frame was copied, and where both frames were live."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from entropy_assets.core.credit.elsewhere.moved import Turned
from entropy_assets.core.credit.gaussian import pair_entropy
from entropy_assets.core.credit.memory import recollection_of
from entropy_assets.core.credit.sketches import Sketch, sketch_of
from entropy_assets.core.credit.squarewise.probes import DEAD, OUTLIER, Probes, Twins, copied_share, probes_of_square
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.core.frames import frame, white

SIDE, SIGMA = 256, 9.0


def noise(seed: int, sigma: float = SIGMA) -> np.ndarray:
    return white((SIDE, SIDE), sigma=sigma, seed=seed)


def sketch(pixels: np.ndarray) -> Sketch:
    image = frame(pixels)
    return sketch_of(image, survey_frame(image, STANDARD))


def fresh_bits(mine: Sketch, other: Sketch, sign: int = 1) -> float:
    twins = Twins.of(mine.probes, other.probes)
    found = twins and twins.fresh_bits(mine.sigma, sign)
    assert found
    return found.bits


def squares(share: float, seed: int = 4) -> np.ndarray:
    chosen = np.random.default_rng(seed).random((SIDE // 32, SIDE // 32)) < share
    return np.kron(chosen, np.ones((32, 32), dtype=np.bool_))


FIRST = sketch(noise(1))


def test_small_frames_have_many_probes_of_a_square_and_large_ones_one_in_each() -> None:
    assert [probes_of_square(count) for count in (1, 4, 64, 1000, 1024, 50_000)] == [512, 256, 16, 1, 1, 1]
    assert FIRST.probes.codes.shape == (64, 16)
    assert len({*FIRST.probes.codes[0].tolist()}) > 12, "different pixels"


def test_probes_come_back_from_their_bytes() -> None:
    again = Probes.from_bytes(FIRST.probes.to_bytes())
    assert np.array_equal(again.codes.ravel(), FIRST.probes.codes.ravel())
    assert Twins.of(FIRST.probes, Probes.from_bytes(b"")) is None
    assert Twins.of(FIRST.probes, Probes.from_bytes(FIRST.probes.to_bytes()[2:])) is None


@pytest.mark.parametrize("sigma", [0.8, 9.0, 60.0])
def test_of_independent_frames_all_is_left_and_of_a_pattern_what_is_fresh(sigma: float) -> None:
    whole = pair_entropy(sigma)
    one, other = (sketch(noise(seed, sigma)) for seed in (11, 12))
    assert whole - 0.1 < fresh_bits(one, other)
    pattern = noise(9, 4 * sigma) - 1000
    one, other = (sketch(noise(seed, sigma) + pattern) for seed in (11, 12))
    assert whole - 0.15 < fresh_bits(one, other) < whole + 0.5


REPLACED: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "squares": lambda rng: np.kron(rng.random((8, 8)) < 0.25, np.ones((32, 32))) > 0,
    "pieces of squares": lambda rng: np.kron(rng.random((64, 64)) < 0.25, np.ones((4, 4))) > 0,
}


@pytest.mark.parametrize("name", REPLACED)
def test_of_a_copy_with_other_noise_in_some_places_those_are_left(name: str) -> None:
    chosen = REPLACED[name](np.random.default_rng(5))
    made = sketch(np.where(chosen, noise(2), noise(1)))
    share = float((chosen[:, ::2] | chosen[:, 1::2]).mean())
    assert fresh_bits(made, FIRST) == pytest.approx(share * pair_entropy(SIGMA), abs=0.35)
    shown = recollection_of(Turned(made), FIRST, 1).cells
    left = [pair_entropy(SIGMA * math.sqrt(1 - parts / 10_000)) for parts in shown]
    assert np.mean(left) < 1.1 * share * pair_entropy(SIGMA)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.8])
def test_of_a_copy_with_other_masks_nothing_is_left(share: float) -> None:
    """One square in twenty once left half of the credit, since it thins the correlation out."""
    made = np.where(squares(share), 65_000, noise(1))
    assert recollection_of(Turned(sketch(made)), FIRST, 1).known_parts == 10_000
    assert recollection_of(Turned(FIRST), sketch(made), 1).known_parts == 10_000


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_masks_take_nothing_from_frames_of_one_pattern(share: float) -> None:
    """Half of the squares dark by stars of their own leaves what is fresh, no less and no more."""
    pattern = noise(9, 8 * 2.5) - 1000
    made = [np.where(squares(share, seed), 65_000, noise(seed, 2.5) + pattern) for seed in (11, 12)]
    mine, other = map(sketch, made)
    shown = recollection_of(Turned(mine), other, 1).cells
    left = [pair_entropy(mine.sigma * math.sqrt(1 - parts / 10_000)) for parts in shown]
    assert np.average(left, weights=mine.cell_pixels) == pytest.approx(pair_entropy(2.5), abs=0.25)


def test_outliers_hold_nothing() -> None:
    """Whoever blows pixels out of a copy makes nothing fresh."""
    made = noise(1)
    made[np.random.default_rng(6).random(made.shape) < 0.02] = 30_000
    assert fresh_bits(sketch(made), FIRST) < 0.02


def test_too_few_probes_tell_nothing() -> None:
    lonely = Probes(np.full_like(FIRST.probes.codes, DEAD))
    lonely.codes[0, :15] = 5
    twins = Twins.of(lonely, FIRST.probes)
    assert twins
    assert twins.fresh_bits(SIGMA, 1) is None


# Fresh noise that takes a few values

LEVELS = 100 + np.linspace(0, 6, SIDE)


def coarse(seed: int, sigma: float, step: int, width: float) -> np.ndarray:
    """Return codes of an ADC times `step`, less a dark of `width` that is always the same."""
    dark = np.random.default_rng(8).normal(0, width, (SIDE, SIDE))
    codes = np.rint(np.random.default_rng(seed).normal(LEVELS, sigma, (SIDE, SIDE)))
    return np.rint(codes * step - dark).astype(np.int64)


def few_values(mine: np.ndarray, other: np.ndarray) -> float | None:
    made = sketch(mine)
    twins = Twins.of(made.probes, sketch(other).probes)
    assert twins
    return twins.discrete_bits(made.sigma, 1)


@pytest.mark.parametrize(
    "sigma, step, width", [(0.2, 257, 60.0), (0.3, 64, 90.0), (0.5, 257, 257.0), (1.0, 100, 140.0)]
)
def test_whole_steps_under_a_fine_pattern_are_counted_as_steps(sigma: float, step: int, width: float) -> None:
    """Their variance says five to eight bits more than there are; half of their collision entropy is proven."""
    mine, other = (coarse(seed, sigma, step, width) for seed in (1, 2))
    found = few_values(mine, other)
    differences = [(each[:, 1::2] - each[:, ::2]) for each in (mine, other)]
    collision = -math.log2(np.mean(differences[0] == differences[1]))
    assert found is not None
    assert 0.7 * collision / 2 < found < collision / 2
    shown = recollection_of(Turned(sketch(mine)), sketch(other), 1)
    assert shown.left_parts == math.floor(found * 10_000)
    assert 0 < shown.known_parts < 10_000, "no copy"


@pytest.mark.parametrize(
    "sigma", [0.3, 9.0, *(pytest.param(of, marks=pytest.mark.slow) for of in (0.6, 1.0, 2.5, 60.0))]
)
@pytest.mark.parametrize("multiple", [0.0, 0.3, 2.0, 8.0])
def test_gaussian_noise_takes_more_than_a_few_values(sigma: float, multiple: float) -> None:
    pattern = np.random.default_rng(8).normal(0, multiple * sigma, (SIDE, SIDE))
    made = [np.random.default_rng(seed).normal(1000 + pattern, sigma) for seed in (1, 2)]
    assert few_values(*(np.rint(each).astype(np.int64) for each in made)) is None


def test_a_half_that_is_copied_lies_in_a_place_of_its_own() -> None:
    made = noise(2)
    made[: SIDE // 2] = noise(1)[: SIDE // 2]
    assert few_values(made, noise(1)) is None


# Several frames


@pytest.mark.parametrize("count, size", [(2, 32), (3, 8), (6, 2)])
def test_a_frame_that_is_put_together_of_others_is_a_copy(count: int, size: int) -> None:
    frames = [noise(seed) for seed in range(20, 20 + count)]
    which = np.kron(np.random.default_rng(7).integers(0, count, (SIDE // size, SIDE // size)), np.ones((size, size)))
    made = sketch(np.choose(which.astype(np.int64), frames))
    found = copied_share(made.probes, [sketch(each).probes for each in frames], SIGMA)
    assert found > (0.9 if size > 2 else 0.4), "of two pixels beside each other both must come from one frame"


@pytest.mark.parametrize("sigma, multiple", [(0.8, 4.0), (9.0, 0.0), (60.0, 2.0)])
def test_frames_of_one_sensor_are_not_put_together_of_each_other(sigma: float, multiple: float) -> None:
    pattern = np.random.default_rng(8).normal(0, multiple * sigma, (SIDE, SIDE))
    made = [sketch(np.rint(noise(seed, sigma) + pattern).astype(np.int64)) for seed in range(30, 34)]
    assert copied_share(made[0].probes, [each.probes for each in made[1:]], made[0].sigma) == 0


@pytest.mark.parametrize("slope", [2, 5, 10, 30])
def test_a_slope_on_a_copy_is_no_fresh_noise(slope: int) -> None:
    """As a gradient that was taken off, or a flat that it was divided by, leave it."""
    sloped = sketch(noise(1) + slope * np.arange(SIDE))
    assert fresh_bits(sloped, FIRST) < 0.1 * fresh_bits(sketch(noise(2)), FIRST)
    assert fresh_bits(sketch(noise(2) + slope * np.arange(SIDE)), FIRST) > 0.95 * pair_entropy(SIGMA)


def test_of_neighbours_that_are_apart_alike_each_is_told_by_the_others() -> None:
    """With outliers among them as well, which tell nothing."""
    codes = FIRST.probes.codes.copy()
    other = np.where(codes == OUTLIER, OUTLIER, codes + 300 * np.arange(-32, 32)[:, np.newaxis]).astype(np.int16)
    other[:, 3::8] = OUTLIER
    found = Twins.of(FIRST.probes, Probes(other))
    assert found is not None
    left = found.fresh_bits(SIGMA, 1)
    assert left is not None
    assert left.bits == 0
