"""A server that takes over: what it lacks is published by nobody before somebody accepts it, and never twice."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from entropy_assets.errors import LedgerError
from entropy_assets.stores.ledger.anchors import Anchor, lacking, refuse_if_behind
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import LedgerBlock
from entropy_assets.stores.ledger.storage import LedgerPromoted, LedgerServer, UnsafeLedgerServer
from entropy_assets_tests.postgres_pair import Pair, soon
from entropy_assets_tests.postgres_server import PostgresServer, postgres_folder

pytestmark = pytest.mark.slow
BATCHES = 12
LOST = 5


@pytest.fixture
def folder() -> Iterator[Path]:
    with postgres_folder() as folder:
        yield folder


def ledger_on(server: PostgresServer, **more: object) -> Ledger:
    return Ledger(LedgerServer(server.url(), is_single=True), **more)  # type: ignore[arg-type]


@pytest.fixture
def pair(folder: Path) -> Iterator[Pair]:
    """Give an asynchronous pair."""
    pair = Pair.started(folder)
    yield pair
    pair.stop()


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
    ledger = ledger_on(pair.primary)
    assert all(publish(ledger, number) for number in range(BATCHES - LOST))
    soon(lambda: len(ledger_on(pair.standby, readonly=True).publications()) == BATCHES - LOST)
    pair.cut()
    assert all(publish(ledger, number) for number in range(BATCHES - LOST, BATCHES))
    known = [Anchor(row.ledger_link, f"batch {row.batch_key}") for row in ledger.publications()]
    pair.fail_over()
    return known


def test_after_a_promotion_nothing_is_published_before_it_is_accepted_and_nothing_twice(pair: Pair) -> None:
    known = lose_some(pair)
    ledger = ledger_on(pair.standby)
    assert pushed_again(ledger) == []
    with pytest.raises(LedgerPromoted, match="another server took over") as caught:
        refuse_if_behind(ledger_on(pair.standby, readonly=True), known)
    present = caught.value.data["present"]
    assert caught.value.data["accepted"].rpartition("/")[0] == present.rpartition("/")[0], "the system is the same"
    with pytest.raises(LedgerPromoted):
        ledger_on(pair.standby, accepts=present.replace("/2", "/3")).bind_batch("batch", "origin")

    accepting = ledger_on(pair.standby, accepts=present)
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
        ledger_on(pair.standby).refuse_if_promoted()
    accepting = ledger_on(pair.standby, accepts=caught.value.data["present"])
    assert pushed_again(accepting) == list(range(BATCHES - LOST, BATCHES))


def test_a_standby_is_written_by_nobody(pair: Pair) -> None:
    publish(ledger_on(pair.primary), 0)
    with pytest.raises(UnsafeLedgerServer, match="it is a standby: name the primary"):
        publish(ledger_on(pair.standby), 1)


@pytest.mark.parametrize("told", ["notice", "error"])
def test_a_commit_whose_wait_for_the_standby_is_cancelled_is_a_failure_and_nothing_comes_twice(
    folder: Path, told: str
) -> None:
    """The row is there, and found by whoever tries again: its blocks are pushed by nobody, before and after.

    The server says it in a warning alone, so one that is told to keep its warnings to itself is told otherwise.
    """
    pair = Pair.started(folder, synchronous_standby_names="standby", client_min_messages=told)
    try:
        ledger = Ledger(LedgerServer(pair.primary.url()))
        assert publish(ledger, 0)
        pair.cut()
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(publish, ledger, 1)
            soon(lambda: pair.primary.ask("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'") != [])
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
        pair.stop()


def test_a_standby_that_goes_away_stops_publishing_before_anything_is_written(folder: Path) -> None:
    pair = Pair.started(folder, synchronous_standby_names="standby")
    try:
        ledger = Ledger(LedgerServer(pair.primary.url()))
        assert publish(ledger, 0)
        pair.standby.stop()
        soon(lambda: pair.primary.ask("SELECT 1 FROM pg_stat_replication") == [])
        with pytest.raises(UnsafeLedgerServer, match="no synchronous standby is connected"):
            publish(ledger, 1)
        assert not ledger.is_published("batch-1")
        pair.standby.start()
        soon(lambda: pair.primary.ask("SELECT sync_state FROM pg_stat_replication") == [("sync",)])
        assert publish(ledger, 1)
    finally:
        pair.stop()
