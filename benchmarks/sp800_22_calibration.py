"""Are the P-values of SP 800-22 uniform over good sequences? In ``strict`` and in ``sts``, each of the 188.

``python -m benchmarks.sp800_22_calibration [--sequences K] [--bits N] [--processes P] [--keep FILE]`` prints the table
of `benchmarks/SP800_CALIBRATION.md`. Sequence i is what NumPy's Philox generator gives for the key (SEED, i), so that
each stands alone and others repeat it. The test is that of SP 800-22 4.2.2, by the exact distribution of ten bins (of
more than 1,024 values, by a bound on it), corrected over all P-values by Holm's method. ``--keep`` writes the P-values
to a file for other questions.
"""

import argparse
import importlib.metadata
import math
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise

import numpy as np

from entropy_assets.core.sp800_22 import kernels
from entropy_assets.core.sp800_22.packed import PackedBits
from entropy_assets.core.sp800_22.second_level.tails import (
    ALPHA,
    LEAST_FOR_UNIFORMITY,
    binomial_p,
    histogram,
    holm,
    uniformity_p,
)
from entropy_assets.core.sp800_22.suite import SUITE, run_suite

SEED = 800_22
COMPATS = ("strict", "sts")
LEVEL = 0.01
"""Corrected P-value under which a column is called not uniform."""
Names = tuple[tuple[str, str], ...]


def p_values_of(index: int, bits: int) -> tuple[Names, np.ndarray]:
    """Return the names of the P-values, and the P-values of one sequence in both ways; NaN where there is none."""
    data = np.random.Generator(np.random.Philox(key=[SEED, index])).bytes(-(-bits // 8))
    packed = PackedBits(data, bits)
    reports = [list(run_suite(packed, compat=compat).rows()) for compat in COMPATS]
    names = tuple((row["test"], row["label"]) for row in reports[0])
    return names, np.array([[math.nan if row["p"] is None else row["p"] for row in rows] for rows in reports])


def judged(columns: np.ndarray, names: Names) -> dict[tuple[str, str], dict[str, float | int]]:
    """Return what the P-values of each name say: ``columns[sequence, name]``."""
    rows = {}
    for name, column in zip(names, columns.T, strict=True):
        there = column[~np.isnan(column)]
        if len(there) < LEAST_FOR_UNIFORMITY:
            continue
        below = int((there < ALPHA).sum())
        rows[name] = {
            "counted": len(there),
            "below": below,
            "proportion": binomial_p(below, len(there), ALPHA),
            "uniformity": uniformity_p(there),
            "bins": histogram(there).tolist(),
        }
    for kind in ("uniformity", "proportion"):
        for name, p in holm({name: row[kind] for name, row in rows.items()}).items():
            rows[name][f"{kind} corrected"] = p
    return rows


def table(rows: dict[str, dict[tuple[str, str], dict]]) -> None:
    """Print one line a test: the least P-value of its columns, corrected, and the share below 0.01 of all."""
    print("| test | P-values | sequences counted | " + " | ".join(f"{c}: share below 0.01" for c in COMPATS), end=" | ")
    print(" | ".join(f"{c}: least uniformity P, corrected" for c in COMPATS) + " |")
    print("|---|---|---|" + "---|" * (2 * len(COMPATS)))
    for test in SUITE:
        of_test = {compat: [row for name, row in rows[compat].items() if name[0] == test] for compat in COMPATS}
        if not of_test["strict"]:
            print(f"| {test} | | none | | | | |")
            continue
        counted = [row["counted"] for row in of_test["strict"]]
        shares = [sum(r["below"] for r in each) / sum(r["counted"] for r in each) for each in of_test.values()]
        least = [min((r["uniformity"], r["uniformity corrected"]) for r in each) for each in of_test.values()]
        told = [f"{p:.2g}, {corrected:.2g}" for p, corrected in least]
        cells = [test, str(len(counted)), f"{min(counted):,}", *(f"{share:.4f}" for share in shares), *told]
        print(f"| {' | '.join(cells)} |")


def verdict(rows: dict[tuple[str, str], dict], compat: str) -> None:
    """Print which columns are not uniform, and how the P-values of the second level themselves lie."""
    for kind, what in (("uniformity", "not uniform"), ("proportion", "with a wrong share below 0.01")):
        wrong = {name: row for name, row in rows.items() if row[f"{kind} corrected"] < LEVEL}
        print(f"\n`{compat}`, {what} (corrected P below {LEVEL} of {len(rows)}): {len(wrong) or 'none'}.")
        for (test, label), row in wrong.items():
            print(
                f"- {test} {label}: P = {row[kind]:.2g}, corrected {row[f'{kind} corrected']:.2g}; bins {row['bins']}"
            )


def gathered(sequences: int, bits: int, processes: int) -> tuple[Names, np.ndarray]:
    """Return the names, and ``p[sequence, compat, name]``."""
    with ProcessPoolExecutor(processes, initializer=partial(os.nice, 19)) as pool:
        found = list(pool.map(partial(p_values_of, bits=bits), range(sequences), chunksize=8))
    assert all(one[0] == other[0] for one, other in pairwise(found)), "the names depend on the data"
    return found[0][0], np.array([p for _, p in found])


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=1000)
    parser.add_argument("--bits", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--keep", default=None)
    arguments = parser.parse_args()
    names, values = gathered(arguments.sequences, arguments.bits, arguments.processes)
    if arguments.keep:
        np.savez(arguments.keep, names=np.array(names), p_values=values)
    rows = {compat: judged(values[:, i], names) for i, compat in enumerate(COMPATS)}
    versions = {name: importlib.metadata.version(name) for name in ("numpy", "scipy")}
    way = "compiled loops" if kernels.compiled() else "arrays"
    print("# Calibration of the fifteen tests of SP 800-22\n")
    print("Written by `make sp800calibration`. A good test has P-values that are uniform over good sequences.\n")
    print(
        f"{arguments.sequences:,} sequences of {arguments.bits:,} bits from NumPy's Philox generator, keys"
        f" ({SEED}, 0 ...); counted by {way}; {versions}. Uniformity: ten bins (SP 800-22 4.2.2) by the exact"
        f" multinomial distribution, corrected over all P-values by Holm's method.\n"
    )
    table(rows)
    for compat in COMPATS:
        verdict(rows[compat], compat)
    return 0


if __name__ == "__main__":
    sys.exit(main())
