"""What the supervisor makes of what its children answer, and of what is no answer."""

import json
import socket

import pytest

from entropy_assets.errors import EndpointFailed
from entropy_assets.supervisor.asking import answers, holds_bytes, queried
from entropy_assets_tests.client.scripted import ScriptedServer, status

NOWHERE = "http://127.0.0.1:1"


@pytest.mark.parametrize("line, there", [("200 OK", True), ("503 Service Unavailable", False), ("302 Found", False)])
def test_only_success_is_an_answer(line: str, there: bool) -> None:
    with ScriptedServer(status(line)) as server:
        assert answers(server.url, "/readyz") is there
    assert server.requests[0].startswith("GET /readyz ")


def test_nobody_and_a_child_that_speaks_no_http_do_not_answer() -> None:
    assert not answers(NOWHERE, "/livez")
    with ScriptedServer(lambda connection, _: connection.sendall(b"SSH-2.0\r\n\r\n")) as server:
        assert not answers(server.url, "/livez")


def test_a_query_is_posted_as_graphql_and_its_data_come_back() -> None:
    with ScriptedServer(status("200 OK", body='{"data": {"version": "1"}}')) as server:
        assert queried(server.url, "{version}") == {"version": "1"}
    assert server.requests[0].startswith("POST /graphql ")
    assert json.loads(server.bodies[0]) == {"query": "{version}"}


@pytest.mark.parametrize(
    "line, body",
    [
        ("500 Internal Server Error", '{"data": {}}'),
        ("200 OK", "<html>"),
        ("200 OK", '{"errors": []}'),
        ("200 OK", "[]"),
        ("200 OK", '{"data": null}'),
    ],
)
def test_anything_else_than_graphql_is_an_error_of_ours(line: str, body: str) -> None:
    with ScriptedServer(status(line, body=body)) as server, pytest.raises(EndpointFailed):
        queried(server.url, "{version}")


def test_a_proxy_of_the_environment_does_not_come_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own children can't be reached through one."""
    with socket.create_server(("127.0.0.1", 0)) as proxy, ScriptedServer(status("200 OK")) as server:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        assert answers(server.url, "/livez")


def health_of(held: int, ready: int) -> str:
    holds = {"private": {"buffered_bytes": held}, "public": {"buffered_bytes": 0}}
    has = {"private": {"ready_bytes": ready}, "public": {"ready_bytes": 0}}
    return json.dumps({"reservoir": {"lanes": holds}, "pool": {"lanes": has}})


@pytest.mark.parametrize("held, ready, there", [(1, 0, True), (0, 1, True), (0, 0, False)])
def test_a_service_can_answer_a_class_if_it_or_its_pool_holds_bytes_of_it(held: int, ready: int, there: bool) -> None:
    with ScriptedServer(status("503 Service Unavailable", body=health_of(held, ready))) as server:
        assert holds_bytes(server.url, "private") is there
        assert not holds_bytes(server.url, "public")


@pytest.mark.parametrize("body", ["<html>", "{}", "[]", '{"reservoir": 1}'])
def test_a_service_that_tells_of_no_lanes_holds_nothing(body: str) -> None:
    assert not holds_bytes(NOWHERE, "private")
    with ScriptedServer(status("200 OK", body=body)) as server:
        assert not holds_bytes(server.url, "private")
