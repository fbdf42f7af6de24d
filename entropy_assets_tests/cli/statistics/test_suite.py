"""``entropy-assets test``: the suite on a file or a pipe, for people and for machines."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from entropy_assets.cli import main
from entropy_assets.core.sp800_22.suite import SUITE, run_suite
from entropy_assets_tests.cli.conftest import Run
from entropy_assets_tests.cli.statistics.conftest import GOOD

QUICK = "frequency,runs"


def test_json_has_what_the_library_says(run: Run, good: Path) -> None:
    """One sequence: every finding, as `run_suite` gives it."""
    told = json.loads(run("test", good, "--json", "--tests", QUICK).stdout)
    report = run_suite(GOOD, tests=QUICK.split(","))
    assert told["findings"] == [json.loads(json.dumps(finding.to_row())) for finding in report.findings]
    assert (told["n"], told["sequences"], told["layout"]) == (8 * len(GOOD), 1, "packed")
    assert told["consistent"] is True
    assert told["final_analysis"] == []


def test_a_pipe_is_cut_into_sequences(good: Path) -> None:
    """Each has the P-values that its bits have alone; the second level is over all of them."""
    arguments = ["test", "-", "--bits", "10000", "--tests", QUICK, "--json"]
    told = json.loads(CliRunner().invoke(main, arguments, input=GOOD).stdout)
    assert told["sequences"] == 60
    [alone] = run_suite(GOOD[1250:2500], tests=["frequency"])["frequency"].p_values
    assert told["p_values"][0] == {"test": "frequency", "label": "", "p": told["p_values"][0]["p"]}
    assert told["p_values"][0]["p"][1] == alone.p
    assert [row["counted"] for row in told["second_level"]["rows"]] == [60, 60]


def test_without_a_length_all_bits_are_parted(run: Run, good: Path) -> None:
    """Into as many sequences as are asked for, of whole bytes."""
    told = json.loads(run("test", good, "--sequences", 7, "--tests", "frequency", "--json").stdout)
    assert (told["sequences"], told["n"]) == (7, 8 * (len(GOOD) // 7))


def test_bits_that_fail_are_a_result_and_no_error(run: Run, alternating: Path) -> None:
    """0 by default, 3 for who asks; the sentence names what failed."""
    assert run("test", alternating).exit_code == 0
    result = run("test", alternating, "--exit-code")
    assert result.exit_code == 3
    assert "NOT consistent with random bits: runs (2.3)" in result.stdout
    assert run("test", alternating, "--exit-code", "--tests", "frequency").exit_code == 0


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--bits", 10_000, "--sequences", 61], "600,000 bits are too few for 61 x 10,000: say --sequences 60"),
        (["--bits", 600_008], "600,000 bits are too few for 1 x 600,008: say --bits 600000"),
        (["--sequences", 80_000], "600,000 bits are too few for 80,000 sequences"),
        (["--layout", "ascii"], "is 0x"),
    ],
)
def test_too_few_bits_are_an_error_with_what_to_do(run: Run, good: Path, arguments: list, told: str) -> None:
    result = run("test", good, "--tests", "frequency", *arguments)
    assert result.exit_code == 1
    assert told in result.stderr
    found = json.loads(run("test", good, "--json", "--tests", "frequency", *arguments).stdout)
    assert found["error"] in {"input-too-short", "input-refused"}


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--tests", "entropy"], "no test of SP 800-22; there are frequency, "),
        (["--parameter", "serial=99"], "serial is 2 to 24, not 99"),
        (["--parameter", "m=3"], "'m' is no parameter; there are block_frequency, "),
        (["--parameter", "serial"], "as in serial=10"),
        (["--parameter", f"serial={'9' * 5000}"], "as in serial=10"),
        (["--html", "absent/page.html"], "there is no folder"),
    ],
)
def test_a_wrong_word_is_wrong_usage_before_anything_is_read(run: Run, good: Path, arguments: list, told: str) -> None:
    result = run("test", good, *arguments)
    assert result.exit_code == 2
    assert told in result.stderr


def test_parameters_and_constants_arrive(run: Run, good: Path) -> None:
    """The numbers are those that the library gives for them."""
    asked = ("--parameter", "block_frequency=200", "--parameter", "serial=5", "--compat", "sts")
    told = json.loads(run("test", good, "--json", *asked, "--tests", "block_frequency", "--tests", "serial").stdout)
    assert told["compat"] == "sts"
    assert [finding["parameters"] for finding in told["findings"]] == [{"M": 200, "N": 3000}, {"m": 5}]


def test_in_sts_many_sequences_end_in_the_report_of_the_program(run: Run, good: Path) -> None:
    """Its lines stand below the table, a line for each P-value, within 80 columns."""
    result = run("test", good, "--compat", "sts", "--bits", 10_000)
    assert "finalAnalysisReport" in result.stdout
    lines = [line for line in result.stdout.splitlines() if "/59 " in line]
    assert len(lines) > 150
    assert max(map(len, result.stdout.splitlines()[1:])) <= 80


def test_sequences_of_sts_begin_at_groups_of_four_bytes(run: Run, good: Path) -> None:
    told = json.loads(
        run("test", good, "--compat", "sts", "--bits", 1000, "--sequences", 2, "--tests", "frequency", "--json").stdout
    )
    second = run_suite(GOOD[128:253], 1000, compat="sts", tests=["frequency"])["frequency"].p_values[0].p
    assert told["p_values"][0]["p"][1] == second


def test_a_page_is_written_beside_the_text(run: Run, good: Path, tmp_path: Path) -> None:
    result = run("test", good, "--html", tmp_path / "page.html", "--tests", QUICK)
    assert result.exit_code == 0, result.output
    assert "the page is in" in result.stdout
    assert "<svg" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_an_interrupted_run_reports_what_was_done(tmp_path: Path) -> None:
    """Ctrl-C while it waits for more of a pipe: what was read is judged, the exit code is 130."""
    command = [sys.executable, "-m", "entropy_assets.cli", "test", "-", "--bits", "8000", "--json", "--tests", QUICK]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdin is not None
        # More than a pipe holds beside the piece that is read first: when all is written, sequences of it are done.
        process.stdin.write(GOOD * 4)
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    told = json.loads(out)
    assert told["interrupted"] is True
    assert told["sequences"] == len(told["p_values"][0]["p"]) >= 1
    assert b"the report is of these" in err


def test_words_are_completed() -> None:
    """Names of tests and of parameters, by what was typed of them."""

    def completed(*words: str) -> list[str]:
        complete = ShellComplete(main, {}, "entropy-assets", "_ENTROPY_ASSETS_COMPLETE")
        return [item.value for item in complete.get_completions(list(words[:-1]), words[-1])]

    assert "test" in completed("te")
    assert completed("test", "--tests", "random") == ["random_excursions", "random_excursions_variant"]
    assert completed("test", "--parameter", "ser") == ["serial="]
    assert completed("test", "--compat", "s") == ["strict", "sts"]
    assert "--sequences" in completed("test", "--seq")


def test_the_names_of_tests_are_those_of_the_suite(run: Run, good: Path) -> None:
    told = json.loads(run("test", good, "--json").stdout)
    assert [finding["test"] for finding in told["findings"]] == list(SUITE)
