"""Packages of the Python index that do SP 800-22 or SP 800-90B, on the same files beside this one: a Markdown table.

``python -m benchmarks.peers FOLDER --python PYTHON [--limit SECONDS] [--packages A,B]``: the folder has `pi_1e6.bin`,
`sp80022_reference.json` and the two `truerand` files; the interpreter is that of an environment that has the packages.
Each runs in a process of its own, and has so many seconds; what it has said by then counts. CPU seconds are of the
tests alone: not of starting, importing and reading.
"""

import argparse
import json
import math
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.peer_calls import PACKAGES
from benchmarks.sp800_22_values import TESTS
from entropy_assets.core.sp800_22.suite import SuiteReport, run_suite
from entropy_assets.core.sp800_90b.non_iid import NonIidAssessment, assess_non_iid

BITS: Final = 1_000_000
OF_BITS: Final = "sp800-90b"
"""The one of the packages that does SP 800-90B."""
SYMBOLS: Final = (("truerand_1bit.bin", 1), ("truerand_8bit.bin", 8))
"""Files with one symbol a byte, and the bits of each."""
SHOWN: Final = 4
"""So many P-values are shown of a test that has more."""


def asked(python: str, package: str, arguments: list[str], folder: Path, limit: float) -> list[dict[str, Any]]:
    """Return what a package said within its time, line by line; a last line says why there is no more.

    Parameters
    ----------
    python
        Interpreter of an environment that has it.
    arguments
        The file, and the bits of a symbol.
    folder
        Where it runs.
    limit
        Seconds.
    """
    script = str(Path(__file__).with_name("peer_calls.py"))
    command = [python, "-I", "-W", "ignore", script, package, *arguments]
    try:
        ended = subprocess.run(command, cwd=folder, capture_output=True, timeout=limit, check=False)
        said, why = ended.stdout, ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
        stopped = (why or [f"it ended with {ended.returncode}"])[0] if ended.returncode else ""
    except subprocess.TimeoutExpired as late:
        said, stopped = late.stdout or b"", f"not finished within {limit:.0f} s"
    # A C library may print as well, and what was cut off is no line.
    lines = [line for line in said.decode(errors="replace").split("\n") if line.startswith("{") and line.endswith("}")]
    return [json.loads(line) for line in lines] + ([{"stopped": stopped}] if stopped else [])


def least(run: Callable[[], Any], repeats: int = 3) -> float:
    """Return the least CPU time of `run`, seconds, after one that compiles."""
    run()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def same(theirs: float, ours: float) -> bool:
    """Return whether two numbers agree in six decimals, as near as printing can tell."""
    return abs(theirs - ours) <= 5e-7


def agreement(theirs: list[float], ours: list[float]) -> tuple[bool, str]:
    """Return whether all that a package says is what is said here, and of what.

    A package that gives one number where there are several P-values may mean the first, the least or the mean: with any
    of them it agrees.
    """
    if not theirs:
        return False, "no value"
    if len(theirs) == len(ours):
        count = sum(same(a, b) for a, b in zip(theirs, ours, strict=True))
        ordered = sum(same(a, b) for a, b in zip(sorted(theirs), sorted(ours), strict=True))
        best = max(count, ordered)
        return best == len(ours), "yes" if best == len(ours) else "no" if len(ours) == 1 else f"{best} of {len(ours)}"
    if len(theirs) == 1:
        means = {"the least": min(ours), "the mean": math.fsum(ours) / len(ours), "the first": ours[0]}
        for what, value in means.items():
            if same(theirs[0], value):
                return True, f"yes, {what} of {len(ours)}"
        return False, f"no: not the first, the least or the mean of {len(ours)}"
    return False, f"no: {len(theirs)} values for {len(ours)}"


def shown(values: list[float]) -> str:
    """Return numbers for a cell, six decimals."""
    more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return ", ".join(f"{value:.6f}" for value in values[:SHOWN]) + more


def cell(row: dict[str, Any] | None) -> str:
    """Return what a package said of one test, or why it said nothing."""
    if row is None:
        return "-"
    return shown(row["values"]) if row["values"] else str(row.get("why", "nothing")).replace("|", "/")[:90]


def p_values(report: SuiteReport, test: str) -> list[float]:
    """Return the P-values of a test, 0 where sts-2.1.2 prints 0 for one that is not applicable."""
    return [0.0 if one.p is None else one.p for one in report[test].p_values]


def estimates(assessment: NonIidAssessment, name: str) -> list[float]:
    """Return the estimates that ``VIEW: NAME, NAME`` asks for, bits per symbol or per bit."""
    view, _, names = name.partition(": ")
    found = getattr(assessment, view)
    return [found[one].min_entropy for one in names.split(", ")]


def section(title: str, said: list[dict[str, Any]], ours: dict[str, list[float]], cost: float) -> tuple[str, str]:
    """Return one package's table under its title, and its line of the summary."""
    head, rows = said[0] if said else {}, {row["test"]: row for row in said if "test" in row}
    why = head.get("missing") or said[-1].get("stopped", "")
    if "versions" not in head:
        return "", f"| {title} | - | - | - | {1000 * cost:.0f} ms | {why} |"
    lines = [f"### {title}\n", "| test | it | ours | agrees | CPU s |", "|---|---|---|---|---:|"]
    agreeing = 0
    for test, values in ours.items():
        row = rows.get(test)
        good, how = agreement(row["values"] if row else [], values)
        agreeing += good
        seconds = f"{row['cpu_s']:.3f}" if row else ""
        lines.append(f"| {test} | {cell(row)} | {shown(values)} | {how} | {seconds} |")
    spent = sum(row["cpu_s"] for row in rows.values())
    release = ", ".join(head["versions"].values())
    summary = (
        f"| {title} | {release} | {agreeing} of {len(ours)} | {spent:.2f} s{' and more' if why else ''}"
        f" | {1000 * cost:.0f} ms | {'' if why else f'{spent / cost:,.0f} x'}{why} |"
    )
    return "\n".join(lines) + "\n", summary


def sp800_22(folder: Path, python: str, packages: list[str], limit: float) -> list[tuple[str, str]]:
    """Return a section and a summary for each package that does SP 800-22, all on the first million bits of pi."""
    file = folder.resolve() / "pi_1e6.bin"
    data = file.read_bytes()
    report = run_suite(data, BITS, compat="sts")
    ours = {test: p_values(report, test) for test in TESTS.values()}
    found = []
    with tempfile.TemporaryDirectory() as empty:
        templates = Path(empty) / "templates"
        templates.mkdir()
        # What sts-2.1.2 ships as a file, and packages made of its code look for where they run.
        labels = [one.label for one in report["non_overlapping_template"].p_values]
        (templates / "template9").write_text("".join(" ".join(label) + "\n" for label in labels))
        for package in packages:
            said = asked(python, package, [str(file)], Path(empty), limit)
            cost = least(lambda: run_suite(data, BITS, compat="sts"))
            found.append(section(package, said, ours, cost))
    return found


def sp800_90b(folder: Path, python: str, limit: float) -> list[tuple[str, str]]:
    """Return a section and a summary for each file of symbols."""
    found = []
    for name, bits in SYMBOLS:
        file = folder.resolve() / name
        symbols = np.frombuffer(file.read_bytes(), dtype=np.uint8)
        assessment = assess_non_iid(symbols, bits)
        said = asked(python, OF_BITS, [str(file), str(bits)], folder, limit)
        cost = least(lambda symbols=symbols, bits=bits: assess_non_iid(symbols, bits))  # type: ignore[misc]
        tests = [row["test"] for row in said if "test" in row]
        ours = {test: estimates(assessment, test) for test in tests}
        found.append(section(f"{OF_BITS}, {name}", said, ours, cost))
    return found


def reference_line(folder: Path) -> str:
    """Return how many P-values of sts-2.1.2 on pi are equal here, in the six digits that it prints."""
    reference = json.loads((folder / "sp80022_reference.json").read_text())
    report = run_suite((folder / "pi_1e6.bin").read_bytes(), BITS, compat="sts")
    pairs = [
        (printed, f"{value:.6f}")
        for one in reference["results"]
        if one["file"] == "pi"
        for printed, value in zip(one["p_sts212"], p_values(report, TESTS[one["test"]]), strict=True)
    ]
    equal = sum(printed == value for printed, value in pairs)
    return f"{equal} of the {len(pairs)} P-values that sts-2.1.2 prints are those of the column `ours`."


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", required=True, help="interpreter of an environment that has the packages")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds that each package has")
    parser.add_argument("--packages", default=",".join(PACKAGES))
    arguments = parser.parse_args()
    packages = arguments.packages.split(",")
    if unknown := set(packages) - PACKAGES.keys():
        parser.error(f"{', '.join(sorted(unknown))}: there are {', '.join(PACKAGES)}")
    folder, python, limit = arguments.folder, arguments.python, arguments.limit
    found = sp800_22(folder, python, [one for one in packages if one != OF_BITS], limit)
    if OF_BITS in packages:
        found += sp800_90b(folder, python, limit)
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "numba"))
    print("# SP 800-22 and SP 800-90B: the packages of the Python index on the same files\n")
    print(
        "Written by `make sp800peers`. SP 800-22: `pi_1e6.bin`, the first 1,000,000 bits of pi as sts-2.1.2 ships them;"
        ' ours is `run_suite(..., compat="sts")`. SP 800-90B: NIST\'s `truerand_1bit.bin` and `truerand_8bit.bin`,'
        " 1,000,000 symbols each; ours is `assess_non_iid`. A test agrees if all its numbers do, to 5e-7; one number"
        " for several P-values agrees if it is the first, the least or the mean of ours. CPU seconds of all threads, of"
        " the tests alone; ours warm, the least of 3, measured right after the package's."
        f" Each package had {limit:.0f} s.\n"
    )
    print(f"{reference_line(folder)} Ours: Python {platform.python_version()}, {libraries}.\n")
    print("| package | version | tests that agree | its CPU | our CPU | |\n|---|---|---|---:|---:|---|")
    for _, summary in found:
        print(summary)
    for table, _ in found:
        print(f"\n{table}" if table else "", end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
