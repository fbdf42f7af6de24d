"""The commands of the README and of docs/, run as they stand by the shell of a user, against what runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from entropy_assets.stores.batches import Batch
from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.docs.pages import NEEDS_SERVICE, blocks
from entropy_assets_tests.e2e.running import Installation, clean_environment

pytestmark = pytest.mark.e2e

# Of the README two are not run: make run is what `installation` is, make test is what runs this.
# Those of one page build on each other; docs/test_camera_page runs them, and they need no service.
COMMANDS = [
    text
    for page, text in blocks("sh")
    if page != "docs/is-my-camera-random.md" and (page != "README.md" or not re.match(r"make|source", text))
]


@pytest.mark.parametrize("commands", COMMANDS)
def test_each_block_of_commands_does_what_it_says(
    installation: Installation, batch: Batch, commands: str, tmp_path: Path
) -> None:
    host = installation.http.removeprefix("http://")
    environment = clean_environment(
        ENTROPY_HOME=str(installation.home),
        ENTROPY_HTTP_PORT=host.rsplit(":", 1)[1],
        ENTROPY_KEYS=str(tmp_path / "keys.json"),  # a key that is made here must not let anybody into what others use
    )
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    (tmp_path / "entropy_assets").symlink_to(PROJECT / "entropy_assets")
    (tmp_path / "var").symlink_to(installation.home)
    script = "set -eu\n" + commands.replace("localhost:8000", host).replace(
        "curl ", "curl --fail --silent --show-error "
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    expected = re.findall(r"/(\d+) --output bytes\.bin", commands)
    assert done.stdout or (tmp_path / "bytes.bin").stat().st_size == int(expected[-1])


@pytest.mark.parametrize("code", [code for _, code in blocks("python") if NEEDS_SERVICE in code])
def test_its_python_draws_from_the_service(installation: Installation, batch: Batch, code: str) -> None:
    command = [sys.executable, "-c", code.replace(NEEDS_SERVICE, installation.http)]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
