"""What is drawn and how, in steps: the core that both clients share.

A draw is a generator that does its exchanges as it goes and yields the pauses between them, in seconds: `RandomClient`
sleeps them, `AsyncRandomClient` awaits them, and both tell the same story.
"""

import os
import secrets
import ssl
import time
import warnings
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, TypedDict, TypeVar, get_args

from entropy_assets.client.answers import BLOCK_ID, LONGEST_ANSWER, Cut, Part, provenance_of, random_part, stats_of
from entropy_assets.client.endpoint import LONGEST_TIMEOUT_S, PART_BYTES, Address, Endpoint
from entropy_assets.client.mixing import mixed
from entropy_assets.errors import BlockUnknown, ClientDry, ClientMisused, EndpointDry, EndpointFailed, NoBytes

WhenDry = Literal["raise", "wait", "local"]
SHORTEST_JITTER_S: Final = 0.05
"""Waiting clients that were refused together come back apart: by this at least, or a quarter of their pause."""
T = TypeVar("T")
Steps = Generator[float, None, T]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Bytes and where they came from.

    Attributes
    ----------
    data
        The bytes.
    source
        ``service``, or ``local``: this machine's generator alone.
    simulated
        Whether the service said that a simulated camera is behind some of them.
    """

    data: bytes = field(repr=False)
    source: Literal["service", "local"]
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class PublicDraw:
    """Bytes that anyone can compute from the images: for draws and audits, never for keys.

    Attributes
    ----------
    data
        The bytes, as they stand in the blocks.
    blocks
        Which bytes of which blocks, in this order.
    simulated
        Whether the service said that a simulated camera is behind some of them.
    reveals_at
        When all these blocks will have revealed, ISO 8601 in UTC: from then on an outsider can make them again. Empty
        if a service did not say it.
    """

    data: bytes = field(repr=False)
    blocks: tuple[Cut, ...]
    simulated: bool = False
    reveals_at: str = ""


class LocalBytesWarning(RuntimeWarning):
    """Bytes came from this machine alone because no service gave any, as ``when_dry="local"`` allows."""


def warn_of_local(drawn: Drawn) -> None:
    """Warn whoever asked a client's method for `drawn`, if it came from this machine alone."""
    if drawn.source == "local":
        message = f"{len(drawn.data)} bytes came from os.urandom alone: no endpoint gave any"
        warnings.warn(message, LocalBytesWarning, stacklevel=3)


class Options(TypedDict, total=False):
    """Keyword arguments of `RandomClient` and of `AsyncRandomClient`."""

    key: str | None
    mix: bool
    when_dry: WhenDry
    wait_s: float
    timeout_s: float
    part_bytes: int
    in_parts: bool
    tls: ssl.SSLContext | None
    allow_insecure: bool


class Draws:
    """What can be asked of services. Parameters and errors are those of `RandomClient`, where they are explained.

    Attributes
    ----------
    endpoints
        The services, in the order that was given.
    local_bytes
        Bytes given out so far that came from this machine alone.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        key: str | None = None,
        mix: bool = True,
        when_dry: WhenDry = "raise",
        wait_s: float = 10.0,
        timeout_s: float = 5.0,
        part_bytes: int = PART_BYTES,
        in_parts: bool = True,
        tls: ssl.SSLContext | None = None,
        allow_insecure: bool = False,
    ) -> None:
        if isinstance(endpoints, str) or not endpoints:
            raise ClientMisused("`endpoints` is a list of at least one address")
        if when_dry not in get_args(WhenDry):
            raise ClientMisused(f"`when_dry` is one of {', '.join(get_args(WhenDry))}")
        if not (0 < timeout_s <= LONGEST_TIMEOUT_S and wait_s >= 0):
            raise ClientMisused("`timeout_s` is more than 0 seconds and at most a day, `wait_s` is 0 seconds or more")
        if not 1 <= part_bytes <= LONGEST_ANSWER:
            raise ClientMisused(f"`part_bytes` is between 1 and {LONGEST_ANSWER}")
        addresses = [Address.parse(url, position) for position, url in enumerate(endpoints)]
        require_confidence(addresses, key, mix=mix, allow_insecure=allow_insecure)
        if tls is None and any(address.scheme == "https" for address in addresses):
            tls = ssl.create_default_context()
        self.endpoints = [
            Endpoint(address, key=key, tls=tls, timeout_s=timeout_s, longest=part_bytes) for address in addresses
        ]
        self._mix = mix
        self._in_parts = in_parts
        self._when_dry = when_dry
        self._wait_s = wait_s
        self._closed = False
        self.local_bytes = 0

    def close(self) -> None:
        """Close the idle connections; draws are refused from now on."""
        self._closed = True
        for endpoint in self.endpoints:
            endpoint.close()

    def require_open(self) -> None:
        """Raise `ClientMisused` if the client is closed."""
        if self._closed:
            raise ClientMisused("this client is closed")

    def __repr__(self) -> str:
        return repr([str(endpoint.address) for endpoint in self.endpoints])

    # --- what is asked -----------------------------------------------------------------------------------------

    def private(self, n: int) -> Steps[Drawn]:
        """Return `n` private bytes, mixed with this machine's unless that is switched off."""
        try:
            parts = yield from self._parts(n, public=False)
        except NoBytes:
            if self._when_dry != "local":
                raise
            self.local_bytes += n
            return Drawn(os.urandom(n), "local")
        data = b"".join(part.data for part in parts)
        return Drawn(mixed(data) if self._mix else data, "service", any(part.simulated for part in parts))

    def public(self, n: int) -> Steps[PublicDraw]:
        """Return `n` public bytes with their blocks, as they are."""
        parts = yield from self._parts(n, public=True)
        data = b"".join(part.data for part in parts)
        cuts = tuple(cut for part in parts for cut in part.blocks)
        moments = [part.reveals_at for part in parts]
        reveals_at = max(moments) if moments and all(moments) else ""
        return PublicDraw(data, cuts, any(part.simulated for part in parts), reveals_at)

    def provenance(self, block_id: str) -> Steps[dict[str, Any]]:
        """Return where a published block comes from."""
        if BLOCK_ID.fullmatch(block_id) is None:
            raise ClientMisused("a block id is 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12")
        return (yield from self._answer(lambda endpoint: provenance_of(endpoint, block_id), self._patience()))

    def stats(self) -> Steps[dict[str, Any]]:
        """Return what a service and its pool hold and have given out."""
        return (yield from self._answer(stats_of, self._patience()))

    # --- how ---------------------------------------------------------------------------------------------------

    def _patience(self) -> "_Patience":
        return _Patience(self._when_dry, self._wait_s)

    def _parts(self, n: int, *, public: bool) -> Steps[list[Part]]:
        if type(n) is not int or n < 0:
            raise ClientMisused("a number of bytes is an integer, 0 or more")
        patience = self._patience()
        parts: list[Part] = []
        while n > 0:
            ask = partial(random_part, n=n, public=public, all_at_once=not self._in_parts)
            part = yield from self._answer(ask, patience)
            parts.append(part)
            n -= len(part.data)
        return parts

    def _answer(self, ask: Callable[[Endpoint], T], patience: "_Patience") -> Steps[T]:
        while True:
            try:
                return self._first_answer(ask)
            except NoBytes as problem:
                pause = patience.pause_s(problem)
            yield pause

    def _first_answer(self, ask: Callable[[Endpoint], T]) -> T:
        self.require_open()
        failures: list[EndpointFailed | BlockUnknown] = []
        # A stable sort: who is not resting stays in the order that was given.
        for endpoint in sorted(self.endpoints, key=lambda endpoint: endpoint.rests_for_s):
            try:
                answer = _asked(endpoint, ask)
            except (EndpointFailed, BlockUnknown) as failure:
                failures.append(failure)
            else:
                return answer
        raise self._summary(failures) from failures[-1]

    def _summary(self, failures: Sequence[EndpointFailed | BlockUnknown]) -> NoBytes | BlockUnknown:
        if all(isinstance(failure, BlockUnknown) for failure in failures):
            return BlockUnknown("no endpoint published this block", **failures[0].data)
        dry = any(isinstance(failure, EndpointDry) for failure in failures)
        rows = [{"code": failure.code, **failure.data} for failure in failures]
        soonest = min(endpoint.rests_for_s for endpoint in self.endpoints)
        reasons = "; ".join(failure.message for failure in failures)
        return (ClientDry if dry else NoBytes)(
            f"no endpoint gave what was asked for ({reasons}); ask again in {soonest:.1f} s or name another endpoint",
            failures=rows,
            retry_after_s=round(soonest, 3),
        )


class _Patience:
    """How long one draw waits, all its parts together."""

    def __init__(self, policy: WhenDry, wait_s: float) -> None:
        self._policy = policy
        self._deadline = time.monotonic() + wait_s

    def pause_s(self, problem: NoBytes) -> float:
        """Return how long to wait now; raise `problem` if that is not wanted or would be too long."""
        pause = float(problem.data["retry_after_s"])
        left = self._deadline - time.monotonic()
        if self._policy != "wait" or pause >= left:
            raise problem
        jitter = secrets.randbelow(1000) / 1000 * max(SHORTEST_JITTER_S, pause / 4)
        return min(left, pause + jitter)


def require_confidence(addresses: Sequence[Address], key: str | None, *, mix: bool, allow_insecure: bool) -> None:
    """Check that nothing secret would go in clear to another machine.

    Raises
    ------
    ClientMisused
        If it would, or if `key` can't be one.
    """
    if key is not None and not (key and all("!" <= character <= "~" for character in key)):
        raise ClientMisused("`key` is printable ASCII without spaces; read it from its file without the line's end")
    in_clear = [str(address) for address in addresses if not address.is_confidential]
    if not in_clear or allow_insecure or (key is None and mix):
        return
    what, where = "the key" if key is not None else "private bytes that nothing is mixed into", in_clear[0]
    raise ClientMisused(f"{what} would go in clear to {where}; use https, or allow it as insecure", endpoint=where)


def _asked(endpoint: Endpoint, ask: Callable[[Endpoint], T]) -> T:
    if (left := endpoint.dry_for_s) > 0:
        reason = f"not to be asked for another {left:.1f} s"
        facts = {"endpoint": str(endpoint.address), "reason": reason, "retry_after_s": round(left, 3)}
        raise EndpointDry(f"{endpoint.address}: {reason}", **facts)
    try:
        answer = ask(endpoint)
    except EndpointFailed as failure:
        endpoint.rest(failure)
        raise
    endpoint.recovered()
    return answer
