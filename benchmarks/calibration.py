"""Size and power of the four tests by simulation: the tables of ``benchmarks/CALIBRATION.md``.

``python -m benchmarks.calibration [--json] [--scale 1.0]``, some minutes at full scale; `make calibration` writes it
into ``benchmarks/CALIBRATION.md``.
Sizes are the share of good blocks with a P-value below alpha, over alpha: 1 is right; standard errors stand below.
"""

import argparse
import json
import sys

import numpy as np

from entropy_assets.core.sp800_22.second_level.tails import uniformity_p
from entropy_assets.core.validation.block_tests import TESTS, autocorrelation, lags_of, unequal_bits
from entropy_assets.core.validation.second_level import batch_report
from entropy_assets.core.validation.validator import EntropyValidator
from entropy_assets_tests.core.validation.defects import DEFECTS, good

ALPHAS = (0.05, 0.01, 1e-3, 1e-4)
BLOCKS = {256: 800_000, 1024: 400_000, 4096: 400_000, 65536: 20_000}
"""Good blocks simulated at each length."""
FAR_BLOCKS, FAR_LENGTH = 8_000_000, 256
"""Blocks of the second simulation, for the one test whose null distribution is an approximation."""
POWER_LENGTHS = (256, 1024, 4096, 65536)
BATCH = 64
SEED = 20_261_123


def sizes(n: int, m: int) -> dict[str, object]:
    """Simulate `m` good blocks of `n` bytes and return the sizes of every test."""
    generator = np.random.Generator(np.random.PCG64([SEED, n]))
    validator = EntropyValidator()
    pieces: dict[str, list[np.ndarray]] = {}
    rejected = left = 0
    for left in range(m, 0, -(1 << 22) // n):
        verdicts = validator.validate_blocks(good(generator, min(left, (1 << 22) // n), n))
        rejected += int((~verdicts.passed).sum())
        for name, column in {**verdicts.p_values, "p_star": verdicts.p_star}.items():
            pieces.setdefault(name, []).append(column)
    columns = {name: np.concatenate(parts) for name, parts in pieces.items()}
    return {
        "length": n,
        "blocks": m,
        "rejected": rejected,
        "size_over_alpha": {
            name: [float(np.mean(column < alpha) / alpha) for alpha in ALPHAS] for name, column in columns.items()
        },
        "standard_error": [float(np.sqrt((1 - alpha) / (alpha * m))) for alpha in ALPHAS],
        "uniformity_p": {name: uniformity_p(columns[name]) for name in TESTS},
    }


def sizes_far_out(m: int) -> dict[str, object]:
    """Simulate `m` blocks of `FAR_LENGTH` bytes from another seed for the autocorrelation test alone."""
    generator = np.random.Generator(np.random.PCG64([SEED, FAR_LENGTH, 2]))
    lags = np.array(lags_of(FAR_LENGTH), np.int64)
    step = 1024
    p_values = np.empty((max(1, m // step), step))
    for row in p_values:
        unequal = unequal_bits(good(generator, step, FAR_LENGTH), lags)
        row[:] = autocorrelation(unequal, lags, 8 * FAR_LENGTH, generator.random(step))[2]
    return {
        "blocks": p_values.size,
        "size_over_alpha": [float(np.mean(p_values < alpha) / alpha) for alpha in ALPHAS],
        "standard_error": [float(np.sqrt((1 - alpha) / (alpha * p_values.size))) for alpha in ALPHAS],
        "tenths": (np.histogram(p_values, 10, (0, 1))[0] * 10 / p_values.size).tolist(),
    }


def power(name: str, n: int) -> dict[str, object]:
    """Return how many blocks of a defective source are rejected, and which checks a batch of them fails."""
    m = 1000 if n < 65536 else 100
    blocks = DEFECTS[name](np.random.Generator(np.random.PCG64([SEED, n, 1])), m, n)
    verdicts = EntropyValidator().validate_blocks(blocks)
    report = batch_report(EntropyValidator().validate_blocks(blocks[:BATCH]))
    return {"defect": name, "length": n, "rejected": float(1 - verdicts.passed.mean()), "failed": report.failed_tests}


def print_tables(calibration: list[dict], far_out: dict, powers: list[dict]) -> None:
    """Print the tables as Markdown."""
    print("<!-- Made by: make calibration -->\n")
    print("# Size: share of good blocks below alpha, over alpha\n")
    print("| length | blocks | test | " + " | ".join(f"{alpha:g}" for alpha in ALPHAS) + " | uniformity P |")
    print("|---" * (len(ALPHAS) + 4) + "|")
    for row in calibration:
        for name, values in row["size_over_alpha"].items():
            cells = " | ".join(f"{value:.3f}" for value in values)
            uniform = f"{row['uniformity_p'][name]:.3f}" if name in TESTS else "(conservative)"
            print(f"| {row['length']} | {row['blocks']} | {name} | {cells} | {uniform} |")
        errors = " | ".join(f"{error:.3f}" for error in row["standard_error"])
        print(f"| {row['length']} | {row['blocks']} | *standard error* | {errors} | rejected: {row['rejected']} |")
    print("\nThe P-value of Shannon entropy moves in steps at 256 bytes, too fine to matter below some 100 000 blocks.")
    print_far_out(far_out)
    print("\n# Power: share of defective blocks that are rejected, and the checks that a batch of 64 fails\n")
    print("| defect | " + " | ".join(f"{n} bytes" for n in POWER_LENGTHS) + " | batch of 64 at 4096 bytes fails |")
    print("|---" * (len(POWER_LENGTHS) + 2) + "|")
    for name in DEFECTS:
        mine = {row["length"]: row for row in powers if row["defect"] == name}
        cells = " | ".join(f"{mine[n]['rejected']:.3f}" for n in POWER_LENGTHS)
        print(f"| {name} | {cells} | {', '.join(mine[4096]['failed']) or 'nothing'} |")


def print_far_out(far_out: dict) -> None:
    """Print the second simulation and what it says."""
    print(f"\n# The autocorrelation test alone, {FAR_LENGTH} bytes, another seed, {far_out['blocks']} blocks\n")
    print("| | " + " | ".join(f"{alpha:g}" for alpha in ALPHAS) + " |")
    print("|---" * (len(ALPHAS) + 1) + "|")
    for name, key in (("size over alpha", "size_over_alpha"), ("standard error", "standard_error")):
        print(f"| {name} | " + " | ".join(f"{value:.4f}" for value in far_out[key]) + " |")
    print("\nThe covariances of 67 lags in 2048 bits are in its null distribution to first order. What is left lies")
    print("near P = 1, where nothing is decided, and lowers the uniformity P above. P-values in each tenth, over 0.1:")
    print(", ".join(f"{share:.4f}" for share in far_out["tenths"]) + ".")


def main() -> int:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the simulated blocks")
    arguments = parser.parse_args()
    calibration = [sizes(n, int(m * arguments.scale)) for n, m in BLOCKS.items()]
    far_out = sizes_far_out(int(FAR_BLOCKS * arguments.scale))
    powers = [power(name, n) for name in DEFECTS for n in POWER_LENGTHS]
    if arguments.json:
        print(json.dumps({"alphas": ALPHAS, "size": calibration, "far_out": far_out, "power": powers}, indent=1))
    else:
        print_tables(calibration, far_out, powers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
