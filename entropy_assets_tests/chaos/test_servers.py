"""A server that stalls, dies, comes back with old data, or is replaced by one that lagged behind."""

import contextlib
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import redis

from entropy_assets_tests.chaos.arena import Arena, Server, until
from entropy_assets_tests.chaos.conftest import ArenaOf
from entropy_assets_tests.chaos.network import BadNetwork, Link
from entropy_assets_tests.chaos.report import Table

pytestmark = pytest.mark.chaos

PHASE = 40_000
FEW = 5_000
STALE = 300
"""Blocks that are leased while the snapshot or the replica still has them: they are what may not come again."""
AHEAD = 600
"""Blocks that are ready; after as many leases all that the pool held are out."""
STALL_S = 3.5
"""Longer than the service waits for a reply."""
SNAPSHOTS = {"save": "3600 1"}
OFTEN = {"save": "1 1"}
APPEND_ONLY = {"save": "", "appendonly": "yes", "appendfsync": "everysec"}


def raw(server: Server) -> redis.Redis:
    """Give a plain client of a server."""
    return redis.Redis(port=server.port)


def stall(arena: Arena) -> None:
    """Stop the server for longer than anybody waits."""
    arena.server.signal(signal.SIGSTOP)
    time.sleep(STALL_S)
    arena.server.signal(signal.SIGCONT)
    arena.recover()


def kill(arena: Arena) -> None:
    """Kill the server and start it again, with the files that it left."""
    arena.server.kill()
    time.sleep(0.5)
    arena.server.start()
    arena.recover()


def put_back(arena: Arena, files: Path, draws: int) -> None:
    """Copy the server's files, draw what they hold, kill the server, and start it with the copy."""
    with raw(arena.server) as client, contextlib.suppress(redis.ResponseError):
        client.save()
    copy = files.with_name("copy")
    shutil.copytree(files, copy)
    arena.draw(draws, blocks=STALE)
    arena.server.kill()
    shutil.rmtree(files)
    shutil.copytree(copy, files)
    arena.server.start()
    arena.recover()


class Replicated(NamedTuple):
    """A master and a replica, and the ways to them."""

    master: Server
    net: BadNetwork
    link: Link
    replica: Server


def promote(arena: Arena, replicated: Replicated, draws: int) -> None:
    """Freeze the link to the replica, draw, kill the master, promote the replica and lead everybody to it."""
    with raw(replicated.replica) as client:
        client.replicaof("127.0.0.1", replicated.link.port)
        until(lambda: client.info("replication")["master_link_status"] == "up", "replication")
        arena.draw(FEW)
        replicated.link.freeze()
        assert client.zcard("entropy:pool:ready:public") > 0, "the replica must hold what is about to be drawn"
        arena.draw(draws, blocks=STALE)
        arena.server.kill()
        client.replicaof("NO", "ONE")
    replicated.net.target = replicated.replica.port
    replicated.net.cut()
    arena.recover()


def test_a_stalled_server_costs_leases_only(arena_of: ArenaOf, table: Table) -> None:
    with arena_of() as arena:
        arena.draw(PHASE)
        stall(arena)
        arena.draw(PHASE)
        table.add(f"SIGSTOP of Redis for {STALL_S:g} s", arena.finish())


def test_a_killed_server_loses_the_pool(arena_of: ArenaOf, table: Table) -> None:
    with arena_of() as arena:
        arena.draw(PHASE)
        kill(arena)
        arena.draw(PHASE)
        outcome = table.add("kill -9 of Redis without persistence", arena.finish())
    assert outcome.pool.inherited_blocks == 0


@pytest.mark.parametrize("kept", [OFTEN, APPEND_ONLY], ids=["snapshots", "append-only file"])
def test_a_killed_server_that_persists_brings_nothing_back(
    arena_of: ArenaOf, table: Table, tmp_path: Path, kept: dict[str, str], request: pytest.FixtureRequest
) -> None:
    (tmp_path / "data").mkdir()
    with arena_of(Server(data_dir=tmp_path / "data", **kept), unsafe=True) as arena:
        arena.draw(PHASE)
        kill(arena)
        arena.draw(PHASE)
        way = request.node.callspec.id
        outcome = table.add(f"kill -9 of Redis with persistence ({way})", arena.finish())
    assert outcome.pool.inherited_blocks > 0, "there must have been something to refuse"


@pytest.mark.parametrize("kept", [SNAPSHOTS, APPEND_ONLY], ids=["RDB", "AOF"])
def test_old_files_put_back_repeat_nothing(
    arena_of: ArenaOf, table: Table, tmp_path: Path, kept: dict[str, str], request: pytest.FixtureRequest
) -> None:
    (tmp_path / "data").mkdir()
    with arena_of(Server(data_dir=tmp_path / "data", **kept), unsafe=True) as arena:
        put_back(arena, tmp_path / "data", PHASE)
        arena.draw(PHASE)
        outcome = table.add(f"an old {request.node.callspec.id} restored", arena.finish())
    assert outcome.pool.inherited_blocks > 0, "there must have been something to refuse"


@pytest.fixture
def replicated() -> Iterator[Replicated]:
    """Give a master, the network to it, the link to its replica, and the replica."""
    master = Server()
    with BadNetwork(master.port) as net, Link(master.port) as link, Server() as replica:
        yield Replicated(master, net, link, replica)


def test_a_promoted_replica_repeats_nothing(arena_of: ArenaOf, table: Table, replicated: Replicated) -> None:
    with arena_of(replicated.master, url=replicated.net.address) as arena:
        promote(arena, replicated, PHASE)
        arena.draw(PHASE)
        outcome = table.add("a replica promoted behind a frozen link", arena.finish())
    assert outcome.pool.inherited_blocks > 0, "there must have been something to refuse"


@pytest.mark.parametrize("kept", [SNAPSHOTS, APPEND_ONLY], ids=["RDB", "AOF"])
def test_without_the_epoch_old_files_are_served_again(arena_of: ArenaOf, tmp_path: Path, kept: dict[str, str]) -> None:
    (tmp_path / "data").mkdir()
    with arena_of(Server(data_dir=tmp_path / "data", **kept), unsafe=True, broken="epoch") as arena:
        put_back(arena, tmp_path / "data", FEW)
        arena.draw(FEW, blocks=AHEAD)
        assert arena.finish().draws.duplicates > 0


def test_without_the_epoch_a_promoted_replica_serves_again(arena_of: ArenaOf, replicated: Replicated) -> None:
    with arena_of(replicated.master, url=replicated.net.address, broken="epoch") as arena:
        promote(arena, replicated, FEW)
        arena.draw(FEW, blocks=AHEAD)
        assert arena.finish().draws.duplicates > 0
