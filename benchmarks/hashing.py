"""Hashing and chaining against bare SHA-256 over the same bytes in the same slices, in one run.

``python -m benchmarks.hashing [--json]``; CPU time of one core, best of several repeats that take turns.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable

import numpy as np
from blake3 import blake3

from entropy_assets.core.conditioning.conditioner import NoiseInput
from entropy_assets.core.conditioning.hasher import EntropyHasher, verify_batch
from entropy_assets.recipe import STANDARD

LIMIT = 2.5
"""Most that hashing and chaining may cost, times bare SHA-256."""
ROW_LEN = {"grey": 128 + 196 + 256, "RGB and grey": 4 * (128 + 196 + 256)}
"""Samples of one region of 16x16 pixels, bytes: pair differences, Laplacian, FFT residual of each plane."""
BLOCKS = 60
REPEATS = 9


def image(regions: int, row_len: int) -> NoiseInput:
    """Return noise for `BLOCKS` blocks whose slices take `regions` regions each."""
    n = BLOCKS * STANDARD.digests_per_block * regions
    samples = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (n, row_len), np.uint8)
    credit = -(-STANDARD.slice_credit_bits * n // regions)
    return NoiseInput("ab" * 32, "cd" * 32, samples, credit)


def best(candidates: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the least CPU time of each candidate, seconds; they take turns, so a busy machine hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(REPEATS):
        for name, run in candidates.items():
            start = time.process_time()
            run()
            times[name].append(time.process_time() - start)
    return {name: min(values) for name, values in times.items()}


def compare(regions: int, row_len: int) -> dict[str, float]:
    """Time one slice size; ratios are to bare SHA-256."""
    noise = image(regions, row_len)
    raw, size = noise.samples.data.cast("B"), regions * row_len
    hasher = EntropyHasher(STANDARD)
    _, records = hasher.derive_blocks([noise], "ef" * 32, 1)
    assert len(records) == BLOCKS
    slices = range(0, len(raw), size)
    times = best(
        {
            "sha256": lambda: [hashlib.sha256(raw[at : at + size]).digest() for at in slices],
            "blake3_per_slice": lambda: [blake3(raw[at : at + size]).digest() for at in slices],
            "derive": lambda: hasher.derive_blocks([noise], "ef" * 32, 1),
            "verify": lambda: verify_batch(records, [noise], manifest_sha256="ef" * 32, recipe=STANDARD),
        }
    )
    return {
        "regions": regions,
        "slice_bytes": size,
        "sha256_mb_s": len(raw) / times["sha256"] / 1e6,
        "derive_mb_s": len(raw) / times["derive"] / 1e6,
        "blocks_mb_s": BLOCKS * STANDARD.block_len / times["derive"] / 1e6,
        "ratio": times["derive"] / times["sha256"],
        "ratio_verify": times["verify"] / times["sha256"],
        "ratio_two_hashes_per_slice": 1 + times["blake3_per_slice"] / times["sha256"],
    }


def main() -> int:
    """Print the table or the JSON; fail if the limit is passed on any slice of typical size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [{"planes": planes, **compare(regions, n)} for planes, n in ROW_LEN.items() for regions in (2, 3, 4, 6)]
    if arguments.json:
        print(json.dumps({"limit": LIMIT, "rows": rows}, indent=1))
    else:
        print("| planes | regions | slice, bytes | SHA-256, MB/s | hashing and chaining, MB/s | times | verifying |")
        print("|---|---|---|---|---|---|---|")
        for row in rows:
            print(
                f"| {row['planes']} | {row['regions']} | {row['slice_bytes']} | {row['sha256_mb_s']:.0f}"
                f" | {row['derive_mb_s']:.0f} | {row['ratio']:.2f} | {row['ratio_verify']:.2f} |"
            )
    return int(max(row["ratio"] for row in rows) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
