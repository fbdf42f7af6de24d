"""What an answer that grows is charged: each byte once, before it is drawn, and nothing where nobody is limited."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import pytest

from entropy_assets.errors import KeyInvalid, KeyMissing, QuotaExceeded, TooManyStreams
from entropy_assets.serving.access.accounts import Accounts
from entropy_assets.serving.access.allowances import Limits
from entropy_assets.serving.access.gate import ADMISSION, Gate
from entropy_assets.serving.access.keys import KeyRing
from entropy_assets.serving.access.meter import Meter, subject_of
from entropy_assets.serving.answers.pieces import Seats
from entropy_assets.stores.api_keys import FileKeys
from entropy_assets.stores.buckets import SharedBuckets
from entropy_assets_tests.serving.keyed import key_of

CONNECTION: dict[str, Any] = {"headers": [], "client": ("192.0.2.1", 5000)}


@pytest.fixture
async def gate(valkey_url: str, pool_prefix: str) -> AsyncIterator[Gate]:
    """Give a gate that lets an address have 1000 bytes at once and 100 more a second."""
    limited = Gate(
        None, ("draw",), Limits(bytes_per_s=100), Accounts(SharedBuckets.from_url(valkey_url, prefix=pool_prefix))
    )
    yield limited
    await limited.stop()


async def test_bytes_are_charged_once_and_before_they_are_drawn(gate: Gate) -> None:
    meter = await Meter.started(gate, CONNECTION, "draw", 400)
    assert (meter.subject, meter.is_free) == ("address:192.0.2.1", False)
    for _ in range(5):
        await meter.cover(400)  # paid for already
    meter.use(400)
    await meter.cover(500)
    meter.use(200)
    with pytest.raises(QuotaExceeded):
        await meter.cover(800)
    await meter.cover(300)  # still paid for


async def test_what_was_paid_for_is_not_given_to_a_key_that_was_revoked_since(store: FileKeys) -> None:
    """A pool that is slow gives a piece that was paid for as a whole in many small ones, which may take minutes."""
    key, ring = key_of(store), KeyRing(store)
    ring.load()
    connection = {**CONNECTION, "headers": [(b"x-api-key", key.encode())]}
    meter = await Meter.started(Gate(ring, ()), connection, "draw", 65536)
    meter.use(16)
    await meter.cover(16)
    store.revoke(key.split("_")[1], 1)
    ring.load()
    with pytest.raises(KeyInvalid):
        await meter.cover(16)


async def test_what_the_route_let_in_pays_for_its_bytes_alone(gate: Gate) -> None:
    admission = await gate.admit([], "192.0.2.1", "draw", 0)
    await Meter.started(gate, {**CONNECTION, ADMISSION: admission}, "draw", 900)
    with pytest.raises(QuotaExceeded):
        await Meter.started(gate, {**CONNECTION, ADMISSION: admission}, "draw", 900)


async def test_who_was_not_let_in_by_a_route_is_asked_for_the_scope(gate: Gate) -> None:
    with pytest.raises(KeyMissing):
        await Meter.started(gate, CONNECTION, "stream", 1)


async def test_where_everybody_may_have_everything_nothing_is_charged() -> None:
    meter = await Meter.started(Gate(), CONNECTION, "draw", 10**12)
    await meter.cover(10**15)
    assert (meter.is_free, meter.subject, meter.headers) == (True, None, [])


async def test_a_connection_belongs_to_who_was_admitted_or_else_to_its_address(gate: Gate) -> None:
    admission = await gate.admit([], "2001:db8::1", "draw", 0)
    assert subject_of({**CONNECTION, ADMISSION: admission}) == "address:2001:db8::/64"
    assert subject_of(CONNECTION) == "address:192.0.2.1"
    assert subject_of({**CONNECTION, "client": None}) == "anonymous"


def test_one_network_of_ipv6_holds_half_of_the_seats_like_anybody() -> None:
    """A subscriber has at least 2^64 addresses, and where nobody is limited no gate has looked at them."""
    seats = Seats(8)
    with ExitStack() as taken:
        for number in range(4):
            taken.enter_context(seats.seat(subject_of({"client": (f"2001:db8::{number:x}", 1)})))
        with pytest.raises(TooManyStreams):
            taken.enter_context(seats.seat(subject_of({"client": ("2001:db8::4", 1)})))
        taken.enter_context(seats.seat(subject_of({"client": ("2001:db8:0:1::4", 1)})))
