"""What is taken out of an image is what nothing in it loads; `make image` shows that the images run without it."""

import ast
import runpy
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from entropy_assets_tests.conftest import PROJECT

SLIM = str(PROJECT / "deploy" / "slim.py")


def imported(file: Path) -> Iterator[str]:
    """Give the modules that a file imports, also inside of its functions."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.fixture
def slim(tmp_path: Path) -> SimpleNamespace:
    """Give the functions of slim.py for an installation that has a part in use and one that is not."""
    functions = runpy.run_path(SLIM)
    functions["take_out_parts"].__globals__["PACKAGES"] = tmp_path
    for name in ("kubernetes/client/__pycache__/api.pyc", "kubernetes/client/api.py", "kubernetes/aio/api.py"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    for name in ("aiohttp", "requests"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "web.py").touch()
        about = tmp_path / f"{name}-1.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (about / "RECORD").write_text(f"{name}/web.py,,\n{name}-1.dist-info/METADATA,,\n../../../bin/{name},,\n")
    return SimpleNamespace(**functions)


def test_what_is_used_of_a_large_package_is_loaded_before_the_rest_goes() -> None:
    """Also what is imported only where it is needed: nobody would miss it before an image has to be judged."""
    slim = runpy.run_path(SLIM)
    used = {name for file in (PROJECT / "entropy_assets").rglob("*.py") for name in imported(file)}
    parts = {".".join(name.split(".")[:2]) for name in used if name.split(".")[0] in slim["IN_PARTS"] and "." in name}
    assert {"scipy.fft", "scipy.optimize", "scipy.special", "astropy.io"} == parts
    assert [part for part in parts if part not in slim["ROLES"]["pipeline"]] == []


def test_parts_that_nothing_has_loaded_go_with_what_only_they_need(slim: SimpleNamespace, tmp_path: Path) -> None:
    """Nothing tells then that it is there; a bill of materials is made of what lies there."""
    slim.take_out_parts()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kubernetes", "requests", "requests-1.dist-info"]
    assert [path.name for path in (tmp_path / "kubernetes").iterdir()] == ["client"]


def test_what_is_in_use_is_not_taken_out(slim: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "aiohttp" / "web.pyc").touch()
    with pytest.raises(SystemExit, match="aiohttp is in use"):
        slim.take_out_parts()
