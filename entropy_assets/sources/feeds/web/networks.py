"""Looking names up, and judging the addresses that come out: before the connection, and for that connection alone.

A name means what its owner's server says at that moment (DNS rebinding). So each connection looks its host up once,
all addresses must be fit, and the connection goes to one of those very addresses.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_ADDRESSES: Final = 32
"""Most addresses of a name; a name with more is refused."""
_NOT_PUBLIC_4: Final = tuple(
    map(
        ipaddress.IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16"),
            *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        ),
    )
)
"""Special purposes (IANA IPv4 Special-Purpose Address Registry), multicast, and what is reserved."""
_PUBLIC_6: Final = ipaddress.IPv6Network("2000::/3")
"""All that was ever given out (IANA IPv6 Global Unicast Address Assignments)."""
_NOT_PUBLIC_6: Final = tuple(
    map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"))
)
"""Special purposes within it (IANA IPv6 Special-Purpose Address Registry): Teredo and 6to4 hide other addresses."""
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""An address of version 4 in the last bits, as networks without version 4 tell it (RFC 6052)."""
_LOCAL: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            *("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"),
            *("::1/128", "fc00::/7", "fe80::/10"),
        ),
    )
)
"""Private networks and this machine: RFC 1918, 6598, 3927, 4193, 4291."""
_KEEPERS_OF_KEYS: Final = tuple(map(ipaddress.ip_address, ("169.254.169.254", "169.254.170.2", "fd00:ec2::254")))
"""Where clouds give a machine its keys: no telescope is there."""


def is_public(address: Address) -> bool:
    """Tell whether this is an address of the internet, and of nothing nearer."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address.scope_id is not None:
        return False
    if address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return address in _PUBLIC_6 and not any(address in network for network in _NOT_PUBLIC_6)


def is_local(address: Address) -> bool:
    """Tell whether this is an address of a private network, or of this machine."""
    plain = ipaddress.ip_address(int(address)) if address.version == 4 else ipaddress.IPv6Address(int(address))
    return plain not in _KEEPERS_OF_KEYS and any(plain in network for network in _LOCAL)


def fit_addresses(told: Sequence[str], local: bool) -> Sequence[str]:
    """Return the addresses to which a connection may go.

    Parameters
    ----------
    told
        All addresses of a name.
    local
        Whether it may be in a private network.

    Raises
    ------
    ValueError
        If one of them is unfit: a name that is half in here is a trick. Or if there are too many, or none.
    """
    if not 0 < len(told) <= MOST_ADDRESSES:
        raise ValueError(f"it has {len(told)} addresses")
    for text in told:
        address = ipaddress.ip_address(text)
        if not is_public(address) and not (local and is_local(address)):
            raise ValueError(f"it leads to {address}, {_unfitness(address)}")
    return told


def _unfitness(address: Address) -> str:
    if is_local(address):
        return (
            "which is no address of the internet; if it is a server of your own network, say own_network = true in its"
            " table, of kind http-directory"
        )
    return "which is no address of the internet, nor of a private network: none of its range is ever asked"


def look_up(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host, as long as the system takes.

    Raises
    ------
    OSError
        If there are none, or nobody knows now.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


def connect(address: str, port: int, timeout_s: float) -> socket.socket:
    """Return a connection to an address; nothing is looked up."""
    connection = socket.create_connection((address, port), timeout_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


@dataclass(frozen=True, slots=True)
class Network:
    """How names are looked up and connections made; a test has its own names.

    Attributes
    ----------
    look_up
        Gives the addresses of a host, in digits; raises `OSError`.
    connect
        Gives a connection to an address and port within so many seconds; raises `OSError`.
    """

    look_up: Callable[[str, int], Sequence[str]] = look_up
    connect: Callable[[str, int, float], socket.socket] = connect


INTERNET: Final = Network()
