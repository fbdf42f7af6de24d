"""Addresses that a process of ours listens on, taken before anything is spent for what it will answer there."""

import errno
import socket
from typing import Any, Final

from entropy_assets.errors import StartFailed

BACKLOG: Final = 2048
"""Connections that wait to be taken, at most."""
_ABSENT: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""Of a name with several addresses, those of a family that this machine does not speak may be missing."""


def netloc(host: str, port: int) -> str:
    """Return host and port as a URL has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bound(host: str, port: int, *, elsewhere: str, listening: bool) -> list[socket.socket]:
    """Return a socket at each address that `host` has on this machine, all with one port; any free one for 0.

    Parameters
    ----------
    host, port
        What was asked for.
    elsewhere
        How another port is chosen, for the error.
    listening
        Whether they take connections already. One that doesn't can be bound by another process too.

    Raises
    ------
    StartFailed
        If the port is taken, or the host has no address here.
    """
    sockets: list[socket.socket] = []
    try:
        addresses = _addresses(host, port)
        absent: OSError | None = None
        for family, address in addresses:
            at = (address[0], sockets[0].getsockname()[1], *address[2:]) if sockets else address
            try:
                sockets.append(_bound_to(family, at, alone=len(addresses) == 1, listening=listening))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                absent = error
        if absent is not None and not sockets:
            raise absent
    except OSError as error:
        for each in sockets:
            each.close()
        raise StartFailed(
            f"can't listen on {netloc(host, port)} ({error.strerror}); {_advice(error, elsewhere)}", port=port
        ) from error
    return sockets


def _bound_to(family: int, address: tuple[Any, ...], *, alone: bool, listening: bool) -> socket.socket:
    link = socket.socket(family)
    try:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and not alone:  # `::` would take the other family's address too
            link.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        link.bind(address)
        if listening:
            link.listen(BACKLOG)
    except OSError:
        link.close()
        raise
    return link


def _addresses(host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError:  # of Python's own, for a label that no name has
        raise OSError(errno.EADDRNOTAVAIL, "it is no name of a host") from None
    return list(dict.fromkeys((family, address) for family, *_, address in found))


def _advice(error: OSError, elsewhere: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"stop what uses it, or {elsewhere}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"it is not for this user; {elsewhere}"
    return "name an address of this machine, like 127.0.0.1, or 0.0.0.0 for all of them"
