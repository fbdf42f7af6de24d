"""Mixing on the client's side: a service that is broken makes nothing worse."""

from entropy_assets.client import RandomClient
from entropy_assets.client.mixing import mixed
from entropy_assets_tests.client.scripted import ScriptedServer, good


def test_private_bytes_are_mixed_with_those_of_this_machine_unless_that_is_switched_off() -> None:
    with ScriptedServer(lambda connection, n: connection.sendall(good(n))) as broken:
        with RandomClient([broken.url]) as client:
            mixed = client.random_bytes(10_000)
        with RandomClient([broken.url], mix=False) as client:
            assert client.random_bytes(10_000) == bytes(10_000)
    assert len(set(mixed)) == 256


def test_mixing_is_xor_with_fresh_bytes_of_the_same_length() -> None:
    zeros = bytes(64)
    assert len(mixed(zeros)) == 64
    assert mixed(zeros) != mixed(zeros)
    assert mixed(b"") == b""
