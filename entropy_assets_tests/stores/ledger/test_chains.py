"""The chains of bindings and of losses: every change of a row is seen, and each link is what an outsider computes."""

import pytest

from entropy_assets.errors import ClaimRefused, LedgerError
from entropy_assets.stores.ledger.chains import last_link
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import NO_LINK
from entropy_assets_tests.core.second_hashing import second_ledger_link
from entropy_assets_tests.stores.ledger.conftest import TIME_US
from entropy_assets_tests.stores.ledger.places import Places


@pytest.fixture
def ledger(places: Places) -> Ledger:
    """Give a ledger with two bindings and two losses, whose clock stands still."""
    ledger = Ledger(places.of(), clock=lambda: TIME_US * 1000)
    for batch in ("a", "b"):
        ledger.bind_batch(batch, f"origin of {batch}")
    ledger.accept_losses({"aa" * 32: "batch a", "bb" * 32: "the pool's server"})
    return ledger


def test_each_kind_of_row_has_a_chain_of_its_own(ledger: Ledger) -> None:
    first = second_ledger_link("binding", NO_LINK, "a", "origin of a", TIME_US)
    loss = second_ledger_link("loss", NO_LINK, "aa" * 32, "batch a", TIME_US)
    with ledger.storage.connection() as db:
        assert db is not None
        assert last_link(db, "bindings") == second_ledger_link("binding", first, "b", "origin of b", TIME_US)
        assert last_link(db, "losses") == second_ledger_link("loss", loss, "bb" * 32, "the pool's server", TIME_US)
        assert last_link(db, "batches") == NO_LINK
    assert ledger.verify() == NO_LINK


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE bindings SET origin_sha256 = 'x' WHERE seq = 1",
        "UPDATE bindings SET bound_at_us = 1 WHERE seq = 2",
        "DELETE FROM bindings WHERE seq = 1",
        "UPDATE losses SET lost_link = 'x' WHERE seq = 2",
        "UPDATE losses SET known_to = 'x' WHERE seq = 1",
        "DELETE FROM losses WHERE seq = 1",
    ],
)
def test_verify_sees_every_change(statement: str, ledger: Ledger, places: Places) -> None:
    places.tamper(statement)
    with pytest.raises(LedgerError, match="does not verify"):
        ledger.verify()


def test_a_batch_is_bound_once_and_again_only_to_the_same(ledger: Ledger) -> None:
    ledger.bind_batch("a", "origin of a")
    assert [ledger.binding_of(batch) for batch in ("a", "b", "of nobody")] == ["origin of a", "origin of b", None]
    with pytest.raises(ClaimRefused, match="bound in the ledger"):
        ledger.bind_batch("a", "another origin")


def test_a_ledger_lacks_what_it_neither_holds_nor_gave_up(ledger: Ledger, places: Places) -> None:
    ledger.append_publication("batch", "head", [], "run", 1)
    assert ledger.lacks([ledger.head(), "aa" * 32, "cc" * 32]) == ("cc" * 32,)
    assert Ledger(places.of("none"), readonly=True).lacks(["aa" * 32]) == ("aa" * 32,)
