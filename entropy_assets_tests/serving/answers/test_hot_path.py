"""What memory answers: the usual spellings, with the bytes that are next; all else is left, with nothing consumed."""

import asyncio
import base64
import json
from types import SimpleNamespace

import pytest

from entropy_assets.scopes import Scope
from entropy_assets.serving.access import gate as gates
from entropy_assets.serving.access import keys
from entropy_assets.serving.access.accounts import Accounts
from entropy_assets.serving.access.allowances import Headers, Limits
from entropy_assets.serving.access.gate import Gate
from entropy_assets.serving.access.hosts import Hosts
from entropy_assets.serving.access.keys import KeyRing
from entropy_assets.serving.answers.formats import known_queries
from entropy_assets.serving.answers.hot_path import HotPath, lines_beside
from entropy_assets.serving.reservoir.reservoir import Reservoir, Reservoirs
from entropy_assets.stores.api_keys import FileKeys
from entropy_assets.stores.buckets import LocalBuckets, SharedBuckets
from entropy_assets.stores.lanes import LANES
from entropy_assets.stores.pool.ageing import ageing_s
from entropy_assets.stores.pool.blocks import Lease, LeasedBlock, PoolDepth, SealedLease
from entropy_assets_tests.pool_blocks import pool_blocks
from entropy_assets_tests.serving.keyed import key_of

LONGEST = 5000
BLOCKS = 4
ADDRESS = "192.0.2.1"
NO_LEASE = SealedLease((), 0.0, 0.0, PoolDepth(0, 0))


@pytest.fixture
def reservoirs() -> Reservoirs:
    """Give reservoirs that hold four blocks each and get no more: the public one the first four of `pool_blocks`."""
    filled = Reservoirs(*(Reservoir(lane, lambda _: NO_LEASE) for lane in LANES))
    for lane, first in {"public": 0, "private": BLOCKS}.items():
        leased = tuple(LeasedBlock(block, 100.0) for block in pool_blocks(BLOCKS, first))
        getattr(filled, lane).arrived(Lease(leased, PoolDepth(0, 0)), ageing_s())
    return filled


def head_of(hot_path: HotPath, target: bytes, headers: Headers, address: str = ADDRESS) -> dict[bytes, bytes]:
    answer = hot_path.answer(target, headers, address)
    assert answer is not None
    return dict(answer[0])


@pytest.mark.parametrize("simulated", [False, True])
@pytest.mark.parametrize("query", [b"", b"?class=public", b"?format=json"])
def test_what_is_sent_is_what_asgi_is_told(query: bytes, simulated: bool, reservoirs: Reservoirs) -> None:
    for each in reservoirs:
        for block in each._stock._blocks:
            block.simulated = simulated
    hot_path = HotPath(reservoirs, Gate(), LONGEST)
    head, *more = (head_of(hot_path, b"/random/48" + query, []) for _ in range(2))
    asked = hot_path.asked(b"/random/48" + query, [])
    taken = None if asked is None else hot_path.take(asked, ADDRESS)
    assert taken is not None
    sent = dict(line.split(b": ", 1) for line in (taken[1] + lines_beside(taken)).split(b"\r\n")[:-2])
    assert [*sent] == [*head]
    assert (b"x-entropy-simulated" in sent) == simulated
    assert {name for name in sent if sent[name] != more[0][name]} <= {b"x-entropy-blocks", b"content-length"}


def test_bytes_come_in_order_under_the_names_of_their_blocks(reservoirs: Reservoirs) -> None:
    hot_path = HotPath(reservoirs, Gate(), LONGEST)
    blocks = pool_blocks(BLOCKS)
    pool_bytes = b"".join(block.data for block in blocks)
    done = 0
    for n in (100, 1, 3995, 5000):
        answer = hot_path.answer(b"/random/%d?class=public" % n, [], ADDRESS)
        assert answer is not None
        assert answer[1] == pool_bytes[done : done + n]
        done += n
    answer = hot_path.answer(b"/random/10?class=public", [], ADDRESS)
    assert answer is not None
    start = done % 4096
    assert (b"x-entropy-blocks", f"{blocks[2].block_id}:{start}-{start + 10}".encode()) in answer[0]


@pytest.mark.parametrize("query", sorted(known_queries()))
def test_every_usual_spelling_has_the_head_and_the_length_of_its_kind(query: bytes, reservoirs: Reservoirs) -> None:
    kind = known_queries()[query]
    hot_path = HotPath(reservoirs, Gate(), LONGEST)
    target = b"/random/48" + (b"?" + query if query else b"")
    answer = hot_path.answer(target, [(b"accept", b"*/*")], ADDRESS)
    assert answer is not None
    head, body = dict(answer[0]), answer[1]
    assert head[b"content-length"] == b"%d" % len(body)
    assert head[b"x-entropy-class"] == (b"public" if kind.public else b"private")
    assert (b"x-entropy-blocks" in head) == kind.public
    decoded = {
        None: lambda: body,
        "raw": lambda: body,
        "hex": lambda: bytes.fromhex(body.decode()),
        "base64": lambda: base64.b64decode(body),
        "json": lambda: base64.b64decode(json.loads(body)["data"]),
    }[kind.format]()
    assert len(decoded) == 48
    assert (decoded == pool_blocks(1)[0].data[:48]) == kind.public
    left = {lane: each.buffered_bytes - BLOCKS * 4096 for lane, each in reservoirs._asdict().items()}
    assert left == ({"public": -48, "private": 0} if kind.public else {"public": 0, "private": -48})


@pytest.mark.parametrize(
    "target",
    [
        b"/random/0", b"/random/5001", b"/random/00000005", b"/random/+5", b"/random/-5", b"/random/5.0", b"/random/",
        b"/random/\xd9\xa3", b"/random/\xb2",
        b"/random/5/", b"/random", b"/stats", b"/random/5?odd=1", b"/random/5?format=xml",
        b"/random/5?format=uint8", b"/random/5?class=public&class=private", b"/random/5%30",
    ],
)  # fmt: skip
def test_an_odd_spelling_is_left_and_consumes_nothing(target: bytes, reservoirs: Reservoirs) -> None:
    before = reservoirs.buffered_bytes
    assert HotPath(reservoirs, Gate(), LONGEST).answer(target, [], ADDRESS) is None
    assert reservoirs.buffered_bytes == before


def test_an_accept_header_is_left_where_it_decides_and_not_read_where_the_format_is_said(
    reservoirs: Reservoirs,
) -> None:
    hot_path = HotPath(reservoirs, Gate(), LONGEST)
    accept = [(b"accept", b"application/json")]
    assert hot_path.answer(b"/random/5", accept, ADDRESS) is None
    assert head_of(hot_path, b"/random/5?format=hex", accept)[b"content-type"].startswith(b"text/plain")


def test_a_page_of_another_site_is_left(reservoirs: Reservoirs) -> None:
    hot_path = HotPath(reservoirs, Gate(), LONGEST)
    assert hot_path.answer(b"/random/5", [(b"sec-fetch-site", b"cross-site")], ADDRESS) is None
    head_of(hot_path, b"/random/5", [(b"sec-fetch-site", b"same-origin")])


@pytest.mark.parametrize("scopes, lets_in", [(("draw",), True), (("stats",), False)])
async def test_who_was_let_in_before_is_answered_and_nobody_else(
    scopes: tuple[Scope, ...], lets_in: bool, reservoirs: Reservoirs, store: FileKeys
) -> None:
    headers = [(b"x-api-key", key_of(store, *scopes).encode())]
    ring = KeyRing(store)
    ring.load()
    gate = Gate(ring, ("provenance",))
    hot_path = HotPath(reservoirs, gate, LONGEST)
    assert hot_path.answer(b"/random/5", headers, ADDRESS) is None, "not known yet"
    await gate.admit(headers, ADDRESS, "provenance", 0)
    assert (hot_path.answer(b"/random/5", headers, ADDRESS) is not None) == lets_in
    assert hot_path.answer(b"/random/5", [], ADDRESS) is None


def test_more_than_is_held_is_left(reservoirs: Reservoirs) -> None:
    hot_path = HotPath(reservoirs, Gate(), LONGEST)
    for _ in range(3):
        assert hot_path.answer(b"/random/5000", [], ADDRESS) is not None
    assert hot_path.answer(b"/random/5000", [], ADDRESS) is None
    assert reservoirs.private.buffered_bytes == BLOCKS * 4096 - 15_000


def test_a_request_that_is_known_by_its_bytes_leaves_no_key_in_memory(reservoirs: Reservoirs, store: FileKeys) -> None:
    hot_path, key = HotPath(reservoirs, Gate(), LONGEST), key_of(store)
    for name in (b"x-api-key", b"authorization", b"cookie"):
        headers, request = [(name, key.encode())], name + b": " + key.encode()
        asked = hot_path.asked(b"/random/5", headers)
        assert asked is not None
        hot_path.remember(request, headers, asked)
        known = hot_path.known(request)
        assert known is not None
        assert known[0] == asked[0]
        assert hot_path.known(request + b" ") is None
        assert key.encode() not in b"".join([*hot_path._requests, *hot_path._digests, known[1] or b""])


async def test_a_known_request_needs_leave_each_time(reservoirs: Reservoirs, store: FileKeys) -> None:
    """It was remembered while everybody was let in; since then a key was made, and later revoked."""
    ring = KeyRing(store)
    gate = Gate(ring)
    hot_path = HotPath(reservoirs, gate, LONGEST)
    key = key_of(store)
    by_request = {b"with": [(b"x-api-key", key.encode())], b"without": []}
    for request, headers in by_request.items():
        asked = hot_path.asked(b"/random/5", headers)
        assert asked is not None
        assert hot_path.take(asked, ADDRESS) is not None
        hot_path.remember(request, headers, asked)
    ring.load()
    gate.anonymous = frozenset()  # type: ignore[misc]
    gate._on_change()

    def answered() -> list[bytes]:
        known = {request: hot_path.known(request) for request in by_request}
        return [request for request, asked in known.items() if asked and hot_path.take(asked, ADDRESS)]

    assert answered() == [], "nobody is known yet"
    await gate.admit(by_request[b"with"], ADDRESS, "draw", 5)
    assert answered() == [b"with"]
    gate._on_change()  # as when a key is revoked
    assert answered() == []


@pytest.mark.parametrize("why", ["revoked", "expired", "store not read", "other scope", "limit", "other address"])
async def test_leave_that_is_lost_is_lost_for_a_known_request(
    why: str, reservoirs: Reservoirs, store: FileKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, as for one that is read: what is remembered is what was asked, never that it was allowed."""
    monkeypatch.setattr(keys, "LOOK_S", 0.01)
    now, wall, without = 0.0, 0.0, why == "other address"
    monkeypatch.setattr(gates, "time", SimpleNamespace(time=lambda: wall))
    key = key_of(store, "stats", "draw", expires_in_s=3600)
    ring = KeyRing(store, clock=lambda: now)
    ring.load()
    limits = Limits(20 if why == "limit" else None, None, LONGEST)
    gate = Gate(ring, ("draw",) if without else (), limits, Accounts(LocalBuckets()))
    hot_path = HotPath(reservoirs, gate, LONGEST)
    headers = [] if without else [(b"x-api-key", key.encode())]
    await gate.admit(headers, ADDRESS, "draw", 5)
    asked = hot_path.asked(b"/random/5", headers)
    assert asked is not None
    hot_path.remember(b"a request", headers, asked)

    def is_answered(address: str = ADDRESS) -> bool:
        known = hot_path.known(b"a request")
        assert known is not None
        return hot_path.take(known, address) is not None

    assert is_answered()
    if why == "limit":
        while is_answered():  # nobody brings more units meanwhile
            assert reservoirs.private.buffered_bytes > BLOCKS * 2048
    held = reservoirs.private.buffered_bytes
    if why == "revoked":
        gate.start()
        store.revoke(key.split("_")[1], 1)
        async with asyncio.timeout(5):
            while gate._visitors:  # noqa: ASYNC110 - a gate has no event for it
                await asyncio.sleep(0.01)
    elif why == "expired":
        record = ring.find(key)
        assert record is not None
        assert record.expires_us is not None
        wall = record.expires_us / 1e6
    elif why == "store not read":
        now = keys.MOST_AGE_S + 1
    elif why == "other scope":
        other = [(b"x-api-key", key_of(store, "stats").encode())]
        ring.load()
        await gate.admit(other, ADDRESS, "stats", 0)
        hot_path.remember(b"a request", other, asked)
    assert not is_answered("192.0.2.2" if without else ADDRESS)
    assert reservoirs.private.buffered_bytes == held
    await gate.stop()


@pytest.mark.parametrize("hosts", [[], [b"attacker.example"], [b"localhost", b"localhost"], [b"localhost, a"], [b""]])
def test_a_request_that_does_not_name_the_service_once_is_left(hosts: list[bytes], reservoirs: Reservoirs) -> None:
    hot_path = HotPath(reservoirs, Gate(), LONGEST, Hosts())
    assert hot_path.asked(b"/random/5", [(b"host", b"localhost")]) is not None
    assert hot_path.asked(b"/random/5", [(b"host", host) for host in hosts]) is None


async def test_what_could_not_be_given_is_not_charged(
    reservoirs: Reservoirs, valkey_url: str, pool_prefix: str
) -> None:
    accounts = Accounts(SharedBuckets.from_url(valkey_url, prefix=pool_prefix))
    gate = Gate(limits=Limits(1000, 10**6, LONGEST), accounts=accounts)
    hot_path = HotPath(reservoirs, gate, LONGEST)
    await gate.admit([], ADDRESS, "draw", 1)
    account = accounts.known(f"address:{ADDRESS}")
    assert account is not None
    answers = 0
    while (held := [each.held for each in account.allowances]) and hot_path.answer(b"/random/5000", [], ADDRESS):
        answers += 1
    assert answers == BLOCKS * 4096 // 5000
    assert [each.held for each in account.allowances] == held
    await gate.stop()
