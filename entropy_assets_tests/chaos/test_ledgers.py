"""A ledger in PostgreSQL whose server crashes or is replaced: whatever was published is not published again."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from entropy_assets.stores.ledger.storage import LedgerPromoted
from entropy_assets_tests.chaos import publisher
from entropy_assets_tests.chaos.arena import Arena, until
from entropy_assets_tests.chaos.conftest import ArenaOf
from entropy_assets_tests.chaos.report import Table
from entropy_assets_tests.chaos.test_publishing import BATCHES, FEW, KILLS, LONGEST_S, PHASE, Publisher, kill_publisher
from entropy_assets_tests.postgres_pair import Pair
from entropy_assets_tests.postgres_server import PostgresServer, folder_of, postgres_folder

pytestmark = pytest.mark.chaos

CRASHES = 4


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder for servers."""
    with postgres_folder() as folder:
        yield folder


@pytest.fixture
def postgres(folder: Path) -> Iterator[PostgresServer]:
    """Give a server without a standby."""
    server = PostgresServer(folder_of(folder, "one")).initialise().start()
    yield server
    server.stop()


@pytest.fixture
def synchronous(folder: Path) -> Iterator[Pair]:
    """Give a server that waits for its standby, and the standby."""
    pair = Pair.started(folder, synchronous_standby_names="standby")
    yield pair
    pair.stop()


@pytest.fixture
def asynchronous(folder: Path) -> Iterator[Pair]:
    """Give a server that waits for nobody, and a standby."""
    pair = Pair.started(folder)
    yield pair
    pair.stop()


def crash_under(ours: Publisher, postgres: PostgresServer, after_s: float) -> None:
    """Let the ledger's server crash so long after a new batch is in it, and come back when its publisher has ended."""
    before = ours.published()
    process = ours.start()
    until(lambda: ours.published() > before or process.poll() is not None, "a batch in the ledger", pause=0.001)
    time.sleep(after_s)
    postgres.stop()
    process.wait(60)
    postgres.start()


def test_a_publisher_killed_in_the_middle_repeats_nothing(
    arena_of: ArenaOf, table: Table, postgres: PostgresServer
) -> None:
    with arena_of() as arena:
        arena.draw(PHASE)
        ours = kill_publisher(arena, postgres.url())
        arena.recover()
        arena.draw(PHASE)
        outcome = table.add(f"PostgreSQL: kill -9 of the publisher in mid-push, {KILLS} times", arena.finish())
        pushed = outcome.pool.pushed_blocks - len(arena.feeder.sure)
        assert ours.published() == BATCHES
    assert pushed < BATCHES * publisher.BATCH, "a kill must have found it between ledger and pool"
    assert outcome.pool.refused_blocks == 0, "no block was offered twice"


def test_a_server_that_crashes_under_its_publisher_repeats_nothing(
    arena_of: ArenaOf, table: Table, postgres: PostgresServer
) -> None:
    with arena_of() as arena:
        arena.draw(PHASE)
        ours = Publisher(arena, BATCHES, postgres.url())
        for number in range(CRASHES):
            crash_under(ours, postgres, number / CRASHES * LONGEST_S)
        ours.run()
        arena.recover()
        arena.draw(PHASE)
        outcome = table.add(f"PostgreSQL crashes under the publisher, {CRASHES} times", arena.finish())
        assert ours.published() == BATCHES
    assert outcome.pool.refused_blocks == 0, "no block was offered twice"


def fail_over(arena: Arena, pair: Pair, ours: Publisher) -> None:
    """Draw what is published; then another Redis, that knows no tombstones, and the standby for a ledger."""
    arena.draw(FEW, blocks=publisher.BATCH + arena.ahead_blocks)
    arena.server.kill()
    arena.server.start()
    arena.recover()
    pair.fail_over()
    ours.ledger = pair.standby.url()


def publish_behind_the_standby(arena: Arena, pair: Pair) -> Publisher:
    """Let the standby take over without knowing the one publication."""
    ours = Publisher(arena, 1, pair.primary.url())
    publisher.ledger_at(pair.primary.url()).bind_batch("earlier", "origin")  # the tables, which the standby has
    tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'batches'"
    until(lambda: pair.standby.ask(tables) == [(1,)], "the tables")
    pair.cut()
    ours.run()
    fail_over(arena, pair, ours)
    assert ours.published() == 0, "the standby must lack it"
    return ours


def test_a_synchronous_standby_that_takes_over_pushes_nothing_again(
    arena_of: ArenaOf, table: Table, synchronous: Pair
) -> None:
    with arena_of(ahead_blocks=100) as arena:
        ours = Publisher(arena, 1, synchronous.primary.url())
        ours.run()
        fail_over(arena, synchronous, ours)
        assert ours.start().wait(60) != 0, "before it is accepted nothing is published"
        with pytest.raises(LedgerPromoted) as caught:
            publisher.ledger_at(ours.ledger).refuse_if_promoted()
        publisher.ledger_at(ours.ledger, accepts=caught.value.data["present"]).accept_losses({})
        ours.run()
        assert ours.published() == 1
        arena.draw(PHASE, blocks=publisher.BATCH + arena.ahead_blocks)
        table.add("PostgreSQL's synchronous standby takes over, everything published again", arena.finish())


def test_an_asynchronous_standby_that_takes_over_is_written_by_nobody(
    arena_of: ArenaOf, table: Table, asynchronous: Pair
) -> None:
    with arena_of(ahead_blocks=100) as arena:
        ours = publish_behind_the_standby(arena, asynchronous)
        assert ours.start().wait(60) != 0
        arena.draw(PHASE, blocks=publisher.BATCH + arena.ahead_blocks)
        table.add("PostgreSQL's asynchronous standby takes over, everything published again", arena.finish())


def test_without_the_epoch_of_the_ledger_it_serves_again(arena_of: ArenaOf, asynchronous: Pair) -> None:
    with arena_of(broken="promotion", ahead_blocks=100) as arena:
        publish_behind_the_standby(arena, asynchronous).run()
        arena.draw(FEW, blocks=publisher.BATCH + arena.ahead_blocks)
        assert arena.finish().draws.duplicates > 0
