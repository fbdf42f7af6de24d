"""Addresses are of the internet, or of a network that somebody named his own; never of anything else."""

import ipaddress
import socket

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from entropy_assets.sources.feeds.web.networks import (
    MOST_ADDRESSES,
    connect,
    fit_addresses,
    is_local,
    is_public,
    look_up,
)

quick = settings(max_examples=60, deadline=None)
PUBLIC = ("8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450::1", "64:ff9b::808:808")
LOCAL = ("127.0.0.1", "10.1.2.3", "172.31.255.255", "192.168.0.9", "169.254.1.1", "100.64.0.1", "::1", "fd12::1")
NEITHER = (
    *("0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.2.1", "198.18.0.1", "203.0.113.9"),  # noqa: S104
    *("::", "ff02::1", "::ffff:8.8.8.8", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1"),
    *("2002:7f00:1::1", "2001:0:4136:e378::1", "2001:db8::1", "::7f00:1", "fec0::1", "4000::1", "3fff::1"),
    *("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "2606:4700::1%1"),
)


@pytest.mark.parametrize("text", [*PUBLIC, *LOCAL, *NEITHER])
def test_each_kind_of_address_is_known(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert (is_public(address), is_local(address)) == (text in PUBLIC, text in LOCAL)


def test_an_address_of_a_cable_is_local() -> None:
    assert is_local(ipaddress.ip_address("fe80::1%eth0"))
    assert not is_public(ipaddress.ip_address("fe80::1%eth0"))


@quick
@given(st.ip_addresses())
@example(ipaddress.ip_address("192.88.99.1"))
@example(ipaddress.ip_address("2001::1"))
def test_nothing_that_python_knows_as_special_is_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Its tables are of another hand, and change with its versions; ours forbid all that they do."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert not is_public(address) or address in ipaddress.ip_network("64:ff9b::/96")
    if is_local(address):
        assert not is_public(address)


@quick
@given(st.ip_addresses(v=4))
def test_an_address_behind_another_is_judged_by_itself(address: ipaddress.IPv4Address) -> None:
    """What a network without version 4 tells for it is as public as it is; in every other wrapping it is not."""
    number = int(address)
    assert is_public(ipaddress.IPv6Address((0x64FF9B << 96) | number)) == is_public(address)
    for wrapped in ((0xFFFF << 32) | number, number, (0x2002 << 112) | (number << 80)):
        assert not is_public(ipaddress.IPv6Address(wrapped))


@pytest.mark.parametrize("local", [False, True])
def test_one_unfit_address_makes_a_name_unfit(local: bool) -> None:
    fit = [PUBLIC[0], PUBLIC[2], *(LOCAL if local else ())]
    assert fit_addresses(fit, local) == fit
    for unfit in (*NEITHER, *(() if local else LOCAL)):
        for told in ([*fit, unfit], [unfit, *fit]):
            with pytest.raises(ValueError, match="no address of the internet"):
                fit_addresses(told, local)


@pytest.mark.parametrize("told", [[], ["8.8.8.8"] * (MOST_ADDRESSES + 1), ["feed.test"], ["127.1"], [""]])
def test_what_is_no_list_of_addresses_is_refused(told: list[str]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        fit_addresses(told, True)


def test_an_address_in_digits_is_its_own_answer() -> None:
    """And no name that nobody has is found."""
    assert look_up("127.0.0.1", 443) == ["127.0.0.1"]
    with pytest.raises(OSError, match=r"\w"):
        look_up("nobody.invalid", 443)


def test_a_connection_is_made_to_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, connect("127.0.0.1", server.getsockname()[1], 5) as made:
        assert made.getpeername() == server.getsockname()
