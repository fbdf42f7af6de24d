"""One question on a connection of its own: to an address that was judged, within its time, and then closed.

No connection is used twice. What is left on one by an answer that lied about its length is nobody's answer, and the
rests between questions are longer than a new connection takes.
"""

import re
import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from entropy_assets.errors import brought_by
from entropy_assets.sources.feeds.interface import FeedDenied, FeedLies, FeedUnavailable
from entropy_assets.sources.feeds.web.faults import Fault, Trouble
from entropy_assets.sources.feeds.web.headers import Headers
from entropy_assets.sources.feeds.web.limits import Clock
from entropy_assets.sources.feeds.web.networks import Network, fit_addresses
from entropy_assets.sources.feeds.web.urls import WebUrl

with brought_by("feeds"):
    import httpcore
    import httpx

HEAD_BYTES: Final = 256 << 10
"""Most bytes before an answer's head has come, with what announces it (1xx); a head itself has 100 KiB at most."""
FRAMING_BYTES: Final = 1 << 20
"""What chunks may cost beside twice the longest body, bytes."""
_HEAD: Final = re.compile(rb"(?:HTTP/1\.[01] 1\d\d.*?\n\r?\n)*HTTP/1.*?\n\r?\n", re.DOTALL)
"""All that comes before a body: the announcements (1xx), and the head."""
_LINE_END: Final = 2


Trusted = ssl.SSLContext | Path | None
"""How certificates are checked, the file of those that are trusted, or None for the usual authorities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What one exchange asks, and what it may take.

    Attributes
    ----------
    url
        With its keys.
    headers
        All but ``Host`` and ``Content-Length``.
    body
        Of a POST; None makes it a GET.
    local
        Whether the host may be in a private network.
    deadline
        When the whole answer must have come, by the monotonic clock.
    connect_s, read_s
        As `WebLimits` has them.
    """

    url: WebUrl
    headers: Sequence[tuple[str, str]]
    body: bytes | None
    local: bool
    deadline: float
    connect_s: float
    read_s: float


class Incoming:
    """An answer whose head has come, and whose body is on its way."""

    def __init__(self, status: int, headers: Headers, line: "_Line", stream: Iterable[bytes]) -> None:
        self.status = status
        self.headers = headers
        self._line = line
        self._stream = stream

    def body(self, most: int) -> Iterator[bytes]:
        """Give the body as it comes, still packed; chunks and what frames them have twice `most` bytes at most.

        Raises
        ------
        Trouble
            If it breaks off, is no HTTP, or takes too long.
        """
        self._line.expect(2 * most + FRAMING_BYTES)
        with self._line.judging("broke off in the middle of its answer", Fault.BROKEN_OFF):
            yield from self._stream
        told = self.headers.length
        if told is not None and not self.headers.all_of("transfer-encoding"):
            self._line.require_end(told)


@contextmanager
def asked(question: Question, *, network: Network, tls: ssl.SSLContext, clock: Clock) -> Iterator[Incoming]:
    """Ask, and give the answer once its head has come; the connection ends with it.

    Raises
    ------
    Trouble
        If there is no answer.
    """
    url = question.url
    transport = _Transport(line := _Line(question, network, clock), tls)
    request = httpx.Request(
        "GET" if question.body is None else "POST",
        httpx.URL(scheme=url.scheme, host=url.host, port=url.port, raw_path=url.target.encode("ascii")),
        headers=[*question.headers, ("Connection", "close")],
        content=question.body,
    )
    try:
        with line.judging("hung up without an answer", Fault.UNREACHABLE):
            response = transport.handle_request(request)
        if not isinstance(response.stream, httpx.SyncByteStream):
            raise TypeError("a transport that doesn't wait gave an answer that must be awaited")
        try:
            yield Incoming(response.status_code, Headers(response.headers.raw, clock.now()), line, response.stream)
        finally:
            response.close()
    finally:
        transport.close()


class _Transport(httpx.HTTPTransport):
    """httpx's own, over our line. A client around it would keep cookies, and log each URL with its keys."""

    def __init__(self, line: "_Line", tls: ssl.SSLContext) -> None:
        super().__init__(verify=tls, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls, network_backend=line, max_connections=1, max_keepalive_connections=0
        )


class _Line(httpcore.NetworkBackend):
    """Where the connection of one exchange is made, and its bytes and seconds are counted."""

    def __init__(self, question: Question, network: Network, clock: Clock) -> None:
        self.question = question
        self.came = 0
        self.most = HEAD_BYTES
        self.ended = False
        self._head: bytes | None = b""
        self._before_body = 0
        self._network = network
        self._clock = clock

    def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> "_Stream":
        """Connect to an address of `host` that was judged; the order is that of the system."""
        try:
            told = self._network.look_up(host, port)
        except (OSError, UnicodeError):
            why = "has a name that nobody knows now"
            raise Trouble(FeedUnavailable, Fault.UNKNOWN_NAME, why, again=True) from None
        try:
            addresses = fit_addresses(told, self.question.local)
        except ValueError as error:
            raise Trouble(FeedLies, Fault.PRIVATE_ADDRESS, f"isn't asked, since {error}") from None
        why = ""
        for address in addresses:
            try:
                return _Stream(self._network.connect(address, port, self.seconds(self.question.connect_s)), self)
            except OSError as error:
                why = _reason(error)
        raise Trouble(FeedUnavailable, Fault.UNREACHABLE, f"can't be reached: {why}", again=True)

    def seconds(self, most: float) -> float:
        """Return how long the next step may take, seconds.

        Raises
        ------
        Trouble
            If the time is over.
        """
        if (left := self.question.deadline - self._clock.monotonic()) <= 0:
            raise self.too_slow("whole answer")
        return min(most, left)

    def count(self, data: bytes) -> bytes:
        """Count what came in, and return it."""
        self.came += len(data)
        self.ended = not data
        if self._head is not None:
            self._head += data
        if self.came > self.most:
            raise Trouble(FeedLies, Fault.MALFORMED, "sends more around its answer than any answer needs")
        return data

    def expect(self, most: int) -> None:
        """Let so many bytes of a body come: the head has."""
        if self._head is not None:
            head = _HEAD.match(self._head)
            self._before_body = len(self._head) if head is None else head.end()
            self._head = None
        self.most = self._before_body + most

    def require_end(self, length: int) -> None:
        """Check that no more came than a body of this length; a line end too many is an old habit of servers."""
        if self.came - self._before_body - length > _LINE_END:
            raise Trouble(FeedLies, Fault.WRONG_LENGTH, f"announced {length} bytes, and sends more")

    @contextmanager
    def judging(self, cut: str, fault: Fault) -> Iterator[None]:
        """Say what it means if the bytes that come are no HTTP: an end too early can be met again, the rest is so."""
        try:
            yield
        except httpx.RemoteProtocolError as error:
            if self.ended:
                raise Trouble(FeedUnavailable, fault, cut, again=True) from None
            raise Trouble(FeedLies, Fault.MALFORMED, f"doesn't speak HTTP: {error}") from None
        except _Lost as error:
            raise Trouble(FeedUnavailable, fault, f"{cut} ({error})", again=True) from None
        except httpx.TransportError as error:
            raise Trouble(FeedUnavailable, fault, f"{cut} ({type(error).__name__})", again=True) from None

    def too_slow(self, what: str) -> Trouble:
        """Return the trouble with a server that takes too long."""
        return Trouble(FeedUnavailable, Fault.TOO_SLOW, f"takes too long for its {what}", again=True)


class _Lost(Exception):
    """The connection is gone."""


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait is bounded by its line."""

    def __init__(self, connection: Any, line: _Line) -> None:
        self._connection = connection
        self._line = line

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._connection.settimeout(self._line.seconds(self._line.question.read_s))
        try:
            data: bytes = self._connection.recv(max_bytes)
        except TimeoutError:
            raise self._line.too_slow("next bytes") from None
        except OSError as error:
            raise _Lost(_reason(error)) from None
        return self._line.count(data)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            while buffer:
                self._connection.settimeout(self._line.seconds(self._line.question.read_s))
                buffer = buffer[self._connection.send(buffer) :]
        except OSError as error:  # it may have answered already
            raise httpcore.WriteError(type(error).__name__) from None

    def close(self) -> None:
        self._connection.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_Stream":
        """Go on under TLS, by the host's name. An end without TLS's own word is a cut then, whoever made it."""
        try:
            self._connection.settimeout(self._line.seconds(self._line.question.connect_s))
            wrapped = ssl_context.wrap_socket(
                self._connection, server_hostname=server_hostname, suppress_ragged_eofs=False
            )
        except ssl.SSLCertVerificationError as error:
            why = f"shows a certificate that does not stand for it: {error.verify_message}"
            raise Trouble(FeedLies, Fault.CERTIFICATE, why) from None
        except TimeoutError:
            raise self._line.too_slow("TLS") from None
        except OSError as error:
            why = f"doesn't come to terms on TLS: {_reason(error)}"
            raise Trouble(FeedUnavailable, Fault.UNREACHABLE, why, again=True) from None
        finally:
            self._connection.close()  # once it is wrapped, it is no more than an empty shell
        return _Stream(wrapped, self._line)

    def get_extra_info(self, info: str) -> Any:
        return self._connection if info == "socket" else None


def require_checks(trusted: Trusted) -> Trusted:
    """Return how certificates are to be checked, if that checks them.

    Raises
    ------
    ValueError
        If it does not.
    """
    if isinstance(trusted, ssl.SSLContext) and not (
        trusted.verify_mode == ssl.CERT_REQUIRED and trusted.check_hostname
    ):
        raise ValueError("a feed's servers must show certificates, of their own names")
    return trusted


def trust_in(file: Trusted) -> ssl.SSLContext:
    """Return how certificates are checked: by those in a file and no others, or by the usual authorities.

    What it returns, a given context too, takes no end of a connection for the end of an answer without TLS's own word
    for it. Python did by itself with OpenSSL 3, before 3.11.4.

    Raises
    ------
    Trouble
        If the file can't be used.
    """
    context = _trusting(file)
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return context


def _trusting(file: Trusted) -> ssl.SSLContext:
    if isinstance(file, ssl.SSLContext):
        return file
    if file is None:
        return httpx.create_ssl_context(trust_env=False)
    if file.exists() and not file.is_file():  # whoever opens a pipe waits for its writer, beyond any limit of time
        raise Trouble(FeedDenied, Fault.CA_FILE, f"isn't asked, since {file} can't be used: it is no regular file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # whoever names the certificate of his server itself has no authority that signed it
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(file)
    except OSError as error:  # ssl.SSLError is one, of what is no PEM
        why = f"isn't asked, since {file} can't be used: {_reason(error)}"
        raise Trouble(FeedDenied, Fault.CA_FILE, why) from None
    return context


def _reason(error: OSError) -> str:
    """Return what failed, without the line of the C file in which OpenSSL noticed."""
    return str(getattr(error, "reason", None) or error.strerror or type(error).__name__)
