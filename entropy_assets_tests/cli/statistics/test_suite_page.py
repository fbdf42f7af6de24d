"""The page has every P-value, and is the same for the same bits."""

import re

import pytest

from entropy_assets.cli.statistics.outcome import SuiteOutcome, suite_outcome
from entropy_assets.cli.statistics.suite_page import page_of
from entropy_assets.core.sp800_22.findings import Compat
from entropy_assets.core.sp800_22.second_level.across import Tally
from entropy_assets.core.sp800_22.suite import run_suite
from entropy_assets_tests.cli.statistics.conftest import GOOD


def outcome_of(sequences: list[bytes], compat: Compat = "strict", name: str = "bits") -> SuiteOutcome:
    tally = Tally()
    for data in sequences:
        tally.add(run_suite(data, compat=compat))
    return suite_outcome(tally, None, name=name, layout="packed", sha256="ab" * 32, bytes_read=len(GOOD))


@pytest.mark.slow
def test_every_p_value_has_its_row():
    """188 of them, the plots of one sequence or of many, and the report of the program; twice the same."""
    one, many = outcome_of([GOOD[:5000]]), outcome_of([GOOD[:1250], GOOD[1250:2500]], "sts")
    assert len(one.second_level.rows) == 188
    for outcome, plots, rows in ((one, 1, 188 + 15 + 2), (many, 2, 188 + 15 + 188 + 3)):
        page = page_of(outcome)
        assert (page.count("<svg"), page.count("<tr")) == (plots, rows)
        assert page == page_of(outcome)


def test_what_fails_is_marked():
    page = page_of(outcome_of([b"\x55" * 1000]))
    assert '<p class="verdict bad">NOT consistent' in page
    assert '<tr class="marked"><td>runs</td>' in page


def test_a_file_may_have_any_name():
    """It is text wherever it stands."""
    assert not re.search("<b>", page_of(outcome_of([GOOD[:1250]], name="<b>$x")))
