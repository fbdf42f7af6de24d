"""The pages are kept true: what they name exists, their links lead somewhere, their Python runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import entropy_assets
from entropy_assets.cli import main
from entropy_assets.settings import Settings
from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.docs.pages import (
    NEEDS_SERVICE,
    PACKAGE,
    PAGES,
    ROOTS,
    blocks,
    defined,
    fences,
    file_names,
    name_of,
    spans,
    text_of,
)

EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=name_of)
DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
PATH = re.compile(rf"(?:{'|'.join(map(re.escape, ROOTS))})(?:/[\w.*-]+)*/?")
# Words of others that look like names of ours: Redis, PostgreSQL, Helm, HTTP, DNS, Dagster, OpenSSL, endings of file
# names; and the files that deploy/secrets.sh makes.
FOREIGN = {
    *("run_id", "master_replid", "RateLimit", "os.urandom", "hashlib.sha256", "_raw", "_uncal"),
    *("PGPASSWORD", "PGPASSFILE", "pg_monitor", "search_path"),
    *("synchronous_standby_names", "synchronous_commit", "pg_dump", "SELECT", "maxConcurrentRuns", "enableReadOnly"),
    *("AWS_ENDPOINT_URL", "AWS_REGION", "EnvironmentFile", "env_file", "SSL_CERT_FILE"),
    *("max_concurrent_runs", "default_limit"),
    *("pipeline.env", "dagster.env", "service.env", "dropper.env"),
    *("databases.sql", "broker.conf", "keys.conf", "tls_key.pem"),
}


def exists(path: str) -> bool:
    return any(PROJECT.glob(path.rstrip("/"))) if path.strip("/") else False


def is_defined(name: str) -> bool:
    """Tell whether a dotted name leads to something: a module's member, a member of a class, or a name by itself."""
    name = name.removeprefix("entropy_assets.")
    if name.startswith("entropy_"):
        name = name.removesuffix("_total")  # the exposition format adds it to the name of a counter
    parts = name.split(".")
    if name in defined() or name in FOREIGN:
        return True
    if len(parts) == 1:
        return False
    module = PACKAGE.joinpath(*parts[:-1])
    holds = exists_as_module(module) and (parts[-1] in defined() or exists_as_module(module / parts[-1]))
    return holds or (exists_as_module(module.parent) and ".".join(parts[-2:]) in defined())


def exists_as_module(path: Path) -> bool:
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def looks_like_a_name(span: str) -> bool:
    """Tell whether `span` can only be a name of the code: dotted, with an underscore, or with a capital."""
    return bool(DOTTED.fullmatch(span)) and bool(re.search(r"_|\.|[A-Z]", span)) and not span.startswith("ENTROPY_")


@EVERY_PAGE
def test_the_files_that_it_names_exist(page: Path) -> None:
    named = [span for span in spans(page) if PATH.fullmatch(span) and ("/" in span or "." in span)]
    assert [path for path in named if not exists(path)] == []


@EVERY_PAGE
def test_the_names_that_it_mentions_are_defined(page: Path) -> None:
    mentioned = [span.removesuffix("()") for span in spans(page)]
    names = [span for span in mentioned if looks_like_a_name(span) and span not in file_names()]
    assert [name for name in names if not is_defined(name)] == []


@EVERY_PAGE
def test_the_settings_that_it_mentions_exist(page: Path) -> None:
    mentioned = set(re.findall(r"\bENTROPY_([A-Z_]+)\b", text_of(page)))
    assert {name.lower() for name in mentioned} <= set(Settings.model_fields)


@EVERY_PAGE
def test_the_commands_that_it_mentions_exist(page: Path) -> None:
    group = main
    assert isinstance(group, click.Group)
    commands = set(
        re.findall(r"\bentropy-assets ([a-z]+)", "\n".join([*spans(page), *(text for _, text in fences(page))]))
    )
    assert commands <= set(group.commands)
    targets = set(re.findall(r"\bmake ([a-z0-9]+)", "\n".join([*spans(page), *(text for _, text in fences(page))])))
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    assert targets <= set(re.findall(r"^([a-z0-9]+):", makefile, re.MULTILINE))


def options_of(command: click.Command) -> set[str]:
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    own = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return own.union({"--help"}, *map(options_of, inner))


@EVERY_PAGE
def test_the_options_that_it_mentions_exist(page: Path) -> None:
    assert isinstance(main, click.Group)
    lines = [*spans(page), *(line for _, text in fences(page) for line in text.splitlines())]
    calls = re.findall(r"\bentropy-assets ([a-z]+)([^|)&#\n]*)", "\n".join(lines))
    used = {(name, option) for name, rest in calls for option in re.findall(r"--[a-z-]+", rest)}
    assert {(name, option) for name, option in used if option not in options_of(main.commands[name])} == set()


@EVERY_PAGE
def test_its_pictures_and_links_exist(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text_of(page))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@EVERY_PAGE
def test_its_code_is_run_or_says_that_it_is_not(page: Path) -> None:
    assert {language for language, _ in fences(page)} <= {"sh", "python", "console", "text"}


@pytest.mark.slow
@pytest.mark.parametrize("page, code", [pair for pair in blocks("python") if NEEDS_SERVICE not in pair[1]])
def test_its_python_runs_as_it_stands(page: str, code: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ENTROPY_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), f"a block of {page} prints nothing"


def rooms_of(page: Path) -> list[str]:
    """Return the paths of the tree on `page`, two spaces for each level."""
    tree = next(text for language, text in fences(page) if language == "text" and text.startswith("README.md"))
    found: list[str] = []
    above = [""]
    for line in tree.splitlines():
        name = line.split()[0]
        level = (len(line) - len(line.lstrip())) // 2
        above = [*above[: level + 1], above[level] + name]
        found.append(above[-1])
    return found


def test_the_map_shows_what_exists_and_every_folder_and_module_of_the_package() -> None:
    rooms = rooms_of(PROJECT / "docs" / "ARCHITECTURE.md")
    assert len(rooms) == len(set(rooms))
    assert [room for room in rooms if not (PROJECT / room).exists()] == []
    folders = {path.parent.relative_to(PROJECT).as_posix() + "/" for path in PACKAGE.rglob("*") if path.is_file()}
    modules = {path.relative_to(PROJECT).as_posix() for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}
    assert {path for path in folders | modules if "__pycache__" not in path} - set(rooms) == set()


def test_the_package_tells_of_every_name_at_its_top_and_of_no_other() -> None:
    told = re.findall(r"^    (\w+/?) ", entropy_assets.__doc__ or "", re.MULTILINE)
    folders = {f"{path.name}/" for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert sorted(told) == sorted(folders | modules)


def test_no_word_of_the_glossary_stands_twice() -> None:
    rows = re.findall(r"(?m)^\| ([^|]+?) \|", (PROJECT / "docs" / "GLOSSARY.md").read_text())
    words = [word for row in rows for word in row.split(", ") if word != "word"]
    assert len(words) > 50
    assert sorted({word for word in words if words.count(word) > 1}) == []
