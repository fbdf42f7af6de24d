"""What the standards say of the raw noise of each image, and what that says of its source: a Markdown table.

``python -m benchmarks.raw_noise [FOLDER...] [--recipe ea-2026-2] [--json]``; without a folder the bundled samples.
Looked at are the pair differences of channel 0 in raster order, up to 1,000,000 of them: by the non-IID track of
SP 800-90B, by its chi-square tests, and by SP 800-22. `make rawnoise` writes ``benchmarks/RAW_NOISE.md`` in minutes.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.images import SAMPLES, cell
from entropy_assets.cli.assessing.samples import HEALTH_ALPHA_BITS
from entropy_assets.core.credit.assessment import symbol_bits
from entropy_assets.core.credit.estimates import raster_samples
from entropy_assets.core.credit.pair_matrix import PairMatrix, assess_frames
from entropy_assets.core.credit.shared_parts import least_sigma
from entropy_assets.core.extraction.noise import NoiseExtractor, deterministic_nonce
from entropy_assets.core.extraction.survey import Survey, survey_of
from entropy_assets.core.frame import Frame
from entropy_assets.core.sp800_22.suite import run_suite
from entropy_assets.core.sp800_90b.alphabets import bitstring, numbered
from entropy_assets.core.sp800_90b.health_tests import run_health_tests
from entropy_assets.core.sp800_90b.iid.chi_square import goodness_of_fit, independence
from entropy_assets.core.sp800_90b.non_iid import WANTED_SAMPLES, assess_non_iid
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images.decode import decode
from entropy_assets.images.limits import DEFAULT_LIMITS
from entropy_assets.recipe import RECIPES, STANDARD, Recipe, recipe_named
from entropy_assets.stores.inboxes.folder import DropFolder

Samples = npt.NDArray[np.uint8]

FAMILY_ALPHA: Final = 0.001
"""Rate at which random bits would have any P-value counted as failed, by Holm's rule over all of a sequence."""
SENSORS: Final = {
    "Cassini ISS, bias": "cassini_iss_bias_",
    "Cassini ISS, flat": "cassini_iss_flat_",
    "Sony IMX265, night sky": "startracker_",
}
"""Frames that are of one sensor, by how their names begin."""
SAID: Final = {
    "apogee_ccd": "A cut-out. Of so few samples little follows, but that neighbours depend on each other does.",
    "cassini_iss_bias": "Read noise alone, less than two ADC steps wide: most pixels differ from their neighbour by a"
    " step or by none, so less than half of what three bits could hold is there. Even the lowest bit is uneven.",
    "cassini_iss_enceladus": "A table of 8 codes for 12 bits took the noise away in all but the dimmest part. What is"
    " left is one bit, and half of that.",
    "cassini_iss_flat": "Light adds shot noise, so a brighter flat is worth more. Each of the shorter exposures fails"
    " one of the tests of 5.2, not the same one: they are not IID, and these figures don't tell why.",
    "cassini_iss_jupiter": "Planet and sky in one frame: no law holds for all samples, as noise follows the light. That"
    " is what the non-IID track is for.",
    "cassini_iss_lab_flat": "One of the flats of the bench, packed as FITS: the same samples, the same figures but for"
    " where the raster begins.",
    "galileo_ssi": "A frame without light, its noise one bit deep. Most of what one bit can hold is there, though"
    " it is not even.",
    "mer_opportunity_hazcam": "A wavelet coder on board took part of the noise away and made neighbours depend on each"
    " other; the estimators of bits see it. The lowest bit by itself is as good as a coin to SP 800-22: that suite"
    " would have let the frame pass.",
    "not_alfosc": "A bright flat: noise of hundreds of ADU fills all eight bits, and the tests of 5.2 find nothing. But"
    " symbols follow one another in ways that come again, which LZ78Y alone finds: a bit and a half less than full.",
    "palomar60": "Only a corner of the frame is live, so there are too few samples to say much; what is there is wide.",
    "saao_1m": "A CCD on a telescope, the lower and the upper half of one exposure: more than three and a half of five"
    " bits are random, and neighbours know nothing of each other.",
    "sdo_hmi": "What a JPEG 2000 decoder left. Statistics find three bits a sample; who decodes the same file finds"
    " them too, so it is claimed at a quarter of a bit.",
    "startracker": "Night sky: about four of five bits are random. Neighbours are independent, but the law is not the"
    " same everywhere, most likely since noise follows the brightness of the sky: not IID, and no reason to worry.",
}
"""What the figures say of each source, by how the names of its files begin."""
LOOKED_AT: Final = "looked at"
NOT_SAID: Final = "**Nothing is written down for this source.**"
HEAD: Final = """<!-- Made by: make rawnoise -->

# What the standards say of raw noise

Recipe `{recipe}`. Looked at are the differences of neighbouring pixels of live area in raster order, before any
conditioning: the low k bits of each, of the first channel, 1,000,000 at most. No file has as many as 3.1.1 of SP
800-90B asks for, so these are no assessments by the standard, but what can be said of a frame.

Min-entropy: H_I of the non-IID track, bits per sample; what share of k that is, and by what it was decided. Of the
whole 8: the same of all eight bits, of which those above the noise repeat its sign. Independence, same law: P-values
of 5.2.1 and 5.2.2 (of bits 5.2.3, 5.2.4). k bits, lowest bit: how many of the applicable tests of SP 800-22 fail on
all bits of the symbols, and on the lowest of each alone (Holm over all P-values, {alpha:g}).

**Raw noise is not made of uniform bits, and none is here.** It is a bell curve about 0, so its high bits are not
even. SP 800-22 fails on it by design: that suite asks whether bits are uniform, which only a conditioner makes them.
The other way round a pass says nothing of the source: the lowest bit of a wide noise passes whatever the rest is
like, and so does any hash. What decides is the column min-entropy."""
REFUSED: Final = "Refused as `{outcome}` before any estimate: [docs/reasons.md](../docs/reasons.md) says why."
COLUMNS: Final = (
    *("file", "outcome", "sigma", "k", "samples", "min-entropy", "of k", "decided by", "of the whole 8"),
    *("health", "independence", "same law", "k bits", "lowest bit"),
)
SENSOR_COLUMNS: Final = (
    *("sensor", "frames", "k", "H_I", "H_r", "H_c", "left", "fixed pattern", "to who has another frame"),
)


def rows_of(folder: Path, recipe: Recipe) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return a row for each image of `folder` that is not hidden, by name, and one for each sensor with some frames."""
    inbox = DropFolder(folder, 0.0, DEFAULT_LIMITS.max_file_bytes)
    ready, _ = inbox.scan(time.time())
    rows, matrices = [], {sensor: PairMatrix(recipe) for sensor in SENSORS}
    for entry in sorted(ready, key=lambda entry: entry.name):
        row: dict[str, Any] = {"file": entry.name}
        try:
            frame = decode(inbox.read(entry), reading=recipe.reading)
            survey = survey_of(frame, recipe)
            noise_of(frame, survey, recipe, row)
            for sensor, prefix in SENSORS.items():
                if entry.name.startswith(prefix):
                    matrices[sensor].add(frame, survey)
        except ImageRejected as rejection:
            row["outcome"] = rejection.reason.value
        if row["outcome"] != RejectionReason.UNKNOWN_FORMAT:
            rows.append(row)
    return rows, [sensor_row(name, matrix) for name, matrix in matrices.items() if matrix.frames > 1]


def sensor_row(sensor: str, matrix: PairMatrix) -> dict[str, Any]:
    """Return what the restart tests say of the frames of a sensor."""
    h_i = assess_non_iid(matrix.consecutive(), matrix.bits_per_symbol).h_i
    found = assess_frames(matrix.matrix(), matrix.bits_per_symbol, h_i, matrix.pattern())
    row = {"sensor": sensor, "frames": found.frames, "k": found.bits_per_symbol, "H_I": h_i, "H_r": found.h_r}
    row |= {"H_c": found.h_c, "left": found.h, "to who has another frame": found.h_fresh}
    return row | {"fixed pattern": f"{found.pattern.share:.1%}" if found.pattern else None}


def noise_of(frame: Frame, survey: Survey, recipe: Recipe, row: dict[str, Any]) -> None:
    """Write into `row` what is said of the raw noise of a frame."""
    row["sigma"] = survey.median_sigma
    noise = NoiseExtractor(recipe).extract(frame, deterministic_nonce(frame.image_sha256), survey)
    k = symbol_bits(least_sigma(survey, frame.parts), recipe)
    whole = raster_samples(noise, 0, WANTED_SAMPLES)
    symbols = whole & np.uint8((1 << k) - 1)
    row |= {"outcome": LOOKED_AT, "k": k, "samples": len(symbols)}
    found = assess_non_iid(symbols, k)
    of, _, name = found.decided_by.partition(".")
    row |= {"min-entropy": found.h_i, "of k": found.h_i / k, "decided by": f"{'bits ' * (of == 'of_bits')}{name}"}
    row["of the whole 8"] = assess_non_iid(whole, 8).h_i
    health = run_health_tests(symbols, found.h_i, alpha_bits=HEALTH_ALPHA_BITS, binary=k == 1)
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


def said_of(row: dict[str, Any]) -> str:
    """Return what the figures of an image say of its source."""
    if row["outcome"] != LOOKED_AT:
        return REFUSED.format(outcome=row["outcome"])
    return next((words for prefix, words in SAID.items() if row["file"].startswith(prefix)), NOT_SAID)


def print_tables(tables: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]], recipe: Recipe) -> None:
    """Print the head, the tables of each folder, and what they say of each source."""
    print(HEAD.format(recipe=recipe.name, alpha=FAMILY_ALPHA))
    for name, (rows, sensors) in tables.items():
        print(f"\n## {name}\n")
        print_rows(COLUMNS, rows)
        if sensors:
            print(
                "\nFrames of one sensor as a restart matrix (3.1.4), with cutoffs for so few; left: min(H_r, H_c, H_I);"
            )
            print("then what that is to who has another frame, and so knows the fixed pattern:\n")
            print_rows(SENSOR_COLUMNS, sensors)
        print()
        by_words: dict[str, list[str]] = {}
        for row in rows:
            by_words.setdefault(said_of(row), []).append(row["file"])
        for words, files in by_words.items():
            print(f"- {', '.join(f'`{file}`' for file in files)}: {words}")


def print_rows(columns: Sequence[str], rows: list[dict[str, Any]]) -> None:
    """Print a table."""
    print("| " + " | ".join(columns) + " |")
    print("|---|---|" + "---:|" * (len(columns) - 2))
    for row in rows:
        print("| " + " | ".join(shown(row, column) for column in columns) + " |")


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
        told = {name: {"images": rows, "sensors": sensors} for name, (rows, sensors) in tables.items()}
        print(json.dumps({"recipe": recipe.name, "folders": told}, indent=1))
        return 0
    print_tables(tables, recipe)
    return 0


if __name__ == "__main__":
    sys.exit(main())
