"""What Prometheus and health checks are told: the truth, and at once, whatever is away."""

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from entropy_assets.serving import health
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.counts import COUNTS, Board
from entropy_assets.serving.health import NO_AGES
from entropy_assets.serving.http.metrics import Exposition
from entropy_assets.stores.pool.blocks import PoolHealth
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.serving.running import RunningService
from entropy_assets_tests.serving.supplies import Supply

Samples = dict[str, float]


@pytest.fixture
def own_server() -> Iterator[EmbeddedServer]:
    """Give a server that the test may freeze or kill."""
    with EmbeddedServer() as server:
        yield server


@pytest.fixture
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a report wait for a fifth of a second, so that a busy machine can't be taken for a long wait."""
    monkeypatch.setattr(health, "WAIT_S", 0.2)


def metrics_of(service: RunningService) -> Samples:
    """Scrape: each sample under its name and labels, as Prometheus would write them."""
    answer = service.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        sample.name + "".join(f'{{{label}="{value}"}}' for label, value in sample.labels.items()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_the_metrics_say_what_stats_says(config: ServiceConfig, pool: PoolClient) -> None:
    pool.push(blocks_for_both(50))
    pool.push(blocks_for_both(3))
    with RunningService(config) as service:
        assert len(service.client.get("/random/100").content) == 100
        service.client.get("/random/50?class=public")
        service.client.get("/random/0")
        told, stats = metrics_of(service), service.client.get("/stats").json()
    served, in_pool = stats["service"], stats["pool"]
    assert told['entropy_served_bytes_total{class="private"}'] == served["served_bytes"]["private"] == 100
    assert told['entropy_served_bytes_total{class="public"}'] == served["served_bytes"]["public"] == 50
    assert told['entropy_answers_total{class="private"}'] == served["answers"]["private"] == 1
    assert told['entropy_refused_requests_total{code="invalid-request"}'] == 1
    assert told["entropy_service_leased_bytes_total"] == served["leased_bytes"]
    assert told["entropy_buffered_bytes"] == served["buffered_bytes"]
    assert told["entropy_pool_ready_bytes"] == in_pool["bytes"]
    assert told["entropy_pool_pushed_blocks_total"] == in_pool["pushed_blocks"] == 100
    assert told["entropy_pool_refused_blocks_total"] == in_pool["refused_blocks"] == 6
    assert told["entropy_pool_leased_blocks_total"] == in_pool["leased_blocks"]
    assert (told["entropy_pool_up"], told["entropy_pool_epoch_ok"], told["entropy_workers"]) == (1, 1, 1)
    assert 0 <= told["entropy_reservoir_age_seconds"] < 30


def test_each_of_several_pools_is_told_and_one_that_is_gone_too(own_server: EmbeddedServer) -> None:
    with EmbeddedServer() as other:
        for server in (own_server, other):
            PoolClient.from_url(server.url).push(blocks_for_both(20))
        with RunningService(ServiceConfig(pool_url=f"{own_server.url}\n{other.url}")) as service:
            assert len(service.client.get("/random/100").content) == 100
            other.stop()
            told, stats = metrics_of(service), service.client.get("/stats").json()["pool"]
            shards = service.client.get("/health").json()["pool"]["shards"]
    assert [told[f'entropy_pool_shard_up{{shard="{place}"}}'] for place in (1, 2)] == [1, 0]
    first = stats["shards"][0]["stats"]
    assert told['entropy_pool_shard_ready_bytes{lane="public"}{shard="1"}'] == first["lanes"]["public"]["bytes"]
    assert told['entropy_pool_shard_ready_bytes{lane="public"}{shard="2"}'] == 0
    assert (stats["blocks"], stats["shards"][1]["stats"]) == (first["blocks"], None)
    assert [(each["place"], each["reachable"], each["reason"] is None) for each in shards] == [
        (1, True, True),
        (2, False, False),
    ]
    assert "unix:" not in str(stats)


def test_every_count_is_told() -> None:
    asked: set[str] = set()

    class Noting(dict[str, int]):
        def __getitem__(self, name: str) -> int:
            asked.add(name)
            return super().__getitem__(name)

    nothing = PoolHealth((), None, 0.0)
    exposition = Exposition(Noting(Board().totals()), nothing, NO_AGES, low_water_bytes=1, max_age_s=1.0, now_us=0)
    assert len(list(exposition.collect())) > 10
    assert set(COUNTS) <= asked


def test_what_is_not_known_is_left_out(config: ServiceConfig) -> None:
    """No push, no lease, no ledger: ages that do not exist are no zeros, and what can be refused begins at zero."""
    with RunningService(config) as service:
        samples = metrics_of(service)
    absent = ("pool_since_last_push", "reservoir_age", "image_age", "block_age", "health_test_failure_age")
    assert not [name for name in absent if f"entropy_{name}_seconds" in samples]
    assert samples['entropy_refused_requests_total{code="pool-exhausted"}'] == 0
    assert samples["entropy_pool_up"] == 1


def test_a_pool_that_is_gone_is_told_at_once(own_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "WAIT_S", 10.0)
    with RunningService(ServiceConfig(pool_url=own_server.url)) as service:
        assert metrics_of(service)["entropy_pool_up"] == 1
        own_server.stop()
        began = time.monotonic()
        samples = metrics_of(service)
    assert time.monotonic() - began < 5
    assert samples["entropy_pool_up"] == 0
    assert [name for name in samples if name.startswith("entropy_pool_")] == [
        "entropy_pool_failures_total", "entropy_pool_up", "entropy_pool_low_water_bytes",
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["/metrics", "/health", "/stats"])
def test_a_frozen_pool_holds_no_report_up(path: str, own_server: EmbeddedServer, short_wait: None) -> None:
    config = ServiceConfig(pool_url=own_server.url, pool_timeout_s=3.0)
    with RunningService(config) as service:
        assert own_server.pid is not None
        os.kill(own_server.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            answer = service.client.get(path)
            took = time.monotonic() - began
        finally:
            os.kill(own_server.pid, signal.SIGCONT)
    assert answer.status_code in (200, 503)
    assert took < 2


def test_a_slow_ledger_is_asked_once_and_holds_no_report_up(config: ServiceConfig, short_wait: None) -> None:
    supply = Supply(image_age_s=5.0)
    supply.takes_s = 2.5
    with RunningService(config, supply) as service:
        began = time.monotonic()
        first, second = metrics_of(service), service.client.get("/health").json()
        took = time.monotonic() - began
    assert took < 2
    assert supply.asked == 1
    assert first["entropy_ledger_up"] == 0
    assert "ledger-error" in [reason["code"] for reason in second["reasons"]]


def test_metrics_and_health_tell_the_ages_of_the_supply(config: ServiceConfig, pool: PoolClient) -> None:
    pool.push(blocks_for_both(10))
    ages = {"image_age_s": 12.0, "block_age_s": 7.5, "health_test_failure_age_s": 99.0}
    feeds = {"sky": {"images": 3.0, "bytes": 7.0, "in_trouble": 1.0, "image_age_s": 60.0}, "sun": {"in_trouble": 0.0}}
    feeds["sky"]["credit_bits"] = 9000.0
    refused = {"sky": {"constant": 4}}
    with RunningService(
        config, Supply(**ages, rejected_images={"constant": 2}, feeds=feeds, rejected_of_feeds=refused)
    ) as service:
        told, report = metrics_of(service), service.client.get("/health").json()
    assert report["freshness"] == ages
    assert (report["status"], report["reasons"]) == ("ok", [])
    assert told["entropy_image_age_seconds"] == 12.0
    assert told["entropy_block_age_seconds"] == 7.5
    assert told["entropy_health_test_failure_age_seconds"] == 99.0
    assert told['entropy_rejected_images_total{reason="constant"}'] == 2
    assert told["entropy_max_age_seconds"] == 3600
    assert told['entropy_feed_images_total{feed="sky"}'] == 3
    assert (told['entropy_feed_in_trouble{feed="sky"}'], told['entropy_feed_in_trouble{feed="sun"}']) == (1, 0)
    assert told['entropy_feed_image_age_seconds{feed="sky"}'] == 60
    assert told['entropy_feed_credit_bits_total{feed="sky"}'] == 9000
    assert told['entropy_feed_rejected_images_total{feed="sky"}{reason="constant"}'] == 4
    assert 'entropy_feed_credit_bits_total{feed="sun"}' not in told


@pytest.mark.parametrize(
    "ages, code",
    [
        ({"image_age_s": 3601.0}, "image-stale"),
        ({"image_age_s": 50.0, "health_test_failure_age_s": 10.0}, "health-test-failed"),
        ({"health_test_failure_age_s": 10.0}, "health-test-failed"),
        ({"problem": "the ledger can't be used: database is locked"}, "ledger-error"),
    ],
)
def test_a_stale_or_failing_source_degrades_and_serves(
    ages: dict[str, Any], code: str, config: ServiceConfig, pool: PoolClient
) -> None:
    pool.push(blocks_for_both(10))
    with RunningService(config, Supply(**ages)) as service:
        answer = service.client.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert [reason["code"] for reason in answer.json()["reasons"]] == [code]
        assert service.client.get("/readyz").status_code == 200
        assert service.client.get("/random/8").status_code == 200
