"""A batch is judged by what its P-values say together, and small batches are not called evidence."""

import json
from dataclasses import replace

import numpy as np
import pytest

from entropy_assets.core.validation.block_tests import TESTS
from entropy_assets.core.validation.second_level import FAMILY_ALPHA, batch_report
from entropy_assets.core.validation.validator import EntropyValidator
from entropy_assets_tests.core.validation.defects import biased, good


@pytest.fixture(scope="module")
def honest():
    return EntropyValidator().validate_blocks(good(np.random.Generator(np.random.PCG64(21)), 400, 512))


def with_p_values(verdicts, name, p_values):
    """Return verdicts of as many blocks as there are P-values, with those of one test replaced."""
    m = len(p_values)
    columns = {test: column[:m] for test, column in verdicts.p_values.items()} | {name: np.asarray(p_values)}
    return replace(
        verdicts,
        p_values=columns,
        p_star=verdicts.p_star[:m],
        passed=verdicts.passed[:m],
        warned=verdicts.warned[:m],
    )


def test_an_honest_batch_passes_with_evidence(honest):
    """All four tests report their number, proportion, band and uniformity, as plain JSON."""
    report = batch_report(honest)
    assert report.passed
    assert not report.alarm
    assert report.failed_tests == ()
    assert list(report.tests) == list(TESTS)
    for test in report.tests.values():
        assert test.blocks == sum(test.bins) == 400
        assert test.band[0] <= test.proportion <= test.band[1]
        assert None not in (test.uniformity_p, test.proportion_p, test.extreme_p)
        assert test.note == ""
    row = report.to_row()
    assert json.loads(json.dumps(row)) == row
    assert row["tests"]["runs"]["proportion"] == report.tests["runs"].proportion


@pytest.mark.parametrize("blocks", [1, 10, 54])
def test_a_small_batch_says_what_it_could_not_test(honest, blocks):
    """Under 55 blocks uniformity is not applicable, and the report says so instead of passing it silently."""
    report = batch_report(with_p_values(honest, "runs", honest.p_values["runs"][:blocks]))
    assert report.tests["runs"].uniformity_p is None
    assert f"{blocks} blocks, 55 needed" in report.tests["runs"].note


def test_a_batch_without_blocks_passes_and_says_that_nothing_was_tested():
    """No block, no evidence, nothing to publish."""
    report = batch_report(EntropyValidator().validate_blocks(np.empty((0, 4096), np.uint8)))
    assert report.passed
    assert (report.blocks, report.rejection_rate) == (0, 0.0)
    assert all(test.note == "no blocks: nothing was tested" for test in report.tests.values())
    assert all(test.proportion is None for test in report.tests.values())


def test_one_broken_block_alone_fails_its_batch():
    """A proportion can't condemn a single block; its smallest P-value does."""
    report = batch_report(EntropyValidator().validate_blocks(np.zeros((1, 4096), np.uint8)))
    assert report.failed_tests == TESTS
    assert report.alarm
    assert (report.rejected, report.rejection_rate) == (1, 1.0)


def test_a_weak_bias_that_no_block_shows_is_found_in_the_batch():
    """A share of ones of 0.51 is under the noise of one block, and plain in 64 of them."""
    verdicts = EntropyValidator().validate_blocks(biased(0.51)(np.random.Generator(np.random.PCG64(22)), 64, 1024))
    report = batch_report(verdicts)
    assert verdicts.passed.all()
    assert report.failed_tests == ("runs",)


@pytest.mark.parametrize(
    "p_values, evidence",
    [
        (np.linspace(0.0, 1.0, 400) ** 2, "uniformity_p"),
        (np.linspace(0.3, 0.7, 400), "uniformity_p"),
        (np.concatenate([np.full(25, 0.009), np.linspace(0.01, 1.0, 375)]), "proportion_p"),
        (np.concatenate([[1e-10], np.linspace(0.0001, 1.0, 399)]), "extreme_p"),
    ],
)
def test_each_kind_of_evidence_fails_its_test_alone(honest, p_values, evidence):
    """Skewed, too central, too many below 0.01, one far too small: the test is named, the others still pass."""
    report = batch_report(with_p_values(honest, "autocorrelation", p_values))
    assert report.failed_tests == ("autocorrelation",)
    assert getattr(report.tests["autocorrelation"], evidence) < FAMILY_ALPHA / 10


def test_one_small_value_among_twelve_is_no_failure(honest):
    """Twelve P-values are looked at, so 2 in 100 000 in one of them is corrected to 2 in 10 000, and that passes."""
    lucky = np.concatenate([[5e-8], honest.p_values["runs"][1:]])
    report = batch_report(with_p_values(honest, "runs", lucky))
    assert report.tests["runs"].extreme_p == pytest.approx(2e-5, rel=1e-3)
    assert report.tests["runs"].corrected_p == pytest.approx(2.4e-4, rel=1e-3)
    assert report.passed


def test_too_few_small_p_values_raise_the_alarm(honest):
    """Blocks that were chosen, re-rolled or post-processed look too good: that is as wrong as too bad."""
    many = replace(honest, p_star=np.linspace(0.02, 1.0, 4000), passed=np.ones(4000, bool), warned=np.zeros(4000, bool))
    report = batch_report(many)
    assert report.low_p_star == 0
    assert report.low_p_star_p < 1e-15
    assert report.alarm


def test_a_test_that_is_too_good_fails_on_its_proportion(honest):
    """5000 blocks of which every one passes at 0.01 are no honest blocks."""
    column = np.linspace(0.0101, 1.0, 5000)
    repeated = {name: np.resize(values, 5000) for name, values in honest.p_values.items()}
    report = batch_report(replace(honest, p_values=repeated | {"runs": column}, p_star=np.resize(honest.p_star, 5000)))
    assert report.tests["runs"].proportion == 1.0
    assert report.tests["runs"].proportion_p < 1e-15
    assert "runs" in report.failed_tests


@pytest.mark.slow
def test_honest_batches_fail_less_than_once_in_a_thousand():
    """3000 batches of 55 to 200 good blocks: none should fail, and no more than a few raise the alarm."""
    generator = np.random.Generator(np.random.PCG64(23))
    verdicts = EntropyValidator().validate_blocks(good(generator, 300_000, 256))
    failed = alarms = 0
    for _ in range(3000):
        picked = generator.integers(0, 300_000, int(generator.integers(55, 200)))
        columns = {name: column[picked] for name, column in verdicts.p_values.items()}
        report = batch_report(
            replace(
                verdicts,
                p_values=columns,
                p_star=verdicts.p_star[picked],
                passed=verdicts.passed[picked],
                warned=verdicts.warned[picked],
            )
        )
        failed += not report.passed
        alarms += report.alarm
    assert failed <= 3
    assert alarms <= 3
