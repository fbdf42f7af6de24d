"""What memory answers: the usual spellings, with the bytes that are next; all else is left, with nothing consumed."""

import base64
import json

import pytest

from entropy_assets.scopes import Scope
from entropy_assets.serving.access.allowances import Headers
from entropy_assets.serving.access.gate import Gate
from entropy_assets.serving.access.keys import KeyRing
from entropy_assets.serving.answers.formats import known_queries
from entropy_assets.serving.answers.hot_path import HotPath
from entropy_assets.serving.reservoir.reservoir import Reservoir, Reservoirs
from entropy_assets.stores.api_keys import FileKeys
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
    return dict(answer.headers)


def test_bytes_come_in_order_under_the_names_of_their_blocks(reservoirs: Reservoirs) -> None:
    hot_path = HotPath(reservoirs, Gate(), LONGEST)
    blocks = pool_blocks(BLOCKS)
    pool_bytes = b"".join(block.data for block in blocks)
    done = 0
    for n in (100, 1, 3995, 5000):
        answer = hot_path.answer(b"/random/%d?class=public" % n, [], ADDRESS)
        assert answer is not None
        assert answer.body == pool_bytes[done : done + n]
        done += n
    answer = hot_path.answer(b"/random/10?class=public", [], ADDRESS)
    assert answer is not None
    start = done % 4096
    assert (b"x-entropy-blocks", f"{blocks[2].block_id}:{start}-{start + 10}".encode()) in answer.headers


@pytest.mark.parametrize("query", sorted(known_queries()))
def test_every_usual_spelling_has_the_head_and_the_length_of_its_kind(query: bytes, reservoirs: Reservoirs) -> None:
    kind = known_queries()[query]
    hot_path = HotPath(reservoirs, Gate(), LONGEST)
    target = b"/random/48" + (b"?" + query if query else b"")
    answer = hot_path.answer(target, [(b"accept", b"*/*")], ADDRESS)
    assert answer is not None
    head, body = dict(answer.headers), answer.body
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
