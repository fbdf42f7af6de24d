"""What a client is charged for an answer that grows: admission at the beginning, then bytes before they are drawn."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from entropy_assets.errors import EntropyAssetsError
from entropy_assets.scopes import Scope
from entropy_assets.serving.access.allowances import Admission
from entropy_assets.serving.access.gate import ADMISSION, Gate, subject_behind


def subject_of(connection: Mapping[str, Any]) -> str:
    """Return whom an ASGI scope belongs to: the key or address that was admitted, else who is behind the address."""
    admission = connection.get(ADMISSION)
    client = connection["client"]
    return admission.subject if admission is not None else subject_behind(client[0] if client else "")


class Meter:
    """The meter of one answer: what was charged for it, and what of that is not drawn yet.

    Parameters
    ----------
    gate
        Who admits and charges; None if everybody may have everything.
    admission
        What the gate knows of this client.
    paid
        Bytes that were charged already.
    """

    def __init__(self, gate: Gate | None, admission: Admission | None, paid: int) -> None:
        self._gate = gate
        self._admission = admission
        self._paid = paid
        self._local = admission is not None and _is_local(admission)

    @classmethod
    async def started(cls, gate: Gate, connection: Mapping[str, Any], scope: Scope, n_bytes: int) -> Self:
        """Return a meter with `n_bytes` charged to the client already.

        Parameters
        ----------
        gate
            Who is asked.
        connection
            The ASGI scope of the request or handshake.
        scope
            What the client wants to do, as keys have it.
        n_bytes
            Bytes to charge at once.

        Raises
        ------
        EntropyAssetsError
            If the gate refuses: no key, a bad one, one without this scope, or a quota that is used up.
        """
        if gate.admits_everybody:
            return cls(None, None, 0)
        admission = connection.get(ADMISSION)
        if admission is not None:  # the route's dependency admitted the request, without its bytes
            await gate.spend(admission, n_bytes)
            return cls(gate, admission, n_bytes)
        client = connection["client"]
        address = client[0] if client else ""
        return cls(gate, await gate.admit(connection["headers"], address, scope, n_bytes), n_bytes)

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Headers that tell the client what is left."""
        return [] if self._admission is None else list(self._admission.headers)

    @property
    def subject(self) -> str | None:
        """Whom the gate charges; None if nobody."""
        return None if self._admission is None else self._admission.subject

    @property
    def is_free(self) -> bool:
        """Tell whether there is nothing to charge."""
        return self._gate is None

    async def cover(self, n_bytes: int) -> None:
        """Charge what is missing, so that `n_bytes` may be drawn; what was paid for is drawn by a key in force alone.

        Raises
        ------
        EntropyAssetsError
            If the quota is used up, or the key was revoked or has expired since.
        """
        if self._gate is not None and self._admission is not None:
            missing = max(0, n_bytes - self._paid)
            await self._gate.spend(self._admission, missing)
            self._paid += missing
            self._local = self._local or _is_local(self._admission)

    def use(self, n_bytes: int) -> None:
        """Note that `n_bytes` were drawn."""
        self._paid -= n_bytes

    @contextmanager
    def paying(self) -> Iterator[None]:
        """Give back what was charged and not drawn if one of our errors ends the ``with`` statement.

        Whoever leaves meanwhile gets nothing back: what was on its way is lost.
        """
        try:
            yield
        except EntropyAssetsError:
            unused, self._paid = self._paid, min(0, self._paid)
            if unused > 0 and self._gate is not None and self._admission is not None:
                self._gate.refund(self._admission, unused, local=self._local)
            raise


def _is_local(admission: Admission) -> bool:
    return admission.account is not None and admission.account.makes_bytes
