"""The lines of finalAnalysisReport, as sts-2.1.2 prints them, with what is wrong in them."""

from pathlib import Path
from typing import Any

import pytest

from entropy_assets.core.sp800_22.second_level.across import Tally
from entropy_assets.core.sp800_22.second_level.final_analysis import final_analysis
from entropy_assets.core.sp800_22.suite import run_suite
from entropy_assets_tests.core.sp800_22.conftest import STS_NAMES
from entropy_assets_tests.core.sp800_22.second_level.tallies import tally_of


def test_ten_sequences_of_pi_give_the_report_of_the_program(shared_data: Path, sts_reference: dict[str, Any]):
    """All 188 lines: C1 to C10, P-value_T to six digits or its dashes, and the proportion."""
    [reference] = sts_reference["second_level"]
    pi = (shared_data / "statistics" / "pi_1e6.bin").read_bytes()
    tally = Tally()
    for i in range(reference["streams"]):
        tally.add(run_suite(pi[12_500 * i : 12_500 * (i + 1)], compat="sts"))
    lines = [
        {
            "test": line.test,
            "bins": list(line.bins),
            "p_uniformity": "----" if line.uniformity_p is None else f"{line.uniformity_p:.6f}",
            "proportion": f"{line.passed}/{line.counted}",
        }
        for line in final_analysis(tally)
    ]
    assert lines == [{**row, "test": STS_NAMES[row["test"]]} for row in reference["rows"]]


def line_of(p_values: list[float | None], test: str = "serial") -> Any:
    [line] = final_analysis(tally_of(p_values, test=test, compat="sts"))
    return line


def test_p_values_are_those_of_its_files():
    """Six digits in single precision: 0.01 is below 0.01 and 0.7 lies in the bin of 0.6."""
    line = line_of([0.01, 0.0100004, 0.7, 0.70000049, 1.0, 0.69])
    assert line.bins == (2, 0, 0, 0, 0, 0, 3, 0, 0, 1)
    assert line.passed == 4


@pytest.mark.parametrize(
    "test, counted", [("universal", 3), ("random_excursions", 1), ("random_excursions_variant", 1)]
)
def test_what_is_not_applicable_is_zero_and_dropped_for_the_excursions_alone(test, counted):
    """There a true zero goes too: 4e-7 is printed as one."""
    assert line_of([None, 4e-7, 0.5], test).counted == counted


def test_the_expectation_of_a_bin_is_cut_to_a_whole_number():
    """19 sequences, two in each bin but the last, are as uneven as if 10 were expected: 1 a bin."""
    even = [i / 20 + 0.01 for i in range(19)]
    assert line_of(even).uniformity_p == pytest.approx(0.437274, abs=1e-6)  # igamc(4.5, 9 / 2)
    assert line_of(even[:9]).uniformity_p is None


def test_the_band_is_cut_to_whole_numbers():
    """96 of 100 pass, though 0.96 is below 0.9601; 95 don't."""
    four, five = ([0.001] * low + [0.5] * (100 - low) for low in (4, 5))
    assert (line_of(four).least, line_of(four).most) == (96, 101)
    assert not line_of(four).out_of_band
    assert line_of(five).out_of_band


def test_a_line_reads_as_in_the_report():
    """Stars where the program sets them, dashes where it has no figure."""
    assert line_of([None] * 10, "universal").line() == " 10   0   0   0   0   0   0   0   0   0  0.000000 *    0/10   *"
    assert line_of([None] * 10, "random_excursions").line().split()[-2:] == ["----", "------"]
