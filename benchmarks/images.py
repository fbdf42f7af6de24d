"""What each image of some folders is worth, and why not more, as Markdown tables.

``python -m benchmarks.images [FOLDER...] [--source drop] [--recipe ea-2026-2] [--json]``; without a folder the bundled
samples. Every image stands alone here: what a batch takes off for replays and for a pattern that several frames share
is not in the table. Nothing is written but standard output.
"""

import argparse
import html
import json
import sys
import time
from pathlib import Path
from typing import Any

from entropy_assets.core.conditioning.hasher import EntropyHasher
from entropy_assets.core.credit.assessment import assess_image
from entropy_assets.core.credit.estimates import RASTER
from entropy_assets.core.extraction.noise import NoiseExtractor, deterministic_nonce
from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageRejected
from entropy_assets.images.decode import decode
from entropy_assets.images.limits import DEFAULT_LIMITS
from entropy_assets.recipe import RECIPES, STANDARD, Recipe, recipe_named
from entropy_assets.stages.extraction import noise_input_of
from entropy_assets.stores.inbox import DropFolder

SAMPLES = Path(__file__).resolve().parent.parent / "entropy_assets" / "samples"
FAMILIES = {
    "counts": ("most_common_value",),
    "tuples": ("t_tuple", "repeated_substring"),
    "predictors": ("multi_mcw", "lag", "multi_mmc", "lz78y"),
    "bits": ("bits_",),
}
"""Estimators of SP 800-90B 6.3 by what they look at; the table shows the least of each family, bits per sample."""
COLUMNS = ("file", "outcome", "ADC step", "live", "sigma", "k", *FAMILIES, "min-entropy", "limit", "samples", "credit")
LONGEST_NAME = 44


def rows_of(folder: Path, source: str, recipe: Recipe) -> list[dict[str, Any]]:
    """Return one row for each entry of `folder` that is not hidden, by name."""
    inbox = DropFolder(folder, 0.0, DEFAULT_LIMITS.max_file_bytes)
    ready, pending = inbox.scan(time.time())
    rows = [{"file": entry.name, "outcome": f"skipped: {entry.reason}"} for entry in pending]
    for entry in ready:
        row: dict[str, Any] = {"file": entry.name}
        try:
            judge(decode(inbox.read(entry), source=source, reading=recipe.reading), recipe, row)
        except ImageRejected as rejection:
            row["outcome"] = rejection.reason.value
            note_assessment(row, rejection.data.get("assessment", {}))
        rows.append(row)
    return sorted(rows, key=lambda row: row["file"])


def judge(frame: Frame, recipe: Recipe, row: dict[str, Any]) -> None:
    """Write into `row` what `frame` is worth; what was found before a rejection stays in it."""
    row["ADC step"] = frame.adc_step
    survey = NoiseExtractor(recipe).survey(frame)
    row |= {"live": survey.live_fraction, "sigma": survey.median_sigma}
    image = assess_image(frame, deterministic_nonce(frame.image_sha256), recipe, survey)
    note_assessment(row, image.assessment.to_row())
    _, records = EntropyHasher(recipe).derive_blocks([noise_input_of(image)], "00" * 32, 0)
    row |= {"outcome": "accepted", "blocks": len(records)}


def note_assessment(row: dict[str, Any], assessment: dict[str, Any]) -> None:
    """Write the columns of `assessment` into `row`; an image that was never assessed has none."""
    if not assessment:
        return
    for family, prefixes in FAMILIES.items():
        found = {
            name: h for name, h in assessment["estimates"].items() if name.removeprefix(RASTER).startswith(prefixes)
        }
        row[family] = min(found.values(), default=None)
    row |= {
        "k": assessment["symbol_bits"],
        "min-entropy": assessment["min_entropy"],
        "limit": assessment["limited_by"],
        "samples": assessment["samples"],
        "credit": assessment["credit_bits"],
    }


def cell(value: Any) -> str:
    """Return `value` as a cell of a Markdown table; names of files may hold anything."""
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, int):
        return f"{value:,}".replace(",", " ")
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str("" if value is None else value))
    text = text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return html.escape(text, quote=False).translate({ord(c): f"&#{ord(c)};" for c in "|`*$\\"})


def print_table(folder: str, rows: list[dict[str, Any]]) -> None:
    """Print the table of one folder."""
    accepted = [row for row in rows if row["outcome"] == "accepted"]
    blocks = sum(row["blocks"] for row in accepted)
    print(f"\n## {folder}: {len(rows)} entries, {len(accepted)} accepted, {blocks} blocks\n")
    columns = (*COLUMNS, "blocks")
    print("| " + " | ".join(columns) + " |")
    print("|---|---" + "|---:" * (len(columns) - 2) + "|")
    for row in rows:
        shown = {**row, "live": f"{row['live']:.1%}"} if "live" in row else row
        print("| " + " | ".join(cell(shown.get(column)) for column in columns) + " |")


def print_tables(tables: dict[str, list[dict[str, Any]]], source: str, recipe: Recipe) -> None:
    """Print the head and the table of each folder."""
    print("<!-- Made by: make images -->\n\n# What each image is worth\n")
    print(f"Recipe `{recipe.name}`, source `{source}` with a claim of {recipe.claim_of(source):g} bits per sample.")
    print("Every image stands alone: replays, and patterns that frames of a batch share, are not taken off here.")
    print("Sigma: noise of the median live square, ADC steps. k: low bits of each sample that are assessed.")
    print(f"{', '.join(FAMILIES).capitalize()}: least estimate of each kind of SP 800-90B 6.3, bits per sample.")
    print("Limit: the estimate, cap or test that decided. Credit: bits, after the safety factor.")
    for folder, rows in tables.items():
        print_table(folder, rows)


def main() -> int:
    """Look at every folder and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--source", default="drop", help="where the images are taken to come from")
    parser.add_argument("--recipe", default=STANDARD.name, choices=sorted(RECIPES))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    recipe = recipe_named(options.recipe)
    folders = {folder.as_posix(): folder for folder in options.folders} or {"bundled samples": SAMPLES}
    tables = {name: rows_of(folder, options.source, recipe) for name, folder in folders.items()}
    if options.json:
        print(json.dumps({"recipe": recipe.name, "source": options.source, "folders": tables}, indent=1))
    else:
        print_tables(tables, options.source, recipe)
    return 0


if __name__ == "__main__":
    sys.exit(main())
