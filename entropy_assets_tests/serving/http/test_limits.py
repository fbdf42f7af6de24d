"""Limits in requests and bytes over real HTTP, per key and per address, and what the answers say of them."""

import re
import time

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from entropy_assets.serving.config import ServiceConfig, StreamLimits
from entropy_assets.stores.api_keys import FileKeys
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.serving.http.streaming import grant, open_stream
from entropy_assets_tests.serving.keyed import Start, eventually, key_of, status
from entropy_assets_tests.serving.running import RunningService


def test_an_answer_says_what_is_left(start: Start) -> None:
    service = start(limit_requests=10, limit_bytes=10_000)
    for path in ("/random/1000", "/random/1000?format=hex&class=public", "/stats", "/random/x"):
        answer = service.client.get(path)
        assert answer.headers["RateLimit-Policy"] == ('"requests";q=100;w=10, "bytes";q=100000;w=10;qu="content-bytes"')
        assert re.fullmatch(r'"requests";r=\d+;t=\d+, "bytes";r=\d+;t=\d+', answer.headers["RateLimit"])
        assert len(answer.headers.get_list("RateLimit")) == 1


def test_a_refusal_says_until_when(start: Start) -> None:
    service = start(limit_requests=0.01)
    assert status(service) == 200
    answer = service.client.get("/random/16")
    document = answer.json()
    assert document["type"] == "/problems/quota-exceeded"
    assert document["violated-policies"] == ["requests"]
    assert answer.headers["Retry-After"] == str(document["retry_after_s"])
    assert 80 <= document["retry_after_s"] <= 100
    assert answer.headers["RateLimit"].startswith('"requests";r=0;')
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_changing_the_request_does_not_evade_the_limit(start: Start) -> None:
    """Each of these is another address, and a well-known limiter counts addresses."""
    service = start(limit_requests=1)
    paths = [f"/random/{n}?class={kind}" for n in range(1, 30) for kind in ("public", "private")]
    began = time.monotonic()
    answers = [status(service, path=path) for path in paths]
    assert 10 <= answers.count(200) <= 10 + time.monotonic() - began
    assert set(answers) == {200, 429}


def test_bytes_are_counted_whatever_they_come_in(start: Start, store: FileKeys) -> None:
    key = key_of(store, "draw", bytes_per_s=1)
    service = start()
    assert [status(service, key, f"/random/{n}") for n in (65_000, 900, 500, 100)] == [200, 429, 200, 429]
    other = key_of(store, "draw", bytes_per_s=1)
    eventually(lambda: status(service, other, "/random/1") == 200)
    post = service.client.post("/random", json={"n": 65_000}, headers={"X-API-Key": other})
    assert (post.status_code, status(service, other, "/random/900")) == (200, 429)


def test_head_and_what_is_refused_cost_no_bytes(start: Start, store: FileKeys) -> None:
    key = key_of(store, "draw", bytes_per_s=1)
    service = start()
    for _ in range(5):
        assert service.client.head("/random/65536", headers={"X-API-Key": key}).status_code == 200
        assert status(service, key, "/random/65537") == 422
        assert status(service, key, "/stats") == 200
    assert status(service, key, "/random/65536") == 200


def test_keys_and_addresses_have_limits_of_their_own(start: Start, store: FileKeys) -> None:
    first, second = key_of(store), key_of(store)
    service = start(limit_requests=0.01)
    for who in (first, second, None):
        assert [status(service, who) for _ in range(3)] == [200, 429, 429]
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2"), base_url=service.url) as other:
        assert [other.get("/random/16").status_code for _ in range(3)] == [200, 429, 429]


def test_a_key_has_its_own_limit_before_that_of_the_service(start: Start, store: FileKeys) -> None:
    key = key_of(store, requests_per_s=0.3)
    service = start(limit_requests=0.01)
    assert [status(service, key) for _ in range(3)] == [200] * 3
    assert [status(service) for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("fast_lane", [False, True])
def test_an_address_can_not_name_another_one_for_itself(fast_lane: bool, start: Start) -> None:
    service = start(limit_requests=0.01, fast_lane=fast_lane)
    answers = [status(service, **{"X-Forwarded-For": f"192.0.2.{number}"}) for number in range(5)]
    assert answers == [200, 429, 429, 429, 429]


def test_two_services_on_one_pool_share_the_limit(start: Start, store: FileKeys) -> None:
    key = key_of(store, requests_per_s=2)
    first, second = start(), start()
    began = time.monotonic()
    answers = [status(service, key) for _ in range(30) for service in (first, second)]
    # each may still hold a request that it will give back
    assert 18 <= answers.count(200) <= 20 + 2 * (time.monotonic() - began)


@pytest.mark.parametrize("path", ["/random/60000", "/random/60000?format=uint8", "/download/60000", "/stream"])
def test_what_a_dry_pool_refuses_costs_no_bytes(path: str, pool: PoolClient, valkey_url: str, pool_prefix: str) -> None:
    """Who asks again, as the refusal says, would be refused for want of a quota that bought nothing."""
    limits = StreamLimits(patience_s=0.3)
    config = ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix, streams=limits, limit_bytes=100)
    with RunningService(config) as service:
        if path == "/stream":
            with open_stream(service) as client:
                grant(client, 60_000)
                with pytest.raises(ConnectionClosed, match="pool-exhausted"):
                    client.recv(timeout=30)
        else:
            answer = service.client.get(path)
            assert (answer.status_code, answer.json()["type"]) == (503, "/problems/pool-exhausted")
        pool.push(blocks_for_both(100))
        eventually(lambda: status(service, path="/random/65000") == 200)


def test_of_integers_that_a_dry_pool_cuts_short_what_was_drawn_is_paid(
    pool: PoolClient, valkey_url: str, pool_prefix: str
) -> None:
    pool.push(blocks_for_both(8))
    config = ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix, limit_bytes=100)
    with RunningService(config) as service:
        # half of all draws are rejected, so that more than the 32 KiB are needed
        answer = service.client.get("/random/30000?format=int&min=0&max=128")
        assert answer.status_code == 503
        assert "bytes were consumed and reach nobody" in answer.json()["detail"]
        pool.push(blocks_for_both(100)[16:])
        eventually(lambda: status(service, path="/random/30000") == 200)
        assert status(service, path="/random/30000") == 429
