"""What the service says of itself: whether bytes can be had, and every reason why not."""

import time

import pytest

from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.health import FRESH_S
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.serving.running import RunningService
from entropy_assets_tests.serving.supplies import Supply


def test_health_says_what_is_wrong(config: ServiceConfig, pool: PoolClient) -> None:
    with RunningService(config) as service:

        def health() -> tuple[int, str, list[str]]:
            time.sleep(1.5 * FRESH_S)
            answer = service.client.get("/health")
            return answer.status_code, answer.json()["status"], [row["code"] for row in answer.json()["reasons"]]

        assert health() == (503, "failing", ["pool-empty", "pool-never-filled"])
        pool.push(blocks_for_both(1))
        service.client.get("/random/1")
        service.client.get("/random/1?class=public")
        assert health() == (200, "degraded", ["pool-empty"])
        pool.push(blocks_for_both(50, first=10))
        assert health() == (200, "ok", [])
        assert service.client.get("/readyz").json() == {"status": "ready"}


def test_a_stale_pool_is_degraded(valkey_url: str, pool_prefix: str, pool: PoolClient) -> None:
    pool.push(blocks_for_both(100))
    config = ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix, max_age_s=0.0)
    with RunningService(config) as service:
        report = service.client.get("/health").json()
        assert (report["status"], report["reasons"][0]["code"]) == ("degraded", "pool-stale")


def test_what_stands_still_is_told_by_the_counts_too(config: ServiceConfig, pool: PoolClient) -> None:
    pool.push(blocks_for_both(50))
    with RunningService(config, Supply(doubts=[("batches-stuck", "batch x stands still")])) as service:
        assert service.client.get("/stats").json()["problems"] == ["batch x stands still"]
        assert service.client.get("/health").json()["status"] == "degraded"


def test_health_asks_pool_and_ledger_no_oftener_for_who_asks_often(config: ServiceConfig) -> None:
    """Everybody may ask, without a key and without a limit."""
    supply = Supply()
    with RunningService(config, supply) as service:
        begun = time.monotonic()
        for _ in range(50):
            for path in ("/health", "/readyz"):
                service.client.get(path)
        assert supply.asked <= 1 + (time.monotonic() - begun) / FRESH_S
        assert service.client.get("/livez").status_code == 200
        time.sleep(1.5 * FRESH_S)
        before = supply.asked
        service.client.get("/health")
        assert supply.asked == before + 1


@pytest.mark.parametrize(
    "path",
    ["/health", "/stats", "/metrics", "/livez", "/readyz", "/batches", "/openapi.json", "/docs", "/", "/page/page.css",
     "/docs-assets/swagger-ui.css", "/problems/not-ready", "/problems/unheard-of", "/nowhere"],
)  # fmt: skip
def test_head_is_get_without_a_body(path: str, config: ServiceConfig, pool: PoolClient) -> None:
    pool.push(blocks_for_both(20))
    with RunningService(config, Supply()) as service:
        head, get = service.client.head(path), service.client.get(path)
        assert head.content == b""
        assert (head.status_code, head.headers.keys()) == (get.status_code, get.headers.keys())
        assert head.headers["Content-Type"] == get.headers["Content-Type"]
        counts = service.application.service.counts
        assert counts["private_answers"] + counts["public_answers"] == 0
        wrong = service.client.post(path)
        assert wrong.status_code in (404, 405)
        assert wrong.headers.get("Allow", "GET, HEAD") == "GET, HEAD"
