"""One exchange with one service: what goes out, on which connection, and how it ends."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from entropy_assets.client.endpoint import Address, Endpoint
from entropy_assets.errors import EndpointUnreachable
from entropy_assets_tests.client.scripted import ScriptedServer, answering, good, status

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
