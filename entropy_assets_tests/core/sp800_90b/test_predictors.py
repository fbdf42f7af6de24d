"""The prediction estimators of SP 800-90B predict what a predictor that learns sample by sample predicts."""

import numpy as np
import pytest
from hypothesis import given, settings

from entropy_assets.core.sp800_90b import predictors
from entropy_assets_tests.core.sp800_90b import by_the_book
from entropy_assets_tests.core.sp800_90b.sequences import sequences


@pytest.mark.parametrize("name", ["multi_mcw", "lag", "multi_mmc", "lz78y"])
@pytest.mark.usefixtures("way")
def test_predictors_by_the_book(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """6.3.7 to 6.3.10: sorts and running maxima predict exactly what a predictor that learns sample by sample does."""
    seen: list[list[bool]] = []
    monkeypatch.setattr(predictors, "prediction_entropy", lambda correct, alphabet: seen.append(correct.tolist()))

    @given(sequences())
    @settings(max_examples=40, deadline=None)
    def agree(drawn: tuple[np.ndarray, int]) -> None:
        seen.clear()
        getattr(predictors, name)(*drawn)
        assert seen == [getattr(by_the_book, name)(drawn[0].tolist())]

    agree()


def test_local_probability_inverts_the_run_formula() -> None:
    """6.3.7 step 6: at P_local a run as long as r has probability 1 %, as exact dynamic programming finds it."""
    r, n = 9, 2000
    p = predictors.local_probability(r, n)
    state = np.zeros(r)
    state[0] = 1.0
    for _ in range(n):
        state = np.concatenate(([(1 - p) * state.sum()], p * state[:-1]))
    assert state.sum() == pytest.approx(0.99, abs=1e-6)


@pytest.mark.usefixtures("way")
def test_the_longest_run_of_hits_is_that_of_a_count_by_hand() -> None:
    """At the beginning, in the middle, at the end, and where there is none."""
    for hits, longest in (("", 0), ("000", 0), ("1", 1), ("1101", 2), ("0111", 3), ("0110111", 3), ("111", 3)):
        flags = np.array([hit == "1" for hit in hits], dtype=np.bool_)
        assert predictors.hits_and_longest(flags) == (hits.count("1"), longest), hits
