"""A server that misbehaves as told, over real sockets and real TLS, and a clock that nobody waits for.

``FaultServer.give(path, *answers)`` says what a path answers: the first time the first, then the next, and the last one
for ever. An answer is bytes, sent as they are before the connection is closed; or a function of the request that
yields bytes, between which it may do what it likes: turn the clock, or wait for an event.
"""

import gzip
import socket
import ssl
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import parse_qsl, urlsplit

import trustme

LONGEST_HEAD: Final = 1 << 16
TLS_HELLO: Final = b"\x16"
"""What no request begins with: somebody speaks TLS to a server of plain http."""
Answer = bytes | Callable[["Asked"], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came: the target and the names of headers are as sent, header names in small letters."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    server_name: str | None = None

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def header(self, name: str) -> str | None:
        """Return the one header of this name; None if there is none."""
        values = [value for key, value in self.headers if key == name.lower()]
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None


def answer(
    body: bytes = b"",
    status: int = 200,
    headers: Mapping[str, str | Iterable[str]] | None = None,
    *,
    length: int | None = -1,
    version: str = "1.1",
) -> bytes:
    """Return an answer as it goes over the wire.

    Parameters
    ----------
    body
        Its bytes, as they are sent.
    status, headers
        A header with several values is sent as often.
    length
        Its ``Content-Length``: -1 for the true one, None for no such header.
    """
    lines = [f"HTTP/{version} {status} Said"]
    for name, values in (headers or {}).items():
        lines += [f"{name}: {value}" for value in ([values] if isinstance(values, str) else values)]
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length == -1 else length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def redirect(to: str, status: int = 302) -> bytes:
    """Return an answer that leads elsewhere."""
    return answer(status=status, headers={"Location": to})


def chunked(*chunks: bytes, headers: Mapping[str, str] | None = None, end: bytes = b"0\r\n\r\n") -> bytes:
    """Return an answer in chunks; `end` is what comes after the last one."""
    head = answer(headers={**(headers or {}), "Transfer-Encoding": "chunked"}, length=None)
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


def ranged(body: bytes, headers: Mapping[str, str] | None = None) -> Callable[[Asked], Iterator[bytes]]:
    """Return an answer of a server that takes up where it ended: 206 for a range whose ``If-Range`` fits, else all."""

    def told(asked: Asked) -> Iterator[bytes]:
        wanted, version = asked.header("range"), asked.header("if-range")
        known = (headers or {}).get("ETag"), (headers or {}).get("Last-Modified")
        if wanted is None or (version is not None and version not in known):
            yield answer(body, headers=headers)
            return
        first = int(wanted.removeprefix("bytes=").removesuffix("-"))
        place = {"Content-Range": f"bytes {first}-{len(body) - 1}/{len(body)}"}
        yield answer(body[first:], 206, {**(headers or {}), **place})

    return told


def bomb(size: int) -> bytes:
    """Return `size` zeros, packed by gzip a thousandfold."""
    return gzip.compress(bytes(size), 9)


@dataclass(slots=True)
class FakeClock:
    """A clock that stands until somebody turns it, or sleeps by it. Its parts are what a `Clock` is made of."""

    time: float = 1_795_993_600.0
    """Seconds since 1970: 2026-11-29T23:06:40Z."""
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.time - 1_000_000_000

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def turn(self, seconds: float) -> None:
        self.time += seconds


class Certificates:
    """An authority of a moment, and what it signs."""

    def __init__(self) -> None:
        self.authority = trustme.CA()

    def trusting(self) -> ssl.SSLContext:
        """Return how a client checks that trusts this authority alone."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(context)
        return context

    def serving(self, *names: str, **told: object) -> ssl.SSLContext:
        """Return how a server shows that it is `names`; `told` goes to ``trustme.CA.issue_cert``."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*names, **told).configure_cert(context)  # type: ignore[arg-type]
        return context

    def serving_itself(self) -> ssl.SSLContext:
        """Return how a server shows that nobody but itself says who it is."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with self.authority.cert_pem.tempfile() as certificate, self.authority.private_key_pem.tempfile() as key:
            context.load_cert_chain(certificate, key)
        return context


class FaultServer:
    """A server on a port of its own of this machine. One thread takes connections, and one more has each.

    Parameters
    ----------
    tls
        How it shows who it is; None for plain http.
    else_answer
        What a path answers that nothing was given for.

    Attributes
    ----------
    asked
        All requests in order.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, else_answer: Answer | None = None) -> None:
        self.asked: list[Asked] = []
        self.connections = 0
        self._tls = tls
        if tls is not None:
            tls.sni_callback = _note_name
        self._else = answer(b"nothing here", 404) if else_answer is None else else_answer
        self._answers: dict[str, list[Answer]] = {}
        self._turn: defaultdict[str, int] = defaultdict(int)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._closing = False

    def __enter__(self) -> Self:
        self._start(self._take)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):  # it has gone already
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    @property
    def origin(self) -> str:
        """Its address, for those who reach it by plain http and no name."""
        return f"http://127.0.0.1:{self.port}"

    def give(self, path: str, *answers: Answer) -> None:
        """Say what a path answers, query or not: one after the other, the last one for ever."""
        with self._lock:
            self._answers[path] = list(answers)
            self._turn[path] = 0

    def asked_for(self, path: str) -> list[Asked]:
        """Return the requests for a path, in order."""
        return [asked for asked in self.asked if asked.path == path]

    # --- inside --------------------------------------------------------------------------------------------------

    def _start(self, work: Callable[..., None], *told: object) -> None:
        thread = threading.Thread(target=work, args=told, daemon=True)
        self._threads = [*filter(threading.Thread.is_alive, self._threads), thread]
        thread.start()

    def _take(self) -> None:
        while not self._closing:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(10)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with self._lock:
                self._open.add(connection)
            if (asked := _request(connection)) is None:
                return
            with self._lock:
                self.asked.append(asked)
                said = self._next(asked.path)
            for part in [said] if isinstance(said, bytes) else said(asked):
                connection.sendall(part)
            _end(connection)
        except (OSError, ValueError):
            pass  # whoever asked has gone
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _next(self, path: str) -> Answer:
        if (answers := self._answers.get(path)) is None:
            return self._else
        turn = self._turn[path]
        self._turn[path] += 1
        return answers[min(turn, len(answers) - 1)]


def _note_name(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
    connection.__dict__["asked_name"] = name


def _request(connection: socket.socket) -> Asked | None:
    """Read one request; None if nobody asks."""
    data = b""
    while b"\r\n\r\n" not in data:
        if len(data) > LONGEST_HEAD or not (more := connection.recv(1 << 16)):
            return None
        data += more
        if data.startswith(TLS_HELLO):
            return None
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = [line.split(":", 1) for line in lines]
    headers = tuple((name.lower(), value.strip()) for name, value in pairs)
    length = int(dict(headers).get("content-length", 0))
    while len(body) < length and (more := connection.recv(1 << 16)):
        body += more
    method, target, _ = first.split(" ")
    server_name = connection.__dict__["asked_name"] if isinstance(connection, ssl.SSLSocket) else None
    return Asked(method, target, headers, body, server_name)


def _end(connection: socket.socket) -> None:
    """End as an honest server does: by TLS's own word where there is one, and without a reset."""
    if isinstance(connection, ssl.SSLSocket):
        connection = connection.unwrap()
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(1 << 16):
        pass
    connection.close()
