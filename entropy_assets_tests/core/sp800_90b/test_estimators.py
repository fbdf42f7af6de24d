"""Every estimator of SP 800-90B 6.3 gives what the standard, taken step by step, gives."""

import numpy as np
import pytest
from hypothesis import given, settings

from entropy_assets.core.sp800_90b import estimators, predictors, tuples
from entropy_assets.core.sp800_90b.estimators import Estimate
from entropy_assets.core.sp800_90b.kernels import counts_for
from entropy_assets_tests.core.sp800_90b import by_the_book
from entropy_assets_tests.core.sp800_90b.sequences import sequences

NAMES = {
    "Most Common Value": lambda s, k: estimators.most_common_value(s),
    "Collision": lambda s, k: estimators.collision(s),
    "Markov": lambda s, k: estimators.markov(s),
    "Compression": lambda s, k: estimators.compression(s),
    "t-Tuple": lambda s, k: tuples.tuples_and_repeats(s, k)[0],
    "LRS": lambda s, k: tuples.tuples_and_repeats(s, k)[1],
    "MultiMCW Prediction": predictors.multi_mcw,
    "Lag Prediction": predictors.lag,
    "MultiMMC Prediction": predictors.multi_mmc,
    "LZ78Y Prediction": predictors.lz78y,
}

pytestmark = pytest.mark.usefixtures("way")


def bits_of(estimate: Estimate | None) -> float | None:
    """Give the figure, or None where there is none."""
    return None if estimate is None else estimate.min_entropy


bits = sequences(alphabets=(2,)).map(lambda drawn: drawn[0])


@given(sequences())
@settings(max_examples=60, deadline=None)
def test_most_common_value_by_the_book(drawn: tuple[np.ndarray, int]) -> None:
    """6.3.1."""
    assert bits_of(estimators.most_common_value(drawn[0])) == pytest.approx(
        by_the_book.most_common_value(drawn[0].tolist())
    )


@given(bits)
@settings(max_examples=100, deadline=None)
def test_collision_by_the_book(symbols: np.ndarray) -> None:
    """6.3.2: the vectorised walk stops at the same bits as a search that goes bit by bit."""
    assert bits_of(estimators.collision(symbols)) == pytest.approx(by_the_book.collision(symbols.tolist()), abs=1e-12)


@given(bits)
@settings(max_examples=60, deadline=None)
def test_markov_by_the_book(symbols: np.ndarray) -> None:
    """6.3.3: powers of the transition probabilities give what multiplying along each sequence gives."""
    assert bits_of(estimators.markov(symbols)) == pytest.approx(by_the_book.markov(symbols.tolist()), abs=1e-12)


def test_compression_by_the_book() -> None:
    """6.3.4 whole: dictionary, mean, spread, and the p that the standard's double sum gives."""
    rng = np.random.default_rng(8)
    symbols = (rng.random(7200) < 0.7).astype(np.uint8)
    assert bits_of(estimators.compression(symbols)) == pytest.approx(
        by_the_book.compression(symbols.tolist()), abs=1e-9
    )


def test_distances_of_the_compression_estimate() -> None:
    """6.3.4 step 3: a word's distance is to the same word before, or its own place from 1 if there is none."""
    words = np.array([5, 5, 1, 5, 1, 2], dtype=np.uint8)
    bits = np.unpackbits(words[:, np.newaxis], axis=1)[:, 2:].reshape(-1)
    assert counts_for(bits).distances(bits, 6, 1).tolist() == [0, 1, 2, 1, 0, 0, 1]


def test_expected_log_is_the_double_sum() -> None:
    """6.3.4 step 7: G(z) as one sum equals the standard's double sum, whatever was asked for before."""
    count, weights = 1200, estimators._Weights(1200)
    for z in (0.5, 0.02, 0.1):
        total = 0.0
        for t in range(estimators.DICTIONARY + 1, count + 1):
            u = np.arange(1, t + 1)
            powers = np.where(u < t, z * z * (1 - z) ** (u - 1.0), z * (1 - z) ** (t - 1.0))
            total += float((np.log2(u) * powers).sum())
        assert weights.expected_log(z) == pytest.approx(total / (count - estimators.DICTIONARY), rel=1e-12)


def test_estimators_say_none_when_there_is_too_little() -> None:
    """A sequence too short for an estimator gives no estimate, not a wrong one and no exception."""
    empty, few = np.zeros(0, dtype=np.uint8), np.array([0, 1, 1], dtype=np.uint8)
    for name, run in NAMES.items():
        if name in {"t-Tuple", "LRS"}:
            continue
        assert run(empty, 2) is None, name
        run(few, 2)


def test_a_constant_sequence_has_no_entropy() -> None:
    """The one sequence whose answer everybody knows."""
    zeros = np.zeros(8000, dtype=np.uint8)
    for name, run in NAMES.items():
        estimate = run(zeros, 2)
        assert estimate is None or estimate.min_entropy < 0.01, name
