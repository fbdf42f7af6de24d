"""Speed of survey and views on a card, beside one core and all of them: the tables of ``benchmarks/GPU.md``.

    python -m benchmarks.gpu [--sides 512,2048,4096,7818] [--budget 20] [--json]

Frames are 12 bits of white noise in int16, all of it live; 7818 x 7818 are 61 million pixels. Of a batch the frames
follow one another, on a card with a stream each, on all cores a frame a core. A batch that would take longer than the
budget is cut to as many frames as fit, and the table says to how many. Where no card answers, the tables of the
processor stand alone, and say so: that they are made at all shows that this program works.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from entropy_assets.core.extraction.agreement import require_agreement
from entropy_assets.core.extraction.arrays import HOST, Arrays, card
from entropy_assets.core.extraction.compiled import loops
from entropy_assets.core.extraction.noise import NoiseExtractor
from entropy_assets.core.frame import Frame
from entropy_assets.errors import ExtraMissing, StartFailed
from entropy_assets.recipe import STANDARD

NONCE = bytes(32)
BATCH = 64
COPIED = 1 << 28
"""Bytes of the copy that gives the bandwidth."""
AIM = """\
Aims: 1,000 Mpixel/s from the memory of the host at 4096 x 4096, and 50 times a core.
"""


def seconds(task: Callable[[], object], repeats: int = 3) -> float:
    """Return the least wall time of several runs; the first is left out, since it loads and compiles."""
    task()
    least = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        task()
        least = min(least, time.perf_counter() - start)
    return least


def noise_frame(side: int) -> Frame:
    """Return a frame of 12 bits of white noise of 7 steps."""
    noise = np.random.default_rng(1).standard_normal((1, side, side), dtype=np.float32)
    pixels = np.rint(1000 + 7 * noise).astype(np.int16)
    facts: dict[str, Any] = {"bit_depth": 12, "container": "fits", "lossy": False, "source": "raw-ccd"}
    return Frame.build(pixels, data=pixels[:, :1].tobytes(), copy=False, **facts)


def finished(arrays: Arrays) -> None:
    """Wait until a card has done what it was asked."""
    if arrays.name == "cupy":
        arrays.namespace.cuda.get_current_stream().synchronize()


def noise_of(frame: Frame, arrays: Arrays) -> None:
    """Move, survey and sample a frame; the samples are in memory then."""
    with arrays.apart():
        NoiseExtractor(STANDARD).extract(arrays.placed(frame), NONCE)


def stages(frame: Frame, arrays: Arrays) -> dict[str, float]:
    """Return the seconds of each stage of one frame."""
    extractor = NoiseExtractor(STANDARD)
    with arrays.apart():

        def move() -> Frame:
            # CuPy copies on demand; its pixels are new each time, as a decoder's are
            placed = arrays.placed(replace(frame, pixels=frame.pixels))
            finished(arrays)
            return placed

        placed = move()
        survey = extractor.survey(placed)
        return {
            "move": seconds(move),
            "survey": seconds(lambda: extractor.survey(placed)),
            "views": seconds(lambda: extractor.extract(placed, NONCE, survey)),
            "all": seconds(lambda: noise_of(frame, arrays)),
        }


def batch_seconds(frame: Frame, arrays: Arrays, workers: int, frames: int) -> float:
    """Return the seconds of a batch of that frame, with so many threads."""
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(noise_of, frame, arrays) for _ in range(frames)]:
            done.result()
    return time.perf_counter() - start


def measure(side: int, arrays: Arrays, workers: int, budget: float) -> dict[str, float]:
    """Return seconds and pixels a second of a single frame, and of a batch."""
    frame = noise_frame(side)
    single = stages(frame, arrays)
    frames = max(workers, min(BATCH, int(budget / single["all"])))
    elapsed = batch_seconds(frame, arrays, workers, frames)
    return {
        **{f"{name}_s": value for name, value in single.items()},
        "single_mpixel_s": side**2 / single["all"] / 1e6,
        "without_moving_mpixel_s": side**2 / (single["survey"] + single["views"]) / 1e6,
        "batch_frames": frames,
        "batch_mpixel_s": frames * side**2 / elapsed / 1e6,
    }


def copy_bandwidth(arrays: Arrays) -> float:
    """Return the bytes a second that a copy reads and writes where these arrays lie."""
    source = arrays.namespace.zeros(COPIED, dtype=arrays.namespace.uint8)
    target = arrays.namespace.empty_like(source)

    def copy() -> None:
        target[...] = source
        finished(arrays)

    return 2 * COPIED / seconds(copy)


def card_or_why() -> tuple[Arrays | None, str]:
    """Return the card if one answers and agrees with NumPy, and what is to be said of it."""
    try:
        found = card()
        require_agreement(found)
    except (ExtraMissing, StartFailed) as error:
        return None, f"**No card was had** ({error.message}), so the columns of a card are missing."
    return found, f"The card is {found}; it passed the start-up check."


def columns(budget: float, sides: list[int]) -> tuple[dict[str, Any], str]:
    """Return what was measured, by what computed it, and what is to be said of the card."""
    cores = len(os.sched_getaffinity(0))
    found, words = card_or_why()
    asked = [("one core", HOST, 1), (f"{cores} cores", HOST, cores)] + ([("card", found, 2)] if found else [])
    measured = {
        name: {
            "copy_gbyte_s": copy_bandwidth(arrays) / 1e9,
            "sides": {side: measure(side, arrays, workers, budget) for side in sides},
        }
        for name, arrays, workers in asked
    }
    return measured, words


def print_page(measured: dict[str, Any], words: str, sides: list[int]) -> None:
    """Print the page."""
    loops_told = "with its loops compiled by numba" if loops() else "without numba"
    print("# Survey and views on a card\n\nWritten by `make gpu`, or `python -m benchmarks.gpu`.\n")
    print(f"{words} In memory it is {HOST}, {loops_told}. Times are by the clock of a machine that may do other things")
    print(f"as well: ratios of one run say more than figures.\n\n{AIM}")
    print("Mpixel/s of survey and views together. 'Single' is a frame by itself with its transfers, 'computing' that")
    print("without the transfer to the card, 'batch' frames that follow one another.\n")
    titles = (
        "frame",
        "computed by",
        "single",
        "computing",
        "batch",
        "its frames",
        "move, ms",
        "survey, ms",
        "views, ms",
    )
    print(f"| {' | '.join(titles)} |\n|---|---|{(len(titles) - 2) * '---:|'}")
    for side in sides:
        for name, column in measured.items():
            row = column["sides"][side]
            rates = (row[f"{key}_mpixel_s"] for key in ("single", "without_moving", "batch"))
            times = (1e3 * row[f"{key}_s"] for key in ("move", "survey", "views"))
            cells = [*(f"{rate:,.1f}" for rate in rates), str(row["batch_frames"]), *(f"{ms:,.1f}" for ms in times)]
            print(f"| {side} x {side} | {name} | {' | '.join(cells)} |")
    print("\nA copy within the same memory, read and written:", end=" ")
    print(", ".join(f"{column['copy_gbyte_s']:.1f} GB/s ({name})" for name, column in measured.items()) + ".")


def main() -> None:
    """Print the page, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", default="512,2048,4096,7818", help="sides of the square frames, pixels")
    parser.add_argument("--budget", type=float, default=20.0, help="seconds of a batch")
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    options = parser.parse_args()
    sides = [int(side) for side in options.sides.split(",")]
    measured, words = columns(options.budget, sides)
    if options.json:
        sys.stdout.write(json.dumps({"card": words, "computed_by": measured}, indent=2) + "\n")
        return
    print_page(measured, words, sides)


if __name__ == "__main__":
    main()
