"""Who is let in, decided by the gate alone: from memory as the slow way would, and for as long as the keys say."""

import asyncio
import os
import time

import pytest

from entropy_assets.errors import KeyInvalid, KeyMissing, QuotaExceeded, ScopeMissing
from entropy_assets.scopes import SCOPES, Scope
from entropy_assets.serving.access.accounts import Accounts
from entropy_assets.serving.access.allowances import Limits
from entropy_assets.serving.access.gate import Gate, caller_in
from entropy_assets.serving.access.keys import KeyRing
from entropy_assets.stores.api_keys import FileKeys, KeyStore, new_key
from entropy_assets.stores.buckets import SharedBuckets
from entropy_assets_tests.serving.keyed import FOLLOWS_S, key_of


class TestAddresses:
    @pytest.mark.parametrize(
        "one, other, same",
        [
            ("192.0.2.1", "192.0.2.2", False),
            ("2001:db8::1", "2001:db8::ffff:ffff", True),
            ("2001:db8::1", "2001:db8:0:1::1", False),
            ("::ffff:192.0.2.1", "192.0.2.1", True),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
            ("fe80::1%eth0", "fe80::2%eth1", True),
            ("", "unix", True),
        ],
    )
    async def test_an_ipv6_client_is_its_network(self, one: str, other: str, same: bool) -> None:
        gate = Gate(anonymous=("draw",))
        subjects = [(await gate.admit([], address, "draw", 1)).subject for address in (one, other)]
        assert (subjects[0] == subjects[1]) == same


def gate_of(store: KeyStore, anonymous: tuple[Scope, ...], limits: Limits, url: str, prefix: str) -> Gate:
    ring = KeyRing(store)
    ring.load()
    return Gate(ring, anonymous, limits, Accounts(SharedBuckets.from_url(url, prefix=prefix)))


async def test_the_ways_in_agree(store: FileKeys, valkey_url: str, pool_prefix: str) -> None:
    """Whoever is let in at once would have been let in the slow way; who writes as usual is let in at once."""
    good, other = key_of(store), key_of(store, "stats")
    gate = gate_of(store, ("provenance",), Limits(1000, 1000, 4096), valkey_url, pool_prefix)
    usual: list[list[tuple[bytes, bytes]]] = [
        [],
        [(b"x-api-key", good.encode())],
        [(b"authorization", b"Bearer " + good.encode())],
        [(b"x-api-key", other.encode())],
        [(b"x-api-key", new_key(os.urandom).encode())],
        [(b"authorization", b"Basic x"), (b"x-api-key", good.encode())],
    ]
    odd = [
        [(b"authorization", b"bearer " + good.encode())],
        [(b"authorization", b"Digest " + good.encode())],
        [(b"authorization", good.encode())],
    ]
    for headers in usual + odd:
        for scope in SCOPES:
            try:
                slow = (await gate.admit(headers, "192.0.2.1", scope, 1)).subject
            except (KeyMissing, KeyInvalid, ScopeMissing):
                slow = None
            fast = gate.admit_at_once(caller_in(headers), "192.0.2.1", scope, 1)
            assert (fast and fast.subject) == slow or (fast is None and headers in odd), (headers, scope)
    await gate.stop()


def test_a_gate_is_open_only_while_nobody_has_a_key_or_a_limit(store: FileKeys) -> None:
    ring = KeyRing(store)
    assert Gate().admits_everybody
    assert Gate(ring).admits_everybody
    assert not Gate(ring, ("draw",)).admits_everybody
    assert not Gate(ring, limits=Limits(1)).admits_everybody
    key_of(store)
    ring.load()
    assert not Gate(ring).admits_everybody


async def test_a_gate_that_no_longer_follows_its_store_says_so(store: FileKeys) -> None:
    """Else a key that is revoked would go on, and nobody would know."""
    gate = gate_of(store, (), Limits(), "unix:///nowhere", "q")
    gate.start()
    assert list(gate.reasons()) == []
    await gate.stop()
    assert [code for code, _ in gate.reasons()] == ["keys-unreadable"]


async def test_an_open_gate_closes_when_the_first_key_is_made(store: FileKeys) -> None:
    gate = Gate(KeyRing(store))
    gate.start()
    key = key_of(store)
    deadline = time.monotonic() + FOLLOWS_S
    while gate.admits_everybody:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert (await gate.admit([(b"x-api-key", key.encode())], "", "draw", 1)).subject == f"key:{key.split('_')[1]}"
    await gate.stop()


async def test_bytes_of_a_stream_are_spent_and_refused(store: FileKeys, valkey_url: str, pool_prefix: str) -> None:
    key = key_of(store, "stream", bytes_per_s=10)
    ring = KeyRing(store)
    ring.load()
    gate = Gate(ring, (), Limits(), Accounts(SharedBuckets.from_url(valkey_url, prefix=pool_prefix)))
    admission = await gate.admit([(b"x-api-key", key.encode())], "", "stream", 0)
    for _ in range(10):
        await gate.spend(admission, 10)
    with pytest.raises(QuotaExceeded):
        await gate.spend(admission, 10)
    await gate.stop()
