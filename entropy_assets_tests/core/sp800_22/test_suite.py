"""All fifteen tests: NIST's own numbers, what holds for any sequence, and what has no P-value and why."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.sp800_22.findings import Parameters
from entropy_assets.core.sp800_22.packed import PackedBits
from entropy_assets.core.sp800_22.suite import SUITE, iterate_suite, names_of, run_suite
from entropy_assets_tests.core.sp800_22.conftest import PI_100, STS_NAMES
from entropy_assets_tests.core.sp800_22.sequences import bit_arrays

SMALL = Parameters(
    block_frequency=10, template=3, template_blocks=2, overlapping_template=3, overlapping_block=20, universal=2,
    universal_first=4, linear_complexity=13, serial=4, approximate_entropy=3,
)  # fmt: skip
EXAMPLE_PARAMETERS = {
    "BlockFrequency": "block_frequency",
    "LongestRun": "longest_run",
    "OverlappingTemplate": "overlapping_template",
    "LinearComplexity": "linear_complexity",
    "Serial": "serial",
    "ApproximateEntropy": "approximate_entropy",
}
WRONG_IN_THE_DOCUMENT = {
    "2.6.4": "the peaks below T are miscounted",
    "2.6.8": "the same",
}
"""Worked examples that the program doesn't give, and why."""


def printed(p: float) -> str:
    return f"{p:.6f}"


@pytest.mark.parametrize("name", ["pi", "e", "bad_rng"])
def test_a_million_bits_give_what_sts_prints(name: str, way: str, sts_reference: Any, shared_data: Any) -> None:
    """Six printed digits, and 1e-9 of all that it computes; so do the counts that it writes."""
    data = np.fromfile(shared_data / "statistics" / f"{name}_1e6.bin", dtype=np.uint8)
    report = run_suite(data, compat="sts")
    compared = 0
    for expected in (one for one in sts_reference["results"] if one["file"] == name):
        finding = report[STS_NAMES[expected["test"]]]
        p_values = [value.p for value in finding.p_values]
        assert p_values == pytest.approx(expected["p_sts212_full"], rel=0, abs=1e-9), finding.name
        assert [printed(p) for p in p_values if p is not None] == expected["p_sts212"], finding.name
        compared += len(p_values)
        statistics = expected["statistics"]
        if "nu" in statistics:
            assert finding.counts["classes"] == statistics["nu"]
        if "W" in statistics:
            assert [value.label for value in finding.p_values] == sts_reference["templates_m9"]
            assert finding.counts["occurrences"] == statistics["W"]
        if "visits" in statistics:
            assert finding.counts == {"cycles": statistics["J"], "visits": statistics["visits"]}
        if "chi2" in statistics:
            found = [value.statistic for value in finding.p_values]
            assert found == pytest.approx(np.atleast_1d(statistics["chi2"]).tolist(), rel=1e-9)
    assert compared == 188


def test_the_appendix_is_met(sts_reference: Any, shared_data: Any) -> None:
    """Appendix B, but for the cumulative sums of e, which its normal distribution gives with five digits."""
    rows = sts_reference["appendix_B"]["rows"]
    for column, name in enumerate(sts_reference["appendix_B"]["columns"]):
        report = run_suite(np.fromfile(shared_data / "statistics" / f"{name}_1e6.bin", dtype=np.uint8), compat="sts")
        sums = report["cumulative_sums"].p_values
        got = {
            "Frequency": report["frequency"].p_values[0].p,
            "BlockFrequency m=128": report["block_frequency"].p_values[0].p,
            "CumulativeSums forward": sums[0].p,
            "CumulativeSums reverse": sums[1].p,
            "Runs": report["runs"].p_values[0].p,
            "LongestRun": report["longest_run"].p_values[0].p,
            "Rank": report["rank"].p_values[0].p,
            "FFT": report["spectral"].p_values[0].p,
            "NonOverlapping m=9 B=000000001": report["non_overlapping_template"].p_values[0].p,
            "Overlapping m=9": report["overlapping_template"].p_values[0].p,
            "Universal": report["universal"].p_values[0].p,
            "ApEn m=10": report["approximate_entropy"].p_values[0].p,
            "RandomExcursions x=+1": report["random_excursions"].p_values[4].p,
            "RandomExcursionsVariant x=-1": report["random_excursions_variant"].p_values[8].p,
            "LinearComplexity M=500": report["linear_complexity"].p_values[0].p,
            "Serial m=16 (del psi^2)": report["serial"].p_values[0].p,
        }
        assert got.keys() == rows.keys()
        for test, p in got.items():
            assert p == pytest.approx(rows[test][column], abs=1.5e-6 if "Cumul" in test else 5.1e-7), test


def test_a_million_bits_of_e_give_what_sts_computes(way: str, e_million: Any, extract: Any) -> None:
    """The same where no reference data lie beside the checkout: e is made from its series."""
    report = run_suite(e_million, compat="sts")
    for test, expected in extract["p_values"]["e"].items():
        found = [value.p for value in report[STS_NAMES[test]].p_values]
        assert found == pytest.approx(expected, rel=0, abs=1e-9), test


def test_the_worked_examples_give_what_the_program_gives(way: str, e_million: Any, extract: Any) -> None:
    """Section 2.x.4 and 2.x.8: the program's digits, and the document's where it is right."""
    inputs = {"pi100": (PackedBits.of([int(b) for b in PI_100]), PI_100)}
    for example in extract["worked_examples"]:
        test, given = example["test"].split()[0], example["input"]
        if given in inputs:
            sequence = inputs[given][0]
        elif given.endswith("of e"):
            sequence = PackedBits(e_million, int(float(given.split()[1])))
        else:
            sequence = PackedBits.of([int(bit) for bit in given])
        asked = dict(zip([EXAMPLE_PARAMETERS.get(test, "")], example["params"].values(), strict=False))
        report = run_suite(sequence, compat="sts", parameters=Parameters(**asked), tests=[STS_NAMES[test]])
        found = [value.p for value in report.findings[0].p_values]
        assert min(found) == pytest.approx(example["sts_code_value"], abs=1e-9), example
        if example["section"] not in WRONG_IN_THE_DOCUMENT:
            document = np.atleast_1d(example["document_value"])
            # The printed ones are cut or rounded; serial 2.11.8 and cusum 2.13.8 have two.
            assert found[: len(document)] == pytest.approx(document.tolist(), abs=1.1e-6), example


def test_ten_streams_of_pi_fall_into_the_bins_that_sts_reports(sts_reference: Any, shared_data: Any) -> None:
    """finalAnalysisReport of 10 x 100,000 bits: also where there are few cycles, and too few bits for 2.9."""
    data = np.fromfile(shared_data / "statistics" / "pi_1e6.bin", dtype=np.uint8)
    [expected] = sts_reference["second_level"]
    reports = [run_suite(data[12_500 * k : 12_500 * (k + 1)], compat="sts") for k in range(10)]
    columns = {
        (name, place): [report[name].p_values[place].p for report in reports]
        for name in SUITE
        for place in range(len(reports[0][name].p_values))
    }
    seen: dict[str, int] = {}
    for row in expected["rows"]:
        name = STS_NAMES[row["test"]]
        place = seen[name] = seen.get(name, -1) + 1
        kept = [p for p in columns[name, place] if p is not None]
        if name == "universal":
            assert kept == []  # sts counts these as 0
            continue
        assert np.bincount([min(9, int(p * 10)) for p in kept], minlength=10).tolist() == row["bins"], row
    assert len(columns) == len(expected["rows"])


def test_there_are_188_p_values_and_one_row_each() -> None:
    """Also where most tests are not applicable; and everything can be written as JSON."""
    report = run_suite(b"\xa5" * 40)
    rows = list(report.rows())
    assert len(rows) == 188
    assert [finding.section for finding in report.findings] == [f"2.{k}" for k in range(1, 16)]
    assert {row["p"] for row in rows if row["reason"]} == {None}
    assert all(row["reason"] for row in rows if row["p"] is None)
    told = json.loads(json.dumps(report.to_row()))
    assert told["n"] == 320
    assert [one["test"] for one in told["findings"]] == list(SUITE)
    assert json.loads(json.dumps(rows)) == rows


@pytest.mark.parametrize("n", [0, 1, 2, 3, 63, 64, 65, 99, 100, 127, 1023, 1025])
@pytest.mark.parametrize("compat", ["strict", "sts"])
def test_any_length_is_answered(n: int, compat: Any, way: str) -> None:
    """By P-values or by a reason, with sizes asked for or not, and never by an error."""
    data = np.random.default_rng(n).integers(0, 256, 200).astype(np.uint8)
    for sizes in (None, True, False):
        for parameters in (None, SMALL):
            for finding in run_suite(data, n, compat=compat, sizes=sizes, parameters=parameters).findings:
                assert finding.p_values
                for value in finding.p_values:
                    assert (value.p is None) == (not finding.applicable)
                    assert value.p is None or 0.0 <= value.p <= 1.0


@given(bit_arrays(least=100), st.sampled_from(["strict", "sts"]))
@settings(max_examples=60, deadline=None)
def test_p_values_lie_between_0_and_1_and_only_the_bits_count(bits: Any, compat: Any) -> None:
    """However degenerate a sequence; and what follows the last bit never counts."""
    report = run_suite(PackedBits.of(bits), compat=compat, sizes=False, parameters=SMALL)
    packed = np.packbits(np.concatenate((bits, np.ones(70, dtype=np.uint8))))
    again = run_suite(packed, len(bits), compat=compat, sizes=False, parameters=SMALL)
    assert [finding.to_row() for finding in report.findings] == [finding.to_row() for finding in again.findings]
    assert all(row["p"] is None or 0.0 <= row["p"] <= 1.0 for row in report.rows())


@given(bit_arrays(least=100))
@settings(max_examples=40, deadline=None)
def test_what_does_not_care_for_the_complement_or_the_direction(bits: Any) -> None:
    """Ones for zeros changes none of these tests; read backwards, the sums change their directions only."""

    def p_values(sequence: Any) -> dict[str, list[float | None]]:
        report = run_suite(PackedBits.of(sequence), sizes=False, parameters=SMALL)
        return {finding.name: [value.p for value in finding.p_values] for finding in report.findings}

    own, other, back = p_values(bits), p_values(1 - bits), p_values(bits[::-1])
    for name in ("frequency", "block_frequency", "runs", "spectral", "serial", "approximate_entropy", "universal"):
        assert other[name] == pytest.approx(own[name], abs=1e-12), name
    for name in ("frequency", "runs", "serial", "approximate_entropy"):
        assert back[name] == pytest.approx(own[name], abs=1e-12), name
    assert other["cumulative_sums"] == own["cumulative_sums"] == back["cumulative_sums"][::-1]
    assert other["random_excursions"] == own["random_excursions"][::-1]
    assert other["random_excursions_variant"] == own["random_excursions_variant"][::-1]
    # a template and its complement have changed places: ascending became descending
    assert other["non_overlapping_template"] == own["non_overlapping_template"][::-1]


def test_each_test_is_given_when_it_is_done() -> None:
    """A caller that shows how far it is sees them one by one, and may stop."""
    steps = iterate_suite(bytes(1000), tests=["runs", "frequency", "spectral"])
    assert next(steps).name == "frequency"
    assert [finding.name for finding in steps] == ["runs", "spectral"]


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="monobit: no test of SP 800-22; there are frequency, "):
        run_suite(b"", tests=["monobit"])
    with pytest.raises(ValueError, match="compat is 'strict' or 'sts', not 'nist'"):
        run_suite(b"", compat="nist")  # type: ignore[arg-type]
    assert names_of(None) == tuple(SUITE)
    with pytest.raises(KeyError):
        run_suite(b"", tests=["runs"])["frequency"]
