"""What NIST's own tool says of the samples of images, beside what is estimated of them here: a Markdown table.

``python -m benchmarks.nist_tool TOOL [IMAGE | FOLDER...] [--most 1000000] [--recipe ea-2026-2] [--json]``; without an
image the bundled samples. TOOL is ``ea_non_iid``, built from usnistgov/SP800-90B_EntropyAssessment; it is no part of
this project. It gets the very files that ``entropy-assets assess --export`` writes. `make nist TOOL=...` asks it about
the reference images, which takes minutes, and writes ``benchmarks/NIST_TOOL.md``.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from rich.console import Console
from rich.progress import track

from benchmarks.images import SAMPLES, cell
from entropy_assets.cli.assessing.images import assessed_image
from entropy_assets.core.credit.assessment import rounded_down
from entropy_assets.core.credit.estimates import RASTER
from entropy_assets.images.limits import DEFAULT_LIMITS
from entropy_assets.recipe import DROP, RECIPES, STANDARD, Recipe, recipe_named

NAMES: Final = {
    "Most Common Value": "most_common_value",
    "Collision": "collision",
    "Markov": "markov",
    "Compression": "compression",
    "t-Tuple": "t_tuple",
    "LRS": "repeated_substring",
    "MultiMCW": "multi_mcw",
    "Lag": "lag",
    "MultiMMC": "multi_mmc",
    "LZ78Y": "lz78y",
}
"""The tool's word for each estimator, and the one of this project."""
OF_BITS_ONLY: Final = ("collision", "markov", "compression")
PREDICTORS: Final = ("multi_mcw", "lag", "multi_mmc", "lz78y")
LOOKS: Final = ("markov", "lag", "bits_lag")
"""One estimator for each number of samples that a recipe names."""
LEAST_OF_ALL: Final = "Assessed min entropy: "
MOST: Final = 1_000_000
"""Samples of a file that the tool reads at most: as many as SP 800-90B 3.1.1 asks for."""
LONGEST_RUN_S: Final = 3600
ROUNDING: Final = 1e-9
"""What the last digits of two programs may differ by, bits per sample."""

HEAD = """\
Ours: the least estimate, before any claim or cap, rounded down as the recipe says. The tool's: `min(H_original, k x
H_bitstring)`. All figures are bits per sample.

- Same symbols: the low k bits of samples in draw order and, as `raster_*`, in raster order. Each estimate of the tool
  is of as many as that estimator looks at here: of the first {assessed:,} samples; the predictors of {predicted:,}, and
  of the bits of {predicted_bits:,}; in raster order of {raster:,} at most.
- All: every estimate of the tool is of the low k bits of all samples in draw order. 8 bits: of all samples as they are.
  "All" ends at {most:,}.
- Of several channels, each figure is the least.

What makes figures differ, in the last column:

- sign: of 8 bits the tool says less than of the low k. The bits above the noise repeat its sign, and estimates of a
  bitstring take all bits for equally good. What the low k bits hold, the 8 bits hold as well.
- part: of 8 bits it says more. Noise wider than k bits is assessed by its low bits, and the rest is credited to nobody.
- order: the least is of the samples in raster order, where neighbours of the sensor stand beside each other.
- length: of all samples it says something else than of the first. More of them narrow the bounds, and may show what a
  shorter look misses.
"""


@dataclass(frozen=True, slots=True)
class Said:
    """What the tool said of one file.

    Attributes
    ----------
    samples, bits_per_symbol
        What it read.
    estimates
        Bits per sample by the names of this project; ``bits_*`` are of the bitstring, times the bits of a symbol.
    least
        The tool's own result, bits per sample.
    """

    samples: int
    bits_per_symbol: int
    estimates: dict[str, float]
    least: float

    @property
    def limited_by(self) -> str:
        """The estimator that gave the least."""
        return min(self.estimates, key=self.estimates.__getitem__)


def parsed(text: str) -> Said:
    """Return what the output of ``ea_non_iid -v -v`` says.

    Raises
    ------
    ValueError
        If it is not such an output, or ends before the result.
    """
    loaded = re.search(r"^Loaded (\d+) samples of \d+ distinct (\d)-bit-wide symbols$", text, re.MULTILINE)
    result = re.search(rf"^{LEAST_OF_ALL}(\S+)$", text, re.MULTILINE)
    if not loaded or not result:
        raise ValueError(f"the tool gave no result: {text[-200:]!r}")
    bits = int(loaded[2])
    found = re.findall(r"^(Literal|Bitstring) (.+?)(?: Prediction)? Estimate: min entropy = (\S+)$", text, re.MULTILINE)
    estimates = {}
    for what, name, value in found:
        of_bits = what == "Bitstring" or NAMES[name] in OF_BITS_ONLY  # 1-bit symbols are their own bitstring
        estimates[("bits_" if of_bits else "") + NAMES[name]] = float(value) * (bits if of_bits else 1)
    return Said(int(loaded[1]), bits, estimates, float(result[1]))


def asked(tool: Path, samples: Path, bits_per_symbol: int, most: int) -> Said:
    """Return what `tool` says of the first `most` samples of a file."""
    command = [str(tool), "-v", "-v", "-l", f"0,{most}", samples.name, str(bits_per_symbol)]
    run = subprocess.run(
        command, cwd=samples.parent, capture_output=True, text=True, timeout=LONGEST_RUN_S, check=False
    )
    return parsed(run.stdout + run.stderr)


def least(told: Iterable[Said]) -> dict[str, Any]:
    """Return the least of what was said of several channels, each estimate by itself too."""
    told = list(told)
    worst = min(told, key=lambda said: said.least)
    estimates = {name: min(said.estimates.get(name, float("inf")) for said in told) for name in worst.estimates}
    return {"least": worst.least, "limited_by": worst.limited_by, "samples": worst.samples, "estimates": estimates}


def seen_by(name: str, recipe: Recipe) -> int:
    """Return how many samples the estimator `name` looks at here, at most; one that is not run could look at more."""
    if name.startswith(RASTER):
        return min(recipe.raster_samples, seen_by(name.removeprefix(RASTER), recipe))
    if name.removeprefix("bits_") not in PREDICTORS:
        return recipe.assessment_samples
    of_bits = name.startswith("bits_")
    return (recipe.bit_prediction_samples if of_bits else recipe.prediction_samples) or recipe.assessment_samples


def same_symbols(by_order: dict[str, dict[int, dict[str, Any]]], recipe: Recipe) -> dict[str, Any]:
    """Return of each of the tool's estimates that of the samples that are looked at here, and the least of them.

    Parameters
    ----------
    by_order
        What the tool said, by ``draw`` or ``raster`` and by the number of samples that it read; the largest number is
        that of all that are there or looked at.
    """
    estimates = {}
    for order, by_count in by_order.items():
        every, prefix = max(by_count), RASTER if order == "raster" else ""
        for name in by_count[every]["estimates"]:
            seen = min(every, seen_by(prefix + name, recipe))
            estimates[prefix + name] = by_count[seen]["estimates"][name]
    name = min(estimates, key=estimates.__getitem__)
    return {"least": estimates[name], "limited_by": name, "estimates": estimates}


def row_of(path: Path, tool: Path, recipe: Recipe, source: str, most: int) -> dict[str, Any]:
    """Return what is estimated of one image here, and what `tool` says of its exported samples."""
    with TemporaryDirectory() as folder:
        told = assessed_image(path, source, recipe, DEFAULT_LIMITS, Path(folder))
        if not told["accepted"]:
            return {"image": path.name, "refused": told["reason"]}
        k, every = told["symbol_bits"], min(told["samples"], most)
        looks = {"draw": {every, *(min(every, seen_by(name, recipe)) for name in LOOKS)}}
        if recipe.raster_samples:
            looks["raster"] = {min(every, seen_by(RASTER + name, recipe)) for name in LOOKS}

        def of(order: str, bits: int, samples: int) -> dict[str, Any]:
            files = [file for file in told["exported"] if (file["order"], file["bits_per_symbol"]) == (order, bits)]
            return least(asked(tool, Path(file["path"]), bits, samples) for file in files)

        by_order = {order: {count: of(order, k, count) for count in sorted(counts)} for order, counts in looks.items()}
        whole = by_order["draw"][every]
        eight = whole if k == 8 else of("draw", 8, every)
    name = min(told["estimates"], key=told["estimates"].__getitem__)
    return {
        "image": path.name,
        "k": k,
        "samples": told["samples"],
        "ours": rounded_down(told["estimates"][name], recipe),
        "limited_by": name,
        "estimates": told["estimates"],
        "same": same_symbols(by_order, recipe),
        "all": whole,
        "eight_bits": eight,
    }


def reasons(row: dict[str, Any]) -> list[str]:
    """Return the words of the last column for one row; `HEAD` says what they mean."""
    sign = row["eight_bits"]["least"] - row["all"]["least"]
    drawn = min(h for name, h in row["same"]["estimates"].items() if not name.startswith(RASTER))
    return [
        *(["sign"] if sign < -ROUNDING else ["part"] if sign > ROUNDING else []),
        *(["order"] if row["limited_by"].startswith(RASTER) else []),
        *(["length"] if abs(row["all"]["least"] - drawn) > ROUNDING else []),
    ]


def above(row: dict[str, Any], of: str) -> bool:
    """Tell whether more is estimated here than the tool says of the ``same`` symbols, or of ``all`` samples."""
    return bool(row["ours"] > row[of]["least"] + ROUNDING)


def cells_of(row: dict[str, Any]) -> list[Any]:
    """Return the cells of one row."""
    figures: list[Any] = []
    for of in ("same", "all"):
        ratio = f"{row['ours'] / row[of]['least']:.3f}"
        figures += [row[of]["least"], row[of]["limited_by"], f"{ratio} ABOVE" if above(row, of) else ratio]
    named = [row["image"], row["k"], row["samples"], row["ours"], row["limited_by"]]
    return [*named, *figures, row["eight_bits"]["least"], ", ".join(reasons(row))]


COLUMNS = (
    *("image", "k", "samples", "ours", "by", "tool, same symbols", "by", "ours / same", "tool, all", "by"),
    *("ours / all", "tool, 8 bits", "why they differ"),
)


def print_page(rows: list[dict[str, Any]], version: str, recipe: Recipe, most: int) -> None:
    """Print the whole page as Markdown."""
    shown = [row for row in rows if "refused" not in row]
    print("<!-- Made by: make nist -->\n\n# What NIST's tool says of the samples\n")
    print(f"Recipe `{recipe.name}`; the tool calls itself `{version}`; {len(shown)} images.")
    seen = dict(
        zip(("assessed", "predicted", "predicted_bits"), (seen_by(name, recipe) for name in LOOKS), strict=True)
    )
    print(HEAD.format(most=most, raster=recipe.raster_samples, **seen))
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---|---:|---:|---:|---|---:|---|---:|---:|---|---:|---:|---|")
    for row in shown:
        print("| " + " | ".join(map(cell, cells_of(row))) + " |")
    print_above(shown, "same", "On the same symbols")
    print_above(shown, "all", "Beside all samples")
    print_agreement(shown)
    if refused := [f"{cell(row['image'])} ({row['refused']})" for row in rows if "refused" in row]:
        print(f"\nRefused, so there are no samples: {', '.join(refused)}.")


def print_above(rows: list[dict[str, Any]], of: str, where: str) -> None:
    """Print in which images ours is above the tool's, and by which estimator."""
    found = [row for row in rows if above(row, of)]
    print(f"\n{where} ours is above the tool's in {len(found)} of {len(rows)} images.")
    for row in found:
        name = row[of]["limited_by"]
        ours = row["estimates"].get(name)
        said = "is not run here" if ours is None else f"gives {ours:.6f} here"
        print(f"- {cell(row['image'])}: the tool's {name} gives {row[of]['least']:.6f} and {said}.")


def print_agreement(rows: list[dict[str, Any]]) -> None:
    """Print how far the same estimators agree on the same symbols."""
    pairs = [
        (abs(h - row["same"]["estimates"][name]), name, row["image"])
        for row in rows
        for name, h in row["estimates"].items()
        if name in row["same"]["estimates"]
    ]
    missing = sorted({name for row in rows for name in row["same"]["estimates"] if name not in row["estimates"]})
    largest, name, image = max(pairs, default=(0.0, "none", "none"))
    print(f"\nBoth run {len(pairs)} estimates on the same symbols. {sum(p[0] <= 1e-6 for p in pairs)} agree to 1e-6;")
    print(f"the largest difference is {largest:.2g} ({name}, {cell(image)}).")
    print(f"Run by the tool alone, on some image: {', '.join(missing) or 'none'}.")


def images_in(paths: list[Path]) -> list[Path]:
    """Return the files named, and those of the folders named, by name; lists and texts among them aside."""
    found = [sorted(path.iterdir()) if path.is_dir() else [path] for path in paths or [SAMPLES]]
    return [path for group in found for path in group if path.is_file() and path.suffix not in {".csv", ".md"}]


def version_of(tool: Path) -> str:
    """Return the name and version that the tool gives itself."""
    run = subprocess.run([tool, "--version"], capture_output=True, text=True, timeout=60, check=True)
    return run.stdout.splitlines()[0].strip()


def main() -> int:
    """Ask the tool about every image and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tool", help="the program ea_non_iid: a path, or its name if it is on PATH")
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE")
    parser.add_argument("--source", default=DROP, help="where the images are taken to come from")
    parser.add_argument("--recipe", default=STANDARD.name, choices=sorted(RECIPES))
    parser.add_argument("--most", type=int, default=MOST, help="samples that the tool reads at most")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = shutil.which(options.tool)
    if not found:
        parser.error(f"there is no program {options.tool}: build it from usnistgov/SP800-90B_EntropyAssessment (cpp)")
    tool = Path(found).absolute()
    recipe, version = recipe_named(options.recipe), version_of(tool)
    console = Console(stderr=True)
    shown = track(images_in(options.images), "images", console=console, disable=not console.is_terminal)
    rows = [row_of(path, tool, recipe, options.source, options.most) for path in shown]
    if options.json:
        print(json.dumps({"recipe": recipe.name, "tool": version, "images": rows}, indent=1))
    else:
        print_page(rows, version, recipe, options.most)
    return 0


if __name__ == "__main__":
    sys.exit(main())
