"""The configuration that is shipped: complete, fitted to the server's age, and refused while a placeholder is left."""

import hashlib
import subprocess
import time
from importlib.resources import files
from pathlib import Path

import pytest

from entropy_assets.stores.owned.folders import listens
from entropy_assets.stores.owned.processes import OwnedProcess
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.configuration import server_configuration, users_configuration
from entropy_assets.stores.pool.embedded import find_server_binary
from entropy_assets_tests.pool_blocks import pool_blocks

SHIPPED = Path(str(files("entropy_assets"))) / "stores" / "pool" / "server"


def test_a_server_of_an_operator_runs_with_both_files_included(tmp_path: Path) -> None:
    """As the comments say: include both, put hashes in place of the capitals."""
    users = (SHIPPED / "users.conf").read_text()
    for user in ("SERVICE", "PUBLISHER", "OBSERVER"):
        users = users.replace(f"{user}_SHA256", hashlib.sha256(user.encode()).hexdigest())
    (tmp_path / "users.conf").write_text(users)
    (tmp_path / "own.conf").write_text(
        f"include {SHIPPED}/pool.conf\ninclude {tmp_path}/users.conf\nport 0\nunixsocket {tmp_path}/s\ndir {tmp_path}\n"
    )
    process = OwnedProcess([str(find_server_binary()), str(tmp_path / "own.conf")], log=tmp_path / "log")
    try:
        while not listens(tmp_path / "s"):
            assert process.exit_code is None, (tmp_path / "log").read_text()
            time.sleep(0.01)
        pool = PoolClient.from_url(f"unix://publisher:PUBLISHER@{tmp_path}/s")
        assert pool.check_server_safety() == ()
        assert len(pool.push(pool_blocks(1)).pushed) == 1
        pool.close()
    finally:
        process.stop(2)


def test_a_server_with_a_placeholder_left_in_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "own.conf").write_text(f"include {SHIPPED}/users.conf\nport 0\ndir {tmp_path}\n")
    done = subprocess.run(
        [find_server_binary(), tmp_path / "own.conf"], capture_output=True, text=True, timeout=10, check=False
    )
    assert done.returncode != 0
    assert "SHA256" in done.stdout + done.stderr


def test_an_older_server_gets_no_directive_that_it_does_not_know() -> None:
    assert "latency-tracking" not in server_configuration((6, 2))
    assert set(server_configuration((6, 2)).splitlines()) < set(server_configuration((7, 0)).splitlines())


@pytest.mark.parametrize("version", [(6, 2), (7, 0)])
def test_the_users_get_the_prefix_of_their_pool_and_nothing_else(version: tuple[int, int]) -> None:
    text = users_configuration({"service": "x"}, "{entropy}", version)
    lines = [line for line in text.splitlines() if line.startswith("user ") and "default" not in line]
    assert len(lines) == 3
    for line in lines:
        assert "~{entropy}:pool:" in line
        assert "entropy" not in line.replace("~{entropy}:", "")
    assert "x" * 64 not in text
    assert hashlib.sha256(b"x").hexdigest() in text


def test_the_oldest_server_gets_users_that_it_can_read() -> None:
    """It takes no brackets, and no leave for reading alone."""
    old, new = (users_configuration({}, "entropy", version) for version in ((6, 2), (7, 0)))
    assert "%R~" in new
    assert not [line for line in old.splitlines() if line.startswith("user ") and ("(" in line or "%" in line)]
