"""Which names the service answers to: an attacker's own, which may mean this machine by now, are none of them."""

import pytest

from entropy_assets.errors import HostUnknown, RequestMalformed
from entropy_assets.serving.access.hosts import Hosts

NAMES = ("Random.Example.org", "entropy", "10.0.0.1")


def _require(*values: bytes, version: str = "1.1") -> None:
    Hosts(NAMES).require([(b"accept", b"*/*"), *((b"host", value) for value in values)], version)


@pytest.mark.parametrize(
    "value",
    [
        b"localhost", b"LOCALHOST:8000", b"localhost.", b"127.0.0.1", b"127.0.0.1:8000", b"192.168.7.9:80", b"[::1]",
        b"[::1]:8000", b"[2001:db8::7]", b"random.example.org", b"RANDOM.example.ORG.:443", b"entropy:8000",
        b"entropy:", b" localhost ",
    ],
)  # fmt: skip
def test_own_names_and_addresses_in_digits_pass(value: bytes) -> None:
    _require(value)


@pytest.mark.parametrize(
    "value",
    [
        b"attacker.example", b"attacker.example:8000", b"localhost.attacker.example", b"127.0.0.1.attacker.example",
        b"xentropy", b"example.org", b"a.random.example.org", b"::1", b"[127.0.0.1]", b"[localhost]", b"127.1",
        b"0x7f.0.0.1", b"2130706433", b"localhost:80:80", b"localhost:port", b"user@localhost", b"localhost/",
        b"localhost,attacker.example", b"\xe9", b"localhost\xe9", b"localhost..", b"[::1%25lo]", b":8000",
    ],
)  # fmt: skip
def test_any_other_name_is_refused(value: bytes) -> None:
    with pytest.raises(HostUnknown):
        _require(value)


@pytest.mark.parametrize("values", [(), (b"",), (b" ",), (b"localhost", b"localhost"), (b"localhost", b"other")])
def test_a_request_names_one_host(values: tuple[bytes, ...]) -> None:
    with pytest.raises(RequestMalformed):
        _require(*values)


def test_only_http_1_0_may_name_none() -> None:
    _require(version="1.0")
    with pytest.raises(RequestMalformed):
        _require(b"localhost", b"localhost", version="1.0")
    with pytest.raises(HostUnknown):
        _require(b"attacker.example", version="1.0")


def test_what_is_remembered_has_an_end() -> None:
    hosts = Hosts()
    for port in range(3000):
        hosts.require([(b"host", b"localhost:%d" % port)], "1.1")
    assert 0 < len(hosts.known) <= 1024
