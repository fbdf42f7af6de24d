"""Numbers are told so that none is lost, and verdicts as what they are."""

import pytest

from entropy_assets.cli.assessing.words import health_words, number, restart_verdict, sanity_words
from entropy_assets.core.sp800_90b.health_tests import HealthReport
from entropy_assets.core.sp800_90b.restarts import SanityCheck


@pytest.mark.parametrize(
    "value, told", [(4124, "4,124"), (0.004124, "0.004124"), (6.75635e-39, "6.75635e-39"), (0, "0")]
)
def test_counts_are_whole_and_shares_have_six_digits(value: float, told: str) -> None:
    assert number(value) == told


def test_restart_tests_leave_a_figure_only_if_they_pass() -> None:
    assert restart_verdict(7.2, 7.8, 6.6, 6.6).endswith("min(H_r, H_c, H_I) = 6.600000 bits per sample")
    for failed in (restart_verdict(7.2, None, None, None), restart_verdict(7.2, 7.8, 3.1, None)):
        assert failed.startswith("the restart tests fail")
        assert failed.endswith("No min-entropy is left")


def test_a_cutoff_is_told_with_its_side() -> None:
    """A sanity check fails above its cutoff, a health test at it (3.1.4.3, 4.4)."""
    assert sanity_words(SanityCheck(25, 25, 1e-6), "row") == (
        "the most frequent symbol of any row comes 25 times, more than 25 fail: passed"
    )
    assert health_words(HealthReport(4, 4, 16, 30, 512, 10)).endswith(
        "longest run 4, 4 fail; most of a window of 512 16, 30 fail: FAILED"
    )
    assert "no window of 1,024: passed" in health_words(HealthReport(4, 22, 0, 603, 1024, 0))
