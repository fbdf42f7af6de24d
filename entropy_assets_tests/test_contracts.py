"""The house's walls: who may import whom, seen from the source and from a fresh interpreter."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parent.parent
DAGSTER_FREE = ("core", "images", "stores", "provenance", "serving", "client")
WEB_FRAMEWORK = {"fastapi", "fastapi_offline", "starlette", "uvicorn"}
DECODERS = {"PIL", "astropy"}
LOADS_NONE_OF = {
    "serving.access": WEB_FRAMEWORK,
    "serving.reservoir": WEB_FRAMEWORK,
    "serving.answers": WEB_FRAMEWORK,
    "stores": DECODERS,
    "images.limits": DECODERS,
}
CONTRACTS: list[dict[str, Any]] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
HEAVY = {"PIL", "astropy", "click", "dagster", "fastapi", "matplotlib", "numpy", "pandas", "pydantic", "redis", "scipy"}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)


def modules_under(*rooms: str) -> list[str]:
    """Return every module of the rooms, which are folders or single modules."""
    places = [PROJECT / "entropy_assets" / room.replace(".", "/") for room in rooms]
    files = sorted(
        file for place in places for file in (place.rglob("*.py") if place.is_dir() else [module_file(place)])
    )
    return [".".join(file.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__") for file in files]


def module_file(place: Path) -> Path:
    """Return the file of a module or package that lies at `place`, given without suffix."""
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


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
def test_no_module_of_these_rooms_loads_dagster(folder):
    """A service that draws bytes, and a program that checks them, neither wait for Dagster to load nor trust it."""
    modules = modules_under(folder)
    assert modules
    assert "dagster" not in packages_loaded_by(*modules)


@pytest.mark.parametrize("room", LOADS_NONE_OF)
def test_no_module_of_a_lower_room_loads_what_only_a_higher_one_needs(room):
    """Without a web framework is decided who may have what, and what is held ahead; without decoders, what is kept."""
    modules = modules_under(room)
    assert modules
    assert packages_loaded_by(*modules) & LOADS_NONE_OF[room] == set()


@pytest.mark.parametrize(
    "module, package",
    [("serving.http.app", "fastapi"), ("serving.server.workers", "uvicorn"), ("images.decode", "PIL")],
)
def test_the_higher_room_loads_it(module, package):
    """The test above can fail: the same look finds each of them where it belongs."""
    assert package in packages_loaded_by(f"entropy_assets.{module}")


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


def forbidden_import(contract: dict[str, Any]) -> tuple[str, str]:
    """Return an import, as importing and imported module, that this contract forbids and no other one.

    Of layers, the second imports the first: the pair that the fewest other modules stand on. Else of all sources and
    of all that is forbidden the one that the fewest contracts name.
    """
    if contract["type"] == "layers":
        [container] = contract["containers"]
        highest, second = (f"{container}.{layer.split(' | ')[-1]}" for layer in contract["layers"][:2])
        return second, highest

    def rarest(role: str) -> str:
        named = Counter(module for other in CONTRACTS for module in other.get(role, ()))
        return min(contract[role], key=named.__getitem__)

    return rarest("source_modules"), rarest("forbidden_modules")


@pytest.mark.slow
@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["name"])
def test_each_import_contract_can_fail(contract, tmp_path):
    """One import that it forbids breaks it, and no other: no contract holds only because it looks at nothing."""
    copy = tmp_path / "entropy_assets"
    for file in (PROJECT / "entropy_assets").rglob("*.py"):
        place = tmp_path / file.relative_to(PROJECT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    importing, imported = forbidden_import(contract)
    with module_file(copy.parent / importing.replace(".", "/")).open("a") as file:
        file.write(f"\nimport {imported}\n")
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(program), "--no-cache", "--config", str(PROJECT / "pyproject.toml")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "500"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert re.findall(r"^(.*) BROKEN$", done.stdout, re.MULTILINE) == [contract["name"]], done.stdout + done.stderr
    assert done.returncode == 1
