"""The README is kept true: its Python runs, its links lead somewhere, its figures are those of the samples."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from entropy_assets_tests.conftest import PROJECT

README = (PROJECT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


NEEDS_SERVICE = "http://127.0.0.1:8000"


@pytest.mark.parametrize("code", [code for code in blocks("python") if NEEDS_SERVICE not in code])
def test_its_python_runs_as_it_stands(code: str) -> None:
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
    assert done.stdout.strip()


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", README))
def test_its_pictures_and_links_exist(target: str) -> None:
    assert (PROJECT / target).exists()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(entropy_assets/[\w./]+)`", README))))
def test_the_files_that_it_names_exist(path: str) -> None:
    assert (PROJECT / path).exists()


def test_the_commands_of_its_first_screen_are_targets_of_make() -> None:
    first_commands = next(block for block in blocks("sh") if block.startswith("make"))
    targets = re.findall(r"^make (\w+)$", first_commands, re.MULTILINE)
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    assert targets == ["run", "test"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    assert "make test" in (PROJECT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_sample_image_has_its_credit(samples: Path) -> None:
    sources = (samples / "SOURCES.csv").read_text(encoding="utf-8")
    images = [path.name for path in samples.iterdir() if path.suffix != ".csv"]
    assert len(images) == 9
    assert all(name in sources for name in images)
    assert "CC BY 4.0" in README
