"""The house's walls: who may import whom, seen from the source and from a fresh interpreter."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from entropy_assets_tests.untraced import untraced

PROJECT = Path(__file__).resolve().parent.parent
DAGSTER_FREE = ("core", "images", "stores", "provenance", "serving", "client")
WEB_FRAMEWORK = {"fastapi", "fastapi_offline", "starlette", "uvicorn"}
DECODERS = {"PIL", "astropy"}
# Rooms, and what no module of them loads.
NEVER_LOADED = [
    (DAGSTER_FREE, {"dagster"}),
    (("serving.access", "serving.reservoir", "serving.answers"), WEB_FRAMEWORK),
    (("stores", "images.limits"), DECODERS),
    # Compiled loops are loaded when they are first needed, which in a service they never are.
    (("core.credit", "serving", "stages", "provenance"), {"numba", "llvmlite"}),
]
# Imports the modules of its second argument in turn, and tells by which of them each package of the first was loaded.
FIRST_LOADERS = """
import importlib, json, sys
packages, modules = map(json.loads, sys.argv[1:])
first = {}
for module in modules:
    importlib.import_module(module)
    first |= {package: module for package in packages if package in sys.modules and package not in first}
print(json.dumps(first))
"""
CONTRACTS: list[dict[str, Any]] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
HEAVY = {"PIL", "astropy", "click", "dagster", "fastapi", "matplotlib", "numpy", "pandas", "pydantic", "redis", "scipy"}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=PROJECT, env=untraced(), capture_output=True, text=True, timeout=120, check=False
    )


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


def first_loaders(packages: set[str], modules: list[str]) -> dict[str, str]:
    """Import `modules` in one fresh interpreter; return the module that loaded each of `packages`, where one did."""
    done = run(sys.executable, "-W", "ignore", "-c", FIRST_LOADERS, json.dumps(sorted(packages)), json.dumps(modules))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("rooms, packages", NEVER_LOADED, ids=["Dagster", "a web framework", "decoders", "numba"])
def test_no_module_of_these_rooms_loads(rooms, packages):
    """Bytes are served without waiting for Dagster or trusting it, admitted without a web framework, kept undecoded."""
    for room in rooms:
        assert modules_under(room), room
    assert first_loaders(packages, modules_under(*rooms)) == {}


def test_a_fresh_interpreter_shows_each_of_them_where_it_is_loaded():
    """The test above can fail: the same look finds each of them in a room that needs it."""
    web, decode, assets = (
        "entropy_assets.serving.http.app",
        "entropy_assets.images.decode",
        "entropy_assets.defs.assets",
    )
    found = first_loaders({"fastapi", "starlette", "PIL", "dagster"}, [web, decode, assets])
    assert found == {"fastapi": web, "starlette": web, "PIL": decode, "dagster": assets}


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
    """Return an import, as importing and imported module, that this contract forbids and as few others as can be.

    Of layers, the second imports the first: the pair that the fewest other modules stand on. Of a single layer, its
    second module imports its first. Else of all sources and of all that is forbidden the one that the fewest contracts
    name.
    """
    if contract["type"] == "layers":
        [container] = contract["containers"]
        floors = [layer.split(" | ") for layer in contract["layers"]]
        highest, second = (floors[0][0], floors[1][0]) if len(floors) > 1 else floors[0][:2]
        return f"{container}.{second}", f"{container}.{highest}"

    def rarest(role: str) -> str:
        named = Counter(module for other in CONTRACTS for module in other.get(role, ()))
        return min(contract[role], key=named.__getitem__)

    return rarest("source_modules"), rarest("forbidden_modules")


@pytest.mark.slow
@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["name"])
def test_each_import_contract_can_fail(contract, tmp_path):
    """One import that it forbids breaks it: no contract holds only because it looks at nothing."""
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
        env={**untraced(), "PYTHONPATH": str(tmp_path), "COLUMNS": "500"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    broken = re.findall(r"^(.*) BROKEN$", done.stdout, re.MULTILINE)
    # a wall may stand behind another one: who brings in a decoder breaks two
    assert contract["name"] in broken, done.stdout + done.stderr
    assert len(broken) <= 2, broken
    assert done.returncode == 1
