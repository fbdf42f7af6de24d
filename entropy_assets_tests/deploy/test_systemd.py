"""The units of systemd are understood by it, name what exists, and expose little."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from pathlib import Path

import pytest

from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.deploy.commands import refuse_unparsed, unknown_settings

UNITS = sorted((PROJECT / "deploy" / "systemd").glob("*.service"))
MOST_EXPOSED = 2.0
"""On systemd's scale from 0 to 10, where a unit without any of it has 9.6."""
EACH = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
pytestmark = pytest.mark.slow


def command_of(unit: Path) -> list[str]:
    found = re.search(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)
    assert found
    return found[1].split()


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("units are checked by systemd-analyze")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


@EACH
def test_systemd_understands_it(unit: Path, tmp_path: Path) -> None:
    """With the programs of this environment in place of those that an installation has."""
    tried = tmp_path / unit.name
    tried.write_text(unit.read_text().replace("/opt/entropy-assets/bin", str(Path(sys.executable).parent)))
    done = analyze("verify", str(tried))
    assert (done.returncode, done.stderr) == (0, "")


@EACH
def test_it_exposes_little(unit: Path) -> None:
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED * 10:.0f}", str(unit))
    assert done.returncode == 0, done.stdout


@EACH
def test_its_command_and_settings_exist(unit: Path) -> None:
    program, *arguments = command_of(unit)
    assert program.startswith("/opt/entropy-assets/bin/")
    refuse_unparsed([Path(program).name, *arguments])
    assert unknown_settings(unit.read_text()) == set()


@EACH
def test_a_role_reads_the_secrets_of_its_role_alone(unit: Path) -> None:
    role = {"serve": "service", "code": "pipeline", "worker": "pipeline", "daemon": "dagster", "webserver": "dagster"}
    name = unit.stem.removeprefix("entropy-assets-")
    parser = ConfigParser(strict=False, interpolation=None)
    parser.read(unit)
    assert parser["Service"]["EnvironmentFile"] == f"/etc/entropy-assets/{role.get(name, name)}.env"


def test_the_code_server_is_for_this_machine_alone() -> None:
    """Its port asks for no login, and gives who reaches it the passwords of the pipeline."""
    unit = PROJECT / "deploy" / "systemd" / "entropy-assets-code.service"
    command = command_of(unit)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    lines = unit.read_text().splitlines()
    assert [line for line in lines if line.startswith("IPAddress")] == ["IPAddressDeny=any", "IPAddressAllow=localhost"]


def test_a_command_gets_the_settings_of_a_role_as_the_unit_does() -> None:
    """An address has what a shell would take for a pattern, and for the end of a command."""
    script = (PROJECT / "deploy" / "systemd" / "as-role").read_text()
    lines = "# a comment\n\nDAGSTER_PG_URL=postgresql://u:p@h/d?sslmode=verify-full&sslrootcert=/ca.pem\nLAST=a 'b' $c"
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
    with tempfile.NamedTemporaryFile("w", suffix=".env") as role:
        Path(role.name).write_text(lines)
        Path(role.name).chmod(0o644)
        command = [*nobody, "sh", "-c", script, "as-role", role.name, "env"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    told = done.stdout.splitlines()
    assert {*lines.splitlines()[2:], "ENTROPY_HOME=/var/lib/entropy-assets"} <= set(told)
