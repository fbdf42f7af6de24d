"""Frames that take turns in the rows, columns or pixels of one are known together; those of one pattern take none."""

import numpy as np
import pytest

from entropy_assets.core.credit.elsewhere.moved import Turned
from entropy_assets.core.credit.elsewhere.recollection import Recollection
from entropy_assets.core.credit.elsewhere.turns import shown_in_turns
from entropy_assets.core.credit.memory import PARTS, recollection_of_all
from entropy_assets.core.credit.sketches import Sketch, sketch_of
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.core.frames import frame, white

SIDE = 256
ROW, COLUMN = np.indices((SIDE, SIDE))
TURNS = {
    "rows": (2, ROW % 2),
    "columns": (2, COLUMN % 2),
    "a checkerboard": (2, (ROW + COLUMN) % 2),
    "pixels of 2 x 2": (4, 2 * (ROW % 2) + COLUMN % 2),
}


def sketch(pixels: np.ndarray) -> Sketch:
    image = frame(pixels)
    return sketch_of(image, survey_frame(image, STANDARD))


def exposures(count: int, pattern: float = 0.0) -> list[np.ndarray]:
    fixed = np.rint(np.random.default_rng(99).normal(0, pattern, (SIDE, SIDE))).astype(np.int64)
    return [white((SIDE, SIDE), sigma=9, seed=seed) + fixed for seed in range(count)]


def shown(made: np.ndarray, frames: list[np.ndarray]) -> Recollection:
    return recollection_of_all(Turned(sketch(made)), [sketch(each) for each in frames], len(frames))


@pytest.mark.parametrize("name", TURNS)
def test_frames_that_take_turns_show_all_of_it_together(name: str) -> None:
    count, turn = TURNS[name]
    frames = exposures(count)
    assert shown(np.choose(turn, frames), [*frames, *exposures(6)[4:]]).known_parts > 0.9 * PARTS


def test_with_fresh_noise_less_is_known() -> None:
    frames = exposures(4)
    made = np.choose(TURNS["pixels of 2 x 2"][1], frames) + white((SIDE, SIDE), sigma=9, seed=50) - 1000
    found = shown(made, frames)
    assert 0.4 * PARTS < found.known_parts < 0.6 * PARTS
    assert len(found.together) == 3


def test_pixels_that_take_turns_at_random_are_known() -> None:
    """Both pixels of a pair are of one frame in one of five cases alone."""
    frames = exposures(5)
    turn = np.random.default_rng(7).integers(0, 5, (SIDE, SIDE))
    assert shown(np.choose(turn, frames), frames).known_parts > 0.9 * PARTS


def test_noise_in_coarse_steps_that_comes_back_the_same_is_no_copy() -> None:
    """Over a known dark two of five pair differences are those of an earlier frame."""
    rng = np.random.default_rng(8)
    dark, steps = rng.normal(0, 90, (SIDE, SIDE)), 100 + np.linspace(0, 6, SIDE)
    frames = [np.rint(64 * np.rint(steps + rng.normal(0, 0.3, (SIDE, SIDE))) - dark).astype(int) for _ in range(4)]
    found = shown(frames[-1], frames[:-1])
    assert found.left_parts
    assert found.known_parts < PARTS


@pytest.mark.parametrize("pattern", [0.0, 4.5, 18.0, 72.0])
def test_no_frame_of_one_sensor_takes_turns(pattern: float) -> None:
    folds = [sketch(each).fold for each in exposures(9, pattern)]
    assert shown_in_turns(folds[0], folds[1:]) is None
