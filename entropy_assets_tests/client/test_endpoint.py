"""One exchange with one service: what goes out, on which connection, and how it ends."""

import json
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trustme

from entropy_assets.client import RandomClient
from entropy_assets.client.endpoint import Address, Endpoint
from entropy_assets.errors import EndpointUnreachable, NoBytes
from entropy_assets_tests.client.scripted import Answer, ScriptedServer, answering, good, status
from entropy_assets_tests.serving.running import RunningService

N = 32
KEY = "ea_secret-of-mine"


@contextmanager
def endpoint_at(url: str, timeout_s: float = 5.0) -> Iterator[Endpoint]:
    """Give the endpoint at `url` and close it."""
    endpoint = Endpoint(Address.parse(url), key=KEY, tls=None, timeout_s=timeout_s)
    try:
        yield endpoint
    finally:
        endpoint.close()


class TestPost:
    def test_the_document_arrives_whole_with_its_type_and_the_key(self) -> None:
        document = {"query": "{version}", "text": "\u00e9" * 100_000}
        with ScriptedServer(status("200 OK", body="yes")) as server, endpoint_at(f"{server.url}/api") as endpoint:
            reply = endpoint.post("/graphql", document, "application/json", 100)
        assert (reply.status, reply.body) == (200, b"yes")
        assert json.loads(server.bodies[0]) == document
        lines = server.requests[0].split("\r\n")
        assert lines[0] == "POST /api/graphql HTTP/1.1"
        assert {"Content-Type: application/json", f"Authorization: Bearer {KEY}"} <= set(lines)

    def test_it_is_never_sent_twice(self) -> None:
        """Where a GET is sent again, on a new connection, a POST fails: who listens may have taken it."""
        give, leave = answering(good(4)), lambda connection, _: connection.close()
        with ScriptedServer(give, leave, give) as server, endpoint_at(server.url) as endpoint:
            endpoint.get("/random/4", "*/*", 4)
            with pytest.raises(EndpointUnreachable):
                endpoint.post("/graphql", {}, "*/*", 4)
        assert [request.split()[0] for request in server.requests] == ["GET", "POST"]
        assert server.connections == 2, "and never on a kept connection, which may be closed at the other end"

    def test_it_ends_in_time(self) -> None:
        with (
            ScriptedServer(lambda connection, _: connection.recv(1)) as server,
            endpoint_at(server.url, timeout_s=0.2) as endpoint,
            pytest.raises(EndpointUnreachable, match=r"within 0\.2 s"),
        ):
            endpoint.post("/", {}, "*/*", 4)


def test_connections_are_kept(service: RunningService) -> None:
    with RandomClient([service.url]) as client:
        client.random_bytes(8)
        [(_, kept)] = client._draws.endpoints[0]._idle
        for _ in range(20):
            client.random_bytes(8)
        assert [connection for _, connection in client._draws.endpoints[0]._idle] == [kept]


def test_a_forked_child_uses_no_connection_of_its_parent() -> None:
    with ScriptedServer(lambda c, n: c.sendall(good(n))) as server, RandomClient([server.url]) as client:
        client.random_bytes(8)
        if (child := os.fork()) == 0:
            drawn = 0
            try:
                drawn = len(client.random_bytes(8))
            finally:
                os._exit(drawn)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8
        assert server.connections == 2
        client.random_bytes(8)
        assert server.connections == 2


def test_an_answer_sent_twice_is_not_taken_for_the_next_one() -> None:
    """A second copy that is already there when a connection is used again is dropped together with it."""
    first = good(N, b"1" * N)
    with (
        ScriptedServer(answering(first + first), answering(good(N, b"2" * N))) as server,
        RandomClient([server.url], mix=False) as client,
    ):
        assert client.random_bytes(N) == b"1" * N
        assert client.random_bytes(N) == b"2" * N


def test_a_copy_that_comes_after_its_answer_is_not_taken_for_the_next_one_either() -> None:
    answered, copied = threading.Event(), threading.Event()

    def late_copy(connection: socket.socket, n: int) -> None:
        connection.sendall(good(n, b"1" * n))
        answered.wait(30)
        connection.sendall(good(n, b"1" * n))
        copied.set()

    with (
        ScriptedServer(late_copy, answering(good(N, b"2" * N))) as server,
        RandomClient([server.url], mix=False) as client,
    ):
        assert client.random_bytes(N) == b"1" * N
        answered.set()
        assert copied.wait(30)
        assert client.random_bytes(N) == b"2" * N


def test_a_request_says_nothing_of_the_machine() -> None:
    with ScriptedServer(answering(good(N))) as server, RandomClient([server.url]) as client:
        client.random_bytes(N)
    lines = server.requests[0].split("\r\n")
    assert lines[0] == f"GET /random/{N}?class=private&format=raw HTTP/1.1"
    assert sorted(lines[1:]) == [
        "Accept-Encoding: identity",
        "Accept: application/octet-stream",
        f"Host: {server.url.removeprefix('http://')}",
        "User-Agent: entropy-assets-client",
    ]


def test_a_proxy_of_the_environment_sees_neither_key_nor_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(answering(good(N))) as proxy, ScriptedServer(answering(good(N))) as server:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        with RandomClient([server.url], key=KEY) as client:
            client.random_bytes(N)
    assert proxy.requests == []


def test_a_kept_connection_that_was_closed_meanwhile_is_replaced() -> None:
    def once(connection: socket.socket, n: int) -> None:
        connection.sendall(good(n))
        connection.shutdown(socket.SHUT_RDWR)

    with ScriptedServer(once) as server, RandomClient([server.url]) as client:
        for _ in range(3):
            assert len(client.random_bytes(N)) == N
        assert server.connections == 3


def test_a_kept_connection_that_ends_without_an_answer_is_tried_once_more_on_a_new_one() -> None:
    give: Answer = lambda connection, n: connection.sendall(good(n))  # noqa: E731
    leave: Answer = lambda connection, _: connection.close()  # noqa: E731
    with ScriptedServer(give, leave, give) as server, RandomClient([server.url]) as client:
        assert len(client.random_bytes(N) + client.random_bytes(N)) == 2 * N
        assert server.connections == 2


class TestTLS:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def secure(self, authority: trustme.CA) -> Iterator[ScriptedServer]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        with ScriptedServer(lambda c, n: c.sendall(good(n, b"\1" * n)), tls=context) as server:
            yield server

    def test_a_service_whose_certificate_is_good_is_drawn_from(
        self, secure: ScriptedServer, authority: trustme.CA
    ) -> None:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with RandomClient([secure.url], tls=context, key="ea_k", mix=False) as client:
            assert [client.random_bytes(4) for _ in range(3)] == [b"\1" * 4] * 3

    def test_a_service_of_an_unknown_authority_gets_neither_key_nor_trust(self, secure: ScriptedServer) -> None:
        with RandomClient([secure.url], key="ea_k") as client, pytest.raises(NoBytes, match="CERTIFICATE_VERIFY"):
            client.random_bytes(4)
        assert secure.requests == []
