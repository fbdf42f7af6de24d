"""The service over real HTTP, on a real pool."""

import base64
import itertools
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

from entropy_assets.errors import PoolUnavailable, UnsafePoolServer
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.reservoir.demand import ReservoirLimits
from entropy_assets.serving.server.workers import run_service
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.pool_blocks import blocks_for_both, pool_blocks
from entropy_assets_tests.ports import free_port
from entropy_assets_tests.serving.http.streaming import wait_until
from entropy_assets_tests.serving.running import RunningService

Cuts = list[tuple[str, int, int]]


@pytest.fixture(params=[True, False], ids=["lane", "asgi"])
def config(request: pytest.FixtureRequest, config: ServiceConfig) -> ServiceConfig:
    """Give the configuration once with the fast lane and once without."""
    return replace(config, fast_lane=request.param)


@pytest.fixture
def service(config: ServiceConfig, pool: PoolClient) -> Iterator[RunningService]:
    """Run a service on a pool of 100 blocks."""
    pool.push(blocks_for_both(100))
    with RunningService(config) as running:
        yield running


def _cuts(answer: httpx.Response) -> Cuts:
    parts = (part.rsplit(":", 1) for part in answer.headers["X-Entropy-Blocks"].split(","))
    return [(block_id, *(int(word) for word in span.split("-"))) for block_id, span in parts]  # type: ignore[misc]


def _bytes_of(cuts: Cuts, blocks: int = 100) -> bytes:
    data = {block.block_id: block.data for block in pool_blocks(blocks)}
    return b"".join(data[block_id][start:end] for block_id, start, end in cuts)


@pytest.mark.parametrize("n", [1, 2, 255, 4096, 4097, 65_535, 65_536])
@pytest.mark.parametrize("answer_class", ["private", "public"])
def test_the_answer_has_exactly_the_bytes_asked_for(n: int, answer_class: str, service: RunningService) -> None:
    answer = service.client.get(f"/random/{n}", params={"class": answer_class})
    assert (answer.status_code, len(answer.content)) == (200, n)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["X-Entropy-Class"] == answer_class


def test_a_public_answer_is_the_ranges_of_the_blocks_that_it_names(service: RunningService) -> None:
    for n in (10, 5000, 4096, 1):
        answer = service.client.get(f"/random/{n}?class=public")
        assert answer.content == _bytes_of(_cuts(answer))


def test_a_private_answer_is_not_the_bytes_of_the_pool(service: RunningService) -> None:
    pool_bytes = b"".join(block.data for block in blocks_for_both(100))
    assert service.client.get("/random/32").content not in pool_bytes


@pytest.mark.parametrize("odd", ["", "&"])
@pytest.mark.parametrize("chosen", ["raw", "hex", "base64", "json"])
def test_the_short_cut_and_the_route_answer_alike(chosen: str, odd: str, service: RunningService) -> None:
    """An odd spelling of the query sends a request past the short-cut; nothing else may differ."""
    answer = service.client.get(f"/random/100?class=public&format={chosen}{odd}")
    decoded = {
        "raw": lambda: answer.content,
        "hex": lambda: bytes.fromhex(answer.text),
        "base64": lambda: base64.b64decode(answer.content),
        "json": lambda: base64.b64decode(answer.json()["data"]),
    }[chosen]()
    assert decoded == _bytes_of(_cuts(answer))
    expected = ["cache-control", "content-length", "content-type", "date"]
    expected += ["x-entropy-blocks", "x-entropy-class", "x-entropy-reveals-at"]
    assert sorted(answer.headers) == sorted(expected + ["x-content-type-options"] * (chosen != "raw"))


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "DELETE"])
def test_other_methods_consume_nothing(method: str, service: RunningService) -> None:
    assert service.client.request(method, "/random/8").status_code == 405
    assert service.client.get("/stats").json()["service"]["served_bytes"] == {"public": 0, "private": 0}


def test_eight_clients_draw_until_dry_and_nothing_comes_twice(config: ServiceConfig, pool: PoolClient) -> None:
    """No byte range repeats, every byte is the pool's, and the sums are those of ``/stats``."""
    pool.push(blocks_for_both(300))

    def drain(client_number: int) -> list[httpx.Response]:
        answers = []
        with httpx.Client(base_url=service.url) as client:
            for n in itertools.count(client_number):
                answer = client.get(f"/random/{1 + 997 * n % 9000}", params={"class": "public"})
                if answer.status_code == 503:
                    assert answer.json()["type"] == "/problems/pool-exhausted"
                    assert int(answer.headers["Retry-After"]) >= 1
                    return answers
                assert answer.status_code == 200
                answers.append(answer)
        raise AssertionError

    with RunningService(config) as service:
        with ThreadPoolExecutor(8) as clients:
            answers = list(itertools.chain.from_iterable(clients.map(drain, range(8))))
        stats = service.client.get("/stats").json()
    cuts = sorted(itertools.chain.from_iterable(_cuts(answer) for answer in answers))
    for (block, _, end), (other, start, _) in itertools.pairwise(cuts):
        assert block != other or end <= start, "a byte was served twice"
    assert all(answer.content == _bytes_of(_cuts(answer), 300) for answer in answers)
    served = sum(len(answer.content) for answer in answers)
    assert served == sum(end - start for _, start, end in cuts)
    ours, pools = stats["service"], stats["pool"]
    assert ours["served_bytes"] == {"public": served, "private": 0}
    assert ours["leased_bytes"] == served + ours["burned_bytes"] + ours["buffered_bytes"]
    lane = ours["lanes"]["public"]
    assert lane["leased_bytes"] == served + lane["burned_bytes"] + lane["buffered_bytes"] == 300 * 4096
    pool_lane = pools["lanes"]["public"]
    assert (pool_lane["blocks"], pool_lane["pushed_blocks"], pool_lane["leased_bytes"]) == (0, 300, 300 * 4096)
    assert pools["leased_bytes"] == ours["leased_bytes"]
    assert ours["answers"]["public"] == len(answers)


def test_blocks_that_arrive_later_are_served_without_a_restart(config: ServiceConfig, pool: PoolClient) -> None:
    with RunningService(config) as service:
        assert service.client.get("/random/1").status_code == 503
        pool.push(blocks_for_both(2))
        wait_until(lambda: service.client.get("/random/8192").status_code == 200)


def test_simulated_blocks_are_labelled(config: ServiceConfig, pool: PoolClient) -> None:
    pool.push(blocks_for_both(5, simulated=True))
    with RunningService(config) as service:
        assert service.client.get("/random/8").headers["X-Entropy-Simulated"] == "true"
        assert service.client.get("/random/8?format=json").json()["simulated"] is True


def test_a_frozen_server_is_not_noticed_until_the_reservoir_is_empty() -> None:
    """SIGSTOP: what is held is served without delay, then the refusal is quick, then all is well again."""
    limits = ReservoirLimits(least_bytes=16 * 4096)
    with EmbeddedServer() as server:
        PoolClient.from_url(server.url).push(blocks_for_both(100))
        config = ServiceConfig(pool_url=server.url, pool_timeout_s=2.0, reservoir=limits)
        with RunningService(config) as service:
            reservoir = service.application.service.reservoirs.private
            wait_until(lambda: reservoir.buffered_bytes == limits.least_bytes)
            assert server.pid is not None
            os.kill(server.pid, signal.SIGSTOP)
            worst = 0.0
            for _ in range(50):
                started = time.monotonic()
                assert service.client.get("/random/1000").status_code == 200
                worst = max(worst, time.monotonic() - started)
            assert worst < 1, "no request may wait for the server"
            assert service.client.get("/random/65536").json()["type"] in (
                "/problems/pool-exhausted",
                "/problems/pool-unavailable",
            )
            assert service.client.get("/livez").status_code == 200
            os.kill(server.pid, signal.SIGCONT)
            wait_until(lambda: service.client.get("/random/60000").status_code == 200)


def test_a_server_that_dies_and_returns_is_survived_without_a_restart() -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    listening = {"port": str(port), "bind": "127.0.0.1"}
    server = EmbeddedServer(overrides=listening).start()
    with RunningService(ServiceConfig(pool_url=url, pool_timeout_s=0.3)) as service:
        server.stop()
        wait_until(lambda: service.client.get("/random/1").json()["type"] == "/problems/pool-unavailable")
        assert service.client.get("/random/1").status_code == 503
        assert service.client.get("/health").json()["reasons"][0]["code"] == "pool-unavailable"
        with server.start():
            PoolClient.from_url(url).push(blocks_for_both(5))
            wait_until(lambda: service.client.get("/random/1").status_code == 200)


@pytest.mark.parametrize("allowed", [False, True])
def test_a_server_that_persists_is_leased_from_only_when_allowed(allowed: bool) -> None:
    with EmbeddedServer(overrides={"appendonly": "yes"}) as server:
        PoolClient.from_url(server.url).push(blocks_for_both(5))
        config = ServiceConfig(pool_url=server.url, allow_unsafe_pool=allowed)
        with RunningService(config) as service:
            answer = service.client.get("/random/8")
            assert answer.status_code == (200 if allowed else 503)
            if not allowed:
                assert answer.json()["type"] == "/problems/unsafe-pool-server"
                assert service.client.get("/readyz").status_code == 503
        if not allowed:
            with pytest.raises(UnsafePoolServer):
                run_service(config)


def test_starting_without_a_server_is_an_error_at_once() -> None:
    with pytest.raises(PoolUnavailable):
        run_service(ServiceConfig(pool_url="unix:///nowhere"))


def test_stopping_burns_what_was_leased_ahead(config: ServiceConfig, pool: PoolClient) -> None:
    pool.push(blocks_for_both(20))
    with RunningService(config) as service:
        service.client.get("/random/10?class=public")
        reservoir = service.application.service.reservoirs.public
    counts = reservoir.counts
    assert counts["burned_public_bytes"] == counts["leased_public_bytes"] - 10
    assert pool.stats().lanes["public"].leased_bytes == counts["leased_public_bytes"]
