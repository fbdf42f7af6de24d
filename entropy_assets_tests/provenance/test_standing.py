"""What stands still is told within minutes, by what the folders and the ledger hold; Dagster is not asked."""

import os
from pathlib import Path

import pytest

from entropy_assets.provenance.standing import STILL_S, Standing, new_sentences
from entropy_assets.provenance.trail import Trail
from entropy_assets.stages.publication import publish_batch
from entropy_assets.stores.batches import INTAKE, RECEIPT, VERDICTS, Batch, Document
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.stages.batches_made import Place, frame

MINUTES_AGO = STILL_S + 1


@pytest.fixture
def standing(place: Place) -> Standing:
    return Standing(place.batches(), place.ledger(readonly=True))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def untouched(batch: Batch, for_s: float = MINUTES_AGO) -> Batch:
    """Let the batch look as if nobody had worked on it for a while."""
    for folder in (batch.root, batch.root / "noise"):
        if folder.exists():
            then = folder.stat().st_mtime - for_s
            os.utime(folder, (then, then))
    return batch


def test_a_batch_that_was_taken_and_not_processed_is_told(place: Place, standing: Standing) -> None:
    batch = place.open([("a.fits", frame(1))])
    assert standing.doubts() == []
    untouched(batch)
    [(code, sentence)] = standing.doubts()
    assert code == "batches-stuck"
    assert f"batch {batch.key} is not validated" in sentence


def test_a_batch_that_was_validated_and_not_published_is_told_until_it_is(
    place: Place, standing: Standing, pool: PoolClient
) -> None:
    batch = place.validated([("a.fits", frame(1))])
    assert standing.doubts() == []
    untouched(batch)
    assert f"batch {batch.key} is not published" in standing.doubts()[0][1]
    publish_batch(batch, place.ledger(), pool, run_id="run", now_us=1)
    assert standing.doubts() == []


def test_a_batch_with_nothing_left_to_do_is_never_told(place: Place, standing: Standing) -> None:
    """One without a live image, and one that is made for tests and never published."""
    untouched(place.validated([("dead.jpg", b"")]))
    known = place.validated([("a.fits", frame(1))])
    intake = known.read_json(INTAKE)
    known.write_json(INTAKE, {**intake, "os_bytes": ""})
    untouched(Batch(known.blobs, known.key))
    assert standing.doubts() == standing.doubts() == []


def test_a_batch_that_can_not_be_read_is_told_and_the_others_too(place: Place, standing: Standing) -> None:
    damaged, other = place.validated([("a.fits", frame(1))]), place.open([("b.fits", frame(2))])
    damaged.path(VERDICTS).write_text("{}")
    for batch in (damaged, other):
        untouched(batch)
    [(_, sentence)] = standing.doubts()
    assert sentence.startswith("2 batches stand still")
    assert f"batch {damaged.key} is damaged" in sentence


def test_a_rejected_batch_that_is_validated_again_with_another_end_is_told(place: Place, standing: Standing) -> None:
    """What is remembered of a finished batch holds for its verdicts as they were."""
    batch = place.validated([("a.fits", frame(1))])
    verdicts = batch.read_json(VERDICTS)
    batch.write_json(VERDICTS, {**verdicts, "released": []})
    untouched(batch)
    assert standing.doubts() == []
    batch.write_json(VERDICTS, verdicts)
    untouched(batch)
    assert standing.doubts()


def test_everybody_who_asks_how_the_supply_is_hears_of_it(place: Place) -> None:
    untouched(place.open([("a.fits", frame(1))]))
    assert [code for code, _ in Trail.of(place).freshness()["doubts"]] == ["batches-stuck"]


def test_a_sentence_is_new_once_and_again_when_it_came_back() -> None:
    told: set[str] = set()
    looks = [[("a", "x")], [("a", "x"), ("b", "y")], [], [("a", "x")]]
    assert [list(new_sentences(told, doubts)) for doubts in looks] == [["x"], ["y"], [], ["x"]]


def unreadable(batch: Batch, document: Document) -> None:
    """Let the system refuse to read `document`, whoever asks: as another user's file does, or a bad disk."""
    path = batch.path(document)
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)


@pytest.mark.parametrize("document", [INTAKE, VERDICTS])
def test_a_file_that_the_system_does_not_let_be_read_is_told_and_the_others_too(
    place: Place, standing: Standing, document: Document
) -> None:
    closed, other = place.validated([("a.fits", frame(1))]), place.open([("b.fits", frame(2))])
    unreadable(closed, document)
    for batch in (closed, other):
        untouched(batch)
    [(code, sentence)] = standing.doubts()
    assert (code, sentence.startswith("2 batches stand still")) == ("batches-stuck", True)
    assert f"{closed.key}/{document.file} can't be read" in sentence


def test_a_receipt_that_the_system_does_not_let_be_read_is_told_and_what_stands_still_too(
    place: Place, standing: Standing, pool: PoolClient
) -> None:
    closed, other = place.validated([("a.fits", frame(1))]), place.open([("b.fits", frame(2))])
    publish_batch(closed, place.ledger(), pool, run_id="run", now_us=1)
    unreadable(closed, RECEIPT)
    untouched(other)
    assert [code for code, _ in standing.doubts()] == ["store-denied", "batches-stuck"]
