"""A home that was put back whole from one backup: what was published since is published again by nobody."""

import shutil

import numpy as np
import pytest

from entropy_assets.errors import LedgerError
from entropy_assets.stages.publication import accept_losses
from entropy_assets.stages.state import known_publications
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.stages.batches_made import Place, drain, frame, png_of, publish, remembers, run_again


def test_nothing_of_an_old_backup_that_was_published_since_is_published_again(
    place: Place, pool: PoolClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of a home that was put back whole, and an empty pool, nobody knows what was published after the backup."""
    done = place.validated([("d.fits", frame(4))])
    publish(place, done, pool)
    begun, waiting = place.open([("b.fits", frame(2))]), place.validated([("a.fits", frame(1))])
    dead = place.validated([("flat.png", png_of(np.full((64, 64), 7, np.uint8)))])
    backup = shutil.copytree(place.root, tmp_path_factory.mktemp("backup") / "all")
    served = drain(pool)
    place.finished(begun)
    assert 0 not in (publish(place, begun, pool), publish(place, waiting, pool))
    served += drain(pool)
    shutil.rmtree(place.root)
    shutil.copytree(backup, place.root)
    ledger = place.ledger()
    known = list(known_publications(place.batches()).values())
    assert accept_losses(place, ledger.head(), known, 2, remembers(place)) == ([], []), "nobody knows of a loss"
    burned, lost = accept_losses(place, ledger.head(), known, 2, remembers(place), is_restored=True)
    assert (set(burned), lost) == ({begun.key, waiting.key}, [])
    assert not ledger.is_published(dead.key)
    empty = PoolClient(pool._client, prefix=backup.parent.name)
    assert [publish(place, run_again(place, batch), empty) for batch in (waiting, done)] == [0, 0]
    with pytest.raises(LedgerError, match="with another chain head"):  # it was burned without its blocks
        publish(place, run_again(place, begun), empty)
    fresh = place.validated([("c.fits", frame(3))])
    assert publish(place, fresh, empty) > 0
    assert set(served).isdisjoint(drain(empty))
    ledger.verify()
