"""`RandomClient`: bytes of a service, never worse than this machine's own.

A draw is a generator that does its exchanges as it goes and yields the pauses between them, in seconds, so that the
awaited client (asynchronous.py) tells the same story and only sleeps in another way.
"""

import os
import secrets
import ssl
import time
import warnings
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypedDict, TypeVar, get_args

from entropy_assets.client.answers import BLOCK_ID, Cut, Part, provenance_of, random_part
from entropy_assets.client.endpoint import Address, Endpoint
from entropy_assets.errors import BlockUnknown, ClientDry, ClientMisused, EndpointDry, EndpointFailed, NoBytes

if TYPE_CHECKING:
    import numpy as np

WhenDry = Literal["raise", "wait", "local"]
BitGenerator = Literal["PCG64DXSM", "PCG64", "Philox", "SFC64", "MT19937"]
SEED_BYTES: Final = 32
SHORTEST_JITTER_S: Final = 0.05
"""Waiting clients that were refused together come back apart: by this at least, or a quarter of their pause."""
T = TypeVar("T")
Steps = Generator[float, None, T]


class LocalBytesWarning(RuntimeWarning):
    """Bytes came from this machine alone because no service gave any, as ``when_dry="local"`` allows."""


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
    """

    data: bytes = field(repr=False)
    blocks: tuple[Cut, ...]
    simulated: bool = False


class Options(TypedDict, total=False):
    """Keyword arguments of `RandomClient` and of `AsyncRandomClient`."""

    key: str | None
    mix: bool
    when_dry: WhenDry
    wait_s: float
    timeout_s: float
    tls: ssl.SSLContext | None
    allow_insecure: bool


class RandomClient:
    """Draws random bytes from services, the first that gives some. Safe in threads and over a fork.

    An answer that was lost on the way is not asked for again: its bytes are burned, and the next request gets others.
    Nothing is sent but the request and the key; the environment's proxies are not used.

    Parameters
    ----------
    endpoints
        Addresses of services, ``http[s]://host[:port][/prefix]``, in the order in which they are asked. One that
        failed is asked last for a while, one that named a time (Retry-After) not before it.
    key
        API key for all of them. Over plain HTTP it is refused for other machines than this one.
    mix
        XOR every private answer with as many bytes of `os.urandom`: a service that is broken, or not the one it
        claims to be, can then make nothing worse. Without it the bytes are as secret as the service and the way.
    when_dry
        What if no endpoint gives bytes: ``raise`` `NoBytes`; ``wait`` for up to `wait_s` and then raise; ``local``,
        take `os.urandom` alone, and say so in `Drawn.source`, in `local_bytes` and by a `LocalBytesWarning`.
    wait_s
        Longest time that one draw spends waiting, seconds.
    timeout_s
        Longest time for one endpoint's answer, seconds; connecting has as long once more.
    tls
        How certificates are checked; by default against the system's authorities.
    allow_insecure
        Send a key, or unmixed private bytes, over plain HTTP to other machines all the same.

    Attributes
    ----------
    local_bytes
        Bytes given out so far that came from this machine alone.

    Raises
    ------
    ClientMisused
        If an argument can't be right. The error repeats neither key nor address.
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
        tls: ssl.SSLContext | None = None,
        allow_insecure: bool = False,
    ) -> None:
        if isinstance(endpoints, str) or not endpoints:
            raise ClientMisused("`endpoints` is a list of at least one address")
        if when_dry not in get_args(WhenDry):
            raise ClientMisused(f"`when_dry` is one of {', '.join(get_args(WhenDry))}")
        if not (timeout_s > 0 and wait_s >= 0):
            raise ClientMisused("`timeout_s` is more than 0 seconds and `wait_s` not less")
        addresses = [Address.parse(url, position) for position, url in enumerate(endpoints)]
        require_confidence(addresses, key, mix=mix, allow_insecure=allow_insecure)
        if tls is None and any(address.scheme == "https" for address in addresses):
            tls = ssl.create_default_context()
        self._endpoints = [Endpoint(address, key=key, tls=tls, timeout_s=timeout_s) for address in addresses]
        self._mix = mix
        self._when_dry = when_dry
        self._wait_s = wait_s
        self._closed = False
        self.local_bytes = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({[str(endpoint.address) for endpoint in self._endpoints]!r})"

    # --- what is drawn -----------------------------------------------------------------------------------------

    def random_bytes(self, n: int) -> bytes:
        """Return exactly `n` private random bytes, drawn in parts if no service gives so many at once.

        Raises
        ------
        NoBytes
            If no endpoint gives bytes; `ClientDry` if waiting helps. With ``when_dry="local"`` a `LocalBytesWarning`
            instead, which the filters of `warnings` can make an error.
        RequestRefused
            If a service refuses key or request, whatever `when_dry` says.
        ClientMisused
            If `n` is no number of bytes.
        """
        drawn = self.draw(n)
        self._warn_of(drawn)
        return drawn.data

    def draw(self, n: int) -> Drawn:
        """Return `n` private random bytes and where they came from; errors as `random_bytes`, and no warning."""
        return _finish(self._private(n))

    def public(self, n: int) -> PublicDraw:
        """Return `n` public random bytes, not mixed, with the blocks that they were cut from.

        They are never taken from this machine: with ``when_dry="local"`` too, `NoBytes` is raised.
        """
        return _finish(self._public(n))

    def provenance(self, block_id: str) -> dict[str, Any]:
        """Return where a published block comes from: batch, images, link, verdict, run.

        Raises
        ------
        BlockUnknown
            If no endpoint published it.
        NoBytes, RequestRefused
            As `random_bytes`.
        """
        return _finish(self._provenance(block_id))

    def generator(self, bit_generator: BitGenerator = "PCG64DXSM") -> "np.random.Generator":
        """Return a NumPy generator that is seeded by one draw of 32 bytes.

        One draw and not one request per call: a simulation needs millions of numbers, a local generator makes them at
        memory speed, and its ``bit_generator.seed_seq.entropy`` written down repeats the run. Such a generator is not
        for keys: who sees enough of its output knows the rest. After a fork parent and child give the same numbers;
        ``spawn`` makes independent ones.

        Parameters
        ----------
        bit_generator
            Name of one of NumPy's bit generators.
        """
        return seeded(self.random_bytes(SEED_BYTES), bit_generator)

    def close(self) -> None:
        """Close the idle connections; draws are refused from now on."""
        self._closed = True
        for endpoint in self._endpoints:
            endpoint.close()

    def require_open(self) -> None:
        """Raise `ClientMisused` if the client is closed."""
        if self._closed:
            raise ClientMisused("this client is closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- how, in steps -----------------------------------------------------------------------------------------

    def _private(self, n: int) -> Steps[Drawn]:
        try:
            parts = yield from self._parts(n, public=False)
        except NoBytes:
            if self._when_dry != "local":
                raise
            self.local_bytes += n
            return Drawn(os.urandom(n), "local")
        data = b"".join(part.data for part in parts)
        return Drawn(_mixed(data) if self._mix else data, "service", any(part.simulated for part in parts))

    def _public(self, n: int) -> Steps[PublicDraw]:
        parts = yield from self._parts(n, public=True)
        data = b"".join(part.data for part in parts)
        cuts = tuple(cut for part in parts for cut in part.blocks)
        return PublicDraw(data, cuts, any(part.simulated for part in parts))

    def _provenance(self, block_id: str) -> Steps[dict[str, Any]]:
        if BLOCK_ID.fullmatch(block_id) is None:
            raise ClientMisused("a block id is 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12")
        patience = _Patience(self._when_dry, self._wait_s)
        return (yield from self._answer(lambda endpoint: provenance_of(endpoint, block_id), patience))

    def _parts(self, n: int, *, public: bool) -> Steps[list[Part]]:
        if type(n) is not int or n < 0:
            raise ClientMisused("a number of bytes is an integer, 0 or more")
        patience = _Patience(self._when_dry, self._wait_s)
        parts: list[Part] = []
        while n > 0:
            left = n
            part = yield from self._answer(lambda endpoint: random_part(endpoint, left, public=public), patience)  # noqa: B023 - called before the next round
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
        for endpoint in sorted(self._endpoints, key=lambda endpoint: endpoint.rests_for_s):
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
        soonest = min(endpoint.rests_for_s for endpoint in self._endpoints)
        words = "; ".join(failure.message for failure in failures)
        return (ClientDry if dry else NoBytes)(
            f"no endpoint gave bytes ({words}); ask again in {soonest:.1f} s or name another endpoint",
            failures=rows,
            retry_after_s=round(soonest, 3),
        )

    def _warn_of(self, drawn: Drawn) -> None:
        if drawn.source == "local":
            message = f"{len(drawn.data)} bytes came from os.urandom alone: no endpoint gave any"
            warnings.warn(message, LocalBytesWarning, stacklevel=3)


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


def seeded(seed: bytes, bit_generator: BitGenerator) -> "np.random.Generator":
    """Return NumPy's generator of that name, seeded with all of `seed`.

    Raises
    ------
    ClientMisused
        If NumPy has no such bit generator.
    """
    from numpy import frombuffer, random

    if bit_generator not in get_args(BitGenerator):
        raise ClientMisused(f"`bit_generator` is one of {', '.join(get_args(BitGenerator))}")
    words = frombuffer(seed, "<u4")
    # A pool as long as the seed: NumPy's usual one would keep 128 bits of it.
    sequence = random.SeedSequence(words.tolist(), pool_size=len(words))
    return random.Generator(getattr(random, bit_generator)(sequence))


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


def _mixed(data: bytes) -> bytes:
    fresh = int.from_bytes(os.urandom(len(data)), "little")
    return (int.from_bytes(data, "little") ^ fresh).to_bytes(len(data), "little")


def _finish(steps: Steps[T]) -> T:
    while True:
        try:
            pause = next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
        time.sleep(pause)
