"""What the service says of itself: whether bytes can be had, and every reason why not."""

from entropy_assets.serving.config import ServiceConfig
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import pool_blocks
from entropy_assets_tests.serving.running import RunningService
from entropy_assets_tests.serving.supplies import Supply


def test_health_says_what_is_wrong(config: ServiceConfig, pool: PoolClient) -> None:
    with RunningService(config) as service:

        def health() -> tuple[int, str, list[str]]:
            answer = service.client.get("/health")
            return answer.status_code, answer.json()["status"], [row["code"] for row in answer.json()["reasons"]]

        assert health() == (503, "failing", ["pool-empty", "pool-never-filled"])
        pool.push(pool_blocks(1))
        service.client.get("/random/1")
        assert health() == (200, "degraded", ["pool-empty"])
        pool.push(pool_blocks(50, first=10))
        assert health() == (200, "ok", [])
        assert service.client.get("/readyz").json() == {"status": "ready"}


def test_a_stale_pool_is_degraded(valkey_url: str, pool_prefix: str, pool: PoolClient) -> None:
    pool.push(pool_blocks(100))
    config = ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix, max_age_s=0.0)
    with RunningService(config) as service:
        report = service.client.get("/health").json()
        assert (report["status"], report["reasons"][0]["code"]) == ("degraded", "pool-stale")


def test_what_stands_still_is_told_by_the_counts_too(config: ServiceConfig, pool: PoolClient) -> None:
    pool.push(pool_blocks(50))
    with RunningService(config, Supply(doubts=[("batches-stuck", "batch x stands still")])) as service:
        assert service.client.get("/stats").json()["problems"] == ["batch x stands still"]
        assert service.client.get("/health").json()["status"] == "degraded"
