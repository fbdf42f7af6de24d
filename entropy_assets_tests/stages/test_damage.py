"""A batch with a damaged file is an error that names it and stops nobody else, whichever file and kind of damage."""

import json
from pathlib import Path
from typing import Any

import pytest

from entropy_assets.errors import BatchError
from entropy_assets.provenance.freshness import Freshness
from entropy_assets.provenance.trail import Trail
from entropy_assets.stages.publication import accept_losses
from entropy_assets.stages.state import BatchState, Unfinished, naming_damage
from entropy_assets.stores.batches import INTAKE, MANIFEST, NOISE, RECORDS, VERDICTS, Batch, Document
from entropy_assets.stores.ledger.anchors import Anchor
from entropy_assets.stores.ledger.rows import NO_LINK
from entropy_assets_tests.stages.batches_made import Place, frame, remembers

DOCUMENTS = (INTAKE, MANIFEST, NOISE, RECORDS, VERDICTS)
ODD: tuple[Any, ...] = (None, True, -1, 10**400, float("nan"), "x", "\ud800", [], [None], ["x"], {}, {"rows": 1})
TEXTS = (b"", b"[", b"{}", b"[]", b"\xff", b"[" * 100_000)
NOTHING_RELEASED = (b'"released": []', b'"released": {}')
FIRST = 3


def kinds_of_damage(sound: bytes) -> list[bytes]:
    """Give broken texts, and the sound one with one of its values made odd: of each list and object the first ones."""
    kinds, value = [*TEXTS, sound[:-20]], json.loads(sound)

    def alter(at: Any) -> None:
        names = list(at) if isinstance(at, dict) else range(len(at)) if isinstance(at, list) else ()
        for name in names[:FIRST]:
            kept = at[name]
            for at[name] in ODD:
                kinds.append(json.dumps(value).encode())
            at[name] = kept
            alter(kept)

    alter(value)
    return kinds


@pytest.fixture
def batch(place: Place) -> Batch:
    return place.validated([("a.fits", frame(1))])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.file)
def test_whoever_looks_at_all_batches_gets_an_answer(place: Place, batch: Batch, document: Document) -> None:
    path, ledger, batches = batch.path(document), place.ledger(), place.batches()
    for damaged in kinds_of_damage(path.read_bytes()):
        path.unlink()
        path.write_bytes(damaged)
        for found, state in Unfinished(batches, ledger):
            assert found.key == batch.key
            assert isinstance(state, BatchState | BatchError)
        [told] = Trail(ledger, batches, place.images()).recent(9)
        assert told["key"] == batch.key
        ages = Freshness(batches, ledger).now()
        assert ages["problem"] is None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.file)
def test_a_lost_ledger_is_accepted_whatever_was_damaged_besides(
    place: Place, batch: Batch, document: Document, tmp_path: Path
) -> None:
    """Each time for an installation with a ledger of its own and this batch.

    Verdicts that say, as those of a rejected batch do, that no block was released are no damage that could be seen.
    """
    path, lost = batch.path(document), Anchor("ab" * 32, "Dagster")
    kinds = kinds_of_damage(path.read_bytes())
    for number, damaged in enumerate(kinds[:: len(kinds) // 12]):
        path.unlink()
        path.write_bytes(damaged)
        elsewhere = Place(tmp_path / f"elsewhere-{number}")
        elsewhere.root.mkdir()
        (elsewhere.root / "batches").symlink_to(place.root / "batches")
        burned, accepted = accept_losses(elsewhere, NO_LINK, [lost], now_us=1, remember=remembers(elsewhere))
        assert accepted == [lost.link]
        rejected = any(none in damaged for none in NOTHING_RELEASED)
        assert burned == ([] if rejected else [batch.key])
        assert elsewhere.ledger().is_published(batch.key) is not rejected


def test_the_error_names_batch_file_and_cause(batch: Batch) -> None:
    with pytest.raises(BatchError) as raised, naming_damage(batch, NOISE.file):
        raise KeyError("rows")
    assert raised.value.message == f"noise.json of batch {batch.key} is damaged (KeyError: 'rows')"
    assert raised.value.data == {"batch": batch.key, "file": NOISE.file}
