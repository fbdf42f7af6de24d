"""What fewer samples in the estimators would save, and what credit they would cost: a Markdown table.

    python -m benchmarks.sample_counts [FILE...] [--side 512]

Each FILE, declared as ``raw-ccd``, is cut to its middle of `--side` pixels; without one the bundled samples that are
as large are taken. Beside them stand simulated frames, as `benchmarks.extraction` has them, of three widths of noise.
The recipe's counts are divided by 1, 2, 4 and 8. CPU time is the least of some runs; the least estimate is that of all
estimators, before any claim or cap.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.extraction import NONCE, cpu_seconds
from entropy_assets.core.credit.assessment import assess, credit_of, rounded_down
from entropy_assets.core.extraction.noise import NoiseExtractor
from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageRejected
from entropy_assets.images.decode import decode
from entropy_assets.recipe import STANDARD, Recipe

SAMPLES: Final = Path(__file__).resolve().parent.parent / "entropy_assets" / "samples"
PARTS: Final = (1, 2, 4, 8)
COUNTS: Final = ("assessment_samples", "prediction_samples", "bit_prediction_samples", "raster_samples")
SIGMAS: Final = (2.0, 7.0, 20.0)
"""Noise of the simulated frames, ADC steps."""


def with_counts(part: int) -> Recipe:
    """Return the recipe with all counts of samples divided by `part`."""
    fewer: dict[str, Any] = {name: getattr(STANDARD, name) // part for name in COUNTS}
    return replace(STANDARD, **fewer)


def cut(frame: Frame, side: int) -> Frame:
    """Return the middle of `frame`, as a frame of its own."""
    top, left = ((length - side) // 2 for length in frame.pixels.shape[1:])
    pixels = np.ascontiguousarray(frame.pixels[:, top : top + side, left : left + side])
    facts = {"bit_depth": frame.bit_depth, "container": frame.container, "lossy": frame.lossy, "source": frame.source}
    return Frame.build(pixels, data=pixels.tobytes(), **facts)


def simulated(side: int, sigma: float) -> Frame:
    """Return a frame of 16 bits of white noise on a slope."""
    slope = np.linspace(800, 1600, side)
    pixels = np.rint(np.random.default_rng(1).normal(slope, sigma, (1, side, side))).astype(np.int64)
    facts = {"bit_depth": 16, "container": "fits", "lossy": False, "source": "raw-ccd"}
    return Frame.build(pixels, data=pixels.tobytes(), **facts)


def frames(files: list[Path], side: int) -> dict[str, Frame]:
    """Return the frames that are assessed, by name."""
    found = {f"simulated, {sigma:g} steps": simulated(side, sigma) for sigma in SIGMAS}
    for file in files:
        try:
            frame = decode(file.read_bytes(), source="raw-ccd")
        except ImageRejected:
            continue
        if min(frame.pixels.shape[1:]) >= side and frame.parts == 1 and not frame.lossy:
            found[file.stem] = cut(frame, side)
    return found


def row_of(frame: Frame) -> list[tuple[float, float, int]] | None:
    """Return for each part CPU ms of the assessment, the least estimate and the credit; None if nothing is live."""
    cells = []
    for part in PARTS:
        recipe = with_counts(part)
        try:
            noise = NoiseExtractor(recipe).extract(frame, NONCE)
        except ImageRejected:
            return None
        found = assess(noise, frame, recipe)
        least = rounded_down(min(found.estimates.values()), recipe)
        seconds = cpu_seconds(lambda noise=noise, recipe=recipe: assess(noise, frame, recipe))  # type: ignore[misc]
        cells.append((1000 * seconds, least, credit_of(least, found.samples, recipe)))
    return cells


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--side", type=int, default=512, help="side of the square frames, pixels")
    options = parser.parse_args()
    rows = {
        name: row
        for name, frame in frames(options.files or sorted(SAMPLES.iterdir()), options.side).items()
        if (row := row_of(frame)) is not None
    }
    heads = [f"{what}, 1/{part}" if part > 1 else f"{what}, all" for what in ("ms", "bits, credit") for part in PARTS]
    lines = ["| frame | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for name, row in rows.items():
        cells = [f"{ms:.1f}" for ms, _, _ in row] + [f"{least:.3f}, {credit:,}" for _, least, credit in row]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    means = [np.mean([row[place][0] for row in rows.values()]) for place in range(len(PARTS))]
    shares = [np.mean([row[place][2] / row[0][2] for row in rows.values()]) for place in range(len(PARTS))]
    cells = [f"{ms:.1f}" for ms in means] + [f"{share:.3f} of all" for share in shares]
    lines.append("| mean | " + " | ".join(cells) + " |")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
