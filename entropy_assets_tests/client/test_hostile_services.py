"""Answers that are none: each is a typed error, its service is passed over, and no byte of it is used."""

import socket
import struct
import time

import pytest

from entropy_assets.client import RandomClient
from entropy_assets.client.endpoint import FIRST_REST_S
from entropy_assets.errors import ClientDry, NoBytes, RequestRefused
from entropy_assets_tests.client.scripted import Answer, ScriptedServer, answering, good, status

N = 32
KEY = "ea_secret-of-mine"
BLOCK = "0badcafe-0000-8000-8000-000000000000"
PROBLEM = "content-type: application/problem+json"


class Standing:
    """A clock that stands until the test sets it; what an endpoint asks of ``time``."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Standing:
    """Let rests of endpoints last until the test ends them, however long the machine does other things."""
    clock = Standing()
    monkeypatch.setattr("entropy_assets.client.endpoint.time", clock)
    return clock


def reset_mid_body(connection: socket.socket, n: int) -> None:
    connection.sendall(good(n)[:-5])
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def end_mid_body(connection: socket.socket, n: int) -> None:
    connection.sendall(good(n)[:-5])
    connection.close()


def end_mid_chunk(connection: socket.socket, n: int) -> None:
    connection.sendall(good(0, b"20\r\n1234", content_length=None, transfer_encoding="chunked"))
    connection.close()


def end_without_length(connection: socket.socket, n: int) -> None:
    connection.sendall(good(n - 5, content_length=None))
    connection.close()


def hang(connection: socket.socket, n: int) -> None:
    connection.recv(1)


def drip(connection: socket.socket, n: int) -> None:
    """Send a header a byte at a time, each long before a time-out between two bytes would end it."""
    for byte in good(n):
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def bytes_of(body: bytes, **changes: str | None) -> Answer:
    return answering(good(0, body, **changes))


def in_chunks(body: bytes) -> Answer:
    return bytes_of(body, content_length=None, transfer_encoding="chunked")


HOSTILE: dict[str, tuple[Answer, str]] = {
    "short body": (bytes_of(b"12345"), "fewer than the 32 bytes"),
    "long body": (bytes_of(bytes(64)), "more than the 32 bytes"),
    "endless body": (answering(good(0, bytes(10**6), content_length=None)), "more than the 32 bytes"),
    "empty body": (bytes_of(b""), "fewer than the 32 bytes"),
    "cut body": (end_mid_body, "fewer than the 32 bytes"),
    "body without length, cut": (end_without_length, "fewer than the 32 bytes"),
    "chunk cut": (end_mid_chunk, "IncompleteRead"),
    "chunks too few": (
        answering(good(0, b"5\r\n12345\r\n0\r\n\r\n", content_length=None, transfer_encoding="chunked")),
        "fewer than the 32 bytes",
    ),
    "chunk of less than none": (in_chunks(b"-5\r\n12345"), "not HTTP as it should be"),
    "chunk of far less than none": (in_chunks(b"-" + b"f" * 100 + b"\r\n12345"), "not HTTP as it should be"),
    "reset": (reset_mid_body, "Connection reset"),
    "hang": (hang, "no whole answer within 1 s"),
    "drip": (drip, "no whole answer within 1 s"),
    "redirect": (status("302 Found", "location: http://127.0.0.1:1/"), "status 302"),
    "HTML of a proxy": (bytes_of(b"<html>sign in please</html> 1234", content_type="text/html"), "text/html"),
    "class public": (bytes_of(bytes(N), x_entropy_class="public"), "class public instead of private"),
    "no class": (bytes_of(bytes(N), x_entropy_class=None), "0 headers X-Entropy-Class"),
    "hex": (bytes_of(b"00" * 16, content_type="text/plain"), "text/plain"),
    "compressed": (bytes_of(bytes(N), content_encoding="gzip"), "encoded as gzip"),
    "not HTTP": (answering(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "BadStatusLine"),
    "endless header": (answering(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 70_000), "LineTooLong"),
    "error of the service": (status("500 Internal Server Error"), "status 500"),
    "bad gateway": (status("502 Bad Gateway", body="<html>"), "status 502"),
    "another site": (status("404 Not Found", body="<html>"), "status 404"),
    "nothing": (lambda connection, _: connection.close(), "closed connection without response"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_answer_that_is_none_is_a_typed_error_and_the_next_service_gives_the_bytes(name: str) -> None:
    answer, reason = HOSTILE[name]
    timeout_s = 1.0 if name in ("hang", "drip") else 10.0
    with ScriptedServer(answer) as hostile, ScriptedServer(lambda c, n: c.sendall(good(n, b"\7" * n))) as honest:
        with RandomClient([hostile.url, honest.url], mix=False, timeout_s=timeout_s) as client:
            assert client.random_bytes(N) == b"\7" * N
        with RandomClient([hostile.url], timeout_s=timeout_s) as client, pytest.raises(NoBytes) as caught:
            client.random_bytes(N)
    [failure] = caught.value.data["failures"]
    assert failure["endpoint"] == hostile.url
    assert reason in caught.value.message


def test_an_answer_in_chunks_of_the_right_length_is_taken() -> None:
    body = b"10\r\n" + b"a" * 16 + b"\r\n10\r\n" + b"b" * 16 + b"\r\n0\r\n\r\n"
    chunked = answering(good(0, body, content_length=None, transfer_encoding="chunked"))
    with ScriptedServer(chunked) as server, RandomClient([server.url], mix=False) as client:
        assert [client.random_bytes(N) for _ in range(2)] == [b"a" * 16 + b"b" * 16] * 2
        assert server.connections == 1


@pytest.mark.parametrize(
    "begun",
    [
        good(0, b"-1\r\n", content_length=None, transfer_encoding="chunked"),
        good(0, b"8;" + b"x" * 60_000 + b"\r\n12345678\r\n0\r\n", content_length=None, transfer_encoding="chunked"),
    ],
    ids=["a chunk of -1 bytes", "trailers without end"],
)
def test_an_answer_that_never_ends_is_left_before_it_fills_the_memory(begun: bytes) -> None:
    """http.client takes a chunk of -1 bytes for all that comes until the connection ends."""
    sent = 0

    def flood(connection: socket.socket, n: int) -> None:
        nonlocal sent
        connection.sendall(begun)
        for _ in range(64):
            connection.sendall(b"x: 1234567890\r\n" * 2**16)
            sent += 2**20

    with (
        ScriptedServer(flood) as server,
        RandomClient([server.url], timeout_s=20) as client,
        pytest.raises(NoBytes, match="not HTTP as it should be"),
    ):
        client.random_bytes(N)
    assert sent < 2**24, "beyond the 1 MiB that the client reads, what lies on the way"


@pytest.mark.parametrize("code", ["401 Unauthorized", "403 Forbidden", "422 Unprocessable Content"])
@pytest.mark.parametrize("when_dry", ["raise", "wait", "local"])
def test_a_refusal_is_raised_and_neither_waited_out_nor_asked_elsewhere(code: str, when_dry) -> None:
    body = '{"type": "/problems/odd", "detail": "not with this key"}'
    with (
        ScriptedServer(status(code, PROBLEM, body=body)) as refusing,
        ScriptedServer(answering(good(N))) as other,
        RandomClient([refusing.url, other.url], when_dry=when_dry) as client,
        pytest.raises(RequestRefused, match="not with this key") as caught,
    ):
        client.random_bytes(N)
    assert caught.value.data["status"] == int(code[:3])
    assert caught.value.data["type"] == "/problems/odd"
    assert other.requests == []


@pytest.mark.parametrize(
    "line, retry, least, most",
    [
        ("503 Service Unavailable", "2", 1.5, 2),
        ("429 Too Many Requests", "7", 6.5, 7),
        ("503 Service Unavailable", "Fri, 01 Jan 2100 00:00:00 GMT", 3599, 3600),
        ("503 Service Unavailable", "1" * 400, 3599, 3600),
        ("503 Service Unavailable", "soon", 0.1, 0.25),
        ("503 Service Unavailable", "Mon, 99999999999 Jan 2020 00:00:00 GMT", 0.1, 0.25),
        ("503 Service Unavailable", "Mon, 01 Jan 99999999999 00:00:00 GMT", 0.1, 0.25),
        ("503 Service Unavailable", "0", 0.01, 0.05),
    ],
)
def test_a_dry_service_is_not_asked_before_the_time_that_it_named(
    line: str, retry: str, least: float, most: float, clock: Standing
) -> None:
    with ScriptedServer(status(line, f"retry-after: {retry}")) as server, RandomClient([server.url]) as client:
        for _ in range(2):
            with pytest.raises(ClientDry) as caught:
                client.random_bytes(N)
            assert 0 < caught.value.data["retry_after_s"] <= most
        assert caught.value.data["retry_after_s"] > least - 0.5
        assert len(server.requests) == 1
        clock.now += most
        with pytest.raises(ClientDry):
            client.random_bytes(N)
        assert len(server.requests) == 2


def test_waiting_honours_the_time_that_was_named_and_then_draws() -> None:
    dry = status("503 Service Unavailable", "retry-after: 1")
    with (
        ScriptedServer(dry, answering(good(N))) as server,
        RandomClient([server.url], when_dry="wait", wait_s=5) as client,
    ):
        start = time.monotonic()
        assert len(client.random_bytes(N)) == N
        assert 1 <= time.monotonic() - start < 3
    assert len(server.requests) == 2


def test_waiting_ends_at_once_if_the_time_that_was_named_is_too_long() -> None:
    with (
        ScriptedServer(status("503 Service Unavailable", "retry-after: 60")) as server,
        RandomClient([server.url], when_dry="wait", wait_s=2) as client,
    ):
        start = time.monotonic()
        with pytest.raises(ClientDry):
            client.random_bytes(N)
        assert time.monotonic() - start < 1


def test_a_failed_service_is_asked_last_for_a_while_and_then_first_again(clock: Standing) -> None:
    def numbered(digit: bytes) -> Answer:
        return lambda connection, n: connection.sendall(good(n, digit * n))

    with (
        ScriptedServer(status("500 Internal Server Error"), numbered(b"1")) as first,
        ScriptedServer(numbered(b"2")) as second,
        RandomClient([first.url, second.url], mix=False) as client,
    ):
        assert client.random_bytes(1) + client.random_bytes(1) == b"22"
        assert len(first.requests) == 1
        clock.now += FIRST_REST_S
        assert client.random_bytes(1) == b"1"


def test_a_failed_service_that_is_the_only_one_is_asked_again_at_once() -> None:
    with (
        ScriptedServer(status("500 Internal Server Error"), answering(good(N))) as server,
        RandomClient([server.url]) as client,
    ):
        with pytest.raises(NoBytes):
            client.random_bytes(N)
        assert len(client.random_bytes(N)) == N


def test_a_key_is_sent_and_never_shown_even_if_a_service_repeats_it() -> None:
    def echo(connection: socket.socket, n: int) -> None:
        body = f'{{"type": "/{KEY}", "detail": "I do not know {KEY}"}}'
        status("401 Unauthorized", PROBLEM, body=body)(connection, n)

    with ScriptedServer(echo) as server, RandomClient([server.url], key=KEY) as client:
        with pytest.raises(RequestRefused) as caught:
            client.random_bytes(N)
        shown = f"{client!r} {client._draws.endpoints!r} {caught.value!r} {caught.value.data}"
    assert "I do not know [key]" in caught.value.message
    assert KEY not in shown
    assert f"\r\nAuthorization: Bearer {KEY}" in server.requests[0]


@pytest.mark.parametrize("header", ["content_type", "x_entropy_class", "content_encoding"])
def test_a_key_in_an_odd_header_is_not_repeated_either(header: str) -> None:
    with (
        ScriptedServer(bytes_of(bytes(N), **{header: f"x{KEY}"})) as server,
        RandomClient([server.url], key=KEY) as client,
        pytest.raises(NoBytes) as caught,
    ):
        client.random_bytes(N)
    assert KEY not in str(caught.value.data) + caught.value.message
    assert "[key]" in caught.value.message
