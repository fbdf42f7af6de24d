"""The hooks before a commit run what the Makefile runs, and fetch nothing."""

import re
from typing import Any

import yaml

from entropy_assets_tests.conftest import PROJECT

MAKEFILE = (PROJECT / "Makefile").read_text(encoding="utf-8")


def configuration() -> dict[str, Any]:
    return yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))


def recipe_of(target: str) -> str:
    """Return the commands of a target of the Makefile, empty if there is none."""
    found = re.search(rf"^{re.escape(target)}:.*\n((?:\t.*\n)*)", MAKEFILE, re.MULTILINE)
    return found[1] if found else ""


def test_every_hook_is_local_and_calls_a_target_of_make() -> None:
    repositories = configuration()["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    for hook in repositories[0]["hooks"]:
        make, target = hook["entry"].split()
        assert make == "make"
        assert recipe_of(target), f"the Makefile has no target {target}"
        assert hook["language"] == "system"
        assert hook["pass_filenames"] is False


def test_the_hooks_run_the_projects_own_ruff_and_mypy() -> None:
    commands = "".join(recipe_of(hook["entry"].split()[1]) for hook in configuration()["repos"][0]["hooks"])
    for program in ("ruff check", "ruff format --check", "mypy", "lint-imports"):
        assert f"@$(BIN)/{program}" in commands
