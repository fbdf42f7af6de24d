"""Counts add up, and an honest stream raises an alarm no more often than is said."""

import numpy as np
import pytest

from entropy_assets.core.sp800_22.ones import LONGEST_RUN_CLASSES, longest_run_chances
from entropy_assets.stages.reports.tallies import TAIL_POWER, RowCounts, by_test, summed, verdict_on
from entropy_assets_tests.core.sp800_22.second_level.wide_tails import chance_of, excursions


def look(rng: np.random.Generator, rows: int = 188, sequences: int = 60, power: float = 1.0) -> dict[str, RowCounts]:
    return {f"test {row}": RowCounts.of(rng.random(sequences) ** power) for row in range(rows)}


def test_counts_of_two_nights_are_those_of_both() -> None:
    values = np.random.default_rng(1).random(300)
    both = summed([{"a": RowCounts.of(values[:100])}, {"a": RowCounts.of(values[100:])}])
    assert both["a"] == RowCounts.of(values)
    assert by_test({"runs x": RowCounts.of(values[:100]), "runs y": RowCounts.of(values[100:])}) == {"runs": both["a"]}


@pytest.mark.parametrize(
    "row", [[], [0.0, 1, 0, 0.5], [0.0, 2, 0, 0.5, 1, *[0] * 9], ["a"], [0.0, 1, 0, 0.5, *[0.0] * 10]]
)
def test_a_row_that_holds_no_counts_is_refused(row: list[float]) -> None:
    with pytest.raises((ValueError, TypeError)):
        RowCounts.from_row(row)


def test_counts_are_read_as_they_were_written() -> None:
    tally = RowCounts.of(np.random.default_rng(2).random(77))
    assert RowCounts.from_row(tally.to_row()) == tally


@pytest.mark.parametrize("smallest_too", [True, False])
def test_an_honest_stream_raises_an_alarm_as_rarely_as_the_level_says(smallest_too: bool) -> None:
    """At a level of .1 some 20 of 200 looks may alarm, by independent rows; 33 are three standard errors more."""
    rng = np.random.default_rng(3)
    alarms = sum(bool(verdict_on(look(rng, rows=30), 0.1, smallest_too=smallest_too).alarms) for _ in range(200))
    assert alarms <= 33


@pytest.mark.parametrize(
    "draws, chances",
    [
        (500, excursions(4)),
        (100, np.array(longest_run_chances(10_000, LONGEST_RUN_CLASSES[10_000]))),
    ],
    ids=["excursions at 4", "longest run"],
)
def test_no_small_p_value_is_more_likely_than_is_allowed_for(draws: int, chances: np.ndarray) -> None:
    rng = np.random.default_rng(7)
    found = {p: chance_of(p, draws, chances / chances.sum(), rng) for p in (1e-2, 1e-5, 1e-8, 1e-12, 1e-16)}
    assert all(p < chance < p**TAIL_POWER for p, chance in found.items())


def test_without_the_correction_most_nights_would_alarm() -> None:
    """What the correction is for: of 188 P-values of a good sequence one is under .01 in 85 of 100 nights."""
    rng = np.random.default_rng(4)
    lowest = [min(tally.least for tally in look(rng, sequences=1).values()) for _ in range(60)]
    assert np.mean(np.array(lowest) < 0.01) == pytest.approx(0.85, abs=0.15)


def test_a_slight_tilt_of_one_row_shows_over_many_sequences_only() -> None:
    rng = np.random.default_rng(5)
    tilted = {"lean": 1.1}
    night = look(rng) | {"runs": RowCounts.of(rng.random(60) ** tilted["lean"])}
    life = look(rng, sequences=9000) | {"runs": RowCounts.of(rng.random(9000) ** tilted["lean"])}
    assert not verdict_on(night, 1e-5, smallest_too=True).alarms
    assert {one.row for one in verdict_on(life, 1e-5, smallest_too=False).alarms} == {"runs"}


def asked(counts: RowCounts) -> set[str]:
    return {one.question for one in verdict_on({"spectral": counts}, 1e-5, smallest_too=False).evidence}


def test_a_test_whose_p_values_take_few_values_is_not_asked_for_evenness_over_very_many() -> None:
    """A grid of hundredths would show among 9000 P-values, whatever the stream is."""
    values = np.random.default_rng(6).random(9000)
    assert asked(RowCounts.of(values)) == {"proportion", "uniformity"}
    assert asked(RowCounts.of(values, grain=0.01)) == {"proportion"}
    assert asked(RowCounts.of(values[:60], grain=0.01)) == {"proportion", "uniformity"}


def test_one_p_value_of_nothing_is_enough_and_none_at_all_is_no_evidence() -> None:
    rows = {f"test {n}": RowCounts.of([0.5]) for n in range(187)} | {"runs": RowCounts.of([1e-16])}
    (alarm,) = verdict_on(rows, 1e-5, smallest_too=True).alarms
    assert (alarm.row, alarm.question) == ("runs", "smallest")
    assert verdict_on({"runs": RowCounts.of([])}, 1e-5, smallest_too=True).smallest_p == 1.0
    assert verdict_on({"runs": RowCounts.of([0.0])}, 1e-5, smallest_too=True).alarms
