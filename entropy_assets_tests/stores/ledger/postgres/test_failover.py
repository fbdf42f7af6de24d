"""A server that takes over: what it lacks is published by nobody before somebody accepts it, and never twice."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from entropy_assets.errors import LedgerError
from entropy_assets.stores.ledger.anchors import Anchor, lacking, refuse_if_behind
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import LedgerBlock
from entropy_assets.stores.ledger.storage import LedgerPromoted, LedgerServer, UnsafeLedgerServer
from entropy_assets_tests.postgres_server import PostgresServer, folder_of, postgres_folder

pytestmark = pytest.mark.slow
BATCHES = 12
LOST = 5


@dataclass
class Pair:
    """A primary, and a standby of it."""

    primary: PostgresServer
    standby: PostgresServer

    def ledger(self, server: PostgresServer, **more: object) -> Ledger:
        return Ledger(LedgerServer(server.url(), is_single=True), **more)  # type: ignore[arg-type]

    def cut(self) -> None:
        """Freeze the receiver of the standby: what the primary writes from now on does not reach it."""
        ((pid,),) = self.standby.ask("SELECT pid FROM pg_stat_wal_receiver")
        os.kill(pid, signal.SIGSTOP)
        self._frozen = pid

    def fail_over(self) -> None:
        self.primary.stop()
        os.kill(self._frozen, signal.SIGTERM)  # it ends as it wakes, before it reads what waits in its socket
        os.kill(self._frozen, signal.SIGCONT)
        self.standby.promote()
        _until(lambda: self.standby.ask("SELECT pg_is_in_recovery()") == [(False,)])


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def folder() -> Iterator[Path]:
    with postgres_folder() as folder:
        yield folder


def started(folder: Path, **settings: str) -> Pair:
    primary = PostgresServer(folder_of(folder, "p"), **settings).initialise().start()
    standby = PostgresServer(folder_of(folder, "s")).copy_of(primary, "standby").start()
    wanted = ("streaming", "sync" if settings else "async")
    _until(lambda: primary.ask("SELECT state, sync_state FROM pg_stat_replication") == [wanted])
    return Pair(primary, standby)


@pytest.fixture
def pair(folder: Path) -> Iterator[Pair]:
    """Give an asynchronous pair."""
    pair = started(folder)
    yield pair
    pair.primary.stop()
    pair.standby.stop()


def publish(ledger: Ledger, number: int) -> bool:
    """Publish a batch, as its publisher does; True: its blocks may be pushed now."""
    blocks = [LedgerBlock(f"{number}-{place}", place, f"{number}-{place}", "link") for place in range(3)]
    return ledger.append_publication(f"batch-{number}", f"head-{number}", blocks, "run", number)


def pushed_again(ledger: Ledger) -> list[int]:
    """Publish every batch anew; return those whose blocks would be pushed."""
    found = []
    for number in range(BATCHES):
        try:
            if publish(ledger, number):
                found.append(number)
        except LedgerPromoted:
            pass
    return found


def lose_some(pair: Pair) -> list[Anchor]:
    """Publish, the last of it behind the standby's back, and fail over; return what the receipts know."""
    ledger = pair.ledger(pair.primary)
    assert all(publish(ledger, number) for number in range(BATCHES - LOST))
    _until(lambda: len(pair.ledger(pair.standby, readonly=True).publications()) == BATCHES - LOST)
    pair.cut()
    assert all(publish(ledger, number) for number in range(BATCHES - LOST, BATCHES))
    known = [Anchor(row.ledger_link, f"batch {row.batch_key}") for row in ledger.publications()]
    pair.fail_over()
    return known


def test_after_a_promotion_nothing_is_published_before_it_is_accepted_and_nothing_twice(pair: Pair) -> None:
    known = lose_some(pair)
    ledger = pair.ledger(pair.standby)
    assert pushed_again(ledger) == []
    with pytest.raises(LedgerPromoted, match="another server took over") as caught:
        refuse_if_behind(pair.ledger(pair.standby, readonly=True), known)
    present = caught.value.data["present"]
    assert caught.value.data["accepted"].rpartition("/")[0] == present.rpartition("/")[0], "the system is the same"
    with pytest.raises(LedgerPromoted):
        pair.ledger(pair.standby, accepts=present.replace("/2", "/3")).bind_batch("batch", "origin")

    accepting = pair.ledger(pair.standby, accepts=present)
    lost = lacking(accepting, known)
    assert len(lost) == LOST
    for number in range(BATCHES - LOST, BATCHES):  # as the command burns what has a receipt
        assert publish(accepting, number)
    assert pushed_again(ledger) == [], "burning accepts nothing yet"
    accepting.accept_losses(lost)
    assert pushed_again(ledger) == [], "all are in the ledger"
    refuse_if_behind(ledger, known)
    assert publish(ledger, BATCHES), "a new one is published again"
    assert ledger.verify() == ledger.head()


def test_without_the_epoch_what_was_lost_is_published_twice(pair: Pair) -> None:
    """The test above can fail: an operator who accepts blindly is a ledger without the guard."""
    lose_some(pair)
    with pytest.raises(LedgerPromoted) as caught:
        pair.ledger(pair.standby).refuse_if_promoted()
    accepting = pair.ledger(pair.standby, accepts=caught.value.data["present"])
    assert pushed_again(accepting) == list(range(BATCHES - LOST, BATCHES))


def test_a_standby_is_written_by_nobody(pair: Pair) -> None:
    publish(pair.ledger(pair.primary), 0)
    with pytest.raises(UnsafeLedgerServer, match="it is a standby: name the primary"):
        publish(pair.ledger(pair.standby), 1)


def test_a_commit_whose_wait_for_the_standby_is_cancelled_is_a_failure_and_nothing_comes_twice(folder: Path) -> None:
    """The row is there, and found by whoever tries again: its blocks are pushed by nobody, before and after."""
    pair = started(folder, synchronous_standby_names="standby")
    try:
        ledger = Ledger(LedgerServer(pair.primary.url()))
        assert publish(ledger, 0)
        pair.cut()
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(publish, ledger, 1)
            _until(lambda: pair.primary.ask("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'") != [])
            ((pid,),) = pair.primary.ask("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
            pair.primary.ask(f"SELECT pg_cancel_backend({pid})")
            with pytest.raises(LedgerError, match="gave up waiting for a standby"):
                waiting.result(60)
        assert ledger.is_published("batch-1")
        assert not publish(ledger, 1), "on this server it was published, by its record"
        pair.fail_over()
        after = Ledger(LedgerServer(pair.standby.url(), is_single=True))
        assert not after.is_published("batch-1"), "the row was on one server alone"
        assert pushed_again(after) == []
    finally:
        pair.primary.stop()
        pair.standby.stop()


def test_a_standby_that_goes_away_stops_publishing_before_anything_is_written(folder: Path) -> None:
    pair = started(folder, synchronous_standby_names="standby")
    try:
        ledger = Ledger(LedgerServer(pair.primary.url()))
        assert publish(ledger, 0)
        pair.standby.stop()
        _until(lambda: pair.primary.ask("SELECT 1 FROM pg_stat_replication") == [])
        with pytest.raises(UnsafeLedgerServer, match="no synchronous standby is connected"):
            publish(ledger, 1)
        assert not ledger.is_published("batch-1")
        pair.standby.start()
        _until(lambda: pair.primary.ask("SELECT sync_state FROM pg_stat_replication") == [("sync",)])
        assert publish(ledger, 1)
    finally:
        pair.primary.stop()
        pair.standby.stop()
