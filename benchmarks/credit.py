"""What frames of known min-entropy are credited, against the truth: the tables of ``benchmarks/CREDIT.md``.

``python -m benchmarks.credit [--match TEXT] [--recipe ea-2026-2] [--json]``, a minute; `make credit` writes it into
``benchmarks/CREDIT.md``. The scenarios and their truth are those of ``entropy_assets_tests/scenarios``.
"""

import argparse
import json
import math
import sys
from typing import Any

from rich.console import Console
from rich.progress import track

from entropy_assets.recipe import DROP, RECIPES, STANDARD, Recipe, recipe_named
from entropy_assets_tests.scenarios.catalogue import CATALOGUE, CODED, PARTS, SIDE, scenario_named
from entropy_assets_tests.scenarios.judging import judge, pair_bits, whole_bits

SOURCES = (DROP, "raw-ccd")
LARGEST_SHOWN = 1000.0
"""Ratios above this say no more than that nearly nothing is there."""

HEAD = """\
All figures are bits of min-entropy to somebody who knows everything but the fresh noise: the level of every pixel,
patterns, earlier frames, the codec, the rule and seed of a dither. They are computed, not estimated.

- A: mean of a credited difference. In all: of the files, credited regions or not.
- B: of all pixels of the credited regions, which is what the hash takes in.
- Seed or file: the most that a seed, a spectrum, a tile or a coded stream behind the files can hold.
- Bound: the lesser of B and that. **A credit above it is a fault.** The ratio is the worse of both sources.
"""


def finite(bits: float | None) -> float | None:
    """Return `bits`, or None where there is no figure."""
    return bits if bits is not None and math.isfinite(bits) else None


def row_of(name: str, recipe: Recipe) -> dict[str, Any]:
    """Return the truth about one scenario and what each source is credited for it, bits."""
    scenario = scenario_named(name)
    judged = {source: judge(scenario, source, recipe) for source in SOURCES}
    bounds = [one.bound for one in judged.values() if one.credit]
    return {
        "scenario": name,
        "part": CATALOGUE[name].part,
        "pair_bits": pair_bits(scenario),
        "whole_bits": whole_bits(scenario),
        "region_bits": finite(max(one.regions for one in judged.values())),
        "holds": finite(scenario.holds),
        "bound": min(bounds, default=None),
        "stream_bits": scenario.stream_bits,
        "credit": {source: one.credit for source, one in judged.items()},
        "ratio": {source: one.ratio for source, one in judged.items()},
        "outcome": {source: list(one.outcome) for source, one in judged.items()},
    }


def worst(row: dict[str, Any]) -> float:
    """Return the largest ratio of credit to bound of any source."""
    return max(row["ratio"].values())


def number(bits: float | None) -> str:
    """Return a number of bits as a cell."""
    return "-" if bits is None else f"{bits:,.1f}" if bits < 10 else f"{bits:,.0f}"


def times(ratio: float) -> str:
    """Return a ratio as a cell; a fault stands out."""
    shown = f"> {LARGEST_SHOWN:,.0f}" if ratio > LARGEST_SHOWN else f"{ratio:.2f}"
    return f"**{shown} FAULT**" if ratio > 1 else shown if ratio else "-"


def share(ratio: float) -> str:
    """Return a ratio to the lossy rule as a cell; more than the rule gives is no fault by itself, but stands out."""
    return f"**{ratio:.2f}**" if ratio > 1 else f"{ratio:.2f}" if ratio else "-"


def decided(row: dict[str, Any]) -> str:
    """Return what decided, for both sources if it differs."""
    texts = list(dict.fromkeys(", ".join(outcome) for outcome in row["outcome"].values()))
    return " / ".join(text.replace("_", " ") for text in texts)


def print_rows(rows: list[dict[str, Any]]) -> None:
    """Print one table of scenarios."""
    columns = ("scenario", "A", "in all", "B", "seed or file", *(f"credit {source}" for source in SOURCES))
    print("| " + " | ".join((*columns, "credit / bound", "what decided")) + " |")
    print("|---" + "|---:" * len(columns) + "|---|")
    for row in rows:
        pair = "-" if row["pair_bits"] is None else f"{row['pair_bits']:.2f}"
        held = (row["whole_bits"], None if row["region_bits"] == 0 else row["region_bits"], row["holds"])
        cells = (pair, *map(number, held), *(number(bits) if bits else "0" for bits in row["credit"].values()))
        print(f"| {row['scenario']} | {' | '.join(cells)} | {times(worst(row))} | {decided(row)} |")


def print_ratios(rows: list[dict[str, Any]]) -> None:
    """Print a short table of credit over bound."""
    if rows:
        print("| scenario | " + " | ".join(SOURCES) + " | bound | what decided |\n|---|---:|---:|---:|---|")
    for row in rows:
        ratios = " | ".join(times(row["ratio"][source]) for source in SOURCES)
        print(f"| {row['scenario']} | {ratios} | {number(row['bound'])} | {decided(row)} |")


def print_page(rows: list[dict[str, Any]], recipe: Recipe) -> None:
    """Print the whole page as Markdown."""
    above = sorted((row for row in rows if worst(row) > 1), key=worst, reverse=True)
    faults = [row for row in above if not CATALOGUE[row["scenario"]].cannot_be_told]
    print("<!-- Made by: make credit -->\n\n# What is credited, against the truth\n")
    print(f"Recipe `{recipe.name}`; {len(rows)} scenarios, frames of {SIDE} x {SIDE} pixels but for the small ones.")
    print(HEAD)
    print(f"## Faults: {len(faults)} scenarios, the worst first\n")
    print_ratios(faults)
    if untold := [row for row in above if row not in faults]:
        print('\n## What no measurement of these frames tells: see "What it can\'t know" in docs/credit.md\n')
        print_ratios(untold)
    for part in PARTS:
        if of_part := [row for row in rows if row["part"] == part]:
            print(f"\n## {part}\n")
            print_rows(of_part)
            if part == CODED:
                print_lossy_rule(of_part, recipe)


def print_lossy_rule(rows: list[dict[str, Any]], recipe: Recipe) -> None:
    """Print what the coded files themselves could be credited at most, had they not been decoded before."""
    numerator, denominator = recipe.lossy_share
    print(f"\nThe recipe credits a lossy file {numerator}/{denominator} of its stream at most. Saved without loss:\n")
    print("| scenario | cap of the stream | " + " | ".join(f"{source} / cap" for source in SOURCES) + " |")
    print("|---|---:" + "|---:" * len(SOURCES) + "|")
    for row in rows:
        cap = row["stream_bits"] * numerator // denominator
        shares = " | ".join(share(credit / cap) for credit in row["credit"].values())
        print(f"| {row['scenario']} | {number(cap)} | {shares} |")


def main() -> int:
    """Judge every scenario and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--match", default="", help="only scenarios whose name holds this text")
    parser.add_argument("--recipe", default=STANDARD.name, choices=sorted(RECIPES))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    recipe = recipe_named(options.recipe)
    names = [name for name in CATALOGUE if options.match in name]
    console = Console(stderr=True)
    shown = track(names, "scenarios", console=console, disable=not console.is_terminal)
    rows = [row_of(name, recipe) for name in shown]
    if options.json:
        print(json.dumps({"recipe": recipe.name, "scenarios": rows}, indent=1))
    else:
        print_page(rows, recipe)
    return 0


if __name__ == "__main__":
    sys.exit(main())
