"""Bytes in order, each once and under their name: pieces, draws, and messages that are not too long."""

import asyncio
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.errors import PoolExhausted
from entropy_assets.serving.answers.formats import block_cuts
from entropy_assets.serving.reservoir.demand import ReservoirLimits
from entropy_assets.serving.reservoir.reservoir import Reservoir
from entropy_assets.serving.reservoir.stock import Messages, Stock
from entropy_assets.stores.pool.ageing import ageing_s
from entropy_assets.stores.pool.blocks import Lease, LeasedBlock, PoolBlock, PoolDepth, SealedLease
from entropy_assets_tests.pool_blocks import pool_block, pool_blocks


def _reservoir_of(blocks: list[PoolBlock]) -> Reservoir:
    limits = ReservoirLimits(wait_s=0.01)
    reservoir = Reservoir("public", lambda most: SealedLease((), 0.0, 0.0, PoolDepth(0, 0)), limits)
    lease = Lease(tuple(LeasedBlock(block, 100) for block in blocks), PoolDepth(0, 0))
    reservoir.arrived(lease, ageing_s())
    return reservoir


def _stock_of(blocks: list[PoolBlock], lives: list[float]) -> Stock:
    stock = Stock()
    assert stock.add(map(LeasedBlock, blocks, lives), 0.0) == sum(len(block.data) for block in blocks)
    return stock


def _cut(stock: Stock, way: str, n: int) -> tuple[bytes, str] | None:
    """Return bytes and the names of their blocks."""
    if way == "piece":
        piece = stock.piece(n, 0.0)
        return piece and (piece[0], "{}:{}-{}".format(*piece[1:4]))
    if way == "draw":
        draw = stock.draw(n, 0.0)
        return draw and (draw.data, block_cuts(draw))
    messages = stock.messages(n, 40, 0.0)
    return messages and (_bytes_of(messages), messages.blocks)


def _bytes_of(messages: Messages) -> bytes:
    return b"".join(b"".join(parts) for parts in messages.parts)


def _named(names: str, blocks: list[PoolBlock]) -> bytes:
    data = {block.block_id: block.data for block in blocks}
    ranges = (name.split(":") for name in names.split(","))
    spans = ((block_id, *map(int, span.split("-"))) for block_id, span in ranges)
    return b"".join(data[block_id][start:end] for block_id, start, end in spans)


@settings(max_examples=300, deadline=None)
@given(
    lengths=st.lists(st.sampled_from([20, 20, 20, 50, 33]), max_size=30),
    wants=st.lists(st.tuples(st.integers(1, 300), st.booleans()), max_size=20),
    longest=st.integers(10, 120),
)
def test_every_byte_comes_once_in_order_and_under_its_name(
    lengths: list[int], wants: list[tuple[int, bool]], longest: int
) -> None:
    """Whatever else is drawn in between."""
    blocks = [pool_block(seed, length=length) for seed, length in enumerate(lengths)]
    reservoir = _reservoir_of(blocks)
    counts = reservoir.counts
    drawn, answers = b"", 0
    for n, in_messages in wants:
        held = reservoir.buffered_bytes
        if not in_messages:
            draw = reservoir.take(n)
            drawn += draw.data if draw else b""
            answers += draw is not None
            continue
        messages = reservoir.take_messages(n, longest)
        assert (messages is None) == (held < n)
        if messages is not None:
            assert len(_bytes_of(messages)) == messages.n_bytes == n
            assert _bytes_of(messages) == _named(messages.blocks, blocks)
            assert all(0 < sum(map(len, parts)) <= longest for parts in messages.parts)
            drawn += _bytes_of(messages)
            answers += len(messages.parts)
    assert b"".join(block.data for block in blocks).startswith(drawn)
    assert counts["served_public_bytes"] == len(drawn)
    assert counts["leased_public_bytes"] == len(drawn) + reservoir.buffered_bytes
    assert counts["public_answers"] == answers


@settings(max_examples=300, deadline=None)
@given(
    lengths=st.lists(st.sampled_from([20, 20, 20, 50, 33]), max_size=30),
    wants=st.lists(st.tuples(st.sampled_from(["piece", "draw", "messages"]), st.integers(1, 150)), max_size=30),
)
def test_whichever_way_bytes_are_cut_they_come_once_in_order_and_under_their_name(
    lengths: list[int], wants: list[tuple[str, int]]
) -> None:
    blocks = [pool_block(seed, length=length) for seed, length in enumerate(lengths)]
    whole = b"".join(block.data for block in blocks)
    stock = _stock_of(blocks, [5.0] * len(blocks))
    for way, n in wants:
        held = stock.held_bytes
        came = _cut(stock, way, n)
        if came is None:
            assert stock.held_bytes == held
            assert way == "piece" or held < n
            continue
        data, names = came
        assert data == _named(names, blocks) == whole[len(whole) - held :][:n]
        assert stock.held_bytes == held - n


def test_a_piece_is_of_one_block_that_lives() -> None:
    stock = _stock_of(pool_blocks(2, length=100), [5.0, 50.0])
    assert stock.piece(101, 0.0) is None
    assert stock.piece(60, 4.9) is not None
    assert stock.piece(41, 4.9) is None, "the next block has them, but then they are not in order"
    assert stock.piece(40, 5.0) is None
    assert stock.held_bytes == 140


def test_what_is_dropped_is_told_in_bytes_wherever_it_stands() -> None:
    stock = _stock_of(pool_blocks(4, length=100), [50.0, 5.0, 70.0, 5.0])
    stock.draw(30, 0.0)
    assert (stock.drop_expired(4.9), stock.held_bytes, stock.soonest) == (0, 370, 5.0)
    assert (stock.drop_expired(5.0), stock.held_bytes, stock.soonest) == (200, 170, 50.0)
    assert stock.draw(171, 5.0) is None
    draw = stock.draw(100, 5.0)
    assert draw is not None
    assert draw.data == pool_block(0, length=100).data[30:] + pool_block(2, length=100).data[:30]
    assert (stock.drop_all(), stock.held_bytes, stock.soonest) == (70, 0, math.inf)


def test_what_somebody_left_of_a_block_cuts_no_other_in_two() -> None:
    reservoir = _reservoir_of(pool_blocks(40, length=100))
    reservoir.take(30)
    messages = reservoir.take_messages(3070, 1000)
    assert messages is not None
    assert [sum(map(len, parts)) for parts in messages.parts] == [70, 1000, 1000, 1000]


def test_messages_with_a_simulated_block_are_marked() -> None:
    blocks = [
        *pool_blocks(20, length=100),
        pool_block(20, length=100, simulated=True),
        *pool_blocks(20, 21, length=100),
    ]
    for sizes, marks in {
        (2000, 50, 50, 2000): [False, True, True, False],
        (1000, 2000, 1100): [False, True, False],
    }.items():
        reservoir = _reservoir_of(blocks)
        assert [
            messages.simulated for messages in (reservoir.take_messages(n, 500) for n in sizes) if messages
        ] == marks


def test_no_block_is_in_messages_after_its_time() -> None:
    now = 0.0
    reservoir = Reservoir("public", lambda most: SealedLease((), 0.0, 0.0, PoolDepth(0, 0)), clock=lambda: now)
    leased = map(LeasedBlock, pool_blocks(3, length=100), (5.0, 50.0, 5.0))
    reservoir.arrived(Lease(tuple(leased), PoolDepth(0, 0)), now)
    now = 5.0
    assert reservoir.take_messages(101, 100) is None
    messages = reservoir.take_messages(100, 100)
    assert messages is not None
    assert _bytes_of(messages) == pool_block(1, length=100).data
    assert reservoir.counts["burned_public_bytes"] == 200


async def test_messages_overtake_nobody_who_waits() -> None:
    reservoir = _reservoir_of(pool_blocks(2, length=100))
    waiting = asyncio.create_task(reservoir.draw(500))
    await asyncio.sleep(0)
    assert reservoir.take_messages(100, 100) is None
    assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], PoolExhausted)
    assert reservoir.take_messages(100, 100) is not None
