"""What others know of the ledger, held against it: the refusal says what is lacking, who knows of it, what to do."""

import pytest

from entropy_assets.errors import LedgerBehind
from entropy_assets.stores.ledger.anchors import Anchor, lacking, refuse_if_behind
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import NO_LINK
from entropy_assets_tests.stores.ledger.places import Places


@pytest.fixture
def ledger(places: Places) -> Ledger:
    """Give a ledger with two publications."""
    ledger = Ledger(places.of())
    for batch in ("a", "b"):
        ledger.append_publication(batch, "head", [], "run", 1)
    return ledger


def anchors_of(ledger: Ledger) -> list[Anchor]:
    return [Anchor(row.ledger_link, f"batch {row.batch_key}") for row in ledger.publications()]


def test_a_ledger_that_has_all_passes_and_one_that_grew_too(ledger: Ledger, places: Places) -> None:
    known = anchors_of(ledger)
    refuse_if_behind(ledger, known)
    ledger.append_publication("c", "head", [], "run", 1)
    refuse_if_behind(ledger, known)
    refuse_if_behind(Ledger(places.of("new"), readonly=True), [])


def test_a_missing_ledger_is_called_so_and_not_made(ledger: Ledger, places: Places) -> None:
    gone = Ledger(places.of("gone"), readonly=True)
    with pytest.raises(LedgerBehind, match=f"is missing: it lacks 2 .* batch a, batch b.* --head {NO_LINK}") as caught:
        refuse_if_behind(gone, anchors_of(ledger))
    assert caught.value.data["head"] == NO_LINK
    assert gone.name not in caught.value.public_message
    assert not gone.exists()
    empty = Ledger(places.of("empty"))
    empty.bind_batch("a batch that was begun since", "origin")
    with pytest.raises(LedgerBehind, match="is empty"):
        refuse_if_behind(empty, anchors_of(ledger))


def test_an_older_one_and_another_are_told_by_who_knows_better(ledger: Ledger) -> None:
    known = [*anchors_of(ledger), Anchor("cc" * 32, "the pool's server")]
    assert lacking(ledger, known) == {"cc" * 32: "the pool's server"}
    with pytest.raises(LedgerBehind, match=r"older than it should be, or another one: it lacks 1 .* the pool's server"):
        refuse_if_behind(ledger, known)


def test_what_was_given_up_is_lacking_no_more(ledger: Ledger) -> None:
    lost = Anchor("cc" * 32, "Dagster")
    ledger.accept_losses(lacking(ledger, [lost]))
    refuse_if_behind(ledger, [lost])
    ledger.verify()
