"""What a server must be like: each reason for which it may lose what it acknowledges is told, and an epoch is kept."""

from dataclasses import replace
from typing import Any

import pytest

from entropy_assets.stores.ledger.postgres.safety import Epoch, ServerState
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import NO_LINK, epoch_link
from entropy_assets.stores.ledger.storage import LedgerPromoted, LedgerServer, fetched
from entropy_assets_tests.postgres_server import PostgresServer
from entropy_assets_tests.stores.ledger.places import as_promoted

SOUND = ServerState("on", "standby", "on", Epoch("1", 1), has_standby=True)
SINGLE = replace(SOUND, standbys="", has_standby=False)


def test_a_sound_server_is_beyond_doubt() -> None:
    assert SOUND.doubts(is_single=False) == SOUND.doubts(is_single=True) == SINGLE.doubts(is_single=True) == []
    assert replace(SOUND, commit="remote_apply").doubts(is_single=False) == []


@pytest.mark.parametrize(
    "state, is_single, reason",
    [
        (SINGLE, False, "synchronous_standby_names is empty"),
        (replace(SOUND, has_standby=False), False, "no synchronous standby is connected"),
        (replace(SOUND, has_standby=False), True, "no synchronous standby is connected"),
        (replace(SOUND, fsync="off"), False, "fsync is off"),
        (replace(SINGLE, commit="local"), True, "synchronous_commit is local"),
        (replace(SOUND, commit="off"), False, "synchronous_commit is off"),
        (replace(SOUND, epoch=None), False, "it is a standby"),
    ],
)
def test_each_doubt_is_told(state: ServerState, is_single: bool, reason: str) -> None:
    (doubt,) = state.doubts(is_single=is_single)
    assert reason in doubt


@pytest.fixture
def ledger(postgres_url: str) -> Ledger:
    """Give a ledger with one binding, in its first epoch."""
    ledger = Ledger(LedgerServer(postgres_url, is_single=True))
    ledger.bind_batch("batch", "origin")
    return ledger


def test_who_makes_the_tables_enters_the_epoch_that_the_server_says_it_is_in(
    ledger: Ledger, postgres: PostgresServer
) -> None:
    ((system,),) = postgres.ask("SELECT system_identifier::text FROM pg_control_system()")
    ((seq, kept, timeline, time_us, link),) = fetched(
        ledger.storage, "SELECT seq, system_identifier, timeline, accepted_at_us, ledger_link FROM epochs"
    )
    assert (seq, kept, timeline) == (1, system, 1)
    assert link == epoch_link(NO_LINK, system, 1, time_us)
    ledger.refuse_if_promoted()
    ledger.verify()


@pytest.mark.parametrize("other", [{"timeline": 7}, {"system": "7", "timeline": 1}], ids=["timeline", "system"])
def test_another_epoch_is_refused_until_it_is_accepted_by_its_name(
    other: dict[str, Any], ledger: Ledger, postgres: PostgresServer, postgres_url: str
) -> None:
    present = as_promoted(ledger, postgres, **other)
    server = LedgerServer(postgres_url, is_single=True)
    with pytest.raises(LedgerPromoted, match=f"ledger accept --epoch {present} --head") as caught:
        ledger.bind_batch("other", "origin")
    assert "/dev/shm" not in caught.value.public_message  # noqa: S108
    for refused in (Ledger(server, readonly=True), Ledger(server, accepts="another/1")):
        with pytest.raises(LedgerPromoted):
            refused.refuse_if_promoted()
    accepting = Ledger(server, accepts=present)
    accepting.bind_batch("other", "origin")
    with pytest.raises(LedgerPromoted):
        ledger.refuse_if_promoted()
    accepting.accept_losses({})
    ledger.refuse_if_promoted()
    ledger.bind_batch("third", "origin")
    assert fetched(ledger.storage, "SELECT count(*) FROM epochs") == [(2,)]
    accepting.accept_losses({})
    ledger.verify()
    assert fetched(ledger.storage, "SELECT count(*) FROM epochs") == [(2,)], "what is accepted is accepted once"
