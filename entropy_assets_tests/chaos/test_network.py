"""A network that delays, cuts and repeats: nothing is sent twice, and what is carried twice is taken once."""

import contextlib

import pytest

from entropy_assets.errors import PoolUnavailable
from entropy_assets.stores.pool.client import PUSH_BLOCKS
from entropy_assets_tests.chaos.arena import Arena, Feeder, Server, until
from entropy_assets_tests.chaos.broken import breaking
from entropy_assets_tests.chaos.conftest import ArenaOf
from entropy_assets_tests.chaos.draws import Known
from entropy_assets_tests.chaos.network import BadNetwork
from entropy_assets_tests.chaos.report import Table

pytestmark = pytest.mark.chaos

PHASE = 40_000
FEW = 2_000
AHEAD = 100
"""Few blocks are ready, so that a push that is carried again finds its blocks given out."""
FAULTS = {"pass": 50, "delay": 15, "cut before": 5, "cut after": 5, "twice": 10, "replay": 15}
ENOUGH = 5


def suffer(arena: Arena, net: BadNetwork, faults: dict[str, int], draws: int) -> None:
    """Draw until every fault has happened several times; then carry old pushes again whose blocks were given out."""
    arena.draw(draws // 2)
    net.faults = faults
    until(lambda: all(net.happened[fault] >= ENOUGH for fault in faults), f"every fault ({net.happened})", 120)
    arena.draw(draws // 2)
    net.faults = {"pass": 1}
    arena.recover()
    arena.draw(draws // 2, blocks=2 * AHEAD)
    net.replaying.set()
    until(lambda: net.replays_done == net.happened["replay"], "the last replay")


def cut_pushes(known: Known, broken: str) -> BadNetwork:
    """Push over a network that loses replies; give the network, which saw what was sent."""
    with breaking(broken), Server() as server, BadNetwork(server.port) as net:
        feeder = Feeder(net.address, known, least_blocks=AHEAD)
        net.faults = {"pass": 1, "cut after": 1}
        for _ in range(ENOUGH):
            with contextlib.suppress(PoolUnavailable):
                feeder.push(3)
        feeder.pool.close()
    return net


def test_a_bad_network_makes_nothing_come_twice(arena_of: ArenaOf, table: Table) -> None:
    server = Server()
    with BadNetwork(server.port) as net, arena_of(server, url=net.address, ahead_blocks=AHEAD) as arena:
        suffer(arena, net, FAULTS, PHASE)
        happened = ", ".join(f"{net.happened[fault]} x {fault}" for fault in FAULTS if fault != "pass")
        outcome = table.add(f"a bad network ({happened})", arena.finish())
    assert net.sent_again == 0, "no push was sent again"
    assert outcome.pool.refused_blocks > 0, "carried again, pushes must have been refused"


def test_without_tombstones_a_push_that_is_carried_again_is_served_again(arena_of: ArenaOf) -> None:
    server = Server()
    more = {"broken": "tombstones", "ahead_blocks": AHEAD}
    with BadNetwork(server.port) as net, arena_of(server, url=net.address, **more) as arena:
        suffer(arena, net, {"pass": 1, "replay": 3}, FEW)
        arena.draw(FEW, blocks=AHEAD + PUSH_BLOCKS * net.replays_done)
        assert arena.finish().draws.duplicates > 0


def test_a_push_without_an_answer_is_not_sent_again(known: Known) -> None:
    net = cut_pushes(known, broken="")
    assert net.happened["cut after"] > 0
    assert net.sent_again == 0


def test_with_the_clients_own_retries_it_is(known: Known) -> None:
    assert cut_pushes(known, broken="retries").sent_again > 0
