"""The pages that people read, and what they mention of the code.

Of the fenced blocks ``sh`` and ``python`` are run by tests, as they stand. ``console`` is what a reader types where no
test can (the page says why), ``text`` is neither.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from entropy_assets_tests.conftest import PROJECT

NEEDS_SERVICE = "http://127.0.0.1:8000"
# The change log tells of what was, so it may name what is gone.
PAGES = sorted(
    {*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"), *PROJECT.glob("monitoring/*.md")} - {PROJECT / "CHANGELOG.md"}
)
ROOTS = tuple(sorted(path.name for path in PROJECT.iterdir() if path.name not in {".venv", ".git", "var"}))
PACKAGE = PROJECT / "entropy_assets"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_WORD = re.compile(r"[\w-]+(?:\.[\w-]+)+|[A-Za-z_]\w*")


def name_of(page: Path) -> str:
    return page.relative_to(PROJECT).as_posix()


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def fences(page: Path) -> list[tuple[str, str]]:
    """Return language and text of each fenced block of `page`."""
    return _FENCE.findall(text_of(page))


def blocks(language: str, *pages: Path) -> list[tuple[str, str]]:
    """Return page and text of each block in `language`."""
    return [(name_of(page), text) for page in pages or PAGES for fence, text in fences(page) if fence == language]


def table_rows(page: Path, first_column: str) -> list[list[str]]:
    """Return the cells of the table of `page` whose first column has this title, without title and rule."""
    table = re.search(rf"^\| {re.escape(first_column)} \|.*\n\|[-:| ]+\n((?:\|.*\n)+)", text_of(page), re.MULTILINE)
    assert table, f"{name_of(page)} has no table of {first_column}"
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[1].splitlines()]


def spans(page: Path) -> list[str]:
    """Return what `page` sets as code inside its sentences and tables."""
    return sorted(set(_SPAN.findall(_FENCE.sub("", text_of(page)))))


@cache
def file_names() -> frozenset[str]:
    """Return the name of every file of the checkout."""
    roots = (PROJECT / root for root in ROOTS)
    return frozenset(path.name for root in roots for path in (root, *root.rglob("*")) if path.is_file())


@cache
def defined() -> frozenset[str]:
    """Return every name that the code defines, ``Class.member`` too, and every word of the package's texts.

    A text is a string that the program uses; a docstring is none, so a stale one does not vouch for a stale page.
    """
    found: set[str] = set()
    for folder in ("entropy_assets", "entropy_assets_tests", "benchmarks"):
        for path in (PROJECT / folder).rglob("*.py"):
            found.update(path.relative_to(PROJECT).with_suffix("").parts)
            module = ast.parse(path.read_text(encoding="utf-8"))
            found.update(_names_in(module))
            if folder == "entropy_assets":
                found.update(_words_in(module))
    return frozenset(found)


def _names_in(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        match node:
            case ast.ClassDef(name=name):
                yield from (name, *(f"{name}.{member}" for member in _members(node)))
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.keyword(arg=str(name)):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name


def _members(node: ast.ClassDef) -> Iterator[str]:
    for item in node.body:
        match item:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.Assign(targets=targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))


def _words_in(module: ast.Module) -> Iterator[str]:
    nodes = list(ast.walk(module))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield from _WORD.findall(node.value)
