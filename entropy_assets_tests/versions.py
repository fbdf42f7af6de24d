"""The same images give the same blocks on the oldest NumPy and SciPy that pyproject.toml allows: ``make oldest``.

``python -m entropy_assets_tests.versions floors`` prints the oldest versions as pip takes them.
``python -m entropy_assets_tests.versions compare PYTHON PYTHON...`` runs ``process --deterministic`` over the bundled
samples under each interpreter, with 1 and 2 workers, and fails where anything that enters a block or its credit
differs. Floats are not compared: their last bits differ between releases, and no block may depend on them.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
SAMPLES = PROJECT / "entropy_assets" / "samples"
ARRAYS = ("numpy", "scipy")
OF_BATCH = ("chain_head", "blocks", "passed")
OF_IMAGE = ("file", "accepted", "reason", "limited_by", "noise_sha256", "samples", "credit_bits")
VERSIONS = "import numpy, scipy; print('numpy', numpy.__version__, 'scipy', scipy.__version__)"
TIME_LIMIT = 240
"""Seconds that one run may take."""


def floors() -> list[str]:
    """Return the oldest version of each array library, as ``name==version``."""
    lines = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    found = [re.fullmatch(rf"({'|'.join(ARRAYS)})>=([0-9.]+)", line) for line in lines]
    pins = [f"{match[1]}=={match[2]}" for match in found if match]
    if len(pins) != len(ARRAYS):
        raise SystemExit(f"pyproject.toml must give {' and '.join(ARRAYS)} as name>=version, but gives {pins}")
    return pins


def run(python: str, *arguments: str, workers: int = 1) -> str:
    """Return what `python` prints."""
    environment = {**os.environ, "ENTROPY_WORKERS": str(workers)}
    done = subprocess.run(
        [python, *arguments],
        cwd=PROJECT,
        env=environment,
        check=False,
        timeout=TIME_LIMIT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{python} {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def outcome(python: str, workers: int) -> dict[str, Any]:
    """Return all that must agree, by what it is."""
    command = ("-m", "entropy_assets.cli", "process", str(SAMPLES), "--deterministic", "--json")
    report = json.loads(run(python, *command, workers=workers))
    facts = {f"batch {n}, {key}": row[key] for n, row in enumerate(report["batches"]) for key in OF_BATCH}
    return facts | {f"{row['file']}, {key}": row.get(key) for row in report["images"] for key in OF_IMAGE}


def differences(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """Return what is not the same, one line each."""
    return [f"{what}: {a.get(what)} or {b.get(what)}" for what in {**a, **b} if a.get(what) != b.get(what)]


def compare(pythons: list[str]) -> int:
    """Run everything, print one line a run, and return the exit code."""
    versions = [run(python, "-c", VERSIONS).strip() for python in pythons]
    oldest = " ".join(floors()).replace("==", " ")
    print(f"oldest allowed: {oldest}")
    outcomes = []
    for python, version in zip(pythons, versions, strict=True):
        for workers in (1, 2):
            facts = outcome(python, workers)
            outcomes.append(facts)
            print(f"{version}, {workers} workers: {facts['batch 0, blocks']} blocks, {facts['batch 0, chain_head']}")
    differing = [line for facts in outcomes[1:] for line in differences(outcomes[0], facts)]
    print("\n".join(differing) or f"the same blocks from all {len(outcomes)} runs")
    return int(bool(differing) or len(set(versions)) != len(versions))


def main() -> int:
    """Do what the first argument says."""
    match sys.argv[1:]:
        case ["floors"]:
            print(" ".join(floors()))
            return 0
        case ["compare", _, _, *_]:
            return compare(sys.argv[2:])
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
