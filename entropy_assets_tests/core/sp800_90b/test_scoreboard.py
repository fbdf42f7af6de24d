"""The scoreboard has the leader that counting hit by hit has (6.3.7 step 3d)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.sp800_90b import scoreboard
from entropy_assets.core.sp800_90b.scoreboard import follow, follow_all, packed, unpacked, words_of

pytestmark = pytest.mark.usefixtures("way")


def counted(hits: np.ndarray) -> list[bool]:
    """Follow the standard, one sub-predictor and one sample after the other."""
    scores, winner, correct = [0] * len(hits), 0, []
    for now in hits.T.tolist():
        correct.append(now[winner])
        for row, hit in enumerate(now):
            if hit:
                scores[row] += 1
                if scores[row] >= scores[winner]:
                    winner = row
    return correct


@given(st.integers(0, 2**32), st.sampled_from([1, 2, 4, 16, 128]), st.sampled_from([0.001, 0.03, 0.5, 0.9]))
@settings(max_examples=60, deadline=None)
def test_the_leader_is_that_of_a_count_by_hand(seed: int, rows: int, share: float) -> None:
    """Whatever ties there are, and however many words are worked on at once."""
    rng = np.random.default_rng(seed)
    hits = rng.random((rows, int(rng.integers(1, 700)))) < share
    if seed % 3 == 0:
        hits[1:] = hits[0]
    expected = counted(hits)
    for cells in (1, 3 * rows, 1 << 15):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scoreboard, "CELLS_AT_ONCE", cells)
            assert follow_all(packed(hits), hits.shape[1]).tolist() == expected


def test_hits_are_asked_for_part_by_part() -> None:
    """Nobody has to hold them all."""
    hits = np.random.default_rng(2).random((128, 64 * 600)) < 0.5
    words, asked = packed(hits), []

    def between(start: int, stop: int) -> np.ndarray:
        asked.append((start, stop))
        return words[:, start:stop]

    assert np.array_equal(follow(between, 128, hits.shape[1]), follow_all(words, hits.shape[1]))
    assert asked == [(0, 256), (256, 512), (512, 600)]


def test_words_hold_the_first_sample_in_their_lowest_bit() -> None:
    flags = np.zeros(70, dtype=np.bool_)
    flags[[0, 63, 65]] = True
    assert packed(flags).tolist() == [1 + (1 << 63), 2]
    assert words_of(70) == 2
    assert unpacked(packed(flags))[:70].tolist() == flags.astype(int).tolist()
