"""What the house promises of its names: each stands in one place, has one meaning, and says what lives there."""

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
PACKAGE = PROJECT / "entropy_assets"
READERS = ("entropy_assets", "entropy_assets_tests", "benchmarks")
DOORS = {"entropy_assets.api", "entropy_assets.cli", "entropy_assets.client"}
"""What other people's programs import: these modules collect names on purpose."""
SAY_NOTHING = {"base", "common", "helpers", "misc", "models", "types", "utils"}
MOST_LINES = 400
MOST_MODULES = 12
MOST_AT_THE_TOP = 18
NO_TESTS_OF_THEIR_OWN = {
    **dict.fromkeys(
        (
            f"core.sp800_90b.compiled.{name}"
            for name in (
                *("bit_contexts", "board", "contexts", "counts", "shuffles", "sorting", "symbol_contexts"),
                *("walks", "windows"),
            )
        ),
        "held to their twins in the tests of core.sp800_90b.kernels and core.sp800_90b.iid",
    ),
    **dict.fromkeys(
        (
            f"core.sp800_22.{way}.{name}"
            for way in ("arrays", "compiled")
            for name in ("histograms", "linear", "spectra", "walks")
        ),
        "held to each other in the tests of core.sp800_22.kernels, and to the book in those of who counts by them",
    ),
    **dict.fromkeys(
        (
            f"core.extraction.compiled.{name}"
            for name in ("artefacts", "dither", "lattices", "linearity", "noise", "slopes", "spectrum", "squares")
        ),
        "held to their twins in the tests of core.extraction",
    ),
    "core.compiling": "one decorator, held to its promise in the tests of core.sp800_90b.kernels",
    "errors": "classes without behaviour, raised in the tests of who raises them",
    "recipe": "numbers, read by the tests of the core",
    "scopes": "names, read by the tests of the gate",
    "settings": "read through the command line and the classes of `api`, where its tests are",
    "definitions": "one call, made by the tests of `defs.build`",
    "defs.partitions": "one object of Dagster's",
    "defs.plots": "pictures, made by the tests of the assets",
    "defs.reports.jobs": "a job and its schedule, run by the tests of `defs.reports.assets`",
    "defs.reports.pictures": "pictures, made by the tests of `defs.reports.assets`",
    "defs.reports.shown": "what the UI shows, read by the tests of `defs.reports.assets`",
    "defs.schedules": "read with all definitions by the tests of `defs.build`",
    "sources.image_source": "a protocol",
    "sources.feeds.interface": "protocols, and classes without behaviour",
    **dict.fromkeys(
        (f"sources.feeds.tables.{name}" for name in ("fields", "local", "web")),
        "what a file may say, held to it in the tests of sources.feeds.configuration",
    ),
    "cli.commands": "the group that the tests of each command begin with",
    "stores.ledger.postgres.versions.first": "a step, taken by the tests of `stores.ledger.postgres.schema`",
    "stores.ledger.postgres.versions.second": "a step, taken by the tests of `stores.ledger.postgres.schema`",
    "stores.blobs.refusals": "classes without behaviour, raised in the tests of who raises them",
    "stores.pool.surveys": "the statistics of the pool, told in every test of it",
    "client.steps": "what both clients share, tested through each of them",
}
"""Modules without a test file in the mirrored place, each with its reason."""
SHARED_CLASSES = {
    "Cut": "a range of a block, at both ends of the line: the client imports nothing of the service",
}
"""Names that two public classes have, each with its reason."""


def module_of(file: Path) -> str:
    parts = file.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(file): file for file in sorted(PACKAGE.rglob("*.py"))}


def defined_in(tree: ast.Module) -> set[str]:
    """Return the names that a module makes itself, at its top, also under an ``if`` or a ``try``."""
    names: set[str] = set()
    statements: list[ast.stmt] = list(tree.body)
    while statements:
        statement = statements.pop()
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(statement.name)
            continue
        names |= {
            node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        statements += [node for node in ast.iter_child_nodes(statement) if isinstance(node, ast.stmt)]
    return names


@cache
def defined_by(module: str) -> set[str]:
    """Return what a module of the package defines."""
    return defined_in(ast.parse(MODULES[module].read_text()))


def detours(tree: ast.AST) -> list[str]:
    """Return the names that are imported from a module that has them from another one."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module in MODULES]
    return [
        f"{node.module}.{alias.name}"
        for node in imports
        for alias in node.names
        if node.module not in DOORS
        and alias.name not in defined_by(str(node.module))
        and f"{node.module}.{alias.name}" not in MODULES
    ]


@pytest.mark.parametrize("folder", READERS)
def test_a_name_is_imported_from_the_module_that_defines_it(folder: str) -> None:
    files = sorted((PROJECT / folder).rglob("*.py"))
    assert files
    by_file = {str(file.relative_to(PROJECT)): detours(ast.parse(file.read_text())) for file in files}
    assert {file: names for file, names in by_file.items() if names} == {}


def test_a_detour_is_noticed() -> None:
    """The test above can fail: `Scope` belongs to `scopes`, and the gate has it from there."""
    assert detours(ast.parse("from entropy_assets.serving.access.gate import Gate, Scope")) == [
        "entropy_assets.serving.access.gate.Scope"
    ]


def test_a_modules_name_says_what_lives_there() -> None:
    assert {module for module in MODULES if module.rpartition(".")[2] in SAY_NOTHING} == set()


def test_no_folder_holds_more_modules_than_one_keeps_in_mind() -> None:
    counts = Counter(file.parent for file in MODULES.values() if file.name != "__init__.py")
    assert {str(folder): count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_no_module_is_longer_than_one_reads_at_a_sitting() -> None:
    lengths = {module: len(file.read_text().splitlines()) for module, file in MODULES.items()}
    assert {module: length for module, length in lengths.items() if length > MOST_LINES} == {}


def test_few_names_stand_at_the_top() -> None:
    top = {module.split(".")[1] for module in MODULES if module != "entropy_assets"}
    assert len(top) + len({"__init__"}) <= MOST_AT_THE_TOP


def test_the_tests_of_a_module_stand_in_the_same_place() -> None:
    modules = [file.relative_to(PACKAGE) for file in MODULES.values() if not file.stem.startswith("__")]
    tests = PROJECT / "entropy_assets_tests"
    missing = {module for module in modules if not (tests / module.with_name(f"test_{module.name}")).is_file()}
    assert {".".join(module.with_suffix("").parts) for module in missing} <= NO_TESTS_OF_THEIR_OWN.keys()


def test_no_two_public_classes_share_a_name() -> None:
    classes = Counter(
        node.name
        for file in MODULES.values()
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name for name, count in classes.items() if count > 1} == SHARED_CLASSES.keys()
