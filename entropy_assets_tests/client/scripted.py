"""A server of plain sockets that answers as a test says: the services that nobody wants to meet."""

import re
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

Answer = Callable[[socket.socket, int], None]
"""Answers one request on a connection, given how many bytes it asks for."""


def good(n: int, data: bytes | None = None, **changes: str | None) -> bytes:
    """Return what the real service would send, with `changes` of headers (``_`` stands for ``-``, None for none)."""
    body = bytes(n) if data is None else data
    headers = {
        "content-type": "application/octet-stream",
        "content-length": str(len(body)),
        "x-entropy-class": "private",
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None)
    return b"HTTP/1.1 200 OK\r\n" + lines.encode() + b"\r\n" + body


def answering(data: bytes) -> Answer:
    """Return an answer that is always `data`."""
    return lambda connection, _: connection.sendall(data)


def status(line: str, *headers: str, body: str = "") -> Answer:
    """Return an answer with a status, headers and a short body."""
    head = [f"HTTP/1.1 {line}", *headers, f"content-length: {len(body)}"]
    return answering(("\r\n".join(head) + "\r\n\r\n" + body).encode())


class ScriptedServer:
    """Give the requests the `answers` in their order, and from then on the last.

    `requests` is what was asked, `bodies` what came with it.
    """

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.answers: Sequence[Answer] = answers
        self.requests: list[str] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.ended = threading.Event()
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.settimeout(5)
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            received = b""
            while not self.ended.is_set():
                while b"\r\n\r\n" not in received:
                    if not (more := connection.recv(65_536)):
                        return
                    received += more
                head, _, received = received.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
                while len(received) < (expected := int(length[1]) if length else 0):
                    received += connection.recv(65_536)
                body, received = received[:expected], received[expected:]
                with self._lock:
                    answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
                    self.requests.append(head.decode())
                    self.bodies.append(body)
                path = head.split()[1].decode()
                answer(connection, int(path.partition("/random/")[2].partition("?")[0] or 0))
        except OSError:
            pass
        finally:
            connection.close()
