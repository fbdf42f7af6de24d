"""`RandomClient`: bytes of a service, never worse than this machine's own."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from entropy_assets.client.generator import SEED_BYTES, BitGenerator, seeded
from entropy_assets.client.steps import Drawn, Draws, Options, PublicDraw, Steps, warn_of_local

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")


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
        XOR every private answer with as many bytes of `os.urandom`, as by default: a service that is broken, or not
        the one it claims to be, can then make nothing worse. Without it the bytes are as secret as the service and
        the way.
    when_dry
        What if no endpoint gives bytes: ``raise`` `NoBytes`, as by default; ``wait`` for up to `wait_s` and then
        raise; ``local``, take `os.urandom` alone, and say so in `Drawn.source`, in `local_bytes` and by a
        `LocalBytesWarning`.
    wait_s
        Longest time that one draw spends waiting, seconds; by default 10.
    timeout_s
        Longest time for one endpoint's answer, seconds; by default 5 and at most a day. Connecting has as long once
        more.
    part_bytes
        Longest answer that is asked for, by default 64 KiB; less of a service that names a smaller limit. A draw of
        several parts that ends without bytes has burned those before.
    in_parts
        Draw what is longer than one answer in parts, as by default. Without it a draw is one answer of one service,
        however long, or a `RequestRefused`, and nothing is burned.
    tls
        How certificates are checked; by default against the system's authorities.
    allow_insecure
        Send a key, or unmixed private bytes, over plain HTTP to other machines all the same.

    Raises
    ------
    ClientMisused
        If an argument can't be right. The error repeats neither key nor address.
    """

    def __init__(self, endpoints: Sequence[str], **options: Unpack[Options]) -> None:
        self._draws = Draws(endpoints, **options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._draws!r})"

    @property
    def local_bytes(self) -> int:
        """Bytes given out so far that came from this machine alone."""
        return self._draws.local_bytes

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
        warn_of_local(drawn)
        return drawn.data

    def draw(self, n: int) -> Drawn:
        """Return `n` private random bytes and where they came from; errors as `random_bytes`, and no warning."""
        return _finish(self._draws.private(n))

    def public(self, n: int) -> PublicDraw:
        """Return `n` public random bytes, not mixed, with the blocks that they were cut from.

        They are never taken from this machine: with ``when_dry="local"`` too, `NoBytes` is raised.
        """
        return _finish(self._draws.public(n))

    def provenance(self, block_id: str) -> dict[str, Any]:
        """Return where a published block comes from: batch, images, link, verdict, run.

        Raises
        ------
        BlockUnknown
            If no endpoint published it.
        NoBytes, RequestRefused
            As `random_bytes`.
        """
        return _finish(self._draws.provenance(block_id))

    def stats(self) -> dict[str, Any]:
        """Return what a service and its pool hold and have given out: of the first endpoint that tells it.

        Raises
        ------
        NoBytes, RequestRefused
            As `random_bytes`.
        """
        return _finish(self._draws.stats())

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
        self._draws.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _finish(steps: Steps[T]) -> T:
    while True:
        try:
            pause = next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
        time.sleep(pause)
