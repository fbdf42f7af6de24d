"""What the supervisor makes of what its children answer, and of what is no answer."""

import json
import socket

import pytest

from entropy_assets.errors import EndpointFailed
from entropy_assets.supervisor.asking import answers, queried
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
