"""The four tests of 4096-byte blocks against the same tests in plain Python, in one run.

``python -m benchmarks.validation [--json]``; CPU time of one core, best of several repeats.
"""

import argparse
import json
import math
import time
import tracemalloc
from itertools import pairwise

import numpy as np

from entropy_assets.core.validation.block_tests import lags_of
from entropy_assets.core.validation.validator import EntropyValidator

LIMIT_MB_S, LIMIT_RATIO, LIMIT_MEMORY_MB = 40.0, 30.0, 64.0
LENGTH = 4096


def plain_python(block: bytes) -> dict[str, float]:
    """Return the statistics and P-values of one block as a textbook computes them, byte by byte and bit by bit."""
    n, counts = len(block), [0] * 256
    for byte in block:
        counts[byte] += 1
    shannon = -sum(c / n * math.log2(c / n) for c in counts if c)
    chi_square = sum((c - n / 256) ** 2 for c in counts) * 256 / n
    bits = [byte >> shift & 1 for byte in block for shift in range(7, -1, -1)]
    total = len(bits)
    share = sum(bits) / total
    runs = 1 + sum(a != b for a, b in pairwise(bits))
    expected = 2 * total * share * (1 - share)
    p_runs = math.erfc(abs(runs - expected) / (math.sqrt(2 / total) * expected))
    z = []
    for lag in lags_of(n):
        unequal = sum(a ^ b for a, b in zip(bits, bits[lag:], strict=False))
        z.append((total - lag - 2 * unequal) / math.sqrt(total - lag))
    worst = max(map(abs, z))
    p_worst = 1 - (1 - math.erfc(worst / math.sqrt(2))) ** len(z)
    return {"shannon": shannon, "chi_square": chi_square, "runs": p_runs, "worst": worst, "p_worst": p_worst}


def big_integers(block: bytes) -> int:
    """Return the worst lag's count with Python's big integers: the fastest plain Python, for this test alone."""
    number, bits = int.from_bytes(block, "big"), 8 * len(block)
    return max(
        abs(bits - lag - 2 * ((number ^ number >> lag) & (1 << bits - lag) - 1).bit_count())
        for lag in lags_of(len(block))
    )


def best(run, repeats: int) -> float:
    """Return the least CPU time of `run`, seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def measure() -> dict[str, float]:
    """Time both on the same blocks; check that they agree."""
    generator = np.random.Generator(np.random.PCG64(1))
    blocks = generator.integers(0, 256, (4096, LENGTH), np.uint8)
    validator = EntropyValidator()
    verdicts = validator.validate_blocks(blocks)
    plain = plain_python(blocks[0].tobytes())
    assert math.isclose(plain["shannon"], verdicts.values.shannon_bits[0], rel_tol=1e-12)
    assert math.isclose(plain["chi_square"], verdicts.values.chi_square[0], rel_tol=1e-12)
    assert math.isclose(plain["runs"], verdicts.values.runs_sp80022[0], rel_tol=1e-9)
    assert math.isclose(plain["worst"], abs(verdicts.values.worst_lag_z[0]), rel_tol=1e-12)
    mb = blocks.size / 1e6
    ours = best(lambda: validator.validate_blocks(blocks), 5) / mb
    textbook = best(lambda: [plain_python(block.tobytes()) for block in blocks[:4]], 2) / (4 * LENGTH / 1e6)
    integers = best(lambda: [big_integers(block.tobytes()) for block in blocks[:64]], 3) / (64 * LENGTH / 1e6)
    one = best(lambda: [validator.validate(block.tobytes()) for block in blocks[:64]], 3) / 64
    tracemalloc.start()
    validator.validate_blocks(blocks)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return {
        "lags": len(lags_of(LENGTH)),
        "mb_s": 1 / ours,
        "plain_python_mb_s": 1 / textbook,
        "ratio": textbook / ours,
        "big_integers_autocorrelation_only_mb_s": 1 / integers,
        "ratio_big_integers": integers / ours,
        "one_block_ms": one * 1e3,
        "memory_above_input_mb": peak,
    }


def main() -> None:
    """Print the table or the JSON, with what is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    row = measure()
    if arguments.json:
        print(json.dumps({"limits": [LIMIT_MB_S, LIMIT_RATIO, LIMIT_MEMORY_MB], **row}, indent=1))
    else:
        speed, times, memory = (
            "" if is_met else ", MISSED"
            for is_met in (
                row["mb_s"] >= LIMIT_MB_S,
                row["ratio"] >= LIMIT_RATIO,
                row["memory_above_input_mb"] <= LIMIT_MEMORY_MB,
            )
        )
        print("| measure | value | target |")
        print("|---|---|---|")
        print(f"| all four tests, {row['lags']} lags | {row['mb_s']:.0f} MB/s | at least {LIMIT_MB_S:.0f}{speed} |")
        print(f"| the same in plain Python | {row['plain_python_mb_s']:.3f} MB/s | |")
        print(f"| times plain Python | {row['ratio']:.0f} | at least {LIMIT_RATIO:.0f}{times} |")
        print(f"| times big-integer Python (autocorrelation alone) | {row['ratio_big_integers']:.1f} | |")
        peak = f"{row['memory_above_input_mb']:.0f} MB"
        print(f"| memory above the input | {peak} | at most {LIMIT_MEMORY_MB:.0f}{memory} |")
        print(f"| one block alone, with its row | {row['one_block_ms']:.2f} ms | |")


if __name__ == "__main__":
    main()
