"""Where a batch stands: one answer at every stage, and the ledger's word on what is published."""

import pytest

from entropy_assets.errors import BatchError, BlockRefused
from entropy_assets.stages import conditioning, extraction, ingest, validation
from entropy_assets.stages.state import BatchState, Stage, stage_of, state_of
from entropy_assets.stages.verdicts import verdicts_of
from entropy_assets.stores.batches import VERDICTS, Batch
from entropy_assets.stores.ledger.rows import LedgerBlock
from entropy_assets_tests.stages.batches_made import LIMITS, Place, break_conditioning, frame


def publish(place: Place, batch: Batch) -> None:
    """Enter the released blocks of `batch` in the ledger."""
    verdicts = verdicts_of(batch)
    blocks = [LedgerBlock(name, index, f"sha {name}", "link") for index, name in enumerate(verdicts["released"])]
    place.ledger().append_publication(batch.key, verdicts["chain_head"], blocks, run_id="run", time_us=1)


def test_each_stage_moves_a_batch_on_by_one(place: Place) -> None:
    batch = place.open([("a.fits", frame(1))])
    stages = [stage_of(batch)]
    ingest.read_images(batch, place.images(), LIMITS)
    stages.append(stage_of(batch))
    extraction.extract_noise(batch, place.images(), place.ledger(), LIMITS)
    stages.append(stage_of(batch))
    conditioning.hash_blocks(batch)
    stages.append(stage_of(batch))
    assert state_of(batch, place.ledger()) == BatchState(Stage.HASHED)
    validation.validate_blocks(batch)
    assert [*stages, stage_of(batch)] == list(Stage) == sorted(Stage)


def test_a_validated_batch_awaits_its_publication_and_then_is_finished(place: Place) -> None:
    batch = place.validated([("a.fits", frame(1))])
    state = state_of(batch, place.ledger())
    assert (state.released, state.publication) == (tuple(verdicts_of(batch)["released"]), None)
    assert (state.awaits_publication, state.is_finished, state.is_rejected) == (True, False, False)
    publish(place, batch)
    state = state_of(batch, place.ledger())
    assert state.publication == place.ledger().publication_of(batch.key)
    assert (state.awaits_publication, state.is_finished, state.is_rejected) == (False, True, False)


def test_a_batch_that_fails_as_a_whole_is_rejected_and_finished(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    break_conditioning(monkeypatch)
    batch = place.hashed([("a.fits", frame(1))])
    assert not state_of(batch, place.ledger()).is_finished
    with pytest.raises(BlockRefused):
        validation.validate_blocks(batch)
    state = state_of(batch, place.ledger())
    assert (state.awaits_publication, state.is_finished, state.is_rejected) == (False, True, True)


def test_verdicts_that_can_not_be_read_stop_the_answer_and_not_the_stage(place: Place) -> None:
    batch = place.validated([("a.fits", frame(1))])
    batch.path(VERDICTS).write_text("[")
    assert stage_of(batch) is Stage.VALIDATED
    with pytest.raises(BatchError, match="is not JSON"):
        state_of(batch, place.ledger())
