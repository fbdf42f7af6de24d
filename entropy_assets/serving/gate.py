"""Who may have what: API keys, scopes and limits, decided in microseconds for who was here before.

A client without a key may do what the scopes of anonymous clients allow, within a limit per address. A key that opens
nothing is refused even where no key is needed, so that nobody takes an expired key for a good one; only a service that
has no keys and no limits at all reads none.

Keys come in ``X-API-Key`` or as ``Authorization: Bearer``, never in the address, which proxies and browsers keep. The
gate holds digests of keys, not keys.
"""

import ipaddress
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer

from entropy_assets.errors import KeyInvalid, KeyMissing, QuotaUnavailable, ScopeMissing
from entropy_assets.scopes import SCOPES, Scope
from entropy_assets.serving.account import Admission, Headers, Limits
from entropy_assets.serving.key_ring import KeyRing
from entropy_assets.serving.origins import require_own
from entropy_assets.serving.problems import problem_codes, problem_schema
from entropy_assets.serving.quotas import Accounts
from entropy_assets.stores.api_keys import KeyRecord, keys_of
from entropy_assets.stores.buckets import SharedBuckets

__all__ = ["SCOPES", "Admission", "Gate", "Scope", "add_gate", "admitted", "scope_of"]

ADMISSION: Final = "entropy_assets.admission"
"""Where the ASGI scope of a request carries its `Admission`."""
_BEARER: Final = b"bearer "
_LONGEST_KEY: Final = 128
_MAX_SEATS: Final = 4096
_IPV6_NETWORK_BITS: Final = 64
"""One subscriber has at least this network to themself (RFC 6177), so a limit per address would be none."""


@dataclass(frozen=True, slots=True)
class _Seat:
    """What is known of a client who was let in before: a good key, or no key."""

    subject: str
    scopes: frozenset[Scope]
    limits: Limits
    until_s: float
    trusted: bool
    unlimited: Admission | None


class Gate:
    """Lets clients in, or raises.

    Parameters
    ----------
    ring
        The keys; None if there are none.
    anonymous
        Scopes of clients without a key.
    limits
        Of each key that has none of its own, and of each address without a key.
    accounts
        Where units are spent; None if nobody has a limit.

    Attributes
    ----------
    is_open
        Whether there are no keys, no limits, and nothing that needs a key: then callers need not ask.
    """

    def __init__(
        self,
        ring: KeyRing | None = None,
        anonymous: Collection[Scope] = SCOPES,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        accounts: Accounts | None = None,
    ) -> None:
        self.anonymous: Final = frozenset(anonymous)
        self._ring = ring
        self._limits = limits
        self._accounts = accounts
        self._seats: dict[bytes, _Seat] = {}
        self._addresses: dict[str, _Seat] = {}
        self.is_open = False
        self._on_change()

    @classmethod
    def of(
        cls,
        *,
        keys: str | None,
        anonymous: Collection[Scope],
        limits: Limits,
        pool_url: str,
        prefix: str,
    ) -> "Gate":
        """Return the gate of a service; quotas are kept by the pool's server, under the pool's prefix.

        Raises
        ------
        KeysUnreadable
            If the keys can't be read: a service that does not know its keys does not start.
        PoolAddressInvalid
            If an address is none.
        """
        ring = None if keys is None else KeyRing(keys_of(keys, prefix=prefix))
        if ring is not None:
            ring.load()
        return cls(ring, anonymous, limits, Accounts(SharedBuckets.from_url(pool_url, prefix=prefix)))

    def start(self) -> None:
        """Begin to watch the store of keys, on the running loop."""
        if self._ring is not None:
            self._ring.on_change = self._on_change
            self._ring.start()

    async def stop(self) -> None:
        """End that, and give unspent units back."""
        if self._ring is not None:
            await self._ring.stop()
        if self._accounts is not None:
            await self._accounts.stop()

    def reasons(self) -> Iterator[tuple[str, str]]:
        """Yield what is wrong, as code and sentence, for the health report."""
        if self._ring is not None and self._ring.problem is not None:
            yield "keys-unreadable", f"{self._ring.problem}; the keys known before stay in force"
        if self._accounts is not None and self._accounts.problem is not None:
            yield "quota-unavailable", f"{self._accounts.problem}; who has no key gets nothing"

    def admit_at_once(self, headers: Headers, address: str, scope: Scope, n_bytes: int) -> Admission | None:
        """Spend one request and `n_bytes` if that can be told from memory; None, with nothing spent, if not.

        Parameters
        ----------
        headers
            Of the request, names in lower case.
        address
            The client's; empty if there is none.
        scope
            What is to be done.
        n_bytes
            Bytes to be drawn.
        """
        seat = self._known_seat(headers, address)
        if seat is None or scope not in seat.scopes or seat.until_s <= time.time():
            return None
        if seat.unlimited is not None:
            return seat.unlimited
        account = self._accounts.known(seat.subject)  # type: ignore[union-attr]  # a seat with limits has accounts
        return None if account is None else account.take_at_once(1, n_bytes)

    def knows(self, headers: Headers, address: str, scope: Scope) -> bool:
        """Return whether the client was let in before and may do this, as far as memory tells. Spends nothing."""
        if self.is_open:
            return True
        seat = self._known_seat(headers, address)
        return seat is not None and scope in seat.scopes and seat.until_s > time.time()

    def _known_seat(self, headers: Headers, address: str) -> _Seat | None:
        key = None
        for name, value in headers:
            if name == b"x-api-key":
                key = value
                break
            if name == b"authorization":
                key = value[7:] if value[:7] == b"Bearer " else b""  # other spellings are left to `admit`
        # digests, so that no key lies in memory for longer than its request
        return self._addresses.get(address) if key is None else self._seats.get(sha256(key).digest())

    async def admit(self, headers: Headers, address: str, scope: Scope, n_bytes: int) -> Admission:
        """Spend one request and `n_bytes`, after asking the server that keeps the quotas if need be.

        An answer of more bytes than a burst is begun with fewer, the rest by `spend`.

        Raises
        ------
        KeyMissing, KeyInvalid, ScopeMissing
            If the client may not do this.
        QuotaExceeded
            If its limit is used up; ``data["retry_after_s"]`` says until when.
        QuotaUnavailable
            If nobody can tell, and it has no key.
        """
        if self.is_open:
            return Admission("anonymous", [])
        key = _key_in(headers)
        seat = self._anonymous_seat(address) if key is None else self._seat_of(key)
        if scope not in seat.scopes:
            if key is None:
                raise KeyMissing("this needs an API key: send it as X-API-Key or Authorization: Bearer", scope=scope)
            raise ScopeMissing(f"this key has not the scope {scope!r}; ask the operator for one that has", scope=scope)
        if seat.unlimited is not None:
            return seat.unlimited
        return await self._take(seat.subject, seat.limits, seat.trusted, 1, n_bytes)

    async def spend(self, admission: Admission, n_bytes: int) -> None:
        """Spend `n_bytes` more of an answer that runs.

        Raises
        ------
        KeyInvalid
            If the key was revoked since, or has expired.
        QuotaExceeded, QuotaUnavailable
            As `admit`.
        """
        kind, _, key_id = admission.subject.partition(":")
        if kind == "key" and not (self._ring is not None and self._ring.in_force(key_id)):
            raise _invalid()
        if admission.account is not None and n_bytes:
            account = admission.account
            await self._take(account.subject, account.limits, account.trusted, 0, n_bytes)

    async def _take(self, subject: str, limits: Limits, trusted: bool, requests: int, n_bytes: int) -> Admission:
        if self._accounts is None:
            raise QuotaUnavailable("this service has limits and nowhere to count")
        account = self._accounts.of(subject, limits, trusted=trusted)
        return await self._accounts.take(account, requests, n_bytes)

    def _seat_of(self, key: bytes) -> _Seat:
        if not 0 < len(key) <= _LONGEST_KEY or self._ring is None:
            raise _invalid()
        record = self._ring.find(key.decode("latin-1"))
        if record is None:
            raise _invalid()
        if len(self._seats) >= _MAX_SEATS:
            self._seats.clear()
        seat = self._seats[sha256(key).digest()] = self._seated(record)
        return seat

    def _seated(self, record: KeyRecord) -> _Seat:
        limits = Limits(
            record.requests_per_s or self._limits.requests_per_s,
            record.bytes_per_s or self._limits.bytes_per_s,
            self._limits.longest_bytes,
        )
        until_s = float("inf") if record.expires_us is None else record.expires_us / 1e6
        scopes = self.anonymous.union(record.scopes)
        subject = f"key:{record.id}"
        return _Seat(subject, scopes, limits, until_s, True, None if limits.any else Admission(subject, []))

    def _anonymous_seat(self, address: str) -> _Seat:
        seat = self._addresses.get(address)
        if seat is None:
            if len(self._addresses) >= _MAX_SEATS:
                self._addresses.clear()
            subject = _subject_of(address)
            free = None if self._limits.any else Admission(subject, [])
            seat = _Seat(subject, self.anonymous, self._limits, float("inf"), False, free)
            self._addresses[address] = seat
        return seat

    def _on_change(self) -> None:
        """Forget who was let in with keys that may be others now."""
        self._seats.clear()
        if self._accounts is not None:
            self._accounts.forget_keys()
        no_keys = self._ring is None or not len(self._ring)
        self.is_open = no_keys and not self._limits.any and self.anonymous.issuperset(SCOPES)


def _key_in(headers: Headers) -> bytes | None:
    """Return the key that was sent, None if none was; whatever else stands in ``Authorization`` is no key."""
    found = None
    for name, value in headers:
        if name == b"x-api-key":
            return value
        if name == b"authorization":
            found = value[len(_BEARER) :] if value[: len(_BEARER)].lower() == _BEARER else b""
    return found


def _invalid() -> KeyInvalid:
    return KeyInvalid("this API key opens nothing here: it is mistyped, unknown, expired or revoked")


@lru_cache(maxsize=1024)
def _subject_of(address: str) -> str:
    """Return who is behind an address: an IPv4 address, an IPv6 network, or somebody on a local socket."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "anonymous"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return f"address:{parsed.ipv4_mapped}"
        return f"address:{ipaddress.IPv6Network((int(parsed), _IPV6_NETWORK_BITS), strict=False)}"
    return f"address:{parsed}"


# ------------------------------------------------------------------------------------------------- for FastAPI routes

_API_KEY: Final = APIKeyHeader(name="X-API-Key", auto_error=False, description="An API key of this service.")
_AUTHORIZATION: Final = HTTPBearer(auto_error=False, description="The same key as a bearer token.")
_REFUSALS: Final[dict[str, dict[str, Any]]] = {
    "401": problem_schema("key-missing", "key-invalid"),
    "403": problem_schema("scope-missing", "foreign-origin"),
    "429": problem_schema("quota-exceeded"),
    "503": problem_schema("quota-unavailable"),
}


class _Admitted:
    """The dependency of a route that needs a scope: admits one request, and leaves the admission in the ASGI scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope: Final = scope

    async def __call__(
        self,
        http: Request,
        _key: Annotated[str | None, Security(_API_KEY)],
        _bearer: Annotated[object, Security(_AUTHORIZATION)],
    ) -> None:
        require_own(http.scope["headers"])
        gate: Gate = http.app.state.gate
        if not gate.is_open:
            address = http.client.host if http.client else ""
            http.scope[ADMISSION] = await gate.admit(http.scope["headers"], address, self.scope, 0)


def admitted(scope: Scope) -> Any:
    """Return the dependency, for ``dependencies=[...]`` of a route, that lets in who has `scope`.

    It spends one request; what the answer takes in bytes is spent by the route.
    """
    return Depends(_Admitted(scope))


def scope_of(route: object) -> Scope | None:
    """Return the scope that `route` needs, None if it needs none."""
    if not isinstance(route, APIRoute):
        return None
    return next((each.call.scope for each in route.dependant.dependencies if isinstance(each.call, _Admitted)), None)


def add_gate(app: FastAPI, gate: Gate) -> None:
    """Put `gate` before the routes of `app`: their limits into the answers, their refusals into the description."""
    app.state.gate = gate
    app.add_middleware(_LimitHeaders)
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        described = app.openapi_schema is not None
        document = describe()
        if not described:
            for route in app.routes:
                scope = scope_of(route)
                if scope is not None and isinstance(route, APIRoute) and route.include_in_schema:
                    for method in route.methods or ():
                        operation = document["paths"][route.path_format][method.lower()]
                        _describe(operation, body=method != "HEAD", optional=scope in gate.anonymous)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _describe(operation: dict[str, Any], *, body: bool, optional: bool) -> None:
    answers = operation["responses"]
    for status, answer in _REFUSALS.items():
        own = answers.get(status)
        whole = problem_schema(*problem_codes(own), *problem_codes(answer)) if own and body else answer
        answers[status] = whole if body else {name: whole[name] for name in ("description", "headers")}
    if optional:
        operation["security"].append({})


class _LimitHeaders:
    """Adds the ``RateLimit`` fields to the answers of admitted requests (ASGI)."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_with_limits(message: Any) -> None:
            admission = scope.get(ADMISSION)
            if admission is not None and message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(pair for pair in admission.headers if pair[0] not in present),
                ]
            await send(message)

        await self._app(scope, receive, send_with_limits if scope["type"] == "http" else send)
