"""What was made of an earlier frame by halving it, or by alternating signs, is found wherever it lies; else nothing."""

import itertools

import numpy as np
import pytest
from scipy import stats

from entropy_assets.core.credit.elsewhere.kinds import TOLD, Made
from entropy_assets.core.credit.elsewhere.moved import Turned
from entropy_assets.core.credit.elsewhere.recollection import Recollection
from entropy_assets.core.credit.elsewhere.remade import LEAST_SQUARES, Remade, Remakings
from entropy_assets.core.credit.fresh import SeenPart, explained
from entropy_assets.core.credit.memory import PARTS, recollection_of, recollection_of_all
from entropy_assets.core.credit.sketches import Sketch, sketch_of
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.core.frames import frame, white
from entropy_assets_tests.scenarios.masked_copies import alternated, halved

EXPOSURE = white((384, 448), sigma=9, seed=1)
CUT = EXPOSURE[5:, 2:]
SIGNS = {Made.ROW_SIGNS: (1, 0), Made.COLUMN_SIGNS: (0, 1), Made.CHECKERED_SIGNS: (1, 1)}
HALVES = [
    (Made.FEWER_ROWS, (2, 1), (1, 0)),
    (Made.FEWER_ROWS, (2, 1), (0, 1)),
    (Made.FEWER_ROWS, (2, 1), (1, 1)),
    (Made.FEWER_COLUMNS, (1, 2), (0, 1)),
    (Made.FEWER_COLUMNS, (1, 2), (3, -1)),
    (Made.FEWER_PIXELS, (2, 2), (1, 0, 0, 0)),
    (Made.FEWER_PIXELS, (2, 2), (0, 0, 0, 1)),
    (Made.FEWER_PIXELS, (2, 2), (1, 1, 1, 1)),
]
MORE = {
    Made.FEWER_ROWS: Made.MORE_ROWS,
    Made.FEWER_COLUMNS: Made.MORE_COLUMNS,
    Made.FEWER_PIXELS: Made.MORE_PIXELS,
}


def sketch(pixels: np.ndarray) -> Sketch:
    image = frame(np.ascontiguousarray(pixels))
    return sketch_of(image, survey_frame(image, STANDARD))


WHOLE = sketch(EXPOSURE)


def found(one: Sketch, other: Sketch) -> Remade | None:
    same = one.sensor == other.sensor
    return Remakings(one.fold).of(other.fold, may_be_half=not same)


@pytest.mark.parametrize("made, steps, weights", HALVES)
def test_half_of_a_frame_is_found_and_the_frame_beside_its_half(
    made: Made, steps: tuple[int, int], weights: tuple[int, ...]
) -> None:
    half = sketch(1000 + halved(EXPOSURE - 1000, *steps, weights))
    shown, first = found(half, WHOLE), found(WHOLE, half)
    assert shown is not None
    assert first is not None
    assert (shown.made, shown.of, first.made, first.of) == (made, 1, MORE[made], steps[0] * steps[1])
    assert min(shown.rho, first.rho) > 0.9


@pytest.mark.parametrize("made", SIGNS)
def test_signs_that_alternate_are_found_and_count_as_a_copy(made: Made) -> None:
    other = alternated(EXPOSURE, *SIGNS[made]) + white(EXPOSURE.shape, sigma=9, seed=7) - 1000
    shown = recollection_of(Turned(sketch(other)), WHOLE, 1)
    assert (shown.made, shown.known_parts) == (made.value, PARTS)


@pytest.mark.parametrize("made, steps, weights", HALVES)
def test_half_of_a_frame_is_found_on_a_canvas_of_the_old_shape(
    made: Made, steps: tuple[int, int], weights: tuple[int, ...]
) -> None:
    half = 1000 + halved(EXPOSURE - 1000, *steps, weights)
    canvas = np.zeros_like(EXPOSURE)
    canvas[: half.shape[0], -half.shape[1] :] = half
    shown = recollection_of(Turned(sketch(canvas)), WHOLE, 1)
    assert shown.made == made.value
    assert shown.known_parts > 0.9 * PARTS
    back = recollection_of(Turned(WHOLE), sketch(canvas), 1)
    assert back.made == MORE[made].value


@pytest.mark.parametrize("turns, mirrored", [*itertools.product(range(4), (False, True))])
def test_it_is_found_turned_mirrored_and_cut(turns: int, mirrored: bool) -> None:
    turned = np.rot90(CUT[:, ::-1] if mirrored else CUT, turns)
    rows = found(sketch(halved(turned, 2, 1, (0, 1))), WHOLE)
    signs = found(sketch(alternated(turned, 1, 0)), WHOLE)
    lying = turns % 2 == 0
    assert rows is not None
    assert signs is not None
    assert rows.made is (Made.FEWER_ROWS if lying else Made.FEWER_COLUMNS)
    assert signs.made is (Made.ROW_SIGNS if lying else Made.COLUMN_SIGNS)
    assert min(rows.rho, signs.rho) > 0.75


def test_independent_frames_are_not_made_of_each_other() -> None:
    """Also those of one pattern, of lines and of waves that all of them have."""
    pattern, rows = white((192, 192), sigma=20, seed=90) - 1000, np.arange(192)
    lines = 30 * (rows % 4 == 0) + np.rint(20 * np.cos(rows[:, np.newaxis] / 2.7)).astype(np.int64)
    frames = [white((192, 192), sigma=7, seed=n) for n in range(6)]
    frames += [white((192, 192), sigma=7, seed=10 + n) + pattern for n in range(3)]
    frames += [white((192, 192), sigma=7, seed=20 + n) + lines for n in range(3)]
    frames += [white((96, 192), sigma=7, seed=30 + n) + lines[:96] for n in range(3)]
    frames += [white((96, 96), sigma=7, seed=40 + n) for n in range(3)]
    sketches = [sketch(each) for each in frames]
    for one in sketches:
        asked, others = Remakings(one.fold), [other for other in sketches if other is not one]
        shown = [asked.of(other.fold, may_be_half=one.sensor != other.sensor) for other in others]
        assert shown == [None] * len(others)


@pytest.mark.parametrize("count", LEAST_SQUARES)
def test_several_correlations_are_by_chance_as_seldom_as_one(count: int) -> None:
    assert stats.chi2.sf(LEAST_SQUARES[count], count) == pytest.approx(stats.norm.sf(7.5) * 2, rel=0.1)


def test_a_frame_whose_pieces_were_spent_is_known_as_a_whole() -> None:
    pieces = [sketch(EXPOSURE[a::2, b::2]) for a in range(2) for b in range(2)]
    shown = recollection_of_all(Turned(WHOLE), pieces, 0)
    assert shown.known_parts > 0.95 * PARTS
    assert {shown.of, *shown.together} == {piece.name for piece in pieces}
    one = recollection_of_all(Turned(WHOLE), pieces[:1], 0)
    assert 0.23 * PARTS < one.known_parts < 0.27 * PARTS
    assert one.together == ()
    assert Recollection.from_row(shown.to_row()) == shown
    told = explained([SeenPart(0, WHOLE, shown)], "repeats")
    assert told.endswith(f"and 3 others together, {TOLD[Made.MORE_PIXELS]}")
