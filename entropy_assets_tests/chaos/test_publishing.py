"""A publisher that is killed, and one that does everything again: whatever was published is not published again."""

import os
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from entropy_assets.defs.build import build_defs
from entropy_assets.defs.resources import EntropyStores, ImageSources, RedisPool
from entropy_assets.settings import Settings
from entropy_assets.stores.batches import BLOCKS, RECORDS
from entropy_assets.stores.pool.blocks import PoolBlock
from entropy_assets_tests.chaos import publisher
from entropy_assets_tests.chaos.arena import Arena, until
from entropy_assets_tests.chaos.conftest import ArenaOf
from entropy_assets_tests.chaos.draws import Known
from entropy_assets_tests.chaos.report import Table
from entropy_assets_tests.defs.conftest import Home
from entropy_assets_tests.stages.batches_made import frame

pytestmark = pytest.mark.chaos

PHASE = 30_000
FEW = 1_000
BATCHES = 10
KILLS = 8
LONGEST_S = 0.12
"""From the ledger's entry to the kill; about what a batch's push takes."""


class Publisher:
    """The program `publisher` on a ledger of its own, a file unless another is given; started as often as one likes."""

    def __init__(self, arena: Arena, batches: int, ledger: str = "") -> None:
        self.batches = batches
        self.ledger = ledger or str(arena.folder / "ledger.sqlite")
        self.first = arena.known.reserve(batches * publisher.BATCH)
        for number in range(batches):
            for block in publisher.batch_blocks(self.first, number):
                arena.known.add(block)
        self._where = [arena.url, str(self.first), str(batches)]
        self._environment = {**os.environ, "CHAOS_BREAK": arena.broken}

    def start(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "entropy_assets_tests.chaos.publisher", self.ledger, *self._where]
        return subprocess.Popen(command, env=self._environment)

    def run(self) -> None:
        """Let it go over all batches."""
        process = self.start()
        assert process.wait(60) == 0

    def published(self) -> int:
        """Give how many batches the ledger has."""
        return len(publisher.ledger_at(self.ledger, readonly=True).publications(10_000))

    def killed(self, after_s: float) -> None:
        """Start it and kill it so long after it has entered a new batch in the ledger."""
        before = self.published()
        process = self.start()
        try:
            until(lambda: self.published() > before or process.poll() is not None, "a batch in the ledger", pause=0.001)
            time.sleep(after_s)
        finally:
            process.kill()
            process.wait()


def kill_publisher(arena: Arena, ledger: str = "") -> Publisher:
    """Kill a publisher in the middle of many batches, then let it end."""
    ours = Publisher(arena, BATCHES, ledger)
    for number in range(KILLS):
        ours.killed(number / KILLS * LONGEST_S)
    ours.run()
    return ours


def publish_again_on_a_new_server(arena: Arena) -> None:
    """Publish, draw all of it, lose the server with its tombstones, and publish all of it again."""
    ours = Publisher(arena, 1)
    ours.run()
    arena.draw(FEW, blocks=publisher.BATCH + arena.ahead_blocks)
    arena.server.kill()
    arena.server.start()
    arena.recover()
    ours.run()
    arena.draw(FEW, blocks=publisher.BATCH + arena.ahead_blocks)


def test_a_publisher_killed_in_the_middle_repeats_nothing(arena_of: ArenaOf, table: Table) -> None:
    with arena_of() as arena:
        arena.draw(PHASE)
        ours = kill_publisher(arena)
        arena.recover()
        arena.draw(PHASE)
        outcome = table.add(f"kill -9 of the publisher in mid-push, {KILLS} times", arena.finish())
        pushed = outcome.pool.pushed_blocks - len(arena.feeder.sure)
        assert ours.published() == BATCHES
    assert pushed < BATCHES * publisher.BATCH, "a kill must have found it between ledger and pool"
    assert outcome.pool.refused_blocks == 0, "no block was offered twice"


def test_publishing_all_again_on_a_new_server_pushes_nothing(arena_of: ArenaOf, table: Table) -> None:
    with arena_of() as arena:
        publish_again_on_a_new_server(arena)
        arena.draw(PHASE)
        table.add("kill -9 of Redis, then everything published again", arena.finish())


def test_without_the_ledger_publishing_again_serves_again(arena_of: ArenaOf) -> None:
    with arena_of(broken="ledger", ahead_blocks=100) as arena:
        publish_again_on_a_new_server(arena)
        assert arena.finish().draws.duplicates > 0


def home_at(arena: Arena, instance: dg.DagsterInstance) -> Home:
    """Give an installation whose pool is the arena's."""
    settings = Settings(home=arena.folder / "home", settle_seconds=0.0, public_share=1.0)
    pool = RedisPool(url=arena.url)
    defs = build_defs(settings, {"pool": pool})
    return Home(settings, instance, EntropyStores.of(settings), pool, ImageSources(), defs)


def make_known(home: Home, key: str, known: Known) -> int:
    """Tell the checker the blocks of a batch; give how many there are."""
    batch = home.stores.batch(key)
    rows = batch.read_json(RECORDS)["rows"]
    for row, data in zip(rows, np.load(batch.path(BLOCKS)), strict=True):
        known.add(PoolBlock(row["block_id"], data.tobytes(), row["block_sha256"], 9.0, 0))
    return len(rows)


def replay(home: Home, key: str) -> list[float]:
    """Replay the sensor's tick, and run what it asks for and what it once asked for; give what each run pushed."""
    asked = getattr(home.tick("publish_validated_blocks"), "run_requests", None) or []
    pushed = []
    for _ in range(len(asked) + 1):
        result = home.run("publish_blocks", key)
        (event,) = result.get_asset_materialization_events()
        pushed.append(event.materialization.metadata["pushed"].value)
    return pushed


def test_a_replayed_tick_and_a_reexecuted_run_push_nothing(
    arena_of: ArenaOf, table: Table, known: Known, tmp_path: Path
) -> None:
    """The sensor asks again, its runs happen again: on the same server, and on one that knows no tombstone."""
    with arena_of() as arena, dg.DagsterInstance.ephemeral() as instance:
        home = home_at(arena, instance)
        key = home.batch_of(*((f"{seed}.fits", frame(seed, side=512)) for seed in (1, 2)))
        home.run("process_images", key)
        blocks = make_known(home, key, known)
        assert replay(home, key) == [blocks, 0.0]
        arena.draw(PHASE, blocks=arena.ahead_blocks)
        home.run("process_images", key)
        assert set(replay(home, key)) == {0.0}
        arena.server.kill()
        arena.server.start()
        arena.recover()
        assert set(replay(home, key)) == {0.0}
        arena.draw(PHASE, blocks=arena.ahead_blocks)
        table.add("a replayed sensor tick, re-executed publish runs", arena.finish())
