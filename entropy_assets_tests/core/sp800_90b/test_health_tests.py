"""The health tests have the standard's cutoffs, alarm where they must, and not where they must not."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from entropy_assets.core.sp800_90b import health_tests
from entropy_assets.core.sp800_90b.health_tests import (
    APT_WINDOW,
    APT_WINDOW_BINARY,
    apt_cutoff,
    longest_run,
    rct_cutoff,
    run_health_tests,
    window_counts,
)

TABLE_2_BINARY = {0.2: 941, 0.4: 840, 0.6: 748, 0.8: 664, 1.0: 589}
TABLE_2 = {0.5: 410, 1.0: 311, 2.0: 177, 4.0: 62, 8.0: 13}
ROUNDING = 1e-12
"""Relative error of a tail in floating point, and more."""


@pytest.mark.parametrize(
    "min_entropy, window, cutoff",
    [(h, APT_WINDOW_BINARY, c) for h, c in TABLE_2_BINARY.items()] + [(h, APT_WINDOW, c) for h, c in TABLE_2.items()],
)
def test_apt_cutoffs_are_those_of_table_2(min_entropy: float, window: int, cutoff: int) -> None:
    """SP 800-90B 4.4.2, Table 2, at alpha = 2**-20."""
    assert apt_cutoff(min_entropy, 20, window) == cutoff


def test_apt_cutoffs_agree_with_the_reference_file(shared_data: Path) -> None:
    """The table as the reference data carries it."""
    known = json.loads((shared_data / "statistics" / "sp80090b_reference.json").read_text())
    table = known["health_test_cutoffs_90B_table2"]
    for column, window in (("APT_W1024_binary", 1024), ("APT_W512_nonbinary", 512)):
        assert {h: apt_cutoff(float(h), 20, window) for h in table[column]} == table[column]


@settings(deadline=None)
@given(st.floats(0.05, 8), st.integers(10, 40))
@example(1 / 16, 32)
def test_apt_cutoff_is_one_more_than_the_critical_binomial_count(min_entropy: float, alpha_bits: int) -> None:
    """C - 1 is the first count that is exceeded with probability alpha or less; at H = 1/16 one is 2**-32 exactly."""
    critical = apt_cutoff(min_entropy, alpha_bits, 512) - 1
    p = 2.0**-min_entropy
    alpha = 2.0**-alpha_bits
    assert binom.sf(critical, 512, p) <= alpha * (1 + ROUNDING)
    assert critical == 0 or binom.sf(critical - 1, 512, p) > alpha * (1 - ROUNDING)


@pytest.mark.parametrize("min_entropy, cutoff", [(1.0, 21), (2.0, 11), (4.0, 6), (7.3, 4), (8.0, 4), (0.1, 201)])
def test_rct_cutoff_is_one_and_twenty_over_h(min_entropy: float, cutoff: int) -> None:
    """C = 1 + ceil(20 / H), SP 800-90B 4.4.1."""
    assert rct_cutoff(min_entropy, 20) == cutoff


@settings(deadline=None)
@given(st.lists(st.integers(0, 2), max_size=60))
def test_longest_run_is_that_of_a_count_by_hand(values: list[int]) -> None:
    """Vectorised run lengths equal the standard's counter B."""
    longest = count = 0
    before = None
    for value in values:
        count = count + 1 if value == before else 1
        before, longest = value, max(longest, count)
    assert longest_run(np.array(values, dtype=np.uint8)) == longest


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), max_size=80), st.integers(2, 9))
def test_window_counts_are_those_of_a_count_by_hand(values: list[int], window: int) -> None:
    """Each window counts its first sample, as the standard's A does; what fills no window is left out."""
    whole = [values[i : i + window] for i in range(0, len(values) - window + 1, window)]
    counted = window_counts(np.array(values, dtype=np.uint8), window)
    assert counted.tolist() == [part.count(part[0]) for part in whole]


def test_noise_passes_and_its_failures_are_named() -> None:
    """Uniform bytes pass at 7.5 bits; a stuck stretch fails repetition, a frequent value fails proportion."""
    noise = np.random.default_rng(3).integers(0, 256, 200_000).astype(np.uint8)
    assert run_health_tests(noise, 7.5, alpha_bits=20).passed

    stuck = noise.copy()
    stuck[5000:5004] = 9
    assert run_health_tests(stuck, 7.5, alpha_bits=20).failed == ("repetition_count",)
    assert not run_health_tests(stuck, 7.5, alpha_bits=20).passed

    biased = noise.copy()
    biased[APT_WINDOW : 2 * APT_WINDOW : 20] = 77
    assert run_health_tests(biased, 7.5, alpha_bits=20).failed == ("adaptive_proportion",)
    assert not run_health_tests(biased, 7.5, alpha_bits=20).passed


def test_report_is_json() -> None:
    """What the report says can be stored as it is."""
    row = run_health_tests(np.arange(600, dtype=np.uint16).astype(np.uint8), 4.0, alpha_bits=20).to_row()
    assert json.loads(json.dumps(row)) == row


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 64])
def test_runs_are_counted_across_portions(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """However many samples are looked at together, a run is as long as it is."""
    monkeypatch.setattr(health_tests, "SAMPLES_AT_ONCE", at_once)
    for seed in range(40):
        samples = np.random.default_rng(seed).integers(0, 2, seed).astype(np.uint8)
        expected = max((len(list(run)) for _, run in itertools.groupby(samples.tolist())), default=0)
        assert health_tests.longest_run(samples) == expected
