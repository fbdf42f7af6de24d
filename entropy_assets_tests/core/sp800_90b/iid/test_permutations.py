"""The permutation verdict is the tool's from the same permutations, can be made again, and errs as often as it says."""

import json
from pathlib import Path

import numpy as np
import pytest

from entropy_assets.core.sp800_90b.alphabets import numbered
from entropy_assets.core.sp800_90b.iid.permutations import EARLY, STANDARD, Rule, permutation_tests
from entropy_assets.core.sp800_90b.iid.shuffles import Shuffler
from entropy_assets.core.sp800_90b.iid.statistics import NAMES
from entropy_assets_tests.core.sp800_90b.iid.test_statistics import TOLD
from entropy_assets_tests.core.sp800_90b.references import LONG_ARE_SLOW, known, symbols_of


@pytest.mark.parametrize("name", LONG_ARE_SLOW)
def test_the_counts_are_those_of_the_tool(shared_data: Path, name: str) -> None:
    """Of the tool with its generator begun at 1, 2, 3, 4: how many permutations had more, as much and less."""
    pytest.importorskip("numba")
    told = known(shared_data)["iid"][name]["fixed_seed_counts"]["C"]
    symbols = symbols_of(shared_data, name)
    verdict = permutation_tests(numbered(symbols)[0], np.unique(symbols), Shuffler((1, 2, 3, 4)))
    assert {theirs: list(verdict.counts[ours]) for theirs, ours in zip(TOLD, NAMES, strict=True)} == told
    assert verdict.passed


def sticky(n: int) -> np.ndarray:
    """Give bits of which each is the one before, three times in four."""
    return np.bitwise_xor.accumulate((np.random.default_rng(2).random(n) < 0.25).astype(np.uint8))


@pytest.mark.usefixtures("way")
def test_the_same_seed_gives_the_same_verdict() -> None:
    """And another one other counts."""
    symbols = np.random.default_rng(1).integers(0, 8, 600, dtype=np.uint8)
    rule = Rule("few", 40, 0)
    first, again, other = (permutation_tests(symbols, np.arange(8, dtype=np.uint8), seed, rule) for seed in (5, 5, 6))
    assert first == again
    assert first.counts != other.counts
    assert (first.seed, other.seed) == (5, 6)


def test_what_depends_on_the_order_fails_early_and_by_the_standard() -> None:
    """Bits that stick together; an early decision ends after 1,666 permutations."""
    bits = sticky(600)
    raw = np.arange(2, dtype=np.uint8)
    told: list[tuple[int, tuple[str, ...]]] = []
    early = permutation_tests(bits, raw, 1, EARLY, lambda made, undecided: told.append((made, undecided)))
    assert {"median_runs", "longest_median_run", "compression"} & set(early.failed)
    assert early.permutations == 1666
    assert [made for made, _ in told] == list(range(1, 1667))
    assert told[-1][1] == early.failed
    row = json.loads(json.dumps(early.to_row()))
    assert row["rule"]["name"].startswith("early")
    assert row["passed"] is False


def test_a_statistic_is_decided_when_it_can_fail_no_more() -> None:
    """Its counts end there: more than five on both sides, ties counted on both."""
    symbols = np.random.default_rng(3).integers(0, 8, 600, dtype=np.uint8)
    verdict = permutation_tests(symbols, np.arange(8, dtype=np.uint8), 9)
    assert verdict.passed
    for larger, equal, smaller in verdict.counts.values():
        assert min(larger + equal, equal + smaller) >= 6
        assert min(larger + equal, equal + smaller) == 6 or larger + equal + smaller == 6


def test_rates_are_those_of_ranks() -> None:
    """6 of 10,001 ranks at either end, and 1 of 1,667."""
    assert STANDARD.false_rejection_rate == 12 / 10_001
    assert EARLY.false_rejection_rate == pytest.approx(STANDARD.false_rejection_rate, rel=1e-3)
    assert STANDARD.failure_rate(3e-4) == pytest.approx(0.916, abs=1e-3)
    assert EARLY.failure_rate(3e-4) == pytest.approx((1 - 3e-4) ** 1666)
    assert EARLY.failure_rate(2e-3) == pytest.approx(0.0356, abs=1e-3)
    assert EARLY.failure_rate(3e-5) == pytest.approx(0.951, abs=1e-3)


@pytest.mark.slow
def test_iid_samples_fail_as_seldom_as_the_rates_say() -> None:
    """A rule that fails at 2 of 40 ranks, on 600 sequences: each statistic near its rate or, with ties, below it."""
    pytest.importorskip("numba")
    rng, rule, failures = np.random.default_rng(4), Rule("coarse", 39, 0), dict.fromkeys(NAMES, 0)
    for seed in range(600):
        symbols = rng.integers(0, 256, 600, dtype=np.uint8)
        for name in permutation_tests(numbered(symbols)[0], np.unique(symbols), seed, rule).failed:
            failures[name] += 1
    assert rule.false_rejection_rate == 0.05
    assert max(failures.values()) < 30 + 4 * 5.34
    assert failures["covariance_1"] > 30 - 4 * 5.34
