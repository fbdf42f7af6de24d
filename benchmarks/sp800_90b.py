"""What an assessment by SP 800-90B costs, estimator by estimator, beside yardsticks of the same run: a Markdown table.

``python -m benchmarks.sp800_90b [--long] [--iid] [--arrays] [--json]``: CPU seconds of the whole process, the least of
some runs, after one that compiles. ``--long`` adds ten million symbols and the most memory that was held; ``--iid``
permutations and restart tests; ``--arrays`` leaves the compiled loops out. The data are of SHA-256 in counter mode: who
repeats this has the same.
"""

import argparse
import hashlib
import json
import resource
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.sp800_90b import contexts, estimators, kernels, predictors, scoreboard, tuples
from entropy_assets.core.sp800_90b.alphabets import bitstring
from entropy_assets.core.sp800_90b.iid import shuffles, statistics
from entropy_assets.core.sp800_90b.iid.permutations import Rule, permutation_tests
from entropy_assets.core.sp800_90b.non_iid import assess_non_iid
from entropy_assets.core.sp800_90b.restarts import assess_restarts

Symbols = npt.NDArray[np.uint8]

SIZES: Final = ((16_384, 4), (65_536, 4), (262_144, 4), (1_000_000, 1), (1_000_000, 8))
"""Samples and their bits."""
LIMITS: Final = {"8 bits x 1,000,000": 3.0, "1 bit x 1,000,000": 0.3, "8 bits x 10,000,000": 30.0}
"""CPU seconds that a whole assessment may take."""
LONG: Final = 10_000_000
MOST_MB: Final = 1000.0
PERMUTED: Final = 20


def counter(samples: int, bits: int) -> Symbols:
    """Return the upper bits of the bytes of SHA-256 over a counter."""
    digests = (hashlib.sha256(b"imgrng-ref-1" + struct.pack("<Q", i)).digest() for i in range(-(-samples // 32)))
    return np.frombuffer(b"".join(digests)[:samples], dtype=np.uint8) >> np.uint8(8 - bits)


def least(run: Callable[[], Any], repeats: int) -> float:
    """Return the least CPU time of `run`, seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def estimators_of(symbols: Symbols, alphabet: int) -> dict[str, Callable[[], Any]]:
    """Return what an assessment calls, by name."""
    runs: dict[str, Callable[[], Any]] = {
        "most common value": lambda: estimators.most_common_value(symbols),
        "t-tuple and repeats": lambda: tuples.tuples_and_repeats(symbols, alphabet),
        "MultiMCW": lambda: predictors.multi_mcw(symbols, alphabet),
        "Lag": lambda: predictors.lag(symbols, alphabet),
        "MultiMMC": lambda: predictors.multi_mmc(symbols, alphabet),
        "LZ78Y": lambda: predictors.lz78y(symbols, alphabet),
    }
    if alphabet == 2:
        runs |= {
            "collision": lambda: estimators.collision(symbols),
            "Markov": lambda: estimators.markov(symbols),
            "compression": lambda: estimators.compression(symbols),
        }
    return runs


def of_size(samples: int, bits: int) -> dict[str, float]:
    """Return the CPU seconds of each estimator, of symbols and of bits, and of all."""
    symbols, repeats = counter(samples, bits), 5 if samples < 500_000 else 3 if samples < LONG else 1
    views = [("bits", bitstring(symbols, bits), 2)]
    if bits > 1:
        views.insert(0, ("symbols", symbols, 1 << bits))
    row = {
        f"{view}: {name}": least(run, repeats)
        for view, sequence, alphabet in views
        for name, run in estimators_of(sequence, alphabet).items()
    }
    return row | {"all": sum(row.values())}


def yardsticks() -> dict[str, float]:
    """Return what well-known work costs in this process, CPU seconds."""
    numbers = np.random.default_rng(1).integers(0, 1 << 63, 1_000_000, dtype=np.uint64)
    symbols, doubles = counter(1_000_000, 8), np.random.default_rng(1).random(1_000_000)
    return {
        "np.sort of 1,000,000 uint64": least(lambda: np.sort(numbers), 3),
        "np.bincount of 1,000,000 bytes": least(lambda: np.bincount(symbols), 3),
        "np.fft.rfft of 1,000,000 doubles": least(lambda: np.fft.rfft(doubles), 3),
    }


def iid_costs() -> dict[str, float]:
    """Return the CPU seconds of one permutation with all statistics, with all but bzip2's, and of restart tests."""
    symbols, raw = counter(1_000_000, 8), np.arange(256, dtype=np.uint8)
    law, stream, shuffled = statistics.Law.of(symbols, raw), shuffles.Shuffler.seeded(1), symbols.copy()
    quick = [name for name in statistics.NAMES if name != "compression"]
    rule = Rule("benchmark", PERMUTED, PERMUTED)
    matrix = symbols.reshape(1000, 1000)
    return {
        "one permutation, all statistics": least(lambda: permutation_tests(symbols, raw, 1, rule), 1) / PERMUTED,
        "one permutation, all but compression": least(
            lambda: (stream.shuffle(shuffled), statistics.statistics(shuffled, law, quick)), 5
        ),
        "restart tests": least(lambda: assess_restarts(matrix, 8, 7.0), 2),
    }


def measure(*, long: bool, iid: bool) -> dict[str, dict[str, float]]:
    """Return all rows, by what they are of."""
    for bits in (1, 4, 8):
        assess_non_iid(counter(30_000, bits), bits)
    sizes = (*SIZES, (LONG, 8)) if long else SIZES
    rows = {f"{bits} bit{'s' * (bits > 1)} x {samples:,}": of_size(samples, bits) for samples, bits in sizes}
    rows["yardsticks"] = yardsticks()
    if iid:
        rows["IID track and restarts, 8 bits x 1,000,000"] = iid_costs()
    rows["memory"] = {"most that was held, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}
    return rows


def table(rows: dict[str, dict[str, float]]) -> str:
    """Return the sizes as columns of one table, in milliseconds, and the rest below."""
    sizes = [name for name in rows if "all" in rows[name]]
    names = sorted({name for size in sizes for name in rows[size] if name != "all"}, reverse=True)
    lines = ["| CPU ms | " + " | ".join(sizes) + " |", "|---|" + "---:|" * len(sizes)]
    for name in (*names, "all"):
        cells = (f"{1000 * rows[size][name]:.1f}" if name in rows[size] else "" for size in sizes)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "| | |", "|---|---:|"]
    for of in rows.keys() - set(sizes) - {"memory"}:
        lines += [f"| {name} | {1000 * seconds:.1f} ms |" for name, seconds in rows[of].items()]
    lines += [f"| {name} | {value:.0f} |" for name, value in rows["memory"].items()]
    return "\n".join(lines)


def main() -> int:
    """Print the table or the JSON; fail if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("--long", "--iid", "--arrays", "--json"):
        parser.add_argument(option, action="store_true")
    arguments = parser.parse_args()
    if arguments.arrays:
        for module in (contexts, estimators, predictors, scoreboard, shuffles, statistics, tuples):
            module.kernels = lambda: None  # type: ignore[attr-defined]
    elif kernels.kernels() is None:
        print("numba is not installed: these are the figures of the arrays", file=sys.stderr)
    rows = measure(long=arguments.long, iid=arguments.iid)
    print(json.dumps(rows, indent=1) if arguments.json else table(rows))
    slow = [name for name, limit in LIMITS.items() if name in rows and rows[name]["all"] > limit]
    large = arguments.long and rows["memory"]["most that was held, MB"] > MOST_MB
    return int(not arguments.arrays and (bool(slow) or large))


if __name__ == "__main__":
    sys.exit(main())
