"""Who computes a frame from several spent ones knows all of it, and gets nothing for it; honest frames lose nothing."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from entropy_assets.core.credit.elsewhere.moved import Turned
from entropy_assets.core.credit.elsewhere.recollection import Recollection
from entropy_assets.core.credit.memory import recollection_of_all, recollection_together
from entropy_assets.core.credit.sketches import Sketch, sketch_of
from entropy_assets.core.credit.together import fit, telling
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.images.decode import decode
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.scenarios.judging import Memory, assessed
from entropy_assets_tests.scenarios.scenario import fits_file

SIDE, SIGMA = 256, 8.0
Exposures = Sequence[np.ndarray]


def series(count: int, multiple: float = 0.0, seed: int = 1) -> list[np.ndarray]:
    """Give exposures about the level 0 of one sensor, whose pattern is `multiple` times as wide as their noise."""
    rng = np.random.default_rng(seed)
    pattern = rng.normal(0, multiple * SIGMA, (SIDE, SIDE))
    return [np.rint(pattern + rng.normal(0, SIGMA, (SIDE, SIDE))) for _ in range(count)]


def file_of(pixels: np.ndarray) -> bytes:
    return fits_file(np.rint(1000 + pixels).astype(np.int64))


def sketch(pixels: np.ndarray) -> Sketch:
    image = decode(file_of(pixels), source="raw-ccd", reading=STANDARD.reading)
    return sketch_of(image, survey_frame(image, STANDARD))


def share_of_credit(frames: Exposures, made: np.ndarray) -> float:
    """Return what of the credit of `made` is left after `frames`."""
    memory = Memory()
    for each in frames:
        memory.recollect(sketch(each))
    image, first = assessed(file_of(made), "raw-ccd")
    return memory.spend(image, first).credit_bits / first.assessment.credit_bits


COMBINED: dict[str, tuple[int, Callable[[Exposures], np.ndarray]]] = {
    "sum": (2, lambda f: f[0] + f[1]),
    "difference": (2, lambda f: f[0] - f[1]),
    "weighted": (2, lambda f: 0.97 * f[0] + 0.24 * f[1]),
    "mean of 3": (3, lambda f: sum(f) / 3),
    "mean of 8": (8, lambda f: sum(f) / 8),
    "mean of 16": (16, lambda f: sum(f) / 16),
}


@pytest.mark.parametrize("name", COMBINED)
def test_what_is_computed_from_spent_frames_earns_nothing(name: str) -> None:
    count, combined = COMBINED[name]
    frames = series(count)
    assert share_of_credit(frames, combined(frames)) == 0


def with_stars(frames: Exposures) -> list[np.ndarray]:
    """Blow one square in twenty out, in each frame others, as stars do."""
    rng = np.random.default_rng(4)
    lit = (rng.random((SIDE // 32, SIDE // 32)) < 0.05 for _ in frames)
    return [frame + 40_000 * np.kron(square, np.ones((32, 32))) for frame, square in zip(frames, lit, strict=True)]


@pytest.mark.parametrize("name", COMBINED)
def test_so_it_is_where_each_of_them_has_other_masks(name: str) -> None:
    """Of three nights of a star tracker, computed frames once kept half of their credit for their stars."""
    count, combined = COMBINED[name]
    frames = with_stars(series(count))
    made = combined(frames)
    assert share_of_credit(frames, made.clip(-1000, 60_000)) == 0


def test_the_difference_of_two_frames_is_known_though_their_pattern_hides_it() -> None:
    """Each of them shows less of it than is believed of one."""
    first, second = frames = series(2, multiple=8)
    assert share_of_credit(frames, first - second) == 0


def test_of_fresh_noise_on_a_sum_nothing_is_left_while_most_is_known() -> None:
    """More fresh noise than known: then what is left is counted as noise beside a pattern."""
    first, second = frames = series(2)
    fresh = np.random.default_rng(9)
    made = [first + second + fresh.normal(0, width, (SIDE, SIDE)) for width in (4.0, 16.0)]
    left = [share_of_credit(frames, each) for each in made]
    assert left[0] == 0
    # log2(2 sqrt(pi) 16) over that of the whole, sqrt(384) wide
    assert left[1] == pytest.approx(5.83 / 6.12, abs=0.08)


@pytest.mark.slow
def test_frames_that_are_no_longer_among_the_newest_are_found_by_the_index() -> None:
    frames = series(36)
    assert share_of_credit(frames, sum(frames[:16]) / 4) == 0


@pytest.mark.parametrize("multiple", [0.0, 0.5, 2.0, 8.0])
def test_one_pattern_shows_no_more_in_many_frames_than_in_the_best_of_them(multiple: float) -> None:
    sketches = [sketch(each) for each in series(17, multiple)]
    found = recollection_of_all(Turned(sketches[-1]), sketches[:-1], 16)
    assert found.together == ()


def test_frames_that_add_nothing_are_not_named() -> None:
    frames = [sketch(each) for each in series(8)]
    made = sketch(sum(series(8)[2:4]))
    assert telling(made.pairs, [each.pairs for each in frames]) == [2, 3]
    found = recollection_of_all(Turned(made), frames, 8)
    assert {found.of, *found.together} == {frames[2].name, frames[3].name}
    assert recollection_together(made, [frames[3], frames[2]], 8) == found, "in any order"
    assert Recollection.from_row(found.to_row()) == found


def test_independent_frames_fit_nothing() -> None:
    sketches = [sketch(each).pairs for each in series(17)]
    assert all(fit(sketches[n], sketches[:n] + sketches[n + 1 :]) is None for n in range(17))
