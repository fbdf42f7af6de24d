"""Every reference value of SP 800-22 beside what is computed here, with the worst difference of each test.

``python -m benchmarks.sp800_22_values FOLDER``: the folder holds `sp80022_reference.json` and the sequences that it
names, ``NAME_1e6.bin``. The references are those of NIST's program sts-2.1.2, with 17 digits; `strict` stands beside.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from entropy_assets.core.sp800_22.second_level.across import Tally
from entropy_assets.core.sp800_22.second_level.final_analysis import final_analysis
from entropy_assets.core.sp800_22.suite import SuiteReport, run_suite

TESTS = {
    "Frequency": "frequency",
    "BlockFrequency": "block_frequency",
    "Runs": "runs",
    "LongestRun": "longest_run",
    "Rank": "rank",
    "FFT": "spectral",
    "NonOverlappingTemplate": "non_overlapping_template",
    "OverlappingTemplate": "overlapping_template",
    "Universal": "universal",
    "LinearComplexity": "linear_complexity",
    "Serial": "serial",
    "ApproximateEntropy": "approximate_entropy",
    "CumulativeSums": "cumulative_sums",
    "RandomExcursions": "random_excursions",
    "RandomExcursionsVariant": "random_excursions_variant",
}
"""Names of the program, in the order of their sections."""
MOST = 1e-9
"""Largest difference that is called equal."""


def compared(reference: dict[str, Any], reports: dict[str, dict[str, SuiteReport]]) -> list[dict[str, Any]]:
    """Return a row for each reference P-value: the program's, ours, ours in `strict`, and the difference."""
    rows = []
    for one in reference["results"]:
        findings = {compat: report[TESTS[one["test"]]] for compat, report in reports[one["file"]].items()}
        for i, theirs in enumerate(one["p_sts212_full"]):
            ours, strict = findings["sts"].p_values[i], findings["strict"].p_values[i].p
            there = 0.0 if ours.p is None else ours.p
            row = {
                "test": TESTS[one["test"]],
                "file": one["file"],
                "label": ours.label,
                "section": findings["sts"].section,
            }
            rows.append({**row, "sts": theirs, "ours": there, "strict": strict, "difference": abs(there - theirs)})
    return rows


def second_level_equal(reference: dict[str, Any], folder: Path) -> list[tuple[str, int, int]]:
    """Return what was compared, how many lines of finalAnalysisReport there are, and how many are equal."""
    found = []
    for one in reference["second_level"]:
        data, size = (folder / f"{one['file']}_1e6.bin").read_bytes(), one["n"] // 8
        tally = Tally()
        for i in range(one["streams"]):
            tally.add(run_suite(data[size * i : size * (i + 1)], one["n"], compat="sts"))
        lines = [
            (
                line.test,
                list(line.bins),
                "----" if line.uniformity_p is None else f"{line.uniformity_p:.6f}",
                f"{line.passed}/{line.counted}",
            )
            for line in final_analysis(tally)
        ]
        theirs = [(TESTS[row["test"]], row["bins"], row["p_uniformity"], row["proportion"]) for row in one["rows"]]
        equal = sum(mine == other for mine, other in zip(lines, theirs, strict=True))
        found.append((f"{one['file']}, {one['streams']} x {one['n']:,} bits", len(theirs), equal))
    return found


def print_tables(rows: list[dict[str, Any]], lines: list[tuple[str, int, int]]) -> None:
    """Print the worst difference of each test, the second level, and then every value."""
    print("## SP 800-22: values\n")
    print('`sts` is sts-2.1.2 with 17 digits; ours is `compat="sts"`. Six digits are those that the program prints.\n')
    print("| test | section | P-values | equal in six digits | worst difference |\n|---|---|---|---|---|")
    for name in TESTS.values():
        of_test = [row for row in rows if row["test"] == name]
        six = sum(f"{row['sts']:.6f}" == f"{row['ours']:.6f}" for row in of_test)
        worst = max(row["difference"] for row in of_test)
        print(f"| {name} | {of_test[0]['section']} | {len(of_test)} | {six} | {worst:.1e} |")
    print("\n| finalAnalysisReport | lines | equal |\n|---|---|---|")
    for what, count, equal in lines:
        print(f"| {what} | {count} | {equal} |")
    print("\nEvery value; of the templates those that the two ends of the list give, and the worst:\n")
    print("| test | file | which | sts-2.1.2 | `sts` | difference | `strict` |\n|---|---|---|---|---|---|---|")
    for row in shown(rows):
        strict = "not applicable" if row["strict"] is None else f"{row['strict']:.12f}"
        print(
            f"| {row['test']} | {row['file']} | {row['label']} | {row['sts']:.12f} | {row['ours']:.12f}"
            f" | {row['difference']:.1e} | {strict} |"
        )


def shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all rows, but of the templates of a file three."""
    kept = []
    for file in dict.fromkeys(row["file"] for row in rows):
        of_file = [row for row in rows if row["file"] == file]
        templates = [row for row in of_file if row["test"] == "non_overlapping_template"]
        worst = max(templates, key=lambda row: row["difference"])
        some = [templates[0], *([worst] if worst not in (templates[0], templates[-1]) else []), templates[-1]]
        kept += [row for row in of_file if row not in templates or row in some]
    return kept


def main() -> int:
    """Print the tables; fail if a value is farther off than is called equal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    reference = json.loads((folder / "sp80022_reference.json").read_text())
    files = {one["file"]: (folder / f"{one['file']}_1e6.bin").read_bytes() for one in reference["results"]}
    reports = {
        name: {compat: run_suite(data, 1_000_000, compat=compat) for compat in ("sts", "strict")}
        for name, data in files.items()
    }
    rows, lines = compared(reference, reports), second_level_equal(reference, folder)
    print_tables(rows, lines)
    return int(any(row["difference"] > MOST for row in rows) or any(count != equal for _, count, equal in lines))


if __name__ == "__main__":
    sys.exit(main())
