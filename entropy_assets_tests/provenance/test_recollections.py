"""What is told of earlier frames is believed in one spelling alone, and never against an image that is there."""

from dataclasses import replace

import numpy as np
import pytest

from entropy_assets.core.credit.elsewhere.moved import Turned
from entropy_assets.core.credit.elsewhere.recollection import Recollection
from entropy_assets.core.credit.memory import PARTS, recollection_of, recollection_of_all
from entropy_assets.core.credit.sketches import Sketch, sketch_of
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.errors import EntropyAssetsError
from entropy_assets.provenance.recollections import is_contradicted, told_recollection
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.core.frames import frame, white

PATTERN = white((160, 160), sigma=9, seed=9) - 1000


def sketch(seed: int, *, patterned: bool = True) -> Sketch:
    image = frame(white((160, 160), sigma=6, seed=seed) + patterned * PATTERN)
    return sketch_of(image, survey_frame(image, STANDARD))


EARLIER, LATER, OTHER = sketch(1), sketch(2), sketch(3, patterned=False)
TRUE = recollection_of(Turned(LATER), EARLIER, 1)


def contradicted(told: Recollection, *in_batch: Sketch, there: bool = True) -> bool:
    return is_contradicted(told, LATER, in_batch, lambda name: EARLIER if there else None)


def test_the_true_story_is_not_contradicted() -> None:
    assert TRUE.known_parts > PARTS // 2
    assert not contradicted(TRUE)
    assert not contradicted(TRUE, EARLIER)
    assert not contradicted(TRUE, OTHER)
    assert not contradicted(TRUE, there=False)


@pytest.mark.parametrize(
    "change",
    [
        {"known_parts": TRUE.known_parts - 1},
        {"known_parts": TRUE.known_parts + 1},
        {"cells": (0,) * 16, "known_parts": 0},
        {"cells": (), "orientation": 3, "known_parts": 10},
    ],
)
def test_another_share_is_contradicted_by_the_file(change: dict[str, object]) -> None:
    assert contradicted(replace_in(TRUE, change))


def test_a_frame_of_the_same_batch_can_not_be_forgotten() -> None:
    assert contradicted(Recollection(1), EARLIER)
    assert contradicted(replace_in(TRUE, {"frames": 0}), EARLIER)
    assert not contradicted(Recollection(1), OTHER)


def test_without_the_file_only_the_sum_of_the_cells_is_checked() -> None:
    lower = replace_in(TRUE, {"cells": (100,) * 16, "known_parts": 100})
    assert not contradicted(lower, there=False)
    assert contradicted(replace_in(lower, {"known_parts": 99}), there=False)


# Several frames together

PARENTS = [white((160, 160), sigma=6, seed=n) for n in (11, 12)]
FIRST, SECOND, SUM = (sketch_of(image, survey_frame(image, STANDARD)) for image in map(frame, [*PARENTS, sum(PARENTS)]))
OF_BOTH = recollection_of_all(Turned(SUM), [FIRST, SECOND], 2)


def of_sum_contradicted(told: Recollection, *in_batch: Sketch, there: tuple[Sketch, ...] = (FIRST, SECOND)) -> bool:
    return is_contradicted(told, SUM, in_batch, {each.name: each for each in there}.get)


def test_what_several_frames_show_together_is_measured_again_if_all_are_here() -> None:
    assert OF_BOTH.known_parts > 0.95 * PARTS
    assert {OF_BOTH.of, *OF_BOTH.together} == {FIRST.name, SECOND.name}
    assert not of_sum_contradicted(OF_BOTH)
    assert not of_sum_contradicted(OF_BOTH, FIRST, SECOND)
    lower = OF_BOTH._replace(cells=(9000,) * 16, known_parts=9000)
    assert of_sum_contradicted(lower)
    assert not of_sum_contradicted(lower, there=(FIRST,)), "one of them alone can't tell"
    lowest = OF_BOTH._replace(cells=(5000,) * 16, known_parts=5000)
    assert of_sum_contradicted(lowest, there=(FIRST,)), "it shows more alone"


def test_frames_of_one_batch_that_show_more_together_can_not_be_told_of_one_by_one() -> None:
    alone = recollection_of(Turned(SUM), FIRST, 2)
    better = max(alone, recollection_of(Turned(SUM), SECOND, 2), key=lambda each: each.known_parts)
    assert not of_sum_contradicted(better)
    assert of_sum_contradicted(better, FIRST, SECOND)


def test_several_frames_come_back_from_their_row_and_in_no_other_spelling() -> None:
    row = OF_BOTH.to_row()
    assert told_recollection(row) == OF_BOTH
    assert "together" not in TRUE.to_row()
    for change in ({"together": []}, {"together": [OF_BOTH.of]}, {"together": ["x"]}, {"together": [1]}, {"cells": []}):
        with pytest.raises((TypeError, ValueError, EntropyAssetsError)):
            told_recollection({**row, **change})
    with pytest.raises(ValueError, match="no image"):
        told_recollection({**Recollection(1).to_row(), "together": row["together"]})


# Fresh noise that takes a few values

DARK = np.random.default_rng(9).normal(0, 120, (160, 160))
LIGHT = np.linspace(8, 12, 160)
STEPS = [np.rint(np.random.default_rng(n).normal(LIGHT, 0.4, (160, 160))) * 257 - DARK for n in (21, 22)]
ONE, TWO = (
    sketch_of(image, survey_frame(image, STANDARD))
    for image in (frame(np.rint(each).astype(np.int64)) for each in STEPS)
)
OF_STEPS = recollection_of(Turned(TWO), ONE, 1)


def test_what_is_left_of_a_few_values_is_measured_again() -> None:
    def contradicted(told: Recollection, *in_batch: Sketch, there: bool = True) -> bool:
        return is_contradicted(told, TWO, in_batch, lambda name: ONE if there else None)

    assert OF_STEPS.left_parts is not None
    assert not contradicted(OF_STEPS)
    assert not contradicted(OF_STEPS, ONE)
    for parts in (None, OF_STEPS.left_parts + 1, OF_STEPS.left_parts - 1):
        assert contradicted(OF_STEPS._replace(left_parts=parts))
    more = OF_STEPS._replace(left_parts=OF_STEPS.left_parts + 1)
    assert contradicted(more, ONE, there=False), "it shows more"


def test_what_is_left_of_a_few_values_comes_back_in_no_other_spelling() -> None:
    row = OF_STEPS.to_row()
    assert told_recollection(row) == OF_STEPS
    assert "left_parts" not in TRUE.to_row()
    for change in ({"left_parts": None}, {"left_parts": 1.0}, {"left_parts": -1}, {"cells": []}):
        with pytest.raises((TypeError, ValueError, EntropyAssetsError)):
            told_recollection({**row, **change})
    with pytest.raises(ValueError, match="no image"):
        told_recollection({**Recollection(1).to_row(), "left_parts": 1})


def replace_in(told: Recollection, change: dict[str, object]) -> Recollection:
    return told._replace(**change)  # type: ignore[arg-type]


def test_it_comes_back_from_its_row_and_in_no_other_spelling() -> None:
    row = TRUE.to_row()
    assert told_recollection(row) == TRUE
    for change in (
        {"frames": True},
        {"frames": -1},
        {"known_parts": 1.0},
        {"cells": [1] * 15},
        {"shift": [0]},
        {"of": "no hash"},
        {"of": None},
        {"more": 1},
    ):
        with pytest.raises((TypeError, ValueError, EntropyAssetsError)):
            told_recollection({**row, **change})


def test_sketches_of_the_test_differ_as_they_should() -> None:
    assert replace(EARLIER, image_sha256="") != replace(LATER, image_sha256="")
    assert np.count_nonzero(EARLIER.fold != LATER.fold) > 10_000


# Frames that were made of each other

FIELDS = [sketch_of(image, survey_frame(image, STANDARD)) for image in (frame(PARENTS[0][n::2]) for n in (0, 1))]
OF_FIELDS = recollection_of_all(Turned(FIRST), FIELDS, 0)
HALF = recollection_of(Turned(FIELDS[0]), FIRST, 0)


def of_fields_contradicted(told: Recollection, *there: Sketch) -> bool:
    return is_contradicted(told, FIRST, [], {each.name: each for each in there}.get)


def test_that_one_frame_was_made_of_another_is_measured_again() -> None:
    assert HALF.known_parts > 0.9 * PARTS
    for told in (HALF, HALF._replace(known_parts=HALF.known_parts - 1), HALF._replace(made="fewer_columns")):
        assert is_contradicted(told, FIELDS[0], [], {FIRST.name: FIRST}.get) == (told != HALF)


def test_what_the_pieces_of_a_frame_show_is_added_up_again_if_all_are_here() -> None:
    assert {OF_FIELDS.of, *OF_FIELDS.together} == {each.name for each in FIELDS}
    assert not of_fields_contradicted(OF_FIELDS, *FIELDS)
    assert not of_fields_contradicted(OF_FIELDS, FIELDS[0])
    lower = OF_FIELDS._replace(known_parts=OF_FIELDS.known_parts - 1)
    assert of_fields_contradicted(lower, *FIELDS)
    assert of_fields_contradicted(OF_FIELDS._replace(known_parts=4000), FIELDS[0]), "it shows more alone"


def test_what_was_made_comes_back_from_its_row_and_in_no_other_spelling() -> None:
    for told in (HALF, OF_FIELDS):
        assert told_recollection(told.to_row()) == told
    assert "made" not in TRUE.to_row()
    for change in ({"made": "turned"}, {"made": 1}, {"made": ""}, {"cells": [1] * 16}):
        with pytest.raises((TypeError, ValueError)):
            told_recollection({**HALF.to_row(), **change})
    with pytest.raises(ValueError, match="no image"):
        told_recollection({**Recollection(1).to_row(), "made": HALF.made})
