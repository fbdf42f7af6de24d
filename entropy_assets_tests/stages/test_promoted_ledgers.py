"""A ledger whose server was replaced: nothing is published or called fresh until it is accepted, and nothing twice."""

from pathlib import Path

import pytest

from entropy_assets.errors import LedgerError
from entropy_assets.provenance.rewalk import rewalk
from entropy_assets.provenance.trail import Trail
from entropy_assets.stages.publication import Remember, accept_losses
from entropy_assets.stages.state import known_publications, sound_ledger
from entropy_assets.stores.batches import Batch
from entropy_assets.stores.blobs.refusals import StoreUnavailable
from entropy_assets.stores.ledger.sketches import SketchShelf
from entropy_assets.stores.ledger.storage import LedgerPromoted, LedgerServer
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.postgres_server import PostgresServer
from entropy_assets_tests.stages.batches_made import Place, frame, publish, remembers
from entropy_assets_tests.stores.ledger.places import as_promoted, lose_rows


@pytest.fixture
def place(tmp_path: Path, postgres_url: str) -> Place:
    return Place(tmp_path, ledger_server=LedgerServer(postgres_url, is_single=True))


def accept(place: Place, epoch: str | None, remember: Remember | None = None) -> tuple[list[str], list[str]]:
    """Do what the command does."""
    known = known_publications(place.batches()).values()
    remember = remember or remembers(place, epoch)
    return accept_losses(place, place.ledger(readonly=True).head(), known, 2, remember, epoch)


def is_away(batch: Batch, image_sha256: str) -> None:
    raise StoreUnavailable(f"no answer for {image_sha256}")


def test_a_batch_is_published_once_and_its_blocks_are_found(place: Place, pool: PoolClient) -> None:
    """The whole way, with images spent, sketches kept and a receipt, as on a file."""
    batch = place.validated([("a.fits", frame(1))])
    assert publish(place, batch, pool) > 0
    assert publish(place, batch, pool) == 0
    again = place.validated([("again.fits", frame(1))], time_ns=10**18)
    assert publish(place, again, pool) == 0
    block = place.ledger().published_blocks(batch.key)[0]
    assert len(rewalk(Trail.of(place), block.block_id).data) == 4096
    assert sound_ledger(place).verify() == place.ledger().head()


def test_claims_that_went_with_the_server_burn_their_batch_and_no_other(
    place: Place, pool: PoolClient, postgres: PostgresServer
) -> None:
    published = place.validated([("a.fits", frame(1))])
    publish(place, published, pool)
    waiting, bereft = (place.validated([(f"{n}.fits", frame(n))], time_ns=n * 10**17) for n in (2, 3))
    lose_rows(place.ledger(), postgres, f"DELETE FROM image_claims WHERE batch_key = '{bereft.key}'")  # noqa: S608
    lose_rows(place.ledger(), postgres, "DELETE FROM sketches", "DELETE FROM folds")
    present = as_promoted(place.ledger(), postgres)

    with pytest.raises(LedgerPromoted):
        publish(place, waiting, pool)
    with pytest.raises(LedgerPromoted):
        sound_ledger(place)
    [(code, sentence), *_] = Trail.of(place).freshness()["doubts"]
    assert (code, "another server took over" in sentence) == ("ledger-promoted", True)
    for epoch in (None, "other/1"):
        with pytest.raises(LedgerPromoted):
            accept(place, epoch)

    with pytest.raises(StoreUnavailable):
        accept(place, present, is_away)
    assert accept(place, present) == ([bereft.key], []), "what was cut short is done again, whole"
    assert publish(place, bereft, pool) == 0
    images = [file.image_sha256 for batch in (waiting, bereft) for file in batch.intake.files]
    assert set(SketchShelf(place.ledger()).sensor_of(images)) == set(images), "what they show is remembered again"
    assert publish(place, waiting, pool) > 0, "its images are still spent by it, and nothing was pushed of it"
    images = {row.image_sha256 for row in bereft.intake.files}
    assert place.ledger().spent_by(bereft.key, images) == images
    sound_ledger(place).verify()


def test_a_publication_that_went_with_the_server_is_never_pushed_again(
    place: Place, pool: PoolClient, postgres: PostgresServer
) -> None:
    batch = place.validated([("a.fits", frame(1))])
    publish(place, batch, pool)
    lost = place.ledger().head()
    served = {leased.block.block_id for leased in pool.lease(1000, lane="public").blocks}
    lose_rows(place.ledger(), postgres, "DELETE FROM blocks", "DELETE FROM batches", "DELETE FROM image_claims")
    present = as_promoted(place.ledger(), postgres)
    with pytest.raises(LedgerError, match="the head of the ledger is"):
        accept_losses(place, lost, [], 2, remembers(place, present), present)
    assert accept(place, present) == ([batch.key], [lost])
    assert publish(place, batch, pool) == 0
    assert {block.block_id for block in place.ledger().published_blocks(batch.key)} == served
    assert accept(place, present) == ([], []), "nothing is left to accept"
