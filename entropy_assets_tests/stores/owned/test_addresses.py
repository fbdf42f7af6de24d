"""Addresses to listen on: all that a name has, of both families, or a sentence that says what to do."""

import re
import socket
from collections.abc import Iterator

import pytest

from entropy_assets.errors import StartFailed
from entropy_assets.stores.owned.addresses import bound, netloc


@pytest.fixture
def speaks_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine does not speak IPv6")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def closed(sockets: list[socket.socket]) -> list[tuple[object, ...]]:
    """Return where they listen, and close them."""
    names = [each.getsockname()[:2] for each in sockets]
    for each in sockets:
        each.close()
    return names


@pytest.mark.usefixtures("speaks_ipv6")
def test_an_address_of_ipv6_can_be_listened_on() -> None:
    [link] = bound("::1", 0, elsewhere="", listening=True)
    with link, socket.create_connection(link.getsockname()[:2], 5):
        assert netloc(*link.getsockname()[:2]) == f"[::1]:{link.getsockname()[1]}"


@pytest.mark.usefixtures("speaks_ipv6")
def test_a_name_of_several_addresses_has_one_port_on_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [
        (socket.AF_INET6, socket.SOCK_STREAM, 0, "", ("::", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    (six, port), (four, other) = closed(bound("both.test", 0, elsewhere="", listening=True))
    assert (six, four, other) == ("::", "127.0.0.1", port)


def test_an_address_of_a_family_that_is_not_spoken_here_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 0, "", ("2001:db8::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    [(address, _)] = closed(bound("localhost", 0, elsewhere="", listening=False))
    assert address == "127.0.0.1"


@pytest.mark.parametrize("listening", [True, False])
def test_a_taken_port_is_refused_with_the_way_to_another(taken_port: int, listening: bool) -> None:
    told = f"can't listen on 127.0.0.1:{taken_port} (Address already in use); stop what uses it, or look elsewhere"
    with pytest.raises(StartFailed, match=re.escape(told)) as caught:
        bound("127.0.0.1", taken_port, elsewhere="look elsewhere", listening=listening)
    assert caught.value.data["port"] == taken_port


@pytest.mark.parametrize("host", ["nosuch.invalid", "192.0.2.1", "2001:db8::1", "a" * 70 + ".invalid"])
def test_a_host_that_is_not_here_is_refused_and_no_port_is_blamed(host: str) -> None:
    with pytest.raises(StartFailed, match=r"\); name an address of this machine, like 127\.0\.0\.1, or 0\.0\.0\.0"):
        bound(host, 0, elsewhere="look elsewhere", listening=True)
