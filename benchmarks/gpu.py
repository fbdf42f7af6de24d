"""Speed of survey, views and counts on a card, beside one core and all of them: the tables of ``benchmarks/GPU.md``.

    python -m benchmarks.gpu [--sides 512,2048,4096,7808] [--budget 20] [--json]

Frames are 12 bits of white noise in int16, all of it live; 7808 x 7808 are 61 million pixels. Of a batch the frames
follow one another, a thread each with a stream of its own on a card. A batch that would take longer than the
budget is cut to as many frames as fit, and the table says to how many. Where no card answers, the tables of the
processor stand alone, and say so: that they are made at all shows that this program works.
"""

import argparse
import cProfile
import json
import os
import pstats
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np

from entropy_assets.core import extraction
from entropy_assets.core.arrays import HOST, Arrays, beside, card
from entropy_assets.core.credit.estimates import LONGEST_TUPLE
from entropy_assets.core.extraction.agreement import require_agreement
from entropy_assets.core.extraction.compiled import loops
from entropy_assets.core.extraction.noise import NoiseExtractor
from entropy_assets.core.frame import Frame
from entropy_assets.core.sp800_90b.alphabets import bitstring
from entropy_assets.core.sp800_90b.non_iid import counted
from entropy_assets.errors import ExtraMissing, StartFailed
from entropy_assets.recipe import STANDARD

NONCE = bytes(32)
SYMBOL_BITS = 5
"""Low bits of a sample that are counted: those that an assessment takes of such noise."""
BATCH = 64
LARGE = 2048
"""Side from which on a frame is measured once."""
STEPS = 16
"""Steps of a frame in its profile."""
COPIED = 1 << 28
"""Bytes of the copy that gives the bandwidth."""
AIMED_SIDE = 4096
AIM = f"""\
Aims: 1,000 Mpixel/s from the memory of the host at {AIMED_SIDE} x {AIMED_SIDE}, and 50 times a core.
"""


def clock_of(arrays: Arrays) -> Callable[[], float]:
    """Return the clock of one frame: CPU time in memory, which other work does not lengthen; else that on the wall."""
    return time.process_time if arrays is HOST else time.perf_counter


def seconds(task: Callable[[], object], clock: Callable[[], float], repeats: int = 3) -> float:
    """Return the least time of several runs; the first is left out, since it loads and compiles."""
    task()
    least = float("inf")
    for _ in range(repeats):
        start = clock()
        task()
        least = min(least, clock() - start)
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


def noise_of(frame: Frame, arrays: Arrays) -> bool:
    """Move, survey and sample a frame, whose samples are in memory then. Tell whether it fitted where arrays lie."""
    return arrays.computed(frame, lambda placed: NoiseExtractor(STANDARD).extract(placed, NONCE))[1] == str(arrays)


def stages(frame: Frame, arrays: Arrays) -> dict[str, float]:
    """Return the seconds of each stage of one frame."""
    extractor, clock = NoiseExtractor(STANDARD), clock_of(arrays)
    repeats = 3 if frame.shape[0] <= LARGE else 1
    with arrays.apart():

        def move() -> Frame:
            # CuPy copies on demand; its pixels are new each time, as a decoder's are
            placed = arrays.placed(replace(frame, pixels=frame.pixels))
            finished(arrays)
            return placed

        placed = move()
        survey = extractor.survey(placed)
        samples = extractor.extract(placed, NONCE, survey).credited()[: STANDARD.assessment_samples]
        low = samples & np.uint8((1 << SYMBOL_BITS) - 1)

        def count() -> None:
            symbols = beside(low, placed.pixels)
            counted(symbols, 1 << SYMBOL_BITS, LONGEST_TUPLE)
            counted(bitstring(symbols, SYMBOL_BITS), 2, LONGEST_TUPLE, are_bits=True)

        return {
            "move": seconds(move, clock, repeats),
            "survey": seconds(lambda: extractor.survey(placed), clock, repeats),
            "views": seconds(lambda: extractor.extract(placed, NONCE, survey), clock, repeats),
            "counts": seconds(count, clock, repeats),
            "all": seconds(lambda: noise_of(frame, arrays), clock, repeats),
        }


def batch_seconds(frame: Frame, arrays: Arrays, workers: int, frames: int) -> float:
    """Return the seconds of a batch of that frame by the clock on the wall, with so many threads.

    Each has computed a frame before, and so has a handle of cuBLAS, and its stream the memory that it needs. Where a
    frame did not fit, the processor computed it, and the batch says nothing of the card: that took for ever.
    """
    begun = Barrier(workers)  # else a quick thread would take the first frame of two

    def begin() -> bool:
        begun.wait()
        return noise_of(frame, arrays)

    def fitted(tasks: list[Future[bool]]) -> bool:
        told = [done.result() for done in tasks]
        return all(told)

    with ThreadPoolExecutor(workers) as pool:
        fitted([pool.submit(begin) for _ in range(workers)])
        start = time.perf_counter()
        all_fitted = fitted([pool.submit(noise_of, frame, arrays) for _ in range(frames)])
        return time.perf_counter() - start if all_fitted else float("inf")


def measure(side: int, arrays: Arrays, workers: Sequence[int], budget: float) -> dict[str, Any]:
    """Return seconds and pixels a second of a single frame, and of a batch with each number of threads."""
    frame = noise_frame(side)
    single = stages(frame, arrays)
    frames = max(*workers, min(BATCH, int(budget / single["all"])))
    return {
        **{f"{name}_s": value for name, value in single.items()},
        "single_mpixel_s": side**2 / single["all"] / 1e6,
        "computing_mpixel_s": side**2 / (single["survey"] + single["views"]) / 1e6,
        "batch_frames": frames,
        "batch_mpixel_s": {
            count: frames * side**2 / batch_seconds(frame, arrays, count, frames) / 1e6 for count in workers
        },
    }


def profile(frame: Frame, arrays: Arrays) -> dict[str, float]:
    """Return the seconds of the steps of survey and views that take longest, each with those that it calls.

    A card computes while the next step is asked for, so its time is that of the step that waits for it.
    """
    folder = Path(extraction.__file__).parent
    watched = cProfile.Profile()
    noise_of(frame, arrays)
    watched.runcall(noise_of, frame, arrays)
    steps: dict[str, float] = {}
    for (path, _, function), (_, _, _, taken, _) in pstats.Stats(watched).stats.items():  # type: ignore[attr-defined]
        if Path(path).is_relative_to(folder) and not function.startswith("<"):
            steps[f"{Path(path).relative_to(folder).with_suffix('')}: {function}"] = taken
    longest = sorted(steps, key=lambda step: steps[step], reverse=True)[:STEPS]
    return {step: steps[step] for step in longest}


def copy_bandwidth(arrays: Arrays) -> float:
    """Return the bytes a second that a copy reads and writes where these arrays lie."""
    source = arrays.namespace.zeros(COPIED, dtype=arrays.namespace.uint8)
    target = arrays.namespace.empty_like(source)

    def copy() -> None:
        target[...] = source
        finished(arrays)

    return 2 * COPIED / seconds(copy, clock_of(arrays))


def card_or_why() -> tuple[Arrays | None, str]:
    """Return the card if one answers and agrees with NumPy, and what is to be said of it."""
    try:
        found = card()
        require_agreement(found)
    except (ExtraMissing, StartFailed) as error:
        return None, f"**No card was had** ({error.message}), so the columns of a card are missing."
    return found, f"The card is {found}; it passed the start-up check."


def threads_beside(cores: int) -> list[int]:
    """Return the numbers of threads that feed a card: what stays in memory of each frame needs a core, or several."""
    return sorted({1, *(count for count in (2, 4, 8) if count < cores), cores})


def profiled_of(sides: list[int]) -> int:
    """Return the side of the frame that is profiled: the one that the aim is for, or the nearest there is."""
    return min(sides, key=lambda side: abs(side - AIMED_SIDE))


def columns(budget: float, sides: list[int]) -> tuple[dict[str, Any], str]:
    """Return what was measured, by what computed it, and what is to be said of the card."""
    found, words = card_or_why()
    cores = len(os.sched_getaffinity(0))
    asked = [("processor", HOST, (1, cores))] + ([("card", found, threads_beside(cores))] if found else [])
    measured = {
        name: {
            "copy_gbyte_s": copy_bandwidth(arrays) / 1e9,
            "sides": {side: measure(side, arrays, workers, budget) for side in sides},
            "profile_s": profile(noise_frame(profiled_of(sides)), arrays),
        }
        for name, arrays, workers in asked
    }
    return measured, words


def print_page(measured: dict[str, Any], words: str, sides: list[int]) -> None:
    """Print the page."""
    loops_told = "with its loops compiled by numba" if loops() else "without numba"
    print("# Survey, views and counts on a card\n\nWritten by `make gpu`, or `python -m benchmarks.gpu`.\n")
    print(f"{words} In memory it is {HOST}, {loops_told}.\n\n{AIM}")
    print("Mpixel/s of survey and views together. 'Single' is a frame by itself with its transfers, 'computing' that")
    print("without the transfer to the card: of the processor these, and the milliseconds, are CPU time, those of one")
    print("core. 'Batch' is frames that follow one another, by the clock on the wall, with so many threads, 0 where")
    print("one did not fit on the card: of a machine that does other things it says little, and the load of this one")
    print(
        f"was {os.getloadavg()[0]:.0f}. 'Counts' are those of one channel's assessed samples in one order, as symbols"
    )
    print("and as bits.\n")
    titles = (
        "frame",
        "computed by",
        "single",
        "computing",
        "batch",
        "frames",
        "move, ms",
        "survey, ms",
        "views, ms",
        "counts, ms",
    )
    print(f"| {' | '.join(titles)} |\n|---|---|{(len(titles) - 2) * '---:|'}")
    for side in sides:
        for name, column in measured.items():
            row = column["sides"][side]
            batch = "; ".join(f"{rate:,.1f} ({count})" for count, rate in row["batch_mpixel_s"].items())
            rates = [f"{row[f'{key}_mpixel_s']:,.1f}" for key in ("single", "computing")]
            times = [f"{1e3 * row[f'{key}_s']:,.1f}" for key in ("move", "survey", "views", "counts")]
            print(f"| {side} x {side} | {name} | {' | '.join([*rates, batch, str(row['batch_frames']), *times])} |")
    print("\nA copy within the same memory, read and written:", end=" ")
    print(", ".join(f"{column['copy_gbyte_s']:.1f} GB/s ({name})" for name, column in measured.items()) + ".\n")
    side = profiled_of(sides)
    print(f"Where the time of a frame of {side} x {side} goes, milliseconds by the clock, each step with those that it")
    print("calls. A card computes while the next step is asked for: its time is that of the step that waits for it.")
    for name, column in measured.items():
        print(f"\n| {name} | ms |\n|---|---:|")
        for step, taken in column["profile_s"].items():
            print(f"| `{step}` | {1e3 * taken:,.1f} |")


def main() -> None:
    """Print the page, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", default="512,2048,4096,7808", help="sides of the square frames, pixels")
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
