"""One service over HTTP: its address, its connections, and one exchange that ends in time.

No proxy of the environment is used and no redirect is followed: bytes and key go where they were sent, or nowhere.
Nothing is locked, so a fork at any moment leaves a client that works.
"""

import io
import ipaddress
import json
import os
import socket
import ssl
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

from entropy_assets.errors import AnswerMalformed, ClientMisused, EndpointDry, EndpointFailed, EndpointUnreachable

USER_AGENT: Final = "entropy-assets-client"
"""The same for everybody: it tells the service nothing about machine, system or version."""

JSON: Final = "application/json"
PART_BYTES: Final = 65_536
"""Longest answer that is asked for unless the user, or the service by its limit, says otherwise."""
MOST_FRAMING: Final = 2**20
"""Bytes that are read of one answer beside twice its longest body: status, headers, and what parts it in chunks."""
LONGEST_TIMEOUT_S: Final = 86_400.0
"""A socket waits for no number of seconds that is much longer."""
IDLE_CONNECTIONS: Final = 8
FIRST_REST_S: Final = 0.25
LONGEST_REST_S: Final = 30.0
SHORTEST_DRY_S: Final = 0.05
"""Least rest of a dry endpoint: ``Retry-After: 0`` must not become a busy loop."""

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service listens; what it prints holds no credentials, since none are accepted."""

    scheme: str
    host: str
    port: int
    prefix: str

    @classmethod
    def parse(cls, url: str, position: int = 0) -> Self:
        """Return the address that `url` names.

        Raises
        ------
        ClientMisused
            If it is none. It is not repeated, only its `position`: it may hold a password.
        """
        wrong = ClientMisused(
            f"endpoint {position} is not of the form http[s]://host[:port][/prefix]; give a key with `key`, never "
            "in an address",
            position=position,
        )
        # urlsplit drops line breaks and tabs, and http.client would trip over the rest.
        if not all("!" <= character <= "~" for character in url):
            raise wrong
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
            (host or "").encode("idna")  # what looking the name up would do, with an error of another kind
        except ValueError:
            raise wrong from None
        if parts.scheme not in _PORTS or not host or "@" in parts.netloc or parts.query or parts.fragment:
            raise wrong
        return cls(parts.scheme, host, _PORTS[parts.scheme] if port is None else port, parts.path.rstrip("/"))

    @property
    def is_confidential(self) -> bool:
        """Whether nobody on the way can read along: TLS, or this machine."""
        if self.scheme == "https" or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"


class Reply(NamedTuple):
    """What came back: the status, the headers, and the body up to one byte more than may be."""

    status: int
    headers: HTTPMessage
    body: bytes


class Endpoint:
    """One service, its idle connections and how it did lately.

    Parameters
    ----------
    address
        Where it listens.
    key
        API key, sent with every request.
    tls
        How certificates are checked, for ``https``.
    timeout_s
        Longest time from the request to the whole answer, seconds. Connecting has as long once more, and looking a
        name up takes as long as the system lets it.
    longest
        Most bytes that one request asks for.

    Attributes
    ----------
    longest
        The same, or less once the service has named a smaller limit.
    """

    def __init__(
        self,
        address: Address,
        *,
        key: str | None,
        tls: ssl.SSLContext | None,
        timeout_s: float,
        longest: int = PART_BYTES,
    ) -> None:
        self.address = address
        self.longest = longest
        self._key = key
        self._tls = tls
        self._timeout_s = timeout_s
        # Popping and appending are atomic; each connection has one user at a time.
        self._idle: deque[tuple[int, HTTPConnection]] = deque()
        self._closed = False
        self._rest_s = FIRST_REST_S
        self._asked_last_until = 0.0
        self._dry_until = 0.0

    def __repr__(self) -> str:
        return f"Endpoint({str(self.address)!r})"

    def without_key(self, text: str) -> str:
        """Return `text` with the key struck out."""
        return text if self._key is None else text.replace(self._key, "[key]")

    # --- how it did lately -------------------------------------------------------------------------------------

    @property
    def dry_for_s(self) -> float:
        """Seconds for which it asked to be left alone."""
        return max(0.0, self._dry_until - time.monotonic())

    @property
    def rests_for_s(self) -> float:
        """Seconds for which it is not the first choice."""
        return max(self.dry_for_s, self._asked_last_until - time.monotonic())

    def rest(self, failure: EndpointFailed) -> None:
        """Put it last for a while, longer each time; not to be asked before the time that it named itself."""
        named = failure.data.get("retry_after_s")
        pause = self._rest_s if named is None else max(SHORTEST_DRY_S, named)
        self._asked_last_until = time.monotonic() + pause
        if isinstance(failure, EndpointDry):
            self._dry_until = self._asked_last_until
        self._rest_s = min(LONGEST_REST_S, 2 * self._rest_s)

    def recovered(self) -> None:
        """Trust it again."""
        self._rest_s, self._asked_last_until, self._dry_until = FIRST_REST_S, 0.0, 0.0

    # --- one exchange ------------------------------------------------------------------------------------------

    def get(self, path: str, accept: str, longest: int) -> Reply:
        """Return the answer to GET `path`; of its body `longest` bytes and one that shows whether there are more.

        A kept connection that turns out to be closed is replaced once. What the service may have given out on it is
        burned; the second request draws other bytes.

        Raises
        ------
        EndpointUnreachable
            If no whole answer came in time.
        AnswerMalformed
            If what came is not HTTP, or far more than what was asked for.
        """
        kept = self._kept_connection()
        if kept is not None:
            try:
                return self._exchange(kept, "GET", path, accept, longest)
            except EndpointUnreachable as failure:
                if not isinstance(failure.__cause__, ConnectionError):
                    raise
        return self._exchange(self._new_connection(), "GET", path, accept, longest)

    def post(self, path: str, document: object, accept: str, longest: int) -> Reply:
        """Return the answer to POST `path` of a JSON `document`; errors and `longest` as `get`.

        It goes out on a new connection: a kept one that turns out to be closed would leave open whether the service
        took the document, and this is never sent twice.
        """
        return self._exchange(self._new_connection(), "POST", path, accept, longest, json.dumps(document).encode())

    def _exchange(
        self, connection: HTTPConnection, method: str, path: str, accept: str, longest: int, body: bytes | None = None
    ) -> Reply:
        whole = False
        try:
            if connection.sock is None:
                connection.connect()
            deadline = time.monotonic() + self._timeout_s
            connection.sock.settimeout(self._timeout_s)
            bounded = partial(_BoundedResponse, deadline, MOST_FRAMING + 2 * longest)
            connection.response_class = bounded  # type: ignore[assignment]
            connection.request(method, self.address.prefix + path, body, self._headers(accept, body))
            response = connection.getresponse()
            reply = Reply(response.status, response.headers, _body(response, longest + 1))
            # A connection is kept only if nothing of this answer can be taken for the next one.
            whole = response.isclosed() and not response.will_close
        except TimeoutError as error:
            message = f"{self.address} gave no whole answer within {self._timeout_s:g} s"
            raise EndpointUnreachable(message, reason="timeout", **self._name()) from error
        except OSError as error:
            reason = error.strerror or str(error) or type(error).__name__
            raise EndpointUnreachable(
                f"{self.address} does not answer: {reason}", reason=reason, **self._name()
            ) from error
        except HTTPException as error:
            reason = f"not HTTP as it should be ({type(error).__name__})"
            raise AnswerMalformed(f"{self.address} answers {reason}", reason=reason, **self._name()) from error
        finally:
            if whole and len(self._idle) < IDLE_CONNECTIONS:
                self._idle.append((os.getpid(), connection))
            else:
                connection.close()
            if self._closed:
                self.close()
        return reply

    def _headers(self, accept: str, body: bytes | None) -> dict[str, str]:
        headers = {"Accept": accept, "User-Agent": USER_AGENT}
        if body is not None:
            headers["Content-Type"] = JSON
        return headers if self._key is None else {**headers, "Authorization": f"Bearer {self._key}"}

    def _name(self) -> dict[str, str]:
        return {"endpoint": str(self.address)}

    # --- connections -------------------------------------------------------------------------------------------

    def _kept_connection(self) -> HTTPConnection | None:
        for owner, connection in iter(self._popped, None):
            # After a fork the parent uses it on: two processes on one connection would read each other's bytes.
            if owner == os.getpid() and _is_silent(connection.sock):
                return connection
            connection.close()
        return None

    def _popped(self) -> tuple[int, HTTPConnection] | None:
        try:
            return self._idle.pop()
        except IndexError:  # another thread was faster than a look at its length
            return None

    def _new_connection(self) -> HTTPConnection:
        place: dict[str, Any] = {"host": self.address.host, "port": self.address.port, "timeout": self._timeout_s}
        if self.address.scheme == "https":
            return HTTPSConnection(**place, context=self._tls or ssl.create_default_context())
        return HTTPConnection(**place)

    def close(self) -> None:
        """Close the idle connections; the others follow when they are done."""
        self._closed = True
        for _, connection in iter(self._popped, None):
            connection.close()


def _is_silent(connection: socket.socket) -> bool:
    """Tell whether nothing waits to be read: an end, or an answer that nobody asked for."""
    connection.settimeout(0)
    try:
        # Not SSLSocket's own recv, which knows no peeking: encrypted bytes are news as well.
        socket.socket.recv(connection, 1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _body(response: HTTPResponse, most: int) -> bytes:
    """Return the first `most` bytes of the body."""
    try:
        return response.read(most)
    except (ValueError, OverflowError) as error:  # http.client takes a chunk's length as it comes: -5 is one
        raise ChunkMalformed from error


class ChunkMalformed(HTTPException):
    """A chunk has a length that is none."""


class AnswerTooLong(HTTPException):
    """More came than any answer to the question takes."""


class _BoundedResponse(HTTPResponse):
    """A response whose reading ends at a deadline and after `most` bytes, however slowly or long they come."""

    def __init__(self, deadline: float, most: int, sock: socket.socket, *arguments: Any, **more: Any) -> None:
        super().__init__(sock, *arguments, **more)
        self.fp.close()
        self.fp = io.BufferedReader(_BoundedReader(sock, deadline, most))


class _BoundedReader(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: float, most: int) -> None:
        self._socket = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._deadline = deadline
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        if self._left <= 0:
            raise AnswerTooLong
        self._socket.settimeout(left)
        came = self._raw.readinto(buffer)
        self._left -= came or 0
        return came

    def close(self) -> None:
        self._raw.close()
        super().close()
