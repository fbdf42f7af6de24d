"""What the standards say of the raw noise of each image, and what that says of its source: a Markdown table.

``python -m benchmarks.raw_noise [FOLDER...] [--recipe ea-2026-2] [--json]``; without a folder the bundled samples.
Looked at are the pair differences of channel 0 in raster order, up to 1,000,000 of them: by the non-IID track of
SP 800-90B, by its chi-square tests, and by SP 800-22. `make rawnoise` writes ``benchmarks/RAW_NOISE.md`` in minutes.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.images import SAMPLES, cell
from entropy_assets.core.credit.assessment import symbol_bits
from entropy_assets.core.credit.estimates import raster_samples
from entropy_assets.core.credit.shared_parts import least_sigma
from entropy_assets.core.extraction.noise import NoiseExtractor, deterministic_nonce
from entropy_assets.core.extraction.survey import survey_of
from entropy_assets.core.sp800_22.suite import run_suite
from entropy_assets.core.sp800_90b.alphabets import bitstring, numbered
from entropy_assets.core.sp800_90b.health_tests import run_health_tests
from entropy_assets.core.sp800_90b.iid.chi_square import goodness_of_fit, independence
from entropy_assets.core.sp800_90b.non_iid import WANTED_SAMPLES, assess_non_iid
from entropy_assets.errors import ImageRejected
from entropy_assets.images.decode import decode
from entropy_assets.images.limits import DEFAULT_LIMITS
from entropy_assets.recipe import RECIPES, STANDARD, Recipe, recipe_named
from entropy_assets.stores.inbox import DropFolder

Samples = npt.NDArray[np.uint8]

FAMILY_ALPHA: Final = 0.001
"""Rate at which random bits would have any P-value counted as failed, by Holm's rule over all of a sequence."""
ALPHA_BITS: Final = 20
COLUMNS: Final = (
    *("file", "outcome", "sigma", "k", "samples", "min-entropy", "of k", "decided by", "of the whole 8"),
    *("health", "independence", "same law", "k bits", "lowest bit"),
)


def rows_of(folder: Path, recipe: Recipe) -> list[dict[str, Any]]:
    """Return one row for each image of `folder` that is not hidden, by name."""
    inbox = DropFolder(folder, 0.0, DEFAULT_LIMITS.max_file_bytes)
    ready, _ = inbox.scan(time.time())
    rows = []
    for entry in sorted(ready, key=lambda entry: entry.name):
        row: dict[str, Any] = {"file": entry.name}
        try:
            noise_of(inbox.read(entry), recipe, row)
        except ImageRejected as rejection:
            row["outcome"] = rejection.reason.value
        rows.append(row)
    return rows


def noise_of(data: bytes, recipe: Recipe, row: dict[str, Any]) -> None:
    """Write into `row` what is said of the raw noise of an image."""
    frame = decode(data, reading=recipe.reading)
    survey = survey_of(frame, recipe)
    row["sigma"] = survey.median_sigma
    noise = NoiseExtractor(recipe).extract(frame, deterministic_nonce(frame.image_sha256), survey)
    k = symbol_bits(least_sigma(survey, frame.parts), recipe)
    whole = raster_samples(noise, 0, WANTED_SAMPLES)
    symbols = whole & np.uint8((1 << k) - 1)
    row |= {"outcome": "looked at", "k": k, "samples": len(symbols)}
    found = assess_non_iid(symbols, k)
    of, _, name = found.decided_by.partition(".")
    row |= {"min-entropy": found.h_i, "of k": found.h_i / k, "decided by": f"{'bits ' * (of == 'of_bits')}{name}"}
    row["of the whole 8"] = assess_non_iid(whole, 8).h_i
    health = run_health_tests(symbols, found.h_i, alpha_bits=ALPHA_BITS, binary=k == 1)
    row["health"] = "passed" if health.passed else ", ".join(health.failed)
    places, alphabet = numbered(symbols)
    row["independence"] = independence(places, alphabet).p_value
    row["same law"] = goodness_of_fit(places, alphabet).p_value
    row["k bits"] = failed_of(bitstring(symbols, k))
    row["lowest bit"] = failed_of(symbols & np.uint8(1))


def failed_of(bits: Samples) -> dict[str, Any]:
    """Return how many tests of SP 800-22 fail on bits, ``uint8[n]``, of how many, and by which P-value the worst."""
    report = run_suite(np.packbits(bits), len(bits))
    by_test = {
        finding.name: [value.p for value in finding.p_values if value.p is not None]
        for finding in report.findings
        if finding.applicable
    }
    values = sorted(p for of_one in by_test.values() for p in of_one)
    # Holm: the i-th least of n P-values fails if all before it do and it is under alpha / (n - i)
    bars = [FAMILY_ALPHA / (len(values) - place) for place in range(len(values))]
    kept = next((place for place, (p, bar) in enumerate(zip(values, bars, strict=True)) if p > bar), len(values))
    failing = {name for name, of_one in by_test.items() if kept and min(of_one) <= values[kept - 1]}
    return {"bits": len(bits), "tests": len(by_test), "failed": sorted(failing)}


def shown(row: dict[str, Any], column: str) -> str:
    """Return a cell of the table."""
    value = row.get(column)
    if isinstance(value, dict):
        return f"{len(value['failed'])} of {value['tests']}"
    if column in ("independence", "same law") and value is not None:
        return f"{value:.1e}" if value < 0.001 else f"{value:.3f}"
    return f"{value:.1%}" if column == "of k" and value is not None else cell(value)


def main() -> int:
    """Look at every folder and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--recipe", default=STANDARD.name, choices=sorted(RECIPES))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    recipe = recipe_named(options.recipe)
    folders = {folder.as_posix(): folder for folder in options.folders} or {"bundled samples": SAMPLES}
    tables = {name: rows_of(folder, recipe) for name, folder in folders.items()}
    if options.json:
        print(json.dumps({"recipe": recipe.name, "folders": tables}, indent=1))
        return 0
    for name, rows in tables.items():
        print(f"\n## {name}\n")
        print("| " + " | ".join(COLUMNS) + " |")
        print("|---|---|" + "---:|" * (len(COLUMNS) - 2))
        for row in rows:
            print("| " + " | ".join(shown(row, column) for column in COLUMNS) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
