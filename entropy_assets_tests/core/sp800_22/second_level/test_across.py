"""Many sequences are judged by exact laws, by those that count, and no good source fails for its grid."""

import json
import math

import numpy as np
import pytest

from entropy_assets.core.sp800_22.findings import Asked, Finding, PValue
from entropy_assets.core.sp800_22.linear import COMPLEXITY_CHANCES
from entropy_assets.core.sp800_22.ones import LONGEST_RUN_CLASSES, longest_run_chances
from entropy_assets.core.sp800_22.second_level.across import REPORT_ALPHA, Tally, second_level, widened
from entropy_assets.core.sp800_22.suite import SuiteReport, run_suite
from entropy_assets_tests.core.sp800_22.second_level.tallies import tally_of
from entropy_assets_tests.core.sp800_22.second_level.wide_tails import chance_of, chances_of_templates, excursions

EVEN = ((np.arange(100) + 0.5) / 100).tolist()


def test_an_even_spread_has_nothing_against_it():
    """All three questions are asked and answered, and the whole is plain JSON."""
    report = second_level(tally_of(EVEN))
    [row] = report.rows
    assert (row.counted, row.left_out, row.passed, row.bins) == (100, 0, 99, (10,) * 10)
    assert row.uniformity_p == 1.0
    assert row.proportion_p == 1.0
    assert row.extreme_p == pytest.approx(1 - 0.995**100)
    assert report.answers == 3
    assert report.failed == ()
    assert json.loads(json.dumps(report.to_row()))["rows"][0]["corrected_p"] == row.corrected_p


@pytest.mark.parametrize(
    "p_values, kind",
    [
        ([*EVEN[:-1], 1e-9], "extreme"),
        ([0.005] * 8 + [0.5 + i / 100 for i in range(46)], "proportion"),
        ([0.35] * 25 + EVEN[1:60], "uniformity"),
    ],
    ids=["one tiny", "too many small", "a heap"],
)
def test_each_question_fails_a_row_alone(p_values, kind):
    """The smallest of the three, corrected for three, is what is told."""
    [row] = second_level(tally_of(p_values)).rows
    answers = {"extreme": row.extreme_p, "proportion": row.proportion_p, "uniformity": row.uniformity_p}
    asked = {name: p for name, p in answers.items() if p is not None}
    assert min(asked, key=asked.__getitem__) == kind
    assert row.corrected_p == pytest.approx(len(asked) * asked[kind])
    assert row.failed
    assert row.corrected_p < REPORT_ALPHA


def test_a_sequence_to_which_a_test_is_not_applicable_does_not_count():
    """It is no failure and no success: sixty P-values and forty that are none give what sixty give."""
    some, all_ = second_level(tally_of([*EVEN[:60], *[None] * 40])), second_level(tally_of(EVEN[:60]))
    assert (some.rows[0].counted, some.rows[0].left_out) == (60, 40)
    assert some.rows[0].proportion_p == all_.rows[0].proportion_p
    assert some.rows[0].uniformity_p == all_.rows[0].uniformity_p
    assert some.reasons == {"serial": "for no reason"}


def test_a_test_that_is_never_applicable_says_nothing():
    """Neither a P-value of the second level, nor a vote in the correction."""
    report = second_level(tally_of([None] * 60))
    assert report.answers == 0
    assert report.rows[0].corrected_p is None
    assert not report.rows[0].failed


def test_one_sequence_is_asked_once():
    """Its proportion would be the same question as its P-value, and halve the power."""
    report = second_level(tally_of([0.0004]))
    assert report.answers == 1
    assert report.rows[0].corrected_p == pytest.approx(0.0004)
    assert report.rows[0].failed


def test_few_sequences_are_not_asked_for_uniformity():
    """4.2.2 wants 55, and the row says so."""
    assert second_level(tally_of(EVEN[:54])).rows[0].uniformity_p is None
    assert "54 P-values, 55 needed" in second_level(tally_of(EVEN[:54])).rows[0].note
    assert second_level(tally_of(EVEN[:55])).rows[0].uniformity_p is not None


def test_a_good_source_does_not_fail_for_the_grid_of_a_test():
    """The sum of 400 bits has no P-value between .96 and 1: 600 good sequences would fail by that alone."""
    generator, tally = np.random.Generator(np.random.PCG64(5)), Tally()
    for _ in range(600):
        tally.add(run_suite(generator.bytes(50), tests=["frequency"]))
    [row] = second_level(tally).rows
    assert row.uniformity_p is None
    assert "have the same P-value" in row.note
    assert row.proportion_p is not None
    assert not row.failed


def test_templates_in_few_bits_are_not_judged():
    """A block of 12 bits holds a template of 9 once in a hundred times; then its chi-square gives 1e-20."""
    generator, tally = np.random.Generator(np.random.PCG64(6)), Tally()
    for _ in range(40):
        tally.add(run_suite(generator.bytes(13), tests=["non_overlapping_template"]))
    report = second_level(tally)
    assert min(row.smallest_p for row in report.rows) < 1e-12
    assert report.answers == 0
    assert "small too often" in report.rows[0].note


def test_where_small_p_values_are_too_frequent_the_smallest_is_not_asked():
    """Templates in 100,000 bits: their proportion is."""
    generator, tally = np.random.Generator(np.random.PCG64(9)), Tally()
    for _ in range(2):
        tally.add(run_suite(generator.bytes(12_500), tests=["non_overlapping_template"]))
    row = second_level(tally).rows[0]
    assert row.extreme_p is None
    assert row.proportion_p is not None
    assert "the smallest not asked" in row.note


def test_a_generator_that_repeats_itself_fails():
    """Sequences that are all the same have P-values that are all the same."""
    data, tally = np.random.Generator(np.random.PCG64(7)).bytes(12_500), Tally()
    report = run_suite(data, tests=["block_frequency", "runs"])
    for _ in range(60):
        tally.add(report)
    assert {row.test for row in second_level(tally).failed} == {"block_frequency", "runs"}


def test_a_tally_holds_sequences_of_one_kind():
    """P-values of other lengths or other constants are other P-values."""
    tally = tally_of([0.5])
    finding = Finding(name="serial", section="2.11", p_values=(PValue("one", 0.5, None),))
    for n, asked, findings in (
        (999_999, Asked(), (finding,)),
        (1_000_000, Asked(compat="sts"), (finding,)),
        (1_000_000, Asked(), ()),
    ):
        with pytest.raises(ValueError, match="the same length"):
            tally.add(SuiteReport(n=n, asked=asked, findings=findings))
    assert tally.sequences == 1


def test_columns_keep_the_order_of_the_sequences():
    """What was not applicable keeps its place."""
    [(name, section, p)] = tally_of([0.25, None, 0.75]).columns()
    assert (name, section) == (("serial", "one"), "2.11")
    assert [None if math.isnan(value) else value for value in p.tolist()] == [0.25, None, 0.75]


def test_the_tails_are_no_wider_than_is_allowed_for():
    """Where one sequence is decided, and ten thousand: the mean over 188 rows of a million bits.

    Of the excursions, over 700 cycles: of the sequences that count, half have more than a thousand. What has no wide
    tail counts as it says.
    """
    rng = np.random.default_rng(8)
    p_values = [3e-6, 2e-10]
    wide = [(700, excursions(x), 2) for x in (1, 2, 3, 4)]
    wide += [(100, np.array(longest_run_chances(10_000, LONGEST_RUN_CLASSES[10_000])), 1)]
    wide += [(2000, np.array(COMPLEXITY_CHANCES), 1)]
    others = 188 - 148 - sum(rows for _, _, rows in wide)
    for p, of_template in zip(p_values, chances_of_templates(1_000_000, p_values), strict=True):
        of_wide = sum(rows * chance_of(p, draws, law / law.sum(), rng) for draws, law, rows in wide)
        mean = (of_wide + 148 * of_template + others * p) / 188
        assert p < mean < widened(p), p
