"""The house's walls: who may import whom, seen from the source and from a fresh interpreter."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
DAGSTER_FREE = ("core", "stores", "serving")
HEAVY = {"PIL", "astropy", "click", "dagster", "fastapi", "matplotlib", "numpy", "pandas", "pydantic", "redis", "scipy"}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)


def modules_under(folders: tuple[str, ...]) -> list[str]:
    package = PROJECT / "entropy_assets"
    files = sorted(file for folder in folders for file in (package / folder).rglob("*.py"))
    return [".".join(file.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__") for file in files]


def packages_loaded_by(*modules: str) -> set[str]:
    """Import `modules` in a fresh interpreter and return the top-level packages that are loaded then."""
    script = "; ".join(
        ["import json, sys", *(f"import {module}" for module in modules), "print(json.dumps(sorted(sys.modules)))"]
    )
    # -W ignore: what other people's packages warn of while loading is not the question here.
    done = run(sys.executable, "-W", "ignore", "-c", script)
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize("folder", DAGSTER_FREE)
def test_no_module_of_core_stores_or_serving_loads_dagster(folder):
    """A service that draws bytes neither waits for Dagster to load nor trusts it."""
    modules = modules_under((folder,))
    assert modules
    assert "dagster" not in packages_loaded_by(*modules)


def test_a_fresh_interpreter_shows_dagster_where_it_is_loaded():
    """The test above can fail: the same look finds Dagster in a module that imports it."""
    assert "dagster" in packages_loaded_by("dagster")


@pytest.mark.parametrize("module", ["entropy_assets", "entropy_assets.errors", "entropy_assets.recipe"])
def test_the_root_costs_nothing_to_import(module):
    """``import entropy_assets`` loads the standard library at most."""
    assert not packages_loaded_by(module) & HEAVY


def test_the_import_contracts_hold():
    """What ``make contracts`` checks."""
    program = Path(sys.executable).with_name("lint-imports")
    done = run(str(program), "--no-cache")
    assert done.returncode == 0, done.stdout + done.stderr
