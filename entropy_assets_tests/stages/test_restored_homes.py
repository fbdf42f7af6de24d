"""A home that was put back whole from one backup: what was published since is published again by nobody."""

import shutil

import numpy as np
import pytest

from entropy_assets.errors import LedgerBehind, LedgerError
from entropy_assets.stages.publication import accept_losses
from entropy_assets.stages.state import known_publications
from entropy_assets.stores.ledger.anchors import refuse_if_behind
from entropy_assets.stores.ledger.rows import NO_LINK
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


def test_batches_of_a_backup_beside_a_lost_ledger_are_accepted_as_restored(
    place: Place, pool: PoolClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One that was only taken in when the backup was made gives the bytes of then, and the refusal says how to stop it.

    The ledger alone knew that it was published since: without its receipt it looks like one that spent nothing.
    """
    publish(place, place.validated([("d.fits", frame(4))]), pool)
    begun = place.open([("b.fits", frame(2))])
    backup = shutil.copytree(place.batches_folder, tmp_path_factory.mktemp("backup") / "batches")
    place.finished(begun)
    assert publish(place, begun, pool)
    served = drain(pool)
    place.ledger_file.unlink()
    shutil.rmtree(place.batches_folder)
    shutil.copytree(backup, place.batches_folder)
    empty = PoolClient(pool._client, prefix=backup.parent.name)
    known = list(known_publications(place.batches()).values())
    with pytest.raises(LedgerBehind, match="with --restored too if batches were put back from a backup"):
        refuse_if_behind(place.ledger(), known)
    burned, _ = accept_losses(place, NO_LINK, known, 2, remembers(place), is_restored=True)
    assert begun.key in burned
    with pytest.raises(LedgerError, match="with another chain head"):
        publish(place, run_again(place, begun), empty)
    assert set(served).isdisjoint(drain(empty))
