"""A public block that was begun is closed soon, and its pool hears of it; a private one is neither."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.errors import PoolUnavailable
from entropy_assets.serving.reservoir.reservoir import Reservoir
from entropy_assets.serving.reservoir.stock import TOLD_S, Closing, Stock
from entropy_assets.stores.lanes import Lane
from entropy_assets.stores.pool.blocks import Lease, LeasedBlock, PoolDepth
from entropy_assets_tests.pool_blocks import pool_block, pool_blocks
from entropy_assets_tests.serving.reservoir.leases import assert_balanced, held, lease_of, sealed_of

WALL = 1_790_000_000.0


class Told:
    """The pool, as far as it hears of begun and closed blocks."""

    def __init__(self) -> None:
        self.begun: dict[str, float] = {}
        self.closed: list[str] = []
        self.failing = False
        self.failures = 0

    def __call__(self, begun: Mapping[str, float], closed: Sequence[str]) -> None:
        if self.failing:
            self.failures += 1
            raise PoolUnavailable("away")
        self.begun |= begun
        self.closed += closed


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not what():  # noqa: ASYNC110 - the filler tells nobody
            await asyncio.sleep(0.01)


def public_stock(now: list[float], lives: list[float], open_s: float = 10.0) -> tuple[Stock, Closing]:
    closing = Closing(open_s, lambda: WALL + now[0], lambda: now[0])
    stock = Stock(closing)
    stock.add(map(LeasedBlock, pool_blocks(len(lives), length=100), lives), 0.0)
    return stock, closing


def test_a_block_that_was_begun_is_closed_in_time_and_the_others_stay() -> None:
    now = [5.0]
    stock, closing = public_stock(now, [1000.0, 1000.0])
    piece = stock.piece(30, now[0])
    assert piece is not None
    *_, reveals_at = piece
    assert datetime.fromisoformat(reveals_at).timestamp() == WALL + 15 + TOLD_S
    assert closing.told() == ({pool_block(0, length=100).block_id: 10.0}, [])
    now[0] = 14.9
    again = stock.piece(30, now[0])
    assert again is not None
    assert again[-1] == reveals_at, "a later piece does not keep it open for longer"
    now[0] = 15.0
    assert stock.piece(30, now[0]) is None
    assert stock.drop_expired(now[0]) == 40
    assert closing.told() == ({}, [pool_block(0, length=100).block_id])
    assert stock.held_bytes == 100
    assert stock.soonest == 1000.0


def test_a_block_closes_no_later_than_it_expires() -> None:
    now = [95.0]
    stock, closing = public_stock(now, [100.0])
    draw = stock.draw(30, now[0])
    assert draw is not None
    assert datetime.fromisoformat(draw.reveals_at).timestamp() == WALL + 100 + TOLD_S
    assert closing.told() == ({pool_block(0, length=100).block_id: 5.0}, [])


def test_what_is_cut_to_its_end_is_closed_at_once() -> None:
    now = [3.0]
    ids = [pool_block(seed, length=100).block_id for seed in range(6)]
    stock, closing = public_stock(now, [1000.0] * 6)
    piece, draw = stock.piece(100, now[0]), stock.draw(150, now[0])
    assert piece is not None
    assert draw is not None
    assert datetime.fromisoformat(piece[-1]).timestamp() == WALL + 3 + TOLD_S
    assert datetime.fromisoformat(draw.reveals_at).timestamp() == WALL + 13 + TOLD_S, "the last block is open"
    assert closing.told() == ({ids[2]: 10.0}, ids[:2])
    messages = stock.messages(250, 100, now[0])
    assert messages is not None
    assert datetime.fromisoformat(messages.reveals_at).timestamp() == WALL + 3 + TOLD_S
    assert closing.told() == ({}, ids[2:5])
    assert stock.drop_all() == 100
    assert closing.told() == ({}, ids[5:])


@settings(max_examples=200, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), max_size=12),
    steps=st.lists(st.tuples(st.sampled_from(["piece", "draw", "messages", "later"]), st.integers(1, 90))),
)
def test_the_pool_hears_of_each_block_once_it_can_not_be_drawn_and_never_before(
    lengths: list[int], steps: list[tuple[str, int]]
) -> None:
    now = 0.0
    told = Told()
    reservoir = Reservoir("public", lambda most: sealed_of([]), close_blocks=told, clock=lambda: now)
    blocks = [pool_block(seed, length=16 + length) for seed, length in enumerate(lengths)]
    lives = [20.0 * (1 + seed % 7) for seed in range(len(blocks))]
    reservoir.arrived(Lease(tuple(map(LeasedBlock, blocks, lives)), PoolDepth(0, 0)), now)
    for step, n in steps:
        if step == "later":
            now += n / 10
            reservoir.idle()
        drawn: list[str] = []
        if step == "piece" and (piece := reservoir.take_piece(n)):
            drawn = ["{}:{}-{}".format(*piece[1:4])]
        if step == "draw" and (draw := reservoir.take(n)):
            drawn = [f"{cut.block_id}:" for cut in draw.cuts]
        if step == "messages" and (messages := reservoir.take_messages(n, 40)):
            drawn = messages.blocks.split(",")
        assert not {name.split(":")[0] for name in drawn} & set(told.closed), "it had revealed"
        reservoir._tell()
        assert len(set(told.closed)) == len(told.closed)
        assert_balanced(reservoir)
    now += 10_000
    reservoir.idle()
    reservoir._tell()
    assert sorted(told.closed) == sorted(block.block_id for block in blocks)


@pytest.mark.parametrize("lane, kept", [("public", 0), ("private", 2 * 4096)])
def test_what_is_held_of_public_blocks_is_dropped_when_the_wall_clock_was_set_forward(lane: Lane, kept: int) -> None:
    """By a pool's server on this machine it has expired, and reveals; a minute later somebody would draw it."""
    now, wall, told = 0.0, WALL, Told()
    reservoir = Reservoir(
        lane, lambda most: sealed_of([]), close_blocks=told, clock=lambda: now, wall=lambda: wall + now
    )
    reservoir.arrived(lease_of(pool_blocks(2)), now)
    now, wall = 1.0, wall - 3600  # back, and an hour of the machine's sleep
    reservoir.idle()
    assert reservoir.buffered_bytes == 2 * 4096
    now, wall = 2.0, wall + 3600
    reservoir.idle()
    assert reservoir.buffered_bytes == kept
    assert_balanced(reservoir)
    reservoir.arrived(lease_of(pool_blocks(4)[2:]), now)
    assert reservoir.buffered_bytes == kept + 2 * 4096, "once is enough"


async def test_a_private_block_is_not_closed_and_nobody_is_told_of_it() -> None:
    now, told = 0.0, Told()
    reservoir = Reservoir("private", lambda most: sealed_of([]), close_blocks=told, clock=lambda: now)
    reservoir.arrived(lease_of(pool_blocks(2)), now)
    draw = reservoir.take(10)
    assert draw is not None
    assert draw.reveals_at == ""
    now = 99.0
    reservoir.idle()
    assert reservoir.buffered_bytes == 2 * 4096 - 10
    await reservoir.stop()
    assert (told.begun, told.closed) == ({}, [])


async def begun_block(reservoir: Reservoir) -> str:
    await held(reservoir, 4096)
    draw = reservoir.take(10)
    assert draw is not None
    return draw.cuts[0].block_id


async def test_the_filler_tells_what_was_begun_and_closed_though_nobody_draws() -> None:
    told, blocks = Told(), pool_blocks(1)
    reservoir = Reservoir(
        "public", lambda most: sealed_of([blocks.pop()] if blocks else []), close_blocks=told, open_s=0.2
    )
    reservoir.start()
    block_id = await begun_block(reservoir)
    await until(lambda: told.closed == [block_id])
    assert reservoir.counts["burned_public_bytes"] == 4086
    await reservoir.stop()


async def test_stopping_tells_of_all_that_was_held() -> None:
    told, blocks = Told(), pool_blocks(3)
    reservoir = Reservoir("public", lambda most: sealed_of([blocks.pop()] if blocks else []), close_blocks=told)
    reservoir.start()
    await held(reservoir, 3 * 4096)
    await reservoir.stop()
    assert sorted(told.closed) == sorted(block.block_id for block in pool_blocks(3))


async def test_a_pool_that_does_not_hear_stops_nobody() -> None:
    told, blocks = Told(), pool_blocks(40)
    told.failing = True
    reservoir = Reservoir("public", lambda most: sealed_of([blocks.pop()] if blocks else []), close_blocks=told)
    reservoir.start()
    for _ in range(20):
        await held(reservoir, 4096)
        assert reservoir.take(4096) is not None
    assert told.failures > 0
    told.failing = False
    await until(lambda: bool(told.closed))
    await reservoir.stop()
