"""The wheel in environments of its own: what it carries, what its base brings, that it runs alone."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from entropy_assets.stores.ledger.record import Ledger
from entropy_assets_tests.test_packaging import PROJECT, installed_by, locked, normalised

LOCK = PROJECT / "requirements.lock"
# The interpreter's own, in every new environment.
OF_VENV = {"pip", "setuptools"}
# What the base is for, and the sentence of every room that it does not bring.
BASE_AT_WORK = """
import importlib, json
import numpy as np
from entropy_assets.client import RandomClient
from entropy_assets.core.conditioning.hasher import EntropyHasher
from entropy_assets.core.sp800_90b.estimators import most_common_value
from entropy_assets.errors import ExtraMissing, NoBytes

try:
    RandomClient(["http://127.0.0.1:9"]).random_bytes(32)
except NoBytes as error:
    drawn = error.code
messages = {}
rooms = "api defs definitions images.decode serving.http.app settings stores.pool supervisor"
for room in rooms.split():
    try:
        importlib.import_module("entropy_assets." + room)
    except ExtraMissing as missing:
        messages[room] = [missing.data["extra"], str(missing)]
samples = np.random.default_rng(1).integers(0, 256, 100_000, dtype=np.uint8)
print(json.dumps({
    "block": len(EntropyHasher().hash_entropy(samples.tobytes())),
    "bits": most_common_value(samples).min_entropy,
    "drawn": drawn,
    "messages": messages,
}))
"""


def outside(**changes: str) -> dict[str, str]:
    """Return an environment without our settings and without a way to the checkout."""
    ours = ("ENTROPY_", "DAGSTER_", "PYTHON", "COV")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(ours)}, **changes}


def succeed(*command: str | Path, folder: Path, seconds: float = 600) -> str:
    """Run `command` in `folder` and return what it prints."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=outside(),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def new_environment(folder: Path) -> Path:
    """Make a virtual environment in `folder` and return the folder of its programs."""
    succeed(sys.executable, "-m", "venv", folder / "venv", folder=folder)
    return folder / "venv" / "bin"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    checkout = folder / "checkout"  # setuptools builds in place and would leave, and find again, a build folder
    shutil.copytree(
        PROJECT, checkout, ignore=shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist", "var")
    )
    pip = (sys.executable, "-m", "pip", "-qq", "wheel", "--no-deps", "--no-build-isolation")
    succeed(*pip, "--wheel-dir", folder, checkout, folder=folder)
    shutil.rmtree(checkout)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel alone in a new environment, as ``pip install entropy-assets`` does; give its programs."""
    folder = tmp_path_factory.mktemp("base")
    programs = new_environment(folder)
    # The versions of the lock, so that a release of somebody else's changes nothing here.
    pins = [f"{name}=={version}" for name, versions in locked("requirements.lock").items() for version in versions]
    (folder / "pins.txt").write_text("\n".join(pins))
    pip = (programs / "python", "-m", "pip", "-qq", "install", "--constraint", folder / "pins.txt")
    succeed(*pip, wheel, folder=folder)
    return programs


@pytest.fixture(scope="module")
def complete(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the lock and the wheel in a new environment; give its programs."""
    folder = tmp_path_factory.mktemp("complete")
    programs = new_environment(folder)
    # Of many thousand files a few hundred are ever loaded: those are compiled then.
    pip = (programs / "python", "-m", "pip", "-qq", "install", "--no-deps", "--no-compile")
    succeed(*pip, "--require-hashes", "-r", LOCK, folder=folder)
    succeed(*pip, wheel, folder=folder)
    return programs


def distributions(programs: Path, folder: Path) -> set[str]:
    """Return what is installed, beside what every environment has."""
    listed = json.loads(succeed(programs / "python", "-m", "pip", "list", "--format=json", folder=folder))
    return {normalised(entry["name"]) for entry in listed} - OF_VENV


@pytest.mark.slow
def test_the_wheel_carries_the_package_and_its_data_but_no_tests(wheel: Path) -> None:
    """The bundled samples, scripts, pages and configurations are there after a plain install."""
    carried = set(zipfile.ZipFile(wheel).namelist())
    sources = (path for path in (PROJECT / "entropy_assets").rglob("*") if path.is_file())
    expected = {str(path.relative_to(PROJECT)) for path in sources if "__pycache__" not in path.parts}
    assert expected == {name for name in carried if ".dist-info/" not in name}


@pytest.mark.slow
class TestBase:
    def test_it_brings_four_packages_and_what_they_need(self, base: Path, tmp_path: Path) -> None:
        """Whoever only draws bytes installs no web framework, no Redis client and no Dagster."""
        found = distributions(base, tmp_path)
        own = {"entropy-assets", "numpy", "scipy", "array-api-compat", "blake3"}
        assert found - {"typing-extensions"} == own  # of BLAKE3, on 3.11
        assert found == {"entropy-assets", *installed_by("")}

    def test_it_hashes_estimates_and_draws_and_the_other_rooms_name_their_extra(
        self, base: Path, tmp_path: Path
    ) -> None:
        found = json.loads(succeed(base / "python", "-c", BASE_AT_WORK, folder=tmp_path))
        assert found["block"] == 32
        assert 5 < found["bits"] <= 8
        assert found["drawn"] == "no-bytes"
        extras = {room: extra for room, (extra, _) in found["messages"].items()}
        assert extras == {
            "api": "images",
            "defs": "dagster",
            "definitions": "dagster",
            "images.decode": "images",
            "serving.http.app": "serve",
            "settings": "settings",
            "stores.pool": "pool",
            "supervisor": "all",
        }
        for extra, message in found["messages"].values():
            assert message.endswith(f"pip install 'entropy-assets[{extra}]'")

    def test_its_command_says_in_one_sentence_what_it_lacks(self, base: Path, tmp_path: Path) -> None:
        for command in ([str(base / "entropy-assets"), "--help"], [str(base / "python"), "-m", "entropy_assets.cli"]):
            done = subprocess.run(
                command, cwd=tmp_path, env=outside(), capture_output=True, text=True, timeout=60, check=False
            )
            assert (done.returncode, done.stdout) == (1, "")
            [sentence] = done.stderr.splitlines()
            assert re.fullmatch(
                r"error: click.* not installed: .* 'entropy-assets\[cli\]', .* 'entropy-assets\[all\]'.*", sentence
            )


@pytest.fixture
def up(complete: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run ``entropy-assets up --samples`` in an empty folder."""
    command = (complete / "entropy-assets", "up", "--samples", "--json", "--http-port", "0", "--dagster-port", "0")
    with subprocess.Popen(
        [str(word) for word in command],
        cwd=tmp_path,
        env=outside(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        too_late = threading.Timer(400, process.kill)
        too_late.start()
        yield process
        too_late.cancel()
        process.terminate()


def _public_draw(address: str) -> httpx.Headers:
    """Draw from the other lane, for which the samples make a batch too; give the head of the answer."""
    deadline = time.monotonic() + 60
    while (answer := httpx.get(f"{address}/random/32?class=public", timeout=10)).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)
    return answer.headers


@pytest.mark.e2e
class TestComplete:
    def test_it_has_what_the_lock_names_and_comes_from_the_wheel_alone(self, complete: Path, tmp_path: Path) -> None:
        """What the extra ``all`` asks for is what the lock pins; nothing of the checkout is on the way to it."""
        assert "No broken requirements" in succeed(complete / "python", "-m", "pip", "check", folder=tmp_path)
        assert installed_by("all") <= distributions(complete, tmp_path)
        script = "import json, sys, entropy_assets; print(json.dumps([entropy_assets.__file__, *sys.path]))"
        places = json.loads(succeed(complete / "python", "-c", script, folder=tmp_path))
        assert [place for place in places if Path(place).is_relative_to(PROJECT)] == []

    def test_in_an_empty_folder_it_publishes_the_samples_and_gives_bytes(
        self, up: subprocess.Popen[str], tmp_path: Path
    ) -> None:
        """No dagster.yaml, no workspace.yaml, no checkout: everything that it needs came with it."""
        assert up.stdout is not None
        said, address, data, public = [], "", b"", httpx.Headers()
        for line in up.stdout:
            said.append(json.loads(line)["line"])
            if (page := re.match(r"http +page at (http://\S+),", said[-1])) is not None:
                address = page[1]
            if said[-1].startswith("ready "):
                data = httpx.get(f"{address}/random/32", timeout=10).raise_for_status().content
                public = _public_draw(address)
                up.terminate()
        assert up.wait(30) == 0, said
        assert said[-1] == "stopped"
        assert len(data) == 32
        assert "X-Entropy-Simulated" not in public
        first, second = Ledger(tmp_path / "var" / "ledger.sqlite", readonly=True).publications()
        assert min(first.block_count, second.block_count) > 0
        assert first.batch_key != second.batch_key, "a batch for each lane"
        assert {path.name for path in tmp_path.iterdir()} == {"var"}
