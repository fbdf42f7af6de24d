"""An S3 server for a moment, and a proxy before it that has the faults of bad ones."""

import contextlib
import http.client
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

from entropy_assets_tests.ports import free_port
from entropy_assets_tests.untraced import untraced

START_S = 60.0
BUCKET = "blobs-of-the-tests"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "made-up-key",
    "AWS_SECRET_ACCESS_KEY": "made-up-secret",
    "AWS_REGION": "us-east-1",
}


@contextlib.contextmanager
def moto_server() -> Iterator[str]:
    """Run moto, one request at a time, with one bucket; give its address."""
    port = free_port()
    command = [sys.executable, "-m", "entropy_assets_tests.stores.blobs.serial_moto", str(port)]
    environment = {**untraced(), **CREDENTIALS, "MOTO_S3_DEFAULT_MAX_KEYS": "5"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as server:
        try:
            make_bucket(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def make_bucket(address: str) -> None:
    """Make the bucket as soon as the server listens; moto asks for no signature."""
    assert await_answer(address.removeprefix("http://"), "PUT", f"/{BUCKET}") == 200


def await_answer(address: str, method: str = "GET", path: str = "/") -> int:
    """Ask a server until it listens, and return the status of its answer."""
    until = time.monotonic() + START_S
    while True:
        connection = http.client.HTTPConnection(address, timeout=10)
        try:
            connection.request(method, path, body=b"")
            return connection.getresponse().status
        except OSError:
            assert time.monotonic() < until, "the server does not listen"
            time.sleep(0.05)
        finally:
            connection.close()


def put_as_it_is(address: str, url: str, key: str, data: bytes) -> None:
    """Put an object as other programs do: moto asks for no signature, and no client of ours looks at its key.

    Parameters
    ----------
    address
        Of the server.
    url
        ``s3://bucket/prefix``.
    key
        What follows it, with its slashes.
    """
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)
    with contextlib.closing(connection):
        connection.request("PUT", quote(url.removeprefix("s3:/") + key), body=data)
        assert connection.getresponse().status == 200


class FaultyProxy(ThreadingHTTPServer):
    """A server before the real one. It keeps what it was asked.

    Attributes
    ----------
    ignores_condition
        Pass requests on without ``If-None-Match``, as servers do that don't know it.
    drops_answers
        So many answers to PUT are swallowed after the server has acted.
    refuses
        So many requests are answered by 503 and not passed on.
    """

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.target = target.removeprefix("http://")
        self.asked: list[tuple[str, str]] = []
        self.ignores_condition = False
        self.drops_answers = 0
        self.refuses = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @contextlib.contextmanager
    def running(self) -> Iterator[str]:
        with self:
            threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            yield self.url
            self.shutdown()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of connections that were cut."""


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyProxy

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path))
        if self.server.refuses > 0:
            self.server.refuses -= 1
            self._answer(503, {}, b"slow down")
            return
        left_out = {"if-none-match"} if self.server.ignores_condition else set()
        headers = {name: value for name, value in self.headers.items() if name.lower() not in left_out}
        connection = http.client.HTTPConnection(self.server.target, timeout=60)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body=body, headers=headers)
            answer = connection.getresponse()
            data = answer.read()
        if self.command == "PUT" and self.server.drops_answers > 0:
            self.server.drops_answers -= 1
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        kept = {name: value for name, value in answer.getheaders() if name.lower() in ("etag", "last-modified")}
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self._answer(answer.status, kept, data, length)

    def _answer(self, status: int, headers: dict[str, str], data: bytes, length: str | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass_on  # noqa: N815 - names that http.server asks for

    def log_message(self, *_: object) -> None:
        """Say nothing."""
