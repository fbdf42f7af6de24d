"""A name that an attacker made mean this machine (DNS rebinding) draws nothing, on no route and by neither way."""

import socket
from collections.abc import Iterator

import pytest

from entropy_assets.serving.config import ServiceConfig
from entropy_assets_tests.conftest import empty_pool, new_prefix
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.serving.running import RunningService

FOREIGN = {"Host": "attacker.example"}
ROUTES = (
    "/random/16", "/random/16?class=public", "/random/16?format=int&min=1&max=6", "/download/16", "/stats", "/health",
    "/livez", "/readyz", "/metrics", "/batches", "/docs", "/openapi.json", "/", "/page/page.js", "/nowhere",
    "/problems/host-unknown", "/docs-assets/swagger-ui.css",
)  # fmt: skip
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture(scope="module", params=[True, False], ids=["lane", "asgi"])
def service(request: pytest.FixtureRequest, valkey_url: str) -> Iterator[RunningService]:
    """Run a service that goes by one name more, for all tests of this file."""
    prefix = new_prefix()
    with empty_pool(valkey_url, prefix) as pool:
        pool.push(blocks_for_both(100))
        config = ServiceConfig(
            pool_url=valkey_url, pool_prefix=prefix, fast_lane=request.param, hosts=("random.example.org",)
        )
        with RunningService(config) as running:
            assert running.client.get("/random/16").status_code == 200
            yield running


@pytest.mark.parametrize("path", ROUTES)
def test_a_foreign_name_is_refused(service: RunningService, path: str) -> None:
    counts = service.application.service.counts
    answers, refusals = counts["private_answers"], counts["refused_host-unknown"]
    answer = service.client.get(path, headers=FOREIGN)
    assert answer.status_code == 421
    assert answer.json()["type"] == "/problems/host-unknown"
    assert "ENTROPY_HTTP_HOSTS" in answer.json()["detail"]
    assert (counts["private_answers"], counts["refused_host-unknown"]) == (answers, refusals + 1)


def test_a_foreign_name_posts_and_streams_nothing(service: RunningService) -> None:
    assert service.client.post("/random", json={"n": 16}, headers=FOREIGN).status_code == 421
    assert service.client.get("/stream", headers=FOREIGN | UPGRADE).status_code == 421
    assert service.client.head("/random/16", headers=FOREIGN).status_code == 421


@pytest.mark.parametrize("name", ["random.example.org", "LOCALHOST:8000", "[::1]:80", "192.168.7.9"])
def test_an_own_name_draws(service: RunningService, name: str) -> None:
    for path in ("/random/16", "/random/16?format=json", "/health"):
        assert service.client.get(path, headers={"Host": name}).status_code == 200


@pytest.mark.parametrize(
    "lines, status",
    [
        ("GET /random/16 HTTP/1.1\r\n", 400),
        ("GET /random/16 HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n", 400),
        ("GET /random/16 HTTP/1.1\r\nHost: localhost\r\nX: y\r\nHost: attacker.example\r\n", 400),
        ("GET /random/16 HTTP/1.1\r\nHost:\r\n", 400),
        ("GET /random/16 HTTP/1.0\r\n", 200),
        ("GET /random/16 HTTP/1.0\r\nHost: attacker.example\r\n", 421),
    ],
)
def test_a_request_names_one_host(service: RunningService, lines: str, status: int) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=5) as link:
        link.sendall(f"{lines}\r\n".encode())
        assert int(link.recv(65_536)[9:12]) == status
