"""The configuration that is shipped: complete, fitted to the server's age, and refused while a placeholder is left."""

import hashlib
import subprocess
import time
from importlib.resources import files
from pathlib import Path

import pytest
import redis

from entropy_assets.errors import UnsafePoolServer
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.configuration import server_configuration, users_configuration
from entropy_assets.stores.pool.embedded import EmbeddedServer, find_server_binary
from entropy_assets.stores.pool.fitness import storage_problems
from entropy_assets.stores.processes import OwnedProcess, listens
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


def test_the_users_get_the_prefix_of_their_pool_and_nothing_else() -> None:
    text = users_configuration({"service": "x"}, "{entropy}")
    assert "~{entropy}:*" in text
    assert "~entropy:" not in text
    assert "x" * 64 not in text
    assert hashlib.sha256(b"x").hexdigest() in text


def test_the_embedded_servers_configuration_holds_no_password_and_is_the_owners_alone() -> None:
    with EmbeddedServer(users_of="entropy") as server:
        path = server.socket_path.parent / "server.conf"
        assert path.stat().st_mode & 0o777 == 0o600
        password = server.url_of("service").split(":")[2].split("@")[0]
        assert len(password) == 64
        assert password not in path.read_text()
        first = server.url_of("service")
    with server:
        assert server.url_of("service") != first


def test_where_the_configuration_is_hidden_a_snapshot_is_noticed_by_what_the_server_did(tmp_path: Path) -> None:
    with (
        EmbeddedServer(data_dir=tmp_path) as server,
        redis.Redis.from_url(server.url) as raw,
    ):
        raw.acl_setuser("w", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-config"])
        pool = PoolClient.from_url(server.url.replace("unix://", "unix://w:x@"))
        assert pool.check_server_safety() == ()
        time.sleep(3.1)  # the moments are whole seconds
        raw.save()
        with pytest.raises(UnsafePoolServer, match="wrote a snapshot"):
            pool.check_server_safety()
        assert storage_problems(raw.info(), "") == []
        pool.close()
