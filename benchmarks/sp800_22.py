"""The fifteen tests of SP 800-22 on a million bits, compiled and by arrays, beside bare array operations in one run.

``python -m benchmarks.sp800_22 [--json] [--bits N] [--repeats R]``; CPU time of one core, best of several repeats. The
bits are those of a seeded generator. ``rfft`` transforms as many doubles at once; ``bincount`` counts as many numbers
of 16 bits. What is loaded and compiled on the first call is told apart.
"""

import argparse
import importlib.metadata
import json
import sys
import time
from unittest.mock import patch

import numpy as np

from entropy_assets.core.sp800_22 import kernels
from entropy_assets.core.sp800_22.packed import PackedBits
from entropy_assets.core.sp800_22.suite import SUITE, iterate_suite

LIMIT_MS = 60.0
"""For all fifteen tests of a million bits by compiled loops."""
PACKAGES = ("numpy", "scipy", "numba")


def best(run, repeats: int) -> float:
    """Return the least CPU time of `run`, milliseconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def each(data: np.ndarray, bits: int, repeats: int) -> dict[str, float]:
    """Return the least CPU time of each test, and of all in one run, milliseconds.

    What several tests need is counted in the first of them.
    """
    times = {name: float("inf") for name in (*SUITE, "all")}
    for _ in range(repeats):
        first = start = time.process_time()
        for finding in iterate_suite(PackedBits(data, bits)):
            now = time.process_time()
            times[finding.name] = min(times[finding.name], 1e3 * (now - start))
            start = now
        times["all"] = min(times["all"], 1e3 * (start - first))
    return times


def measure(bits: int, repeats: int) -> dict[str, dict[str, float]]:
    """Time both ways and the yardsticks on the same bits."""
    data = np.random.Generator(np.random.PCG64(1)).integers(0, 256, -(-bits // 8), np.uint8)
    start = time.process_time()
    compiled = kernels.compiled()
    sum(1 for _ in iterate_suite(PackedBits(data, bits)))
    rows = {"first run": {"all": 1e3 * (time.process_time() - start)}}
    if compiled is not None:
        rows["compiled"] = each(data, bits, repeats)
    with patch.object(kernels, "compiled", lambda: None):
        rows["arrays"] = each(data, bits, max(2, repeats // 3))
    signs = 2.0 * np.unpackbits(data, count=bits) - 1.0
    numbers = np.resize(data.view(np.uint16) if len(data) % 2 == 0 else data[:-1].view(np.uint16), bits)
    rows["yardsticks"] = {
        "rfft": best(lambda: np.fft.rfft(signs), repeats),
        "bincount": best(lambda: np.bincount(numbers, minlength=1 << 16), repeats),
    }
    return rows


def main() -> int:
    """Print the table or the JSON; fail if the limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--bits", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    rows = measure(arguments.bits, arguments.repeats)
    versions = {name: importlib.metadata.version(name) for name in PACKAGES if name != "numba" or "compiled" in rows}
    if arguments.json:
        print(
            json.dumps({"bits": arguments.bits, "versions": versions, "limit_ms": LIMIT_MS, "cpu_ms": rows}, indent=1)
        )
    else:
        print(f"CPU milliseconds for {arguments.bits:,} bits; {versions}\n")
        print("| test | compiled | arrays |\n|---|---|---|")
        for name in (*SUITE, "all"):
            cells = (f"{rows[way][name]:.2f}" if way in rows else "" for way in ("compiled", "arrays"))
            print(f"| {name} | {' | '.join(cells)} |")
        print("\n| beside them | |\n|---|---|")
        for name, value in rows["yardsticks"].items():
            print(f"| numpy {name} | {value:.2f} |")
        print(f"| first run in a process, with what it loads | {rows['first run']['all']:.0f} |")
    slow = arguments.bits == 1_000_000 and "compiled" in rows and rows["compiled"]["all"] > LIMIT_MS
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
