"""Machines that share a network and nothing else: each is a process tree that sees one folder of its own."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from entropy_assets_tests.e2e.running import clean_environment

# Binds the machine's folder to the place that all machines know by the same name, and hides the folders of the others.
ALONE = 'mount --bind "$1" "$2" && mount -t tmpfs none "$3" && shift 3 && exec "$@"'


def need_namespaces() -> None:
    """Skip where mount namespaces can't be made; in CI that fails."""
    made = shutil.which("unshare") and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0
    if not made:
        reason = "needs mount namespaces: run as root, with util-linux"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


class Fleet:
    """The folders of all machines, and the place under which each of them finds its own.

    Parameters
    ----------
    folder
        Where all of it lies.
    environment
        What every machine is told.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        need_namespaces()
        self.all = folder / "machines"
        self.here = folder / "here"
        self.here.mkdir()
        self.environment = environment
        self.machines: list[Machine] = []

    def machine(self, name: str) -> "Machine":
        machine = Machine(self, name)
        self.machines.append(machine)
        return machine

    def stop(self) -> None:
        for machine in self.machines:
            machine.kill()


class Machine:
    """One of them: its folder, and what runs on it.

    Attributes
    ----------
    folder
        Its folder as the tests see it, from outside.
    """

    def __init__(self, fleet: Fleet, name: str) -> None:
        self.fleet = fleet
        self.name = name
        self.folder = fleet.all / name
        for each in ("home", "dagster"):
            (self.folder / each).mkdir(parents=True)
        self._process: subprocess.Popen[bytes] | None = None

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        places = (str(self.folder), str(self.fleet.here), str(self.fleet.all))
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", ALONE, "sh", *places, *arguments]

    def _environment(self) -> dict[str, str]:
        here = self.fleet.here
        own = {"ENTROPY_HOME": str(here / "home"), "DAGSTER_HOME": str(here / "dagster")}
        # Programs of this environment, wherever the tests were started from.
        path = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        return clean_environment(**self.fleet.environment, **own, **path)

    def start(self, *arguments: str) -> None:
        """Run a program until it is stopped; what it says lands in ``log``."""
        assert self._process is None
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(arguments),
                env=self._environment(),
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def run(self, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return subprocess.run(
            self._command(arguments),
            env=self._environment(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def kill(self) -> None:
        """Let all that runs on it end at once, as a loss of power does."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")
