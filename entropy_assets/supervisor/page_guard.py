"""What stands in front of Dagster's webserver: a page of another site may not drive it from somebody's browser.

Dagster asks nobody who they are, runs what a form may post, and runs mutations out of a query string. Whoever has a
browser on this machine, or beyond a proxy that lets them in, would so lend these rights to every page they visit. This
guard looks at what a page can't forge: the host that the browser looked up, which closes DNS rebinding, the origin and
the site that asks, and the type of what is posted, which no form can give.

It lets no stranger out: who may ask at all is decided by who can reach the port (docs/operate.md).
"""

import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
"""As ASGI defines them; the first argument of an application is the scope of one request."""

GRAPHQL: Final = "/graphql"
READS: Final = frozenset(("GET", "HEAD"))
OWN_SITES: Final = frozenset((b"same-origin", b"none"))
"""A page of Dagster's own, and a person who typed the address. Another port of this machine is only ``same-site``."""
ANSWER_HEADERS: Final = (
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
)
"""On every answer: no page may show it in a frame, for clicks on it, or load it as its own."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not handed on: a status of HTTP and a sentence."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a webserver.

    Attributes
    ----------
    hosts
        Names under which it may be asked, lower case and without a port. An address of numbers needs none: no DNS
        can turn it into another one.
    origin
        Origin of its own pages where people reach it, as ``https://name:port``; None if that is not told.
    """

    hosts: frozenset[str]
    origin: str | None

    @classmethod
    def of(cls, bound: str, public_url: str | None) -> "Names":
        """Return the names of one that listens on `bound` and that people reach at `public_url`."""
        hosts = {"localhost", bound.lower()}
        if public_url is None:
            return cls(frozenset(hosts), None)
        public = urlsplit(public_url.lower())
        # A browser leaves out the port that the scheme stands for.
        place = public.netloc.rpartition("@")[2].removesuffix({"http": ":80", "https": ":443"}[public.scheme])
        return cls(frozenset((*hosts, public.hostname or "localhost")), f"{public.scheme}://{place}")

    def require(self, scope: Message) -> Refusal | None:
        """Return why the request of `scope` is refused, None if it is not."""
        headers = _Headers(scope)
        return (
            self._foreign_host(headers)
            or self._foreign_origin(headers)
            or _foreign_site(headers, scope)
            or (None if scope["type"] == "websocket" else _wrong_form(headers, scope))
        )

    def _foreign_host(self, headers: "_Headers") -> Refusal | None:
        host = headers.only(b"host")
        if host is None:
            return Refusal(400, "a request names its host once")
        name = _name_of(host)
        if name is None or not (name in self.hosts or _is_address(name)):
            return Refusal(421, "this is not the name of this server; ENTROPY_DAGSTER_URL tells it one more")
        return None

    def _foreign_origin(self, headers: "_Headers") -> Refusal | None:
        origins = headers.all(b"origin")
        if not origins:
            return None
        host = (headers.only(b"host") or b"").decode("latin-1").lower()
        own = {self.origin, f"http://{host}"}
        if self.origin == f"https://{host}":
            own = {self.origin}  # a page that came in clear may be anybody's
        if len(origins) > 1 or origins[0].decode("latin-1").lower() not in own:
            return Refusal(403, "a page of another site may not ask for this in somebody's browser")
        return None


class _Headers:
    """The headers of a request, each as often as it came."""

    def __init__(self, scope: Message) -> None:
        self._pairs: list[tuple[bytes, bytes]] = [(name.lower(), value) for name, value in scope["headers"]]

    def all(self, name: bytes) -> list[bytes]:
        """Return every value of `name`."""
        return [value.strip() for key, value in self._pairs if key == name]

    def only(self, name: bytes) -> bytes | None:
        """Return the value of `name`; None unless there is exactly one."""
        values = self.all(name)
        return values[0] if len(values) == 1 else None


def _foreign_site(headers: _Headers, scope: Message) -> Refusal | None:
    sites = headers.all(b"sec-fetch-site")
    if all(site in OWN_SITES for site in sites):
        return None
    # Who follows a link sees the page and nobody else does. A prefetch is no user's click.
    follows = scope["type"] == "http" and scope["method"] in READS and headers.all(b"sec-fetch-dest") == [b"document"]
    if follows and not headers.all(b"sec-purpose"):
        return None
    return Refusal(403, "a page of another site may not ask for this in somebody's browser")


def _wrong_form(headers: _Headers, scope: Message) -> Refusal | None:
    if scope["method"] in READS:
        wants_page = b"text/html" in b",".join(headers.all(b"accept"))
        if scope["path"] == GRAPHQL and not wants_page:
            return Refusal(405, "a query is posted as JSON: a link must not run one")
        return None
    if scope["method"] != "POST":
        return Refusal(405, "GET, HEAD and POST are answered")
    if not _is_json(headers.only(b"content-type")):
        return Refusal(415, "what is posted is application/json: a form of another site can't say so")
    return None


def _is_json(content_type: bytes | None) -> bool:
    """Tell whether a body is said to be JSON and nothing else: a browser asks before it sends that across sites."""
    kind, *more = (content_type or b"").lower().replace(b" ", b"").split(b";")
    return kind == b"application/json" and more in ([], [b"charset=utf-8"])


def _name_of(host: bytes) -> str | None:
    """Return the name in a Host header, lower case and without its port; None if it is none."""
    text = host.decode("latin-1").lower()
    if any(sign in text for sign in "/@\\,?# \t"):
        return None
    try:
        parts = urlsplit(f"//{text}")
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class PageGuard:
    """An ASGI application that hands on to `app` what `Names.require` lets pass.

    Parameters
    ----------
    app
        Dagster's webserver.
    names
        Its names.
    tell
        Told the status and sentence of each refusal, never a word of the request.
    """

    def __init__(self, app: Application, names: Names, tell: Callable[[Refusal], None]) -> None:
        self._app = app
        self._names = names
        self._tell = tell

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._names.require(scope)
        if refusal is not None:
            self._tell(refusal)
            await _refuse(scope, receive, send, refusal)
            return
        if scope["type"] == "http" and scope["path"] == GRAPHQL:
            # The page reads the query from its own address; the server would run it.
            scope = {**scope, "query_string": b""}
        await self._app(scope, receive, _with_headers(send))


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *ANSWER_HEADERS]}
        await send(message)

    return sending


async def _refuse(scope: Message, receive: Receive, send: Send, refusal: Refusal) -> None:
    if scope["type"] == "websocket":
        await receive()  # "websocket.connect", which has to be taken before it can be refused
        await send({"type": "websocket.close", "code": 1008, "reason": refusal.reason})
        return
    body = f"{refusal.reason}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),  # a body that nobody read is not to be taken for the next request
        *ANSWER_HEADERS,
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body if scope["method"] != "HEAD" else b""})
