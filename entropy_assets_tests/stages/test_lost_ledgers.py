"""A ledger that is missing, older or another one is noticed, nothing is published, and what was served stays served.

The anchors are the receipts of the batches, the pool's server, and what the caller brings; each alone is enough.
"""

import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from entropy_assets.errors import BatchError, LedgerBehind, LedgerError
from entropy_assets.provenance.rewalk import rewalk
from entropy_assets.provenance.standing import Standing
from entropy_assets.provenance.trail import Trail
from entropy_assets.stages.assessments import noise_rows
from entropy_assets.stages.publication import accept_losses
from entropy_assets.stages.state import known_publications, sound_ledger, state_of
from entropy_assets.stores.batches import RECEIPT, Batch
from entropy_assets.stores.blobs.refusals import BlobUnreadable
from entropy_assets.stores.lanes import Fate
from entropy_assets.stores.ledger.anchors import Anchor
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import BURNED, NO_LINK
from entropy_assets.stores.ledger.storage import LedgerServer
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.stages.batches_made import TIME_NS, Place, drain, frame, png_of, publish, remembers, run_again
from entropy_assets_tests.stores.ledger.places import lose_rows


def copy_of(ledger: Path, name: str) -> Path:
    """Give a whole copy of the ledger, beside it."""
    target = ledger.with_name(name)
    with sqlite3.connect(ledger) as source, sqlite3.connect(target) as copy:
        source.backup(copy)
    source.close()
    copy.close()
    return target


def put(ledger: Path, copy: Path | None) -> None:
    """Put a copy in the place of the ledger, or nothing."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{ledger}{suffix}").unlink(missing_ok=True)
    if copy is not None:
        shutil.copyfile(copy, ledger)


Loss = Callable[[Place, PoolClient], Batch]


def missing(place: Place, pool: PoolClient) -> Batch:
    batch = place.validated([("a.fits", frame(1))])
    publish(place, batch, pool)
    put(place.ledger_file, None)
    return batch


def older(place: Place, pool: PoolClient) -> Batch:
    publish(place, place.validated([("b.fits", frame(2))]), pool)
    kept = copy_of(place.ledger_file, "kept")
    batch = place.validated([("a.fits", frame(1))])
    publish(place, batch, pool)
    put(place.ledger_file, kept)
    return batch


def another(place: Place, pool: PoolClient) -> Batch:
    """As long as the right one, and none of its rows."""
    batch = place.validated([("a.fits", frame(1))])
    publish(place, batch, pool)
    put(place.ledger_file, None)
    place.ledger().append_publication("elsewhere", "head", [], "run", 1)
    return batch


def refilled(place: Place, pool: PoolClient) -> Batch:
    """Older, and then written to by a release that looked for no anchor."""
    batch = older(place, pool)
    place.ledger().append_publication("elsewhere", "head", [], "run", 1)
    return batch


LOSSES = [missing, older, another, refilled]


@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_that_was_served_is_never_pushed_again(place: Place, pool: PoolClient, loss: Loss) -> None:
    """Neither as it lies there, nor after all its stages ran again on the ledger that has forgotten its images."""
    batch = loss(place, pool)
    served = drain(pool)
    assert served
    with pytest.raises(LedgerBehind, match="Nothing is published"):
        publish(place, batch, pool)
    with pytest.raises(LedgerBehind):
        publish(place, run_again(place, batch), pool)
    assert drain(pool) == []


@pytest.mark.parametrize("loss", LOSSES)
def test_no_other_batch_is_published_and_no_image_spent_before_it_is_mended(
    place: Place, pool: PoolClient, loss: Loss
) -> None:
    other = place.open([("c.fits", frame(3))])
    loss(place, pool)
    before = place.ledger_file.exists()
    with pytest.raises(LedgerBehind):
        sound_ledger(place)
    assert place.ledger_file.exists() == before, "a look makes no ledger"
    with pytest.raises(LedgerBehind):
        publish(place, run_again(place, other), pool)


@pytest.mark.parametrize("loss", LOSSES)
def test_health_and_up_say_so(place: Place, pool: PoolClient, loss: Loss) -> None:
    loss(place, pool)
    [(code, sentence), *_] = Trail.of(place).freshness()["doubts"]
    assert code == "ledger-behind"
    assert "entropy-assets ledger accept --head" in sentence
    assert str(place.root) not in sentence, "the service tells strangers no folder"
    assert Standing(place.batches(), place.ledger(readonly=True)).doubts()[0][0] == "ledger-behind"


@pytest.mark.parametrize("loss", LOSSES)
def test_after_the_loss_is_accepted_nothing_that_was_served_comes_again_and_new_images_do(
    place: Place, pool: PoolClient, loss: Loss
) -> None:
    """The blocks that were served can be told again to who drew them, and the images give nothing any more."""
    waiting = place.open([("c.fits", frame(3))])
    batch = loss(place, pool)
    served = drain(pool)
    head = place.ledger(readonly=True).head()
    anchors = [*known_publications(place.batches()).values(), *(Anchor(link, "pool") for link in pool.ledger_links())]
    burned, lost = accept_losses(place, head, anchors, now_us=2, remember=remembers(place))
    assert batch.key in burned
    assert lost
    ledger = sound_ledger(place)
    ledger.verify()
    state = state_of(batch, ledger)
    assert state.publication is not None
    assert (state.publication.run_id, state.awaits_publication, state.is_finished) == (BURNED, False, True)
    told = Trail.of(place).tell(ledger.published_blocks(batch.key)[0].block_id, Fate(state="gone"))
    assert told is not None
    assert told["revealed"], "who drew it is told where it was sampled"
    assert publish(place, batch, pool) == publish(place, run_again(place, batch), pool) == 0
    again = place.validated([("again.fits", frame(1))], time_ns=TIME_NS + 10**9)
    assert publish(place, again, pool) == 0
    block = ledger.published_blocks(batch.key)[0]
    assert rewalk(Trail.of(place), block.block_id).data in served
    assert publish(place, run_again(place, waiting), pool) > 0
    assert set(served).isdisjoint(drain(pool))
    assert accept_losses(place, ledger.head(), anchors, now_us=3, remember=remembers(place)) == ([], []), (
        "nothing is left to accept"
    )


def test_every_batch_whose_images_were_assessed_is_burned(place: Place, pool: PoolClient) -> None:
    """A release before the receipts may have pushed it; one that was not that far spent nothing and goes on."""
    published, unread = place.validated([("a.fits", frame(1))]), place.open([("b.fits", frame(2))])
    hashed, dead = place.hashed([("c.fits", frame(3))]), place.validated([("dead.jpg", b"")])
    publish(place, published, pool)
    published.path(RECEIPT).unlink()
    head = place.ledger().head()
    put(place.ledger_file, None)
    burned, lost = accept_losses(place, NO_LINK, [Anchor(head, "Dagster")], now_us=2, remember=remembers(place))
    assert (set(burned), lost) == ({published.key, hashed.key}, [head])
    assert not {unread.key, dead.key} & place.ledger().published_keys()


def test_a_changed_copy_of_a_burned_image_gets_nothing(place: Place, pool: PoolClient) -> None:
    """The sketches were lost with the ledger: they are made again from the images, or old patterns would be new."""
    codes = np.random.default_rng(3).normal(1000, 12, (320, 320)).round().astype(np.uint16)
    batch = place.validated([("a.png", png_of(codes))])
    publish(place, batch, pool)
    put(place.ledger_file, None)
    accept_losses(place, NO_LINK, known_publications(place.batches()).values(), now_us=2, remember=remembers(place))
    changed = codes[::-1].copy()
    changed[7, :5] += 1  # flipped alone it would be known by its pixels
    later = place.hashed([("flipped.png", png_of(changed))], time_ns=10**18)
    (row,) = noise_rows(later)
    assert (row.accepted, row.assessment["memory"]["of"]) == (False, batch.intake.files[0].image_sha256)
    (block_id, *_) = (block.block_id for block in place.ledger().published_blocks(batch.key))
    not_checked = rewalk(Trail.of(place), block_id).not_checked
    assert [each for each in not_checked if each.fields == ("memory",)], "what it saw then is not known any more"


def test_a_damaged_batch_is_burned_without_its_blocks_and_with_its_images(place: Place, pool: PoolClient) -> None:
    batch = place.validated([("a.fits", frame(1))])
    publish(place, batch, pool)
    for document in ("noise.json", "records.json", "verdicts.json"):
        (batch.root / document).write_text("[")
    put(place.ledger_file, None)
    accept_losses(place, NO_LINK, known_publications(place.batches()).values(), now_us=2, remember=remembers(place))
    images = {item.image_sha256 for item in batch.intake.files}
    assert place.ledger().spent_by(batch.key, images) == images
    assert place.ledger().publication_of(batch.key).block_count == 0  # type: ignore[union-attr]


@pytest.mark.parametrize("file", ["intake.json", "manifest.json", "noise.json", "records.json", "verdicts.json"])
def test_a_file_that_the_system_does_not_let_be_read_burns_nothing(place: Place, pool: PoolClient, file: str) -> None:
    """It may be whole: burned without what is in it, its blocks would be unknown for ever."""
    batch = place.validated([("a.fits", frame(1))])
    publish(place, batch, pool)
    anchors = list(known_publications(place.batches()).values())
    put(place.ledger_file, None)
    (batch.root / file).unlink()
    (batch.root / file).symlink_to(file)
    with pytest.raises(BlobUnreadable, match=f"{batch.key}/{file} can't be read"):
        accept_losses(place, NO_LINK, anchors, now_us=2, remember=remembers(place))
    assert not place.ledger().published_keys()


def test_a_loss_is_accepted_for_the_ledger_that_was_looked_at(place: Place, pool: PoolClient) -> None:
    missing(place, pool)
    place.ledger().append_publication("elsewhere", "head", [], "run", 1)
    with pytest.raises(LedgerError, match="not 0000"):
        accept_losses(place, NO_LINK, known_publications(place.batches()).values(), now_us=2, remember=remembers(place))
    with pytest.raises(LedgerBehind):
        sound_ledger(place)


@pytest.mark.parametrize("anchor", ["receipts", "the pool's server", "the caller"])
def test_each_anchor_alone_stops_it(place: Place, pool: PoolClient, anchor: str, valkey_url: str) -> None:
    batch = place.validated([("a.fits", frame(1))])
    publish(place, batch, pool)
    head = place.ledger().head()
    put(place.ledger_file, None)
    fresh = PoolClient.from_url(valkey_url, prefix=f"fresh:{batch.key}:{place.root.name}")
    if anchor != "receipts":
        batch.path(RECEIPT).unlink()
    with pytest.raises(LedgerBehind, match="batch raw" if anchor == "receipts" else anchor.replace("the ", "")):
        publish(
            place,
            run_again(place, batch),
            pool if anchor == "the pool's server" else fresh,
            anchors=[Anchor(head, "caller")] if anchor == "the caller" else (),
        )
    fresh.close()


def test_the_pool_keeps_the_newest_link_over_a_new_epoch(place: Place, pool: PoolClient) -> None:
    for seed in (1, 2):
        publish(place, place.validated([(f"{seed}.fits", frame(seed))]), pool)
    assert pool.ledger_links() == (place.ledger().head(),)
    pool.keep_ledger_link("earlier", 1)
    assert set(pool.ledger_links()) == {place.ledger().head(), "earlier"}, "one that comes late takes none away"


def test_a_receipt_that_can_not_be_read_stops_publishing_and_is_told(place: Place, pool: PoolClient) -> None:
    batch = place.validated([("a.fits", frame(1))])
    publish(place, batch, pool)
    batch.path(RECEIPT).write_text("[")
    with pytest.raises(BatchError, match=r"published\.json"):
        publish(place, place.validated([("b.fits", frame(2))]), pool)
    assert Standing(place.batches(), place.ledger(readonly=True)).doubts()[0][0] == "batch-error"


def test_a_ledger_of_an_older_release_is_anchored_by_the_first_publication_after_it(
    place: Place, pool: PoolClient
) -> None:
    old = place.validated([("a.fits", frame(1))])
    publish(place, old, pool)
    old.path(RECEIPT).unlink()
    publish(place, place.validated([("dead.jpg", b"")]), pool)
    assert old.read_json(RECEIPT)["ledger_link"] == place.ledger().head()


def test_a_ledger_that_is_removed_while_a_batch_is_entered_pushes_nothing(
    place: Place, pool: PoolClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is in a file that has no name any more."""
    batch = place.validated([("a.fits", frame(1))])
    append = Ledger.append_publication

    def removed(self: Ledger, *args: Any, **more: Any) -> bool:
        appended = append(self, *args, **more)
        kept = self.publication_of(batch.key)
        put(place.ledger_file, None)
        monkeypatch.setattr(Ledger, "publication_of", lambda *_: kept)
        return appended

    monkeypatch.setattr(Ledger, "append_publication", removed)
    with pytest.raises(LedgerBehind):
        publish(place, batch, pool)
    assert drain(pool) == []


def test_what_the_pool_is_told_meanwhile_by_another_ledgers_publisher_stops_the_push(
    place: Place, pool: PoolClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers of which each takes itself for the ledger's: both appended, and the pool is told of both."""
    batch = place.validated([("a.fits", frame(1))])
    append = Ledger.append_publication

    def beside(self: Ledger, *args: Any, **more: Any) -> bool:
        pool.keep_ledger_link("ab" * 32, 1)
        return append(self, *args, **more)

    monkeypatch.setattr(Ledger, "append_publication", beside)
    with pytest.raises(LedgerBehind, match="the pool's server"):
        publish(place, batch, pool)
    assert drain(pool) == []


def test_a_first_installation_needs_no_ceremony(place: Place, pool: PoolClient) -> None:
    assert Trail.of(place).freshness()["doubts"] == []
    assert publish(place, place.validated([("a.fits", frame(1))]), pool) > 0


STEP = 5
"""Lines from one kill to the next."""
WATCHED = (
    "stages/publication.py",
    "ledger/record.py",
    "ledger/chains.py",
    "postgres/database.py",
    "stores/batches.py",
    "stores/durable.py",
    "pool/client.py",
)
"""Where a publisher is killed: at lines of what appends, keeps the receipt, anchors and pushes."""


def killed_after(lines: int, publishing: Callable[[], object]) -> int:
    """Publish in a process of its own that is killed after so many lines of the `WATCHED`; give its exit status."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    left = lines

    def count(seen: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if not seen.f_code.co_filename.endswith(WATCHED):
            return None
        left -= event == "line"
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return count

    try:
        sys.settrace(count)
        publishing()
    finally:
        os._exit(0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_publisher_killed_at_any_line_repeats_nothing_and_leaves_a_sound_ledger(
    kind: str, place: Place, pool: PoolClient, valkey_url: str, pool_prefix: str, request: pytest.FixtureRequest
) -> None:
    if kind == "postgresql":
        place = Place(place.root, ledger_server=LedgerServer(request.getfixturevalue("postgres_url"), is_single=True))
    batch = place.validated([("a.fits", frame(1))])
    untouched = copy_of(place.ledger_file, "untouched") if kind == "sqlite" else None

    def forget() -> None:
        if untouched is not None:
            put(place.ledger_file, untouched)
        else:
            postgres = request.getfixturevalue("postgres")
            lose_rows(place.ledger(), postgres, "DELETE FROM blocks", "DELETE FROM batches")
        batch.path(RECEIPT).unlink(missing_ok=True)

    outcomes = set()
    for lines in range(1, 100_000, STEP if kind == "sqlite" else 2 * STEP):
        forget()
        own = PoolClient.from_url(valkey_url, prefix=f"{pool_prefix}:{lines}")
        status = killed_after(lines, lambda own=own: publish(place, batch, own))
        first, receipt, anchor = drain(own), batch.has(RECEIPT), own.ledger_links()
        ledger = sound_ledger(place)
        ledger.verify()
        entered = ledger.is_published(batch.key)
        assert entered >= receipt >= bool(anchor) >= bool(first), "each only after the one before"
        assert publish(place, batch, own) == 0 or not entered, "what was entered is never pushed by another run"
        assert batch.has(RECEIPT)
        second = drain(own)
        assert not (first and second)
        outcomes.add((entered, receipt, bool(anchor), bool(first)))
        own.close()
        if status == 0:
            break
    assert outcomes == {tuple(at < reached for at in range(4)) for reached in range(5)}, "killed between any two steps"
