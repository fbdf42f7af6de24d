"""Commands of an artefact, held to the programs that they call: each is parsed by the real one, and none is run."""

import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from entropy_assets.cli import main
from entropy_assets.settings import Settings
from entropy_assets_tests.conftest import PROJECT

SETTING = re.compile(r"\bENTROPY_([A-Z_]+)\b")
PROGRAMS = {
    "dagster": "dagster._cli:create_dagster_cli",
    "dagster-daemon": "dagster._daemon.cli:create_dagster_daemon_cli",
}
"""Where the programs of click are made."""


def unknown_settings(text: str) -> set[str]:
    """Return what `text` names as a setting and is none."""
    return {name for name in SETTING.findall(text) if name.lower() not in Settings.model_fields}


def refuse_unparsed(command: Sequence[str]) -> None:
    """Fail unless the program that `command` names exists and takes its arguments."""
    program, *arguments = command
    name = Path(program).name
    if name == "entropy-assets":
        _parse(main, arguments)
    elif name in PROGRAMS:
        module, maker = PROGRAMS[name].split(":")
        _parse(getattr(importlib.import_module(module), maker)(), arguments)
    elif name == "celery":
        # Celery's own program has each option once more on its workers, so it is asked.
        asked = [sys.executable, "-m", "celery", *arguments, "--help"]
        with tempfile.TemporaryDirectory() as home:
            shutil.copy(PROJECT / "deploy" / "dagster" / "celery.yaml", Path(home, "dagster.yaml"))
            environment = {**os.environ, "DAGSTER_HOME": home}
            done = subprocess.run(asked, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    elif name == "python" and arguments[0] == "-m":
        _parse_module(arguments[1], arguments[2:])
    else:
        assert name == "python", f"nobody knows how {name} takes its arguments"


def _parse(group: click.Command, arguments: Sequence[str]) -> None:
    context = click.Context(group, info_name=group.name)
    rest = list(arguments)
    while isinstance(group, click.Group):
        _, found, rest = group.resolve_command(context, rest)
        assert found is not None
        group = found
        context = click.Context(group, info_name=group.name, parent=context)
    group.make_parser(context).parse_args(list(rest))
    named = [part.partition("=")[0] for part in rest if part.startswith("-")]
    known = {option for parameter in group.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert set(named) <= known, f"{group.name} has no {set(named) - known}"


def _parse_module(module: str, arguments: Sequence[str]) -> None:
    """Ask a module of ours for its help, and look for the options there."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for option in (part for part in arguments if part.startswith("--")):
        assert option in done.stdout, f"{module} has no {option}"
