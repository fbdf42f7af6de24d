"""``/download``: exactly n bytes or a body that every client takes for broken, and nothing for a client that left."""

import base64
import dataclasses
import itertools
import json
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from entropy_assets.serving.answers.pieces import PIECE_BYTES
from entropy_assets.serving.config import ServiceConfig, StreamLimits
from entropy_assets.serving.reservoir.filler import IDLE_S
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import blocks_for_both, pool_blocks
from entropy_assets_tests.serving.http.streaming import leased
from entropy_assets_tests.serving.running import RunningService

BLOCKS = 400


@pytest.fixture
def config(valkey_url: str, pool_prefix: str) -> ServiceConfig:
    """Give the configuration of a service on this test's pool; its downloads have little patience."""
    limits = StreamLimits(patience_s=2, max_download_bytes=2**20)
    return ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix, streams=limits)


@pytest.fixture
def service(config: ServiceConfig, pool: PoolClient) -> Iterator[RunningService]:
    """Run a service on a pool of 1.6 MB."""
    pool.push(blocks_for_both(BLOCKS))
    with RunningService(config) as running:
        yield running


def _served(service: RunningService) -> int:
    counts = service.application.service.counts
    return counts["served_public_bytes"] + counts["served_private_bytes"]


def _count(service: RunningService, name: str) -> int:
    return service.application.service.counts[name]


@pytest.mark.parametrize("n", [1, 4096, 65_536, 65_537, 1_000_000])
def test_a_download_has_exactly_the_bytes_asked_for(n: int, service: RunningService) -> None:
    answer = service.client.get(f"/download/{n}")
    assert (answer.status_code, len(answer.content)) == (200, n)
    assert answer.headers["Content-Length"] == str(n)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Accept-Ranges"] == "none"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Entropy-Class"] == "private"
    assert _served(service) == n
    _wait_until(lambda: _count(service, "downloads_finished") == _count(service, "downloads_begun") == 1)


def test_a_private_download_is_not_the_bytes_of_the_pool(service: RunningService) -> None:
    pool_bytes = b"".join(block.data for block in blocks_for_both(BLOCKS))
    body = service.client.get("/download/200000").content
    assert all(body[at : at + 32] not in pool_bytes for at in range(0, 200_000, 4096))


def test_a_public_download_is_lines_that_name_their_blocks(service: RunningService) -> None:
    data = {block.block_id: block.data for block in pool_blocks(BLOCKS)}
    answer = service.client.get("/download/300001?class=public")
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["X-Entropy-Class"] == "public"
    spans, total = [], 0
    for line in answer.text.splitlines():
        row = json.loads(line)
        body = base64.b64decode(row["data"])
        named = b"".join(data[each["block_id"]][each["start"] : each["end"]] for each in row["blocks"])
        assert body == named
        assert (row["class"], row["n"], row["simulated"]) == ("public", len(body), False)
        spans += [(each["block_id"], each["start"], each["end"]) for each in row["blocks"]]
        total += len(body)
    assert total == 300_001
    for (block, _, end), (other, start, _) in itertools.pairwise(sorted(spans)):
        assert block != other or end <= start


@pytest.mark.parametrize(
    "path",
    [
        "/download/0", "/download/-1", "/download/1048577", "/download/ten", "/download/1.0",
        "/download/8?class=public&format=raw", "/download/8?format=ndjson", "/download/8?class=secret",
        "/download/8?format=hex",
    ],
)  # fmt: skip
def test_what_can_not_be_is_refused_and_costs_nothing(path: str, service: RunningService) -> None:
    for answer in (service.client.get(path), service.client.head(path)):
        assert answer.status_code == 422
    assert service.client.get(path).json()["type"] == "/problems/invalid-request"
    assert _served(service) == 0


@pytest.mark.parametrize("query, length", [("", "100000"), ("?class=public", None)])
def test_head_tells_the_length_and_draws_nothing(query: str, length: str | None, service: RunningService) -> None:
    answer = service.client.head(f"/download/100000{query}")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers.get("Content-Length") == length
    assert (_served(service), _count(service, "downloads_begun")) == (0, 0)


@pytest.mark.parametrize("query", ["", "?class=public"])
def test_a_pool_that_runs_dry_in_the_middle_breaks_the_body(
    query: str, config: ServiceConfig, pool: PoolClient
) -> None:
    """No client may take the part that came for the whole."""
    pool.push(blocks_for_both(50))
    with RunningService(config) as service:
        with pytest.raises(httpx.RemoteProtocolError):
            service.client.get(f"/download/400000{query}")
        _wait_until(lambda: _count(service, "downloads_cut") == 1)
        assert _count(service, "downloads_finished") == 0
        assert _served(service) == 50 * 4096


def test_curl_reports_the_broken_body(config: ServiceConfig, pool: PoolClient, tmp_path: Path) -> None:
    pool.push(blocks_for_both(50))
    with RunningService(config) as service:
        command = ["curl", "-sS", "-o", str(tmp_path / "got"), f"{service.url}/download/400000"]
        ended = subprocess.run(command, capture_output=True, check=False)
    assert ended.returncode == 18, "CURLE_PARTIAL_FILE"
    assert (tmp_path / "got").stat().st_size < 400_000


def test_a_dry_pool_is_a_503_before_the_first_byte(config: ServiceConfig) -> None:
    with RunningService(config) as service:
        answer = service.client.get("/download/8")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/pool-exhausted")
        assert int(answer.headers["Retry-After"]) >= 1
        assert _count(service, "downloads_begun") == 0


def test_a_pool_that_gives_slowly_is_waited_for(config: ServiceConfig, pool: PoolClient) -> None:
    config = dataclasses.replace(config, streams=StreamLimits(patience_s=3))
    pool.push(blocks_for_both(1))
    with RunningService(config) as service, service.client.stream("GET", "/download/16384") as answer:
        parts = answer.iter_raw(4096)
        assert len(next(parts)) == 4096
        for seed in range(1, 4):
            pool.push(blocks_for_both(1, first=seed))
            assert len(next(parts)) == 4096


def test_simulated_bytes_are_labelled(config: ServiceConfig, pool: PoolClient) -> None:
    pool.push(blocks_for_both(10, simulated=True))
    with RunningService(config) as service:
        assert service.client.get("/download/100").headers["X-Entropy-Simulated"] == "true"
        assert json.loads(service.client.get("/download/100?class=public").text)["simulated"] is True


def test_bytes_that_turn_simulated_break_a_download_that_was_not_labelled_so(
    config: ServiceConfig, pool: PoolClient
) -> None:
    config = dataclasses.replace(config, streams=StreamLimits(patience_s=3))
    pool.push(blocks_for_both(1))
    with RunningService(config) as service:
        with service.client.stream("GET", "/download/8192") as answer:
            assert "X-Entropy-Simulated" not in answer.headers
            pool.push(blocks_for_both(1, first=1, simulated=True))
            with pytest.raises(httpx.RemoteProtocolError):
                answer.read()
        _wait_until(lambda: _count(service, "downloads_cut") == 1)


def test_downloads_take_the_seats_of_streams(config: ServiceConfig, pool: PoolClient) -> None:
    config = dataclasses.replace(config, streams=StreamLimits(most=1, patience_s=3))
    pool.push(blocks_for_both(1))
    with RunningService(config) as service:
        with service.client.stream("GET", "/download/8192"):
            answer = httpx.get(f"{service.url}/download/1")
            assert (answer.status_code, answer.json()["type"]) == (503, "/problems/too-many-streams")
            assert answer.headers["Retry-After"]
            pool.push(blocks_for_both(1, first=1))
        assert service.client.get("/livez").status_code == 200


# --- clients that leave or do not read -----------------------------------------------------------------------------


def _raw_download(service: RunningService, path: str, *, begins: bool = True) -> socket.socket:
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", int(service.url.rsplit(":", 1)[1])))
    raw.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert not begins or raw.recv(4096).startswith(b"HTTP/1.1 200")
    return raw


def _wait_until(condition: object, timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _settled(service: RunningService) -> tuple[int, int]:
    """Return what was served and leased once both stand still.

    The reservoir sees a second after a burst how fast it was, and leases for that rate a second later.
    """
    before = None
    while before != (now := (_served(service), leased(service))):
        before = now
        time.sleep(2.5 * IDLE_S)
    return now


@pytest.mark.parametrize("query", ["", "?class=public"])
def test_a_client_that_leaves_costs_nothing_afterwards(query: str, config: ServiceConfig, pool: PoolClient) -> None:
    """The body is drawn while it is sent, so the rest of it is not drawn, and no loop goes on sending to nobody."""
    config = dataclasses.replace(config, streams=StreamLimits())
    pool.push(blocks_for_both(4000))
    with RunningService(config) as service:
        _raw_download(service, f"/download/{2**30}{query}").close()
        _wait_until(lambda: _count(service, "downloads_cut") == 1)
        before = _settled(service)
        assert before[0] < 8 * 2**20
        spent = time.process_time()
        time.sleep(1)
        assert time.process_time() - spent < 0.25
        assert (_served(service), leased(service)) == before
        assert service.client.get("/random/8").status_code == 200


@pytest.mark.parametrize("query", ["", "?class=public"])
def test_what_was_drawn_for_a_client_that_left_is_counted(query: str, config: ServiceConfig, pool: PoolClient) -> None:
    """The piece that waited for room; and none is drawn once the client has left."""
    config = dataclasses.replace(config, streams=StreamLimits())
    pool.push(blocks_for_both(4000))
    with RunningService(config) as service:
        with _raw_download(service, f"/download/{2**30}{query}"):
            before = _settled(service)
        _wait_until(lambda: _count(service, "downloads_cut") == 1)
        assert _served(service) == before[0]
        assert 0 < _count(service, "undelivered_bytes") <= PIECE_BYTES


def test_every_download_that_begins_ends_once_and_no_other(config: ServiceConfig, pool: PoolClient) -> None:
    """One whose client leaves before the first byte never began, and one that is cancelled with its worker is cut."""
    config = dataclasses.replace(config, streams=StreamLimits(patience_s=30))
    with RunningService(config) as service:
        with _raw_download(service, "/download/8", begins=False) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # nor does it wait
            _wait_until(lambda: _count(service, "dry_answers") > 0)
        _wait_until(lambda: not service.connections)
        assert (_count(service, "downloads_begun"), _count(service, "downloads_cut")) == (0, 0)
        pool.push(blocks_for_both(100))
        _wait_until(lambda: service.application.service.reservoirs.buffered_bytes > 0)
        raw = _raw_download(service, f"/download/{2**30}")
        _wait_until(lambda: _count(service, "downloads_begun") == 1)
    assert (_count(service, "downloads_begun"), _count(service, "downloads_cut")) == (1, 1)
    raw.close()


def test_a_client_that_does_not_read_is_cut_off_and_stops_nobody(config: ServiceConfig, pool: PoolClient) -> None:
    config = dataclasses.replace(config, streams=StreamLimits(idle_s=1))
    pool.push(blocks_for_both(4000))
    with RunningService(config) as service, _raw_download(service, f"/download/{2**30}"):
        assert len(service.client.get("/download/300000").content) == 300_000
        _wait_until(lambda: _count(service, "downloads_cut") == 1)
        assert _served(service) < 8 * 2**20
