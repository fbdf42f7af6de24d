"""The live-area map of several parts: each is judged as the frame that it is."""

import numpy as np
import pytest

from entropy_assets.core.extraction.squares import Verdict
from entropy_assets.core.extraction.survey import survey_of, without_copies
from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.core.frames import frame, survey, white


def fresh(seed: int) -> np.ndarray:
    return white((128, 128), sigma=8, seed=seed)


def tall(planes: list[np.ndarray]) -> Frame:
    return frame(np.concatenate(planes), parts=len(planes))


def test_squares_never_reach_over_two_parts_and_each_part_has_its_limits() -> None:
    """A plane clipped at its own white level is found so, though another one goes higher."""
    clipped = np.minimum(fresh(1), 1000)
    found = survey_of(tall([fresh(0) + 500, clipped]), STANDARD)
    assert (found.verdict[:4] == Verdict.LIVE).all()
    assert (found.verdict[4:] == Verdict.SATURATED).all()
    assert found.verdict.shape == (8, 4)


def test_a_frame_of_one_part_is_what_it_was() -> None:
    """Its map is that of the survey."""
    single = frame(fresh(1))
    assert np.array_equal(survey_of(single, STANDARD).verdict, survey(fresh(1)).verdict)


def test_what_is_said_of_a_whole_frame_is_the_worst_of_any_part() -> None:
    """And no square is repeated only because the next plane has it in the same place."""
    tile = np.tile(fresh(3)[:32, :32], (4, 4))
    found = survey_of(tall([fresh(1), tile, fresh(2)]), STANDARD)
    assert found.repeat_correlation > 0.9
    assert found.counts == {"live": 32, "repeated": 16}
    pattern = 10 * (fresh(4) - 1000)
    assert survey_of(tall([fresh(n) + pattern for n in range(3)]), STANDARD).live_fraction == 1


def test_what_a_part_copies_from_one_before_it_is_repeated() -> None:
    """Wherever it stands there: the first copy stays clean."""
    first, second = fresh(8), fresh(9)
    second[64:] = first[32:96]
    both = tall([first, second])
    assert survey_of(both, STANDARD).live_fraction == 1
    found = without_copies(both, survey_of(both, STANDARD), STANDARD)
    assert (found.verdict[:6] == Verdict.LIVE).all()
    assert (found.verdict[6:] == Verdict.REPEATED).all()


def test_a_part_without_a_square_is_refused() -> None:
    """Squares of two planes together are none."""
    with pytest.raises(ImageRejected) as caught:
        survey_of(tall([fresh(1)[:24], fresh(2)[:24]]), STANDARD)
    assert caught.value.reason is RejectionReason.TOO_SMALL
