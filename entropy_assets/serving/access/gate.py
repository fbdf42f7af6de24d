"""Who may have what: API keys, scopes and limits, decided in microseconds for who was here before.

A client without a key may do what the scopes of anonymous clients allow, within a limit per address. A key that opens
nothing is refused even where no key is needed, so that nobody takes an expired key for a good one; only a service that
has no keys and no limits at all reads none.

Keys come in ``X-API-Key`` or as ``Authorization: Bearer``, never in the address, which proxies and browsers keep. The
gate holds digests of keys, not keys.
"""

import ipaddress
import math
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from entropy_assets.errors import KeyInvalid, KeyMissing, KeysUnreadable, QuotaUnavailable, ScopeMissing
from entropy_assets.scopes import SCOPES, Scope
from entropy_assets.serving.access.accounts import Accounts
from entropy_assets.serving.access.allowances import Admission, Headers, Limits
from entropy_assets.serving.access.keys import MOST_AGE_S, KeyRing
from entropy_assets.stores.api_keys import KeyRecord

ADMISSION: Final = "entropy_assets.admission"
"""Where the ASGI scope of a request carries its `Admission`."""
_BEARER: Final = b"bearer "
_LONGEST_KEY: Final = 128
_MAX_VISITORS: Final = 4096
_IPV6_NETWORK_BITS: Final = 64
"""One subscriber has at least this network to themself (RFC 6177), so a limit per address would be none."""


@dataclass(frozen=True, slots=True)
class _Visitor:
    """A client who was let in before, with a good key or with none, and what it may do until when."""

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
    admits_everybody
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
        self._visitors: dict[bytes, _Visitor] = {}
        self._addresses: dict[str, _Visitor] = {}
        self.admits_everybody = False
        self._on_change()

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
        """Yield what is wrong, as code and sentence, for the document of ``/health``."""
        if self._ring is not None and self._ring.problem is not None:
            yield "keys-unreadable", f"{self._ring.problem}; {self._consequence(self._ring)}"
        if self._accounts is not None and self._accounts.problem is not None:
            yield "quota-unavailable", f"{self._accounts.problem}; who has no key gets nothing"

    @staticmethod
    def _consequence(ring: KeyRing) -> str:
        if ring.is_stale:
            return "nobody with a key is let in until it can be read again"
        return f"the keys known before stay in force for {max(0, math.ceil(MOST_AGE_S - ring.age_s))} s more"

    @property
    def keys_age_s(self) -> float | None:
        """Seconds since the store of keys was last looked at with success; None if there is none."""
        return None if self._ring is None else self._ring.age_s

    def admit_at_once(self, caller: bytes | None, address: str, scope: Scope, n_bytes: int) -> Admission | None:
        """Spend one request and `n_bytes` if that can be told from memory; None, with nothing spent, if not.

        Parameters
        ----------
        caller
            What `caller_in` returned for the headers of the request.
        address
            The client's; empty if there is none.
        scope
            What is to be done.
        n_bytes
            Bytes to be drawn.
        """
        visitor = self._addresses.get(address) if caller is None else self._visitors.get(caller)
        if visitor is None or scope not in visitor.scopes or (visitor.trusted and not self._is_in_force(visitor)):
            return None
        if visitor.unlimited is not None:
            return visitor.unlimited
        account = self._accounts.known(visitor.subject)  # type: ignore[union-attr]  # a visitor with limits has accounts
        return None if account is None else account.take_at_once(1, n_bytes)

    def knows(self, caller: bytes | None, address: str, scope: Scope) -> bool:
        """Tell whether the client was let in before and may do this, as far as memory knows. Spends nothing."""
        if self.admits_everybody:
            return True
        visitor = self._addresses.get(address) if caller is None else self._visitors.get(caller)
        if visitor is None or scope not in visitor.scopes:
            return False
        return not visitor.trusted or self._is_in_force(visitor)

    def _is_in_force(self, visitor: _Visitor) -> bool:
        """Tell whether its key is still in force as far as memory knows."""
        ring, until_s = self._ring, visitor.until_s
        return (until_s == math.inf or until_s > time.time()) and ring is not None and not ring.is_stale

    async def admit(self, headers: Headers, address: str, scope: Scope, n_bytes: int) -> Admission:
        """Spend one request and `n_bytes`, after asking the server that keeps the buckets if need be.

        An answer of more bytes than a burst is begun with fewer, the rest by `spend`.

        Raises
        ------
        KeyMissing, KeyInvalid, ScopeMissing
            If the client may not do this.
        QuotaExceeded
            If its limit is used up; ``data["retry_after_s"]`` says until when.
        QuotaUnavailable
            If nobody can tell, and it has no key.
        KeysUnreadable
            If nobody can tell whether its key is in force.
        """
        if self.admits_everybody:
            return Admission("anonymous", [])
        key = _key_in(headers)
        visitor = self._anonymous_visitor(address) if key is None else self._visitor_of(key)
        if scope not in visitor.scopes:
            if key is None:
                raise KeyMissing("this needs an API key: send it as X-API-Key or Authorization: Bearer", scope=scope)
            raise ScopeMissing(f"this key has not the scope {scope!r}; ask the operator for one that has", scope=scope)
        if visitor.unlimited is not None:
            return visitor.unlimited
        return await self._take(visitor.subject, visitor.limits, visitor.trusted, 1, n_bytes)

    async def spend(self, admission: Admission, n_bytes: int) -> None:
        """Spend `n_bytes` more of an answer that runs.

        Raises
        ------
        KeyInvalid, KeysUnreadable
            If the key was revoked since, or has expired; if nobody can tell.
        QuotaExceeded, QuotaUnavailable
            As `admit`.
        """
        kind, _, key_id = admission.subject.partition(":")
        if kind == "key":
            self._require_fresh_keys()
            if self._ring is None or not self._ring.in_force(key_id):
                raise _invalid()
        if admission.account is not None and n_bytes:
            account = admission.account
            await self._take(account.subject, account.limits, account.trusted, 0, n_bytes)

    def refund(self, admission: Admission, n_bytes: int, *, local: bool) -> None:
        """Take back bytes that were spent and not drawn; see `Accounts.refund`."""
        if self._accounts is not None and admission.account is not None:
            self._accounts.refund(admission.account, n_bytes, local=local)

    async def _take(self, subject: str, limits: Limits, trusted: bool, requests: int, n_bytes: int) -> Admission:
        if self._accounts is None:
            raise QuotaUnavailable("this service has limits and nowhere to count")
        account = self._accounts.of(subject, limits, trusted=trusted)
        return await self._accounts.take(account, requests, n_bytes)

    def _visitor_of(self, key: bytes) -> _Visitor:
        if not 0 < len(key) <= _LONGEST_KEY or self._ring is None:
            raise _invalid()
        self._require_fresh_keys()
        record = self._ring.find(key.decode("latin-1"))
        if record is None:
            raise _invalid()
        if len(self._visitors) >= _MAX_VISITORS:
            self._visitors.clear()
        visitor = self._visitors[_digest(key)] = self._visitor_with(record)
        return visitor

    def _require_fresh_keys(self) -> None:
        if self._ring is not None and self._ring.is_stale:
            raise KeysUnreadable(
                "whether this key is still in force can't be told: the store of keys can't be read", retry_after_s=5
            )

    def _visitor_with(self, record: KeyRecord) -> _Visitor:
        limits = Limits(
            record.requests_per_s or self._limits.requests_per_s,
            record.bytes_per_s or self._limits.bytes_per_s,
            self._limits.longest_bytes,
        )
        until_s = float("inf") if record.expires_us is None else record.expires_us / 1e6
        scopes = self.anonymous.union(record.scopes)
        subject = f"key:{record.id}"
        unlimited = None if limits.any else Admission(subject, [])
        return _Visitor(subject, scopes, limits, until_s, True, unlimited)

    def _anonymous_visitor(self, address: str) -> _Visitor:
        visitor = self._addresses.get(address)
        if visitor is None:
            if len(self._addresses) >= _MAX_VISITORS:
                self._addresses.clear()
            subject = subject_behind(address)
            unlimited = None if self._limits.any else Admission(subject, [])
            visitor = _Visitor(subject, self.anonymous, self._limits, float("inf"), False, unlimited)
            self._addresses[address] = visitor
        return visitor

    def _on_change(self) -> None:
        """Forget the visitors with keys: the keys may be others now."""
        self._visitors.clear()
        if self._accounts is not None:
            self._accounts.forget_keys()
        no_keys = self._ring is None or not len(self._ring)
        self.admits_everybody = no_keys and not self._limits.any and self.anonymous.issuperset(SCOPES)


def caller_in(headers: Headers) -> bytes | None:
    """Return a digest of the key that was sent as usual, None if none was; what else was sent is left to `admit`.

    A digest, so that no key lies in memory for longer than its request.
    """
    key = None
    for name, value in headers:
        if name == b"x-api-key":
            return _digest(value)
        if name == b"authorization":
            key = value[7:] if value[:7] == b"Bearer " else b""
    return None if key is None else _digest(key)


def _digest(key: bytes) -> bytes:
    return blake2b(key).digest()  # of one process alone, and in half the time of SHA-256 by OpenSSL


def _key_in(headers: Headers) -> bytes | None:
    """Return the key that was sent, None if none was; whatever else stands in ``Authorization`` is no key."""
    bearer = None
    for name, value in headers:
        if name == b"x-api-key":
            return value
        if name == b"authorization":
            bearer = value[len(_BEARER) :] if value[: len(_BEARER)].lower() == _BEARER else b""
    return bearer


def _invalid() -> KeyInvalid:
    return KeyInvalid("this API key opens nothing here: it is mistyped, unknown, expired or revoked")


@lru_cache(maxsize=1024)
def subject_behind(address: str) -> str:
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
