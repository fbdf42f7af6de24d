"""Refusals over real HTTP: a problem document with an address that explains it, and until when to wait."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from entropy_assets.serving.config import ServiceConfig
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import pool_blocks
from entropy_assets_tests.serving.running import RunningService
from entropy_assets_tests.serving.supplies import OneBlock

UNKNOWN_BLOCK = "00000000-0000-8000-8000-000000000000"


@pytest.fixture(params=[True, False], ids=["lane", "asgi"])
def config(request: pytest.FixtureRequest, config: ServiceConfig) -> ServiceConfig:
    """Give the configuration once with the fast lane and once without."""
    return replace(config, fast_lane=request.param)


@pytest.fixture
def service(config: ServiceConfig, pool: PoolClient) -> Iterator[RunningService]:
    pool.push(pool_blocks(10))
    with RunningService(config, OneBlock()) as running:
        yield running


@pytest.mark.parametrize(
    "path, status, kind",
    [
        ("/random/0", 422, "/problems/invalid-request"),
        ("/random/-1", 422, "/problems/invalid-request"),
        ("/random/65537", 422, "/problems/invalid-request"),
        ("/random/99999999999999999999", 422, "/problems/invalid-request"),
        ("/random/ten", 422, "/problems/invalid-request"),
        ("/random/\u0663", 422, "/problems/invalid-request"),
        ("/random/8?class=secret", 422, "/problems/invalid-request"),
        ("/random/8?format=xml", 422, "/problems/invalid-request"),
        ("/blocks/nothing", 422, "/problems/invalid-request"),
        (f"/blocks/{UNKNOWN_BLOCK}", 404, "/problems/unknown-block"),
        ("/nowhere", 404, "about:blank"),
    ],
)
def test_what_is_wrong_is_a_problem_document(path: str, status: int, kind: str, service: RunningService) -> None:
    answer = service.client.get(path)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert (body["type"], body["status"]) == (kind, status)
    assert body["title"]
    assert body["detail"]
    if kind != "about:blank":
        assert service.client.get(kind).json()["advice"]


def test_an_empty_pool_is_a_503_with_retry_after_in_bounded_time(config: ServiceConfig) -> None:
    with RunningService(config) as service:
        started = time.monotonic()
        answer = service.client.get("/random/1")
        assert time.monotonic() - started < 1
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/pool-exhausted")
        assert int(answer.headers["Retry-After"]) == answer.json()["retry_after_s"] >= 1
        assert service.client.get("/stats").json()["service"]["refused"] == {"pool-exhausted": 1}
        assert service.client.get("/readyz").status_code == 503
