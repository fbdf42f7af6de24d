"""An outcome says one thing in all of its forms."""

import json

from entropy_assets.cli.statistics.outcome import SuiteOutcome, suite_outcome
from entropy_assets.core.sp800_22.second_level.across import Tally
from entropy_assets.core.sp800_22.suite import run_suite
from entropy_assets_tests.core.sp800_22.second_level.tallies import tally_of


def outcome_of(tally: Tally) -> SuiteOutcome:
    return suite_outcome(tally, None, name="bits", layout="packed", sha256="00", bytes_read=1)


def test_a_verdict_names_each_test_that_failed_once():
    failed = outcome_of(tally_of([1e-9]))
    assert failed.verdict.startswith("NOT consistent with random bits: serial (2.11).")
    assert failed.to_row()["consistent"] is False
    assert outcome_of(tally_of([0.5])).verdict.startswith("Consistent with random bits")


def test_where_nothing_was_judged_nothing_passed():
    """A test that is not applicable is no evidence for anything."""
    outcome = outcome_of(tally_of([None]))
    assert outcome.verdict.startswith("Nothing was judged")
    assert [summary.verdict for summary in outcome.by_test()] == ["not applicable"]


def test_p_values_are_told_in_plain_json():
    """Without NaN, which is no JSON."""
    told = outcome_of(tally_of([0.25, None])).to_row()
    assert told["p_values"] == [{"test": "serial", "label": "one", "p": [0.25, None]}]
    json.loads(json.dumps(told, allow_nan=False))


def test_the_report_of_the_program_is_of_many_sequences_in_its_own_numbers():
    assert outcome_of(tally_of([0.5])).program_lines == ()
    assert outcome_of(tally_of([0.5] * 2)).program_lines == ()
    assert len(outcome_of(tally_of([0.5] * 2, compat="sts")).program_lines) == 1


def test_a_summary_is_that_of_its_worst_p_value():
    tally = Tally()
    tally.add(run_suite(b"\x55" * 1000, tests=["cumulative_sums", "runs"]))
    runs, sums = outcome_of(tally).by_test()
    assert (runs.test, runs.failed, runs.verdict) == ("runs", True, "FAILS")
    assert len(sums.rows) == 2
    assert sums.smallest_p == min(row.smallest_p for row in sums.rows)
