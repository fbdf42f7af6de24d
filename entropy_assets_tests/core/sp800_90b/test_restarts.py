"""The restart tests have the tool's cutoffs and figures, and validate by the rule of 3.1.4."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multinomial

from entropy_assets.core.sp800_90b.restarts import assess_restarts, count_cutoff, sanity_check
from entropy_assets.errors import InputRefused
from entropy_assets_tests.core.sp800_90b.references import known, symbols_of

ALPHA = 1 - 0.99 ** (1 / 2000)


def noise(bits: int) -> np.ndarray:
    return np.random.default_rng(bits).integers(0, 1 << bits, (1000, 1000), dtype=np.uint8)


def test_the_cutoffs_are_those_that_the_tool_simulates(shared_data: Path) -> None:
    """Nine claims; five million simulated rows each there."""
    cutoffs = known(shared_data)["restart_exact_cutoffs"]["H_I->cutoff"]
    assert {h: count_cutoff(float(h), 1000, ALPHA) for h in cutoffs} == cutoffs


@pytest.mark.parametrize("h_i, samples", [(1.0, 9), (1.5, 8), (0.3, 9), (math.log2(3), 7), (1.2, 1)])
def test_a_cutoff_is_that_of_all_outcomes_added_up(h_i: float, samples: int) -> None:
    """Of three symbols at most, by brute force: the least count that is exceeded that seldom."""
    p = 2.0**-h_i
    law = [p] * int(1 / p) + [1 - int(1 / p) * p]
    beyond = np.zeros(samples + 1)
    outcomes = np.array(np.meshgrid(*[range(samples + 1)] * len(law))).reshape(len(law), -1).T
    for counts in outcomes[outcomes.sum(axis=1) == samples]:
        beyond[: counts.max()] += multinomial.pmf(counts, samples, law)
    for alpha in (0.5, 0.1, 0.01):
        assert count_cutoff(h_i, samples, alpha) == int(np.argmax(beyond <= alpha))


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_the_tool_says_of_a_million_samples(shared_data: Path, place: int) -> None:
    """Cutoff, largest count, every estimate of rows and columns, and what is left."""
    told = known(shared_data)["restart"][place]
    bits = 1 if told["file"] == "truerand_1bit" else 8
    matrix = symbols_of(shared_data, told["file"]).reshape(1000, 1000)
    found = assess_restarts(matrix, bits, float(told["H_I"]), iid="-i" in told["args"])
    assert (found.sanity.cutoff, found.sanity.largest_count) == (int(told["X_cutoff"]), int(told["X_max"]))
    assert found.sanity.alpha == pytest.approx(float(told["alpha"]), rel=1e-12)
    assert [f"{h:.6f}" for h in (found.h_r, found.h_c, found.h)] == [told["H_r"], told["H_c"], told["min"]]
    if found.rows and found.columns:
        for part, kind in ((found.rows, "(Rows)"), (found.columns, "(Cols)")):
            ours = sorted(f"{estimate.min_entropy:.6f}" for estimate in part.literal.values())
            assert ours == sorted(value for name, value in told["estimates"].items() if kind in name)


def test_rows_that_begin_alike_fail() -> None:
    """A source that always starts with the same thousand samples: no column has more than one symbol."""
    matrix = np.tile(noise(8)[0], (1000, 1))
    found = assess_restarts(matrix, 8, 7.0)
    assert (found.passed, found.h, found.h_r, found.rows) == (False, None, None, None)
    assert found.sanity.largest_count == 1000
    assert sanity_check(matrix.T, 7.0).largest_count == 1000


def test_less_than_half_of_the_claim_fails() -> None:
    """3.1.4.2: each row goes on as the one before did, which no count shows."""
    rng = np.random.default_rng(9)
    steps = rng.integers(0, 2, (1000, 1000))
    steps[0] = rng.integers(0, 4, 1000)
    matrix = (steps.cumsum(axis=0) % 4).astype(np.uint8)
    found = assess_restarts(matrix, 2, 2.0)
    assert found.sanity.passed
    assert found.h_c is not None
    assert found.h_c < 1.0
    assert (found.passed, found.h) == (False, None)
    assert json.loads(json.dumps(found.to_row()))["columns"]["h_i"] == found.h_c


def test_what_is_left_is_the_least_of_the_three() -> None:
    """The claim, where rows and columns hold more."""
    found = assess_restarts(noise(1), 1, 0.5)
    assert found.passed
    assert found.h == 0.5


@pytest.mark.parametrize("shape, h_i", [((1000, 999), 1.0), ((1000, 1000), 0.0), ((1000, 1000), 1.5)])
def test_other_shapes_and_claims_are_refused(shape: tuple[int, int], h_i: float) -> None:
    """The standard knows one shape."""
    with pytest.raises(InputRefused):
        assess_restarts(np.zeros(shape, dtype=np.uint8), 1, h_i)


def test_lines_of_two_lengths_have_no_cutoff_in_common() -> None:
    """A column of 500 is not held to what a row of 1,000 may have."""
    with pytest.raises(InputRefused, match="no cutoff in common"):
        sanity_check(np.zeros((500, 1000), dtype=np.uint8), 1.0)
