"""What each image of some folders is worth, and why not more, beside what an earlier recipe gave: Markdown tables.

``python -m benchmarks.images [FOLDER...] [--source drop] [--recipe ea-2026-2] [--before ea-2026-1] [--json]``; without
a folder the bundled samples. Every image stands alone here: what a batch takes off for replays and for a pattern that
several frames share is not in the table. Nothing is written but standard output.
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
from entropy_assets.stores.inboxes.folder import DropFolder

SAMPLES = Path(__file__).resolve().parent.parent / "entropy_assets" / "samples"
FAMILIES = {
    "counts": ("most_common_value",),
    "tuples": ("t_tuple", "repeated_substring"),
    "predictors": ("multi_mcw", "lag", "multi_mmc", "lz78y"),
    "bits": ("bits_",),
}
"""Estimators of SP 800-90B 6.3 by what they look at; the table shows the least of each family, bits per sample."""
COLUMNS = (
    *("file", "outcome", "ADC step", "live", "sigma", "k", *FAMILIES, "min-entropy", "limit", "samples", "credit"),
    *("blocks", "before", "limit before", "credit before"),
)
LONGEST_NAME = 44
EARLIER = "ea-2026-1"
"""The recipe that images are compared by, unless another is named."""
ACCEPTED = "accepted"
ARGUMENTS = {
    "claim": "Nobody vouches for the file, and it is a picture: 8 bits, or a container made for pictures. It may be off"
    " a video, whose grain a player repeats from a template, and no statistics of one frame tell. So it is worth what"
    " `nasa-images` is, however good it looks.",
    "statement": "The file says of itself what was done to its pixels. Who writes that gives something away and gains"
    " nothing, so it is believed.",
    "not_raw": "The file says of itself that its pixels are no single exposure of a sensor, and such noise is not what"
    " it looks like: an average has less, a program has none.",
    "accepted, was quantised_away": "Most of it is as quiet as before and stays masked. Of the rest more is live, since"
    " codes that an ADC gives unevenly are judged by what remains, and that is worth what its source vouches for.",
    "dithered": "Pixels lie evenly in boxes of codes. A program's numbers below a bound do, and so do codes to which a"
    " converter added such a number; who has the program or its seed has the noise.",
    "synthetic_noise": "Bits of the noise follow a short linear rule, or most frequencies are empty. A program makes"
    " such noise, and no sensor does.",
    "tiled": "Parts of the noise come again: what comes again is known.",
    "compression_artefacts": "Coefficients of a transform lie on the steps of a quantiser. The pixels were decoded from"
    " a lossy stream, and they hold no more than it did.",
    "not_enough_credit": "At what such a file is worth, its samples don't fill one digest.",
    "clipped_at_black": "The pixels lie at the lowest code, not at the highest. Refused as before; the reason is one"
    " that a person can act on.",
    "unsupported_pixels": "The file was read as other numbers than it holds: a thumbnail, or signed numbers as unsigned"
    " ones.",
    "unsupported_container": "Not read, as before. The reason now names the container, and what converts it.",
    "accepted, was correlated": "A sensor behind a mosaic of colours looks correlated as long as its colours lie in one"
    " plane, and rows that share an offset do. Each is now taken out before its noise is judged.",
    "accepted, was uneven_codes": "An ADC whose codes are unevenly wide has noise all the same: it is worth what is"
    " in its bits, not nothing.",
    "accepted, was unsupported_pixels": "The container lost nothing, so its integers are those of the sensor.",
    "accepted, was constant": "The first image in the file is no exposure. The first that can be one is measured now.",
    "accepted, was too_small": "The first image in the file is no exposure. The first that can be one is measured now.",
    "accepted, was not_enough_credit": "More of the file is measured: all its images that an exposure can be in, each"
    " judged by itself. Together they fill a digest.",
    "accepted, was health_test_failed": "The health tests look for noise that is worse than it was assessed. It is"
    " assessed lower now, by predictors that look at more samples, so its runs are no surprise. What it is credited is"
    " bounded by claim and container as before.",
    "k": "Other bits of a sample are assessed, since their number is rounded otherwise. It follows from the noise"
    " alone, and every number of low bits gives a lower bound.",
    "samples": "Another part of the file is measured: all its images that an exposure can be in, each judged by itself"
    " and without overscan.",
    "estimator": "An estimate decides that was not made before: the predictors look at the bits too, and all estimators"
    " look at the samples in the order of the sensor too. The least wins, so one more can only lower the credit.",
    "estimates": "The same estimates look at more samples. Their bounds are closer, and what a short look misses they"
    " find.",
    "container": "The bytes that code the measured image cap the credit, and they are counted more closely.",
}
"""Why each kind of change is right, by what `causes` calls it."""
NOT_ARGUED = "**No argument is written down for this kind.**"


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
    row |= {"outcome": ACCEPTED, "blocks": len(records)}


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
        "estimates": assessment["estimates"],
        "k": assessment["symbol_bits"],
        "min-entropy": assessment["min_entropy"],
        "limit": assessment["limited_by"],
        "samples": assessment["samples"],
        "credit": assessment["credit_bits"],
    }


def causes(now: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """Return why an image is worth something else than before, as keys of `ARGUMENTS`; none if it is not."""
    if now["outcome"] != before["outcome"]:
        return [now["outcome"] if now["outcome"] != ACCEPTED else f"accepted, was {before['outcome']}"]
    if now["outcome"] != ACCEPTED or now["credit"] == before["credit"]:
        return []
    found = [name for name in ("samples", "k") if now[name] != before[name]]
    estimated, lower = now["limit"] in now["estimates"], now["min-entropy"] < before["min-entropy"]
    if not estimated and (lower or now["limit"] == "container"):
        return [*found, now["limit"]]
    new = estimated and now["limit"] not in before["estimates"]
    return [*found, "estimator"] if new else found or ["estimates"]


def beside(rows: list[dict[str, Any]], earlier: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return `rows` with what the earlier recipe said of the same files, and why they differ."""
    by_file = {row["file"]: row for row in earlier}
    joined = []
    for row in rows:
        old = by_file[row["file"]]
        said = {"before": old["outcome"], "limit before": old.get("limit"), "credit before": old.get("credit")}
        joined.append({**row, **said, "causes": causes(row, old)})
    return joined


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
    accepted = [row for row in rows if row["outcome"] == ACCEPTED]
    blocks = sum(row["blocks"] for row in accepted)
    print(f"\n## {folder}: {len(rows)} entries, {len(accepted)} accepted, {blocks} blocks\n")
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---|---" + "|---:" * (len(COLUMNS) - 2) + "|")
    for row in rows:
        shown = {**row, "live": f"{row['live']:.1%}"} if "live" in row else row
        print("| " + " | ".join(cell(shown.get(column)) for column in COLUMNS) + " |")


def print_changes(tables: dict[str, list[dict[str, Any]]], before: Recipe) -> None:
    """Print which images are worth something else than by the recipe `before`, and why that is right."""
    rows = [row for table in tables.values() for row in table]
    kinds = {kind: [row for row in rows if kind in row["causes"]] for row in rows for kind in row["causes"]}
    changed = sum(bool(row["causes"]) for row in rows)
    print(f"\n## What changed since `{before.name}`, and why that is right\n")
    print(f"{changed} of {len(rows)} entries. Of each kind: why, then the files with the credit before and now.\n")
    for kind, of_kind in kinds.items():
        files = ", ".join(f"{cell(row['file'])} ({was_and_is(row)})" for row in of_kind)
        print(f"- **{kind.replace('_', ' ')}**: {ARGUMENTS.get(kind, NOT_ARGUED)}\n  {files}.")


def was_and_is(row: dict[str, Any]) -> str:
    """Return the credit of an image before and now; an image that was never assessed has none."""
    return f"{cell(row['credit before'] or 0)} -> {cell(row.get('credit') or 0)}"


def print_tables(tables: dict[str, list[dict[str, Any]]], source: str, recipe: Recipe, before: Recipe) -> None:
    """Print the head, the table of each folder, and what changed."""
    print("<!-- Made by: make images -->\n\n# What each image is worth\n")
    print(f"Recipe `{recipe.name}`, source `{source}` with a claim of {recipe.claim_of(source):g} bits per sample.")
    print(f"The last three columns are of `{before.name}`; what changed since is argued at the end.")
    print("Every image stands alone: replays, and patterns that frames of a batch share, are not taken off here.")
    print("Sigma: noise of the median live square, ADC steps. k: low bits of each sample that are assessed.")
    print(f"{', '.join(FAMILIES).capitalize()}: least estimate of each kind of SP 800-90B 6.3, bits per sample.")
    print("Limit: the estimate, cap or test that decided. Credit: bits, after the safety factor.")
    for folder, rows in tables.items():
        print_table(folder, rows)
    print_changes(tables, before)


def main() -> int:
    """Look at every folder and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--source", default="drop", help="where the images are taken to come from")
    parser.add_argument("--recipe", default=STANDARD.name, choices=sorted(RECIPES))
    parser.add_argument("--before", default=EARLIER, choices=sorted(RECIPES), help="the recipe to compare with")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    recipe, before = recipe_named(options.recipe), recipe_named(options.before)
    folders = {folder.as_posix(): folder for folder in options.folders} or {"bundled samples": SAMPLES}
    tables = {
        name: beside(rows_of(folder, options.source, recipe), rows_of(folder, options.source, before))
        for name, folder in folders.items()
    }
    if options.json:
        head = {"recipe": recipe.name, "before": before.name, "source": options.source}
        print(json.dumps({**head, "folders": tables}, indent=1))
    else:
        print_tables(tables, options.source, recipe, before)
    return 0


if __name__ == "__main__":
    sys.exit(main())
