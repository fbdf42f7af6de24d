"""Who is let in over real HTTP: keys and scopes, on every route."""

import json
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import redis
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, WebSocketRoute
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from entropy_assets.errors import KeysUnreadable
from entropy_assets.scopes import SCOPES, Scope
from entropy_assets.serving.access import keys as keys_module
from entropy_assets.serving.access.keys import KeyRing
from entropy_assets.serving.http.admission import scope_of
from entropy_assets.stores.api_keys import FileKeys, keys_of, new_key
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.serving.http.streaming import grant, open_stream
from entropy_assets_tests.serving.keyed import Start, eventually, key_of, status
from entropy_assets_tests.serving.running import RunningService

OPEN = {"/", "/livez", "/readyz", "/health", "/docs", "/openapi.json", "/problems/{code}"}
"""Routes for anybody: whether it runs, what it is, and how to use it."""
PAGE = re.compile(r"/(page|docs-assets)/[a-z-]+\.(css|js|png)")


# ------------------------------------------------------------------------------------------------------ every route


def routes_of(service: RunningService) -> list[BaseRoute]:
    return list(service.application.app.routes)


def asked(service: RunningService, route: APIRoute, method: str, **headers: str) -> httpx.Response:
    path = route.path.replace("{n}", "16").replace("{block_id}", "00000000-0000-8000-8000-000000000000")
    path = path.replace("{image_sha256}", "0" * 64)
    assert "{" not in path, f"say how {route.path} is asked for"
    return service.client.request(method, path, headers=headers, json={"n": 16} if method == "POST" else None)


def test_every_route_has_a_scope_or_is_open_on_purpose(start: Start) -> None:
    """A route that somebody adds is neither by itself; then this fails."""
    for route in routes_of(start()):
        path = getattr(route, "path", "")
        if isinstance(route, APIRoute) and scope_of(route) is not None:
            continue
        assert path in OPEN or PAGE.fullmatch(path) or path == "/stream", f"{path} has no scope"


def test_without_a_key_no_route_with_a_scope_answers(start: Start) -> None:
    service = start(anonymous_scopes=())
    gated = [route for route in routes_of(service) if isinstance(route, APIRoute) and scope_of(route)]
    assert {scope_of(route) for route in gated} == set(SCOPES)
    for route in gated:
        for method in route.methods:
            answer = asked(service, route, method)
            assert (route.path, method, answer.status_code) == (route.path, method, 401)
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="entropy_assets"'


@pytest.mark.parametrize("held", SCOPES)
def test_a_key_opens_the_routes_of_its_scope_and_no_other(held: Scope, start: Start, store: FileKeys) -> None:
    key = key_of(store, held)
    service = start(anonymous_scopes=())
    for route in routes_of(service):
        scope = scope_of(route)
        if isinstance(route, APIRoute) and scope is not None:
            for method in route.methods:
                refused = asked(service, route, method, Authorization=f"Bearer {key}").status_code == 403
                assert refused == (scope != held), (route.path, method)


def test_a_stream_needs_its_scope_too(start: Start, store: FileKeys) -> None:
    """The handshake of a WebSocket is no `APIRoute`, so the table above does not see it."""
    service = start(anonymous_scopes=())
    assert any(isinstance(route, WebSocketRoute) and route.path == "/stream" for route in routes_of(service))
    url = f"ws://127.0.0.1:{service.port}/stream"
    drawing, key = key_of(store, "draw"), key_of(store, "stream")
    eventually(lambda: status(service, drawing) == 200)
    for headers in ({}, {"X-API-Key": drawing}):
        with pytest.raises(InvalidStatus) as refusal, connect(url, additional_headers=headers):
            pass
        assert refusal.value.response.status_code == (403 if headers else 401)
    with connect(url, additional_headers={"X-API-Key": key}) as stream:
        stream.send(json.dumps({"credit": 100}))
        received = b""
        while len(received) < 100:
            message = stream.recv(timeout=30)
            received += message if isinstance(message, bytes) else b""


def test_what_says_whether_it_runs_is_open(start: Start) -> None:
    service = start(anonymous_scopes=(), limit_requests=0.001)
    for path in ("/livez", "/readyz", "/health", "/docs", "/openapi.json", "/problems/key-missing"):
        assert [status(service, path=path) for _ in range(3)] == [200] * 3


def test_the_description_declares_keys_and_refusals(start: Start) -> None:
    document = start(anonymous_scopes=("stats",)).client.get("/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"APIKeyHeader", "HTTPBearer"}
    draw, stats = (document["paths"][path]["get"] for path in ("/random/{n}", "/stats"))
    assert {"401", "403", "429"} <= set(draw["responses"]) & set(stats["responses"])
    assert draw["security"] == [{"APIKeyHeader": []}, {"HTTPBearer": []}]
    assert stats["security"] == [{"APIKeyHeader": []}, {"HTTPBearer": []}, {}]
    assert "security" not in document["paths"]["/livez"]["get"]


# -------------------------------------------------------------------------------------------------------------- keys


class TestKeys:
    def test_a_key_comes_in_either_header(self, start: Start, store: FileKeys) -> None:
        key = key_of(store)
        service = start(anonymous_scopes=())
        assert status(service, key) == 200
        for word in ("Bearer", "bearer", "BEARER"):
            assert status(service, Authorization=f"{word} {key}") == 200

    def test_a_key_in_the_address_is_none(self, start: Start, store: FileKeys) -> None:
        key = key_of(store)
        service = start(anonymous_scopes=())
        for name in ("key", "api_key", "X-API-Key", "access_token"):
            assert status(service, path=f"/random/16?{name}={key}") == 401

    @pytest.mark.parametrize("again", [1, 3])
    def test_a_key_that_opens_nothing_is_refused_where_none_is_needed(
        self, again: int, start: Start, store: FileKeys
    ) -> None:
        """And as often as it is tried, also on the way that answers from memory."""
        key = key_of(store)
        service = start()
        assert status(service) == 200
        mistyped = key[:-1] + ("0" if key[-1] != "0" else "1")
        for wrong in (new_key(os.urandom), mistyped, "x", key.lower(), key + " x", "eak_" + "0" * 500):
            for _ in range(again):
                answer = service.client.get("/random/16", headers={"X-API-Key": wrong})
                assert (answer.status_code, answer.json()["type"]) == (401, "/problems/key-invalid")
                assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        assert status(service, Authorization="Basic dXNlcjpwYXNz") == 401
        assert status(service, **{"X-API-Key": ""}) == 401

    def test_a_key_with_the_id_of_another_is_refused(self, start: Start, store: FileKeys) -> None:
        """The right id, a right checksum, another secret."""
        key = key_of(store)
        twin = new_key(bytes)
        service = start(anonymous_scopes=())
        ring = KeyRing(store)
        ring.load()
        record = ring.find(key)
        assert record is not None
        store.add(replace(record, id=twin.split("_")[1]))
        assert ring.find(twin) is None
        ring.load()
        assert ring.find(twin) is None
        assert status(service, twin) == 401

    def test_a_new_key_opens_and_a_revoked_one_ends_soon(self, start: Start, store: FileKeys) -> None:
        service = start(anonymous_scopes=())
        key = key_of(store)
        eventually(lambda: status(service, key) == 200)
        store.revoke(key.split("_")[1], 1)
        eventually(lambda: status(service, key) == 401)

    def test_keys_in_redis_do_the_same(self, start: Start, valkey_url: str, pool_prefix: str) -> None:
        store = keys_of(valkey_url, prefix=pool_prefix)
        service = start(anonymous_scopes=(), keys=valkey_url)
        key = key_of(store)
        eventually(lambda: status(service, key) == 200)
        store.revoke(key.split("_")[1], 1)
        eventually(lambda: status(service, key) == 401)

    def test_a_key_ends_at_its_moment(self, start: Start, store: FileKeys) -> None:
        life_s, made = 6.0, time.monotonic()
        key = key_of(store, expires_in_s=life_s)
        service = start(anonymous_scopes=())
        assert [status(service, key) for _ in range(2)] == [200] * 2
        time.sleep(made + life_s + 0.1 - time.monotonic())
        assert status(service, key) == 401

    def test_a_stream_of_a_revoked_key_ends(self, start: Start, store: FileKeys) -> None:
        key = key_of(store, "stream")
        service = start(anonymous_scopes=())
        with connect(f"ws://127.0.0.1:{service.port}/stream", additional_headers={"X-API-Key": key}) as stream:
            stream.send(json.dumps({"credit": 100}))
            assert stream.recv(timeout=30)
            store.revoke(key.split("_")[1], 1)
            eventually(lambda: status(service, key, "/batches") == 401)
            stream.send(json.dumps({"credit": 100}))
            with pytest.raises(ConnectionClosed) as end:
                stream.recv(timeout=30)
            assert end.value.rcvd is not None
            assert end.value.rcvd.code == 1008

    def test_a_store_that_can_not_be_read_lets_nobody_in_and_nobody_out(
        self, start: Start, store: FileKeys, tmp_path: Path
    ) -> None:
        """What was known stays in force, and health says so; when it can be read again, all is well."""
        key = key_of(store)
        service = start(anonymous_scopes=())
        path = tmp_path / "keys.json"
        kept = path.read_bytes()
        path.write_bytes(b"{")
        eventually(lambda: "keys-unreadable" in service.client.get("/health").text)
        assert (status(service, key), status(service, new_key(os.urandom)), status(service)) == (200, 401, 401)
        path.write_bytes(kept)
        eventually(lambda: "keys-unreadable" not in service.client.get("/health").text)
        path.unlink()
        eventually(lambda: status(service, key) == 401)

    def test_keys_that_can_not_be_checked_for_too_long_let_nobody_in(
        self, start: Start, store: FileKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else who stops the service from reading them could go on with a key that was revoked; the rest goes on."""
        monkeypatch.setattr(keys_module, "MOST_AGE_S", 2.5)
        key = key_of(store, "stream")
        service = start(anonymous_scopes=("draw", "stats"))
        path = tmp_path / "keys.json"
        with open_stream(service, additional_headers={"X-API-Key": key}) as client:
            path.rename(tmp_path / "elsewhere.json")
            os.mkfifo(path, 0o600)
            eventually(lambda: "keys-unreadable" in service.client.get("/health").text)
            assert status(service, key) == 200
            eventually(lambda: status(service, key) == 503)
            refused = service.client.get("/random/16", headers={"X-API-Key": key})
            assert refused.json()["type"] == "/problems/keys-unreadable"
            assert int(refused.headers["Retry-After"]) > 0
            assert (status(service), status(service, new_key(os.urandom))) == (200, 503)
            assert "nobody with a key is let in" in service.client.get("/health").text
            exposed = service.client.get("/metrics").text
            [age] = [line.split()[1] for line in exposed.splitlines() if line.startswith("entropy_keys_age_seconds ")]
            assert float(age) > 2.5
            grant(client, 16)
            with pytest.raises(ConnectionClosed) as end:
                client.recv(timeout=30)
            assert "keys-unreadable" in str(end.value)
        path.unlink()
        (tmp_path / "elsewhere.json").rename(path)
        eventually(lambda: status(service, key) == 200)

    def test_a_service_that_can_not_read_its_keys_does_not_start(self, start: Start, tmp_path: Path) -> None:
        (tmp_path / "keys.json").write_bytes(b"{")
        with pytest.raises(KeysUnreadable):
            start()
        with EmbeddedServer() as server:
            address = server.url
        with pytest.raises(KeysUnreadable):
            start(keys=address)

    def test_a_key_may_do_what_anybody_may(self, start: Start, store: FileKeys) -> None:
        key = key_of(store, "draw")
        service = start(anonymous_scopes=("stats",))
        assert [status(service, key, path) for path in ("/random/1", "/stats", "/batches")] == [200, 200, 403]


# ------------------------------------------------------------------------------------------------------- what is kept


def test_a_key_is_kept_nowhere_and_told_nowhere(
    start: Start,
    store: FileKeys,
    tmp_path: Path,
    valkey_url: str,
    pool_prefix: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not in logs, Redis, files, reports or refusals: neither a good one nor a wrong one."""
    caplog.set_level(0)
    good, wrong = key_of(store, *SCOPES, bytes_per_s=100), new_key(os.urandom)  # its bucket is not full again too soon
    service = start(limit_requests=1000, access_log=True)
    shown = ""
    for key in (good, wrong):
        for path in ("/random/16", "/random/x", "/stats", "/health", "/metrics", "/blocks/x", "/nowhere"):
            for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
                answer = service.client.get(path, headers=headers)
                shown += answer.text + repr(answer.headers)
    shown += service.client.get("/stats").text + service.client.get("/metrics").text
    with redis.Redis.from_url(valkey_url, decode_responses=True) as client:
        for name in client.keys(f"{pool_prefix}:*"):
            if client.type(name) == "zset":
                shown += repr(client.zrange(name, 0, -1))
        assert any("key:" in member for member in client.zrange(f"{pool_prefix}:quota:bytes", 0, -1))
    shown += "".join(path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())
    shown += caplog.text + "".join(capfd.readouterr())
    assert good.split("_")[1] in shown
    for key in (good, wrong):
        assert key.split("_")[2] not in shown
