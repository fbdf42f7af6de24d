"""What the service logs: each line an object, each thing once, and never a byte, a key or a query."""

import asyncio
import base64
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import pytest

from entropy_assets.errors import PoolUnavailable
from entropy_assets.serving.logs import CAUSES, LOGGER, JsonLines, UvicornNews
from entropy_assets.stores.lanes import LANES
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.ports import free_port
from entropy_assets_tests.serving.serve_process import ServeProcess

MARKER = "MARKER-3f9c1d7e55"


def record_of(name: str, message: str, error: BaseException | None = None) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord(name, logging.ERROR, "x.py", 1, message, (), exc_info)


def formatted(name: str, message: str, error: BaseException | None = None) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(JsonLines().format(record_of(name, message, error)))
    return line


def test_a_line_of_another_library_loses_query_password_and_all_but_its_first_line() -> None:
    line = formatted(
        "uvicorn.error", 'a - "WebSocket /stream?key=K" [accepted] redis://u:pw@host\nValueError(b"bytes")'
    )
    assert line["detail"] == 'a - "WebSocket /stream?... [accepted] redis://...@host'


def test_an_error_tells_its_kind_and_place_but_not_its_text() -> None:
    try:
        int(MARKER)
    except ValueError as error:
        line = formatted(LOGGER, "unhandled-error", error)
    assert (line["error"], line["event"]) == ("ValueError", "unhandled-error")
    assert line["at"][0].startswith("test_logs.py:")
    assert MARKER not in json.dumps(line)


def test_a_traceback_that_another_library_writes_tells_kind_and_place_but_no_text() -> None:
    """Its first line alone says nothing; this is how Starlette tells of a start that failed."""
    try:
        try:
            int(MARKER)
        except ValueError:
            raise PoolUnavailable(MARKER) from None
    except PoolUnavailable:
        line = formatted("uvicorn.error", traceback.format_exc())
    [place] = line.pop("at")
    assert place.startswith("test_logs.py:")
    assert place.endswith(" test_a_traceback_that_another_library_writes_tells_kind_and_place_but_no_text")
    assert (line["error"], line["event"], MARKER in json.dumps(line)) == ("PoolUnavailable", "uvicorn.error", False)


def test_of_a_chain_the_traceback_of_the_last_error_is_told() -> None:
    def ask() -> None:
        try:
            int(MARKER)
        except ValueError as error:
            raise asyncio.CancelledError from error

    try:
        ask()
    except asyncio.CancelledError:
        line = formatted("uvicorn.error", traceback.format_exc())
    assert (line["error"], [place.split()[1] for place in line["at"]]) == (
        "CancelledError",
        ["test_of_a_chain_the_traceback_of_the_last_error_is_told", "ask"],
    )


def test_an_error_tells_every_cause_behind_it_once_and_no_text() -> None:
    def ask() -> None:
        try:
            int(MARKER)
        except ValueError as inner:
            raise PoolUnavailable("the pool is away") from inner

    try:
        try:
            ask()
        except PoolUnavailable:
            {}[MARKER]
    except KeyError as outer:
        line = formatted(LOGGER, "unhandled-error", outer)
        outer.__context__.__cause__.__cause__ = outer  # type: ignore[union-attr]
        endless = formatted(LOGGER, "unhandled-error", outer)
    assert [(cause["error"], cause.get("detail")) for cause in line["causes"]] == [
        ("PoolUnavailable", "the pool is away"),
        ("ValueError", None),
    ]
    assert all(cause["at"][0].startswith("test_logs.py:") for cause in line["causes"])
    assert MARKER not in json.dumps(line)
    assert len(endless["causes"]) == CAUSES


def test_our_own_errors_tell_their_text() -> None:
    assert formatted(LOGGER, "x", PoolUnavailable("the pool is away"))["detail"] == "the pool is away"


def test_uvicorn_speaks_of_workers_and_warnings_only() -> None:
    news = UvicornNews()
    talk = logging.LogRecord(
        "uvicorn.error", logging.INFO, "server.py", 1, "Waiting for application startup.", (), None
    )
    died = logging.LogRecord("uvicorn.error", logging.INFO, "multiprocess.py", 1, "Child process [7] died", (), None)
    assert not news.filter(talk)
    assert news.filter(died)
    assert news.filter(record_of("uvicorn.error", "Invalid HTTP request received."))


def _send_odd_requests(service: ServeProcess) -> None:
    client = service.client
    for headers in ({"Authorization": f"Bearer {MARKER}"}, {"X-API-Key": MARKER}, {}):
        for path in (f"/random/64?key={MARKER}", f"/{MARKER}", f"/blocks/{MARKER}", "/random/8?class=public", "/stats"):
            client.get(path, headers=headers)
    client.request("POST", f"/random?key={MARKER}", content=MARKER * 10)
    upgrade = "Connection: Upgrade\r\nUpgrade"
    handshake = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    for raw in (
        f"{MARKER} nonsense\r\n\r\n",
        f"GET /random/8?{MARKER} HTTP/9.9\r\n\r\n",
        f"GET /stream?key={MARKER} HTTP/1.1\r\nHost: localhost\r\n{upgrade}: websocket\r\n{handshake}\r\n",
        f"GET /stream?key={MARKER} HTTP/1.1\r\nHost: localhost\r\n{upgrade}: {MARKER}\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", service.port), 5) as connection:
            connection.sendall(raw.encode())
            connection.settimeout(1)
            with contextlib.suppress(TimeoutError):
                connection.recv(1000)


def _kill_a_worker(service: ServeProcess) -> None:
    victim = next(line["pid"] for line in service.lines() if line["event"] == "worker-started")
    os.kill(victim, signal.SIGKILL)


def _until(service: ServeProcess, event: str, count: int = 1) -> None:
    deadline = time.monotonic() + 30
    while service.events().count(event) < count:
        assert time.monotonic() < deadline, f"no {event} in {service.events()}"
        time.sleep(0.1)


@pytest.mark.e2e
@pytest.mark.parametrize("access_log", ["false", "true"])
def test_a_service_under_traffic_logs_what_happened_and_neither_keys_nor_bytes(access_log: str, tmp_path: Path) -> None:
    """Two workers, of which one is killed, on a pool that is lost and comes back, and requests of every odd kind."""
    blocks = blocks_for_both(60)
    with (
        EmbeddedServer() as server,
        ServeProcess(server.url, tmp_path, "--workers", "2", ENTROPY_ACCESS_LOG=access_log) as service,
    ):
        PoolClient.from_url(server.url).push(blocks)
        for lane in LANES:
            assert service.client.get("/random/64", params={"class": lane}).status_code == 200
        _send_odd_requests(service)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        deadline = time.monotonic() + 30
        while "pool-lost" not in service.events() and time.monotonic() < deadline:
            service.client.get("/random/65536")
        os.kill(server.pid, signal.SIGCONT)
        _until(service, "pool-back")
        _kill_a_worker(service)
        _until(service, "worker-started", 3)
    events = service.events()
    assert (events[0], events[-1]) == ("service-starting", "service-stopped")
    assert events.count("worker-started") == 3
    assert events.count("worker-stopped") == 2
    assert ("request" in events) == (access_log == "true")
    assert any("died" in line.get("detail", "") for line in service.lines())
    text = service.log_path.read_text()
    assert MARKER not in text
    assert "?key" not in text
    for block in blocks:
        for form in (block.data.hex(), base64.b64encode(block.data).decode(), block.data[:24].hex()):
            assert form[:32] not in text


@pytest.mark.e2e
def test_a_refused_start_says_why_in_one_line(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "ENTROPY_REDIS_URL": f"redis://u:{MARKER}@127.0.0.1:{free_port()}"}
    command = [sys.executable, "-m", "entropy_assets.cli", "serve", "--port", "0"]
    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    events = [json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{")]
    assert [line["event"] for line in events] == ["service-starting", "start-refused", "service-stopped"]
    assert events[1]["code"] == "pool-unavailable"
    assert ended.returncode == 1
    assert MARKER not in ended.stderr + ended.stdout
