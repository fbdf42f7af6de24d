"""What speaks against letting a batch go, and what is noted of one that goes."""

import pytest

from entropy_assets.errors import LedgerBehind, PoolUnavailable
from entropy_assets.stages.retention.looking import NEWEST, NO_POOL, UNSERVED, removal_note, seen_batches
from entropy_assets.stores.lanes import Fate
from entropy_assets_tests.stages.batches_made import Place
from entropy_assets_tests.stages.retention.installations import planned, publish


def test_the_newest_receipt_stays_so_that_a_lost_ledger_is_noticed(old: Place, keys: dict[str, str]) -> None:
    """However old all are; and where the newest publication has no receipt, the newest that has one too."""
    for sort, days_ago in (("first", 300), ("again", 200), ("private", 100)):
        publish(old, keys[sort], days_ago=days_ago)
    publish(old, keys["late"], days_ago=90, receipt=False)
    plan = planned(old, batches_days=1, total_bytes=1)
    assert plan.staying == {keys["late"]: NEWEST, keys["private"]: NEWEST}
    old.ledger_file.unlink()
    with pytest.raises(LedgerBehind):
        planned(old, batches_days=1)


@pytest.mark.parametrize("days_ago", [0.001, 0.04, 20])
def test_blocks_that_may_still_be_served_keep_their_batch(old: Place, keys: dict[str, str], days_ago: float) -> None:
    """For the life of a block nobody need ask; up to the longest life that a setting allows, the pool is asked."""
    publish(old, keys["first"], days_ago=days_ago)
    publish(old, keys["late"], days_ago=0)

    def why(fate_of: object) -> str | None:
        plan = planned(old, fate_of=fate_of, batches_days=0, least_days=0)  # type: ignore[arg-type]
        return plan.staying.get(keys["first"])

    def silent(_: str) -> Fate:
        raise PoolUnavailable("nobody answers")

    is_asked = days_ago > 1
    for state in ("ready", "open"):
        assert why(lambda _, state=state: Fate(state=state, left_s=5)) == UNSERVED
    assert why(silent) == why(None) == (NO_POOL if is_asked else UNSERVED)
    assert why(lambda _: Fate(state="gone")) == (None if is_asked else UNSERVED)


def test_after_the_longest_life_the_pool_need_not_answer(old: Place, keys: dict[str, str]) -> None:
    publish(old, keys["first"], days_ago=50)
    publish(old, keys["late"], days_ago=0)
    assert keys["first"] in planned(old, fate_of=None, batches_days=45).removals


def test_a_note_says_what_came_and_what_became_of_it(old: Place, keys: dict[str, str]) -> None:
    """With it the ledger can be told of the images again, and the inbox be settled; it holds no nonce."""
    batches = old.batches()
    found = {batch.key: batch for batch in seen_batches(batches, old.ledger(), ())}
    note = removal_note(batches, found[keys["again"]], "it was wished", 1.5)
    intake = batches.batch(keys["again"]).intake
    fresh, replayed = note.files
    assert (fresh.accepted, fresh.reason, replayed.accepted, replayed.reason) == (True, None, False, "replayed_file")
    assert set(note.spent_images) == {intake.files[0].image_sha256}
    assert (note.lane, note.recipe, note.removed_at) == ("public", intake.recipe, "1970-01-01T00:00:01+00:00")
    assert intake.os_bytes not in note.encoded().decode()
    [flat] = removal_note(batches, found[keys["rejected"]], "", 0).files
    assert (flat.accepted, flat.pixel_sha256 is not None, flat.reason) == (False, True, "constant")
