"""Speed of extraction (survey, three views, credit) beside its bare array operations, in one run, as CPU time.

    python benchmarks/extraction.py [--side 2048] [--json]

The bare operations are what nobody could leave out: one Laplacian, one rFFT pair on the regions, one difference and
one histogram over the same pixels, as NumPy and SciPy give them. Targets: at least 15 million 8-bit pixels a second
for the sum of all, and at most 3 times the bare operations.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import fft

from entropy_assets.core.credit.assessment import assess
from entropy_assets.core.extraction.noise import NoiseExtractor
from entropy_assets.core.frame import Frame
from entropy_assets.recipe import STANDARD

NONCE = bytes(32)
REPEATS = 7


def cpu_seconds(task: Callable[[], object]) -> float:
    """Return the least CPU time of several runs, all threads together."""
    least = float("inf")
    for _ in range(REPEATS):
        start = time.process_time()
        task()
        least = min(least, time.process_time() - start)
    return least


def noise_frame(side: int, channels: int) -> Frame:
    """Return an 8-bit frame of white noise of 7 steps on a slope."""
    rng = np.random.default_rng(1)
    slope = np.linspace(80, 160, side)
    pixels = np.clip(np.rint(rng.normal(slope, 7, (channels, side, side))), 0, 255).astype(np.int64)
    facts = {"bit_depth": 8, "container": "png", "lossy": False, "source": "drop"}
    return Frame.build(pixels, data=pixels.astype(np.uint8).tobytes(), **facts)


def bare_operations(plane: npt.NDArray[np.int32]) -> dict[str, Callable[[], object]]:
    """Return the operations that any extraction needs, each over every pixel of `plane` once."""
    rows, columns = (side // 16 for side in plane.shape)
    regions = np.ascontiguousarray(plane.reshape(rows, 16, columns, 16).swapaxes(1, 2)).reshape(-1, 16, 16)
    floats = regions.astype(np.float64)
    pairs = (plane[:, 1::2] - plane[:, ::2]).astype(np.uint8).ravel()
    return {
        "laplacian": lambda: (
            4 * plane[1:-1, 1:-1] - plane[:-2, 1:-1] - plane[2:, 1:-1] - plane[1:-1, :-2] - plane[1:-1, 2:]
        ),
        "rfft pair": lambda: fft.irfft2(fft.rfft2(floats), s=(16, 16)),
        "difference": lambda: plane[:, 1::2] - plane[:, ::2],
        "histogram": lambda: np.bincount(pairs, minlength=256),
    }


def measure(side: int, channels: int) -> dict[str, float]:
    """Return seconds of each part, pixels per second, and the ratio to the bare operations."""
    frame = noise_frame(side, channels)
    extractor = NoiseExtractor(STANDARD)
    noise = extractor.extract(frame, NONCE)
    seconds = {
        "survey": cpu_seconds(lambda: extractor.survey(frame)),
        "survey and views": cpu_seconds(lambda: extractor.extract(frame, NONCE)),
        "assessment": cpu_seconds(lambda: assess(noise, frame, STANDARD)),
    }
    bare = {name: channels * cpu_seconds(task) for name, task in bare_operations(frame.pixels[0]).items()}
    total, least = seconds["survey and views"] + seconds["assessment"], sum(bare.values())
    return {
        **{f"{name}, ms": 1e3 * value for name, value in {**seconds, **bare}.items()},
        "all, ms": 1e3 * total,
        "bare, ms": 1e3 * least,
        "million pixels per second": frame.pixels.size / total / 1e6,
        "ratio to bare": total / least,
        "live share": noise.survey.live_fraction,
    }


def main() -> None:
    """Print one table for grey and one for colour, or both as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=2048, help="side of the square frame, pixels")
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    options = parser.parse_args()
    found = {name: measure(options.side, channels) for name, channels in (("grey", 1), ("colour", 3))}
    if options.json:
        sys.stdout.write(json.dumps({"side": options.side, **found}, indent=2) + "\n")
        return
    for name in found["grey"]:
        sys.stdout.write(f"{name:28}" + "".join(f"{column[name]:12.2f}" for column in found.values()) + "\n")


if __name__ == "__main__":
    main()
