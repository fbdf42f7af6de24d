"""Several pools as one, of which one suffers under load; and a pool on a cluster whose master dies."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.shards import BETWEEN
from entropy_assets_tests.chaos import publisher
from entropy_assets_tests.chaos.arena import Arena, Server, until
from entropy_assets_tests.chaos.conftest import ArenaOf
from entropy_assets_tests.chaos.report import Table
from entropy_assets_tests.chaos.test_publishing import Publisher
from entropy_assets_tests.chaos.test_servers import SNAPSHOTS, STALE, kill, put_back, raw, stall
from entropy_assets_tests.stores.pool.clusters import Cluster, cluster

pytestmark = pytest.mark.chaos

PHASE = 30_000
FEW = 2_000
AHEAD = 600
LONGEST_FAILOVER_S = 30.0
PREFIX = "{entropy}"


@pytest.fixture
def others() -> Iterator[list[Server]]:
    """Give two shards to which nothing happens."""
    with Server() as one, Server() as other:
        yield [one, other]


def addresses(*servers: Server) -> str:
    return BETWEEN.join(server.address for server in servers)


def takes_part(arena: Arena) -> None:
    """Wait until the shard that suffered is pushed to again; all leases come from all shards."""
    with contextlib.closing(PoolClient.from_url(arena.server.address)) as shard:
        before = shard.stats().leased_blocks
        until(lambda: shard.stats().leased_blocks > before, "a lease from it", pause=0.1)


def test_a_killed_shard_is_missed_by_nobody(arena_of: ArenaOf, table: Table, others: list[Server]) -> None:
    server = Server()
    with arena_of(server, url=addresses(others[0], server, others[1])) as arena:
        for _ in range(2):
            arena.draw(PHASE // 2, blocks=AHEAD)
            kill(arena)
            takes_part(arena)
        arena.draw(PHASE)
        outcome = table.add("kill -9 of one of three shards, twice", arena.finish())
    assert outcome.pool.inherited_blocks == 0


def test_a_frozen_shard_is_missed_by_nobody(arena_of: ArenaOf, table: Table, others: list[Server]) -> None:
    server = Server()
    with arena_of(server, url=addresses(server, *others)) as arena:
        arena.draw(PHASE)
        stall(arena)
        takes_part(arena)
        arena.draw(PHASE)
        table.add("SIGSTOP of one of three shards for 3.5 s", arena.finish())


def test_a_wiped_shard_begins_anew(arena_of: ArenaOf, table: Table, others: list[Server]) -> None:
    server = Server()
    with arena_of(server, url=addresses(*others, server)) as arena:
        arena.draw(PHASE)
        with raw(server) as client:
            client.flushall()
        takes_part(arena)
        arena.draw(PHASE, blocks=3 * AHEAD)
        table.add("FLUSHALL of one of three shards", arena.finish())


def test_a_shard_restored_from_an_old_dump_repeats_nothing(
    arena_of: ArenaOf, table: Table, others: list[Server], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    server = Server(data_dir=tmp_path / "data", **SNAPSHOTS)
    with arena_of(server, url=addresses(server, *others), unsafe=True) as arena:
        put_back(arena, tmp_path / "data", PHASE)
        arena.draw(PHASE, blocks=3 * AHEAD)
        outcome = table.add("an old RDB restored in one of three shards", arena.finish())
    assert outcome.pool.inherited_blocks > 0, "there must have been something to refuse"


def test_without_the_epoch_it_is_served_again(arena_of: ArenaOf, others: list[Server], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    server = Server(data_dir=tmp_path / "data", **SNAPSHOTS)
    with arena_of(server, url=addresses(server, *others), unsafe=True, broken="epoch") as arena:
        put_back(arena, tmp_path / "data", FEW)
        arena.draw(FEW, blocks=3 * AHEAD)
        assert arena.finish().draws.duplicates > 0


def publish_again_to_another_shard(arena: Arena) -> None:
    """Publish, and publish all of it again when another shard is the emptiest: its tombstones know nothing of it."""
    ours = Publisher(arena, 1)
    ours.run()
    with arena.feeder.paused():
        ours.run()
    arena.draw(FEW, blocks=2 * publisher.BATCH + 3 * arena.ahead_blocks)


def test_publishing_all_again_beside_an_empty_shard_pushes_nothing(
    arena_of: ArenaOf, table: Table, others: list[Server]
) -> None:
    server = Server()
    with arena_of(server, url=addresses(server, *others), ahead_blocks=100) as arena:
        publish_again_to_another_shard(arena)
        arena.draw(PHASE)
        table.add("everything published again, to three shards", arena.finish())


def test_without_the_ledger_publishing_again_serves_from_two_shards(arena_of: ArenaOf, others: list[Server]) -> None:
    server = Server()
    with arena_of(server, url=addresses(server, *others), broken="ledger", ahead_blocks=100) as arena:
        publish_again_to_another_shard(arena)
        assert arena.finish().draws.duplicates > 0


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Cluster]:
    """Give a cluster of three masters and their replicas."""
    with cluster(tmp_path, 3, replicas=True) as nodes:
        yield nodes


def fail_over(arena: Arena, nodes: Cluster, draws: int) -> float:
    """Cut the replica off, draw what it has, kill the master; give the time from the next push to answers, seconds."""
    place = nodes.place_of(PREFIX)
    master, replica = nodes.masters[place], nodes.replicas[place]
    assert master.pid is not None
    assert replica.pid is not None
    os.kill(replica.pid, signal.SIGSTOP)
    master.ask("CLIENT", "KILL", "TYPE", "replica")
    arena.draw(draws, blocks=STALE)
    os.kill(master.pid, signal.SIGKILL)
    killed = time.monotonic()
    os.kill(replica.pid, signal.SIGCONT)
    until(lambda: arena.feeder.last_push_s > killed, "a push to the replica", LONGEST_FAILOVER_S)
    pushed = arena.feeder.last_push_s
    arena.recover()
    return time.monotonic() - pushed


def test_a_cluster_whose_master_is_killed_repeats_nothing(arena_of: ArenaOf, table: Table, nodes: Cluster) -> None:
    """By its address alone, which may name the one that dies."""
    with arena_of(url=nodes.url, prefix=PREFIX) as arena:
        arena.draw(PHASE)
        assert fail_over(arena, nodes, PHASE) < LONGEST_FAILOVER_S
        arena.draw(PHASE, blocks=AHEAD)
        outcome = table.add("kill -9 of a cluster's master before its replica had all", arena.finish())
    assert outcome.pool.inherited_blocks > 0, "there must have been something to refuse"


def test_without_the_epoch_a_cluster_serves_again(arena_of: ArenaOf, nodes: Cluster) -> None:
    with arena_of(url=nodes.url, prefix=PREFIX, broken="epoch") as arena:
        arena.draw(FEW)
        fail_over(arena, nodes, FEW)
        arena.draw(FEW, blocks=AHEAD)
        assert arena.finish().draws.duplicates > 0
