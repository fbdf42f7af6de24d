"""What `ledger accept` can't enter it does not leave out: the ledger forgets no entry, so a batch is burned once."""

import sqlite3
from contextlib import closing

import pytest

from entropy_assets.errors import LedgerError
from entropy_assets.stages.publication import accept_losses
from entropy_assets.stages.state import known_publications
from entropy_assets.stores.batches import Batch
from entropy_assets.stores.ledger.rows import NO_LINK
from entropy_assets.stores.ledger.storage import LedgerUnavailable
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.stages.batches_made import Place, frame, publish, remembers
from entropy_assets_tests.stores.ledger.test_file import without_room


@pytest.fixture
def lost(place: Place, pool: PoolClient) -> Batch:
    """Publish a batch, and lose the ledger; an empty one is there."""
    batch = place.validated([("a.fits", frame(1))])
    publish(place, batch, pool)
    for file in place.root.glob("ledger.sqlite*"):
        file.unlink()
    place.ledger().head()
    return batch


def accept(place: Place) -> None:
    """Go on without the publication that was lost."""
    known = known_publications(place.batches()).values()
    accept_losses(place, NO_LINK, known, now_us=2, remember=remembers(place))


def sketches(place: Place) -> int:
    """Count the frames that the ledger remembers."""
    with closing(sqlite3.connect(place.ledger_file)) as db:
        return int(db.execute("SELECT count(*) FROM sketches").fetchone()[0])


@pytest.mark.parametrize("room_kib", range(16, 112, 16))
def test_a_batch_is_burned_with_its_blocks_and_its_sketch_or_not_at_all(
    place: Place, lost: Batch, room_kib: int
) -> None:
    """On a disk with some room left each write may be the first that finds none, and smaller ones after it do."""
    with without_room(room_kib * 1024), pytest.raises(LedgerUnavailable, match="can't be used"):
        accept(place)
    assert not place.ledger().is_published(lost.key)
    accept(place)
    publication = place.ledger().publication_of(lost.key)
    assert publication is not None
    assert (publication.block_count > 0, sketches(place)) == (True, 1)


def test_a_ledger_that_is_damaged_itself_burns_nothing(place: Place, lost: Batch) -> None:
    """As one without the table of bindings: what a batch is burned without is lost for ever."""
    with closing(sqlite3.connect(place.ledger_file)) as db:
        db.execute("DROP TABLE bindings")
    with pytest.raises(LedgerError, match="no such table"):
        accept(place)
    assert not place.ledger().is_published(lost.key)
