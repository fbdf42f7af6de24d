"""Which names this service answers to.

A page of another site can make a name of its own mean this machine (DNS rebinding). The browser then takes the service
for a part of that site, and lets the page draw and read. Such a request gives itself away by its ``Host``: an address
in digits means this machine for everybody, and of names only the service's own are known to.
"""

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from entropy_assets.errors import HostUnknown, RequestMalformed
from entropy_assets.serving.access.allowances import Headers

_AUTHORITY: Final = re.compile(rb"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{0,5})?")
_MOST_KNOWN: Final = 1024


class Hosts:
    """The names of one service.

    Parameters
    ----------
    names
        Its own, beside ``localhost``; those that are addresses are known anyhow.

    Attributes
    ----------
    known
        Values of ``Host`` that were let pass before, as they were written.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = frozenset(name.lower().removesuffix(".") for name in ("localhost", *names))
        self.known: set[bytes] = set()

    def require(self, headers: Headers, http_version: str) -> None:
        """Let pass a request to one of this service's names.

        Raises
        ------
        RequestMalformed
            If it names none, or several (RFC 9112, section 3.2).
        HostUnknown
            If it names another one.
        """
        values = [value for name, value in headers if name == b"host"]
        if not values and http_version == "1.0":
            return
        if len(values) != 1 or not values[0].strip():
            raise RequestMalformed(
                f"a request names one host in one Host field; this one has {len(values)}, or an empty one"
            )
        if not self.has(values[0]):
            raise HostUnknown(
                "this service does not go by that name: ask for it by localhost, by its address in digits, or by a "
                "name that its operator put into ENTROPY_HTTP_HOSTS"
            )

    def has(self, value: bytes) -> bool:
        """Tell whether a ``Host`` of this value is one of this service's names."""
        if value in self.known:
            return True
        if not self._is_own(value):
            return False
        if len(self.known) >= _MOST_KNOWN:  # somebody tries every port there is
            self.known.clear()
        self.known.add(value)
        return True

    def _is_own(self, value: bytes) -> bool:
        parts = _AUTHORITY.fullmatch(value.strip())
        if parts is None:
            return False
        host = parts["host"].decode().lower().removesuffix(".")
        return host in self._names or _is_address(host)


def _is_address(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return (address.version == 6) == host.startswith("[")
