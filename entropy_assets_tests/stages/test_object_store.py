"""The whole pipeline with images and batches in an object store: the same bytes, and all that is told of them."""

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from entropy_assets.provenance.rewalk import rewalk
from entropy_assets.provenance.trail import Trail
from entropy_assets.provenance.waiting import Waiting
from entropy_assets.settings import Settings
from entropy_assets.stages.intake import finish_intakes, settle_assessed, take_batches
from entropy_assets.stages.pipeline import process
from entropy_assets.stages.publication import accept_losses, publish_batch
from entropy_assets.stages.state import Unfinished, known_publications, state_of
from entropy_assets.stores.batches import BLOCKS, INTAKE, MANIFEST, NOISE, RECORDS, VERDICTS, Batch
from entropy_assets.stores.blobs import asking
from entropy_assets.stores.blobs.refusals import StoreUnavailable
from entropy_assets.stores.home import Home
from entropy_assets.stores.inboxes.bucket import Inbox
from entropy_assets.stores.ledger.rows import NO_LINK
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.stages.batches_made import LIMITS, TIME_NS, Place, frame, remembers
from entropy_assets_tests.stages.test_pipeline import BUNDLED_HEAD, heads
from entropy_assets_tests.stores.blobs.servers import FaultyProxy


@pytest.mark.slow
def test_the_bundled_images_give_the_same_head_as_in_a_folder(tmp_path: Path, samples: Path, object_store: str) -> None:
    settings = Settings(home=tmp_path / "home", store_url=object_store)
    report = process([samples], Home.of(settings), settings, deterministic=True, os_bytes=os.urandom)
    assert heads(report) == [BUNDLED_HEAD]
    assert not (tmp_path / "home" / "batches").exists()
    assert not (tmp_path / "home" / "images").exists()


def test_a_batch_is_made_published_told_and_made_again(tmp_path: Path, object_store: str, pool: PoolClient) -> None:
    """Made on one machine, published by another one, and looked at by a third; only the ledger is on each."""
    makes, tells = Place(tmp_path, object_store), Home(tmp_path, object_store)
    batch = makes.validated([("a.fits", frame(1))])
    assert [each.key for each, _ in Unfinished(tells.batches(), tells.ledger(readonly=True))] == [batch.key]
    published = publish_batch(
        tells.batches().batch(batch.key), tells.ledger(), pool, run_id="run", now_us=TIME_NS // 1000
    )
    assert published.newly_published
    assert published.pushed > 0
    assert state_of(batch, tells.ledger()).is_finished
    assert list(Unfinished(tells.batches(), tells.ledger(readonly=True))) == []
    again = publish_batch(batch, makes.ledger(), pool, run_id="again", now_us=TIME_NS // 1000)
    assert (again.newly_published, again.pushed) == (False, 0)
    trail = pickle.loads(pickle.dumps(Trail.of(tells)))  # noqa: S301 - as the service hands it to its workers
    [row] = [row for row in tells.ledger().published_blocks(batch.key) if row.index == 0]
    assert rewalk(trail, row.block_id).provenance["batch"] == batch.key
    ages = trail.freshness()
    assert ages["problem"] is None
    assert [summary["key"] for summary in trail.recent(5)] == [batch.key]


def intake_of(home: Home, inboxes: dict[str, Inbox]) -> list[str]:
    take_batches(inboxes, max_files=4, max_bytes=1 << 30, now=1e12)
    return list(
        finish_intakes(home, inboxes, recipe="ea-2026-1", limits=LIMITS, next_lane=lambda _source: "private")
    )  # fmt: skip


def test_the_machine_with_the_inbox_settles_what_a_worker_elsewhere_assessed(tmp_path: Path, object_store: str) -> None:
    """The worker has a folder of its own with nothing in its inbox, and makes none."""
    owner, worker = Home(tmp_path / "owner", object_store), Place(tmp_path / "worker", object_store)
    inboxes = dict(owner.inboxes(["raw-ccd"], settle_seconds=0.0, max_file_bytes=1 << 30))
    inboxes["drop"].deposit("a.fits", frame(1))
    inboxes["drop"].deposit("junk.png", b"no image")
    [key] = intake_of(owner, inboxes)
    settle_assessed(owner, inboxes)
    assert inboxes["drop"].taken() == [key], "nothing is known of it yet"
    worker.finished(worker.batches().batch(key))
    settle_assessed(owner, inboxes)
    assert inboxes["drop"].taken() == []
    folder = tmp_path / "owner" / "inbox"
    kept = {path.relative_to(folder).parts[0] for path in folder.rglob(f"*{key}/*") if path.is_file()}
    assert "rejected" in kept
    assert not (folder / ".taken" / key).exists()


def test_any_machine_settles_an_inbox_in_an_object_store(tmp_path: Path, object_store: str) -> None:
    settings = Settings(home=tmp_path / "owner", store_url=object_store, inbox_url=f"{object_store}/inbox")
    owner = Home.of(settings)
    worker = Place(tmp_path / "worker", owner.store_url, owner.inbox_url)
    inboxes = dict(owner.inboxes(["raw-ccd"], settle_seconds=0.0, max_file_bytes=1 << 30))
    inboxes["raw-ccd"].deposit("a.fits", frame(2))
    [key] = intake_of(owner, inboxes)
    assert key.startswith("raw-ccd-")
    worker.finished(worker.batches().batch(key))
    settle_assessed(worker, worker.inboxes(["raw-ccd"], settle_seconds=0.0, max_file_bytes=1 << 30))
    assert inboxes["raw-ccd"].taken() == []
    assert inboxes["raw-ccd"].scan(1e12) == ([], [])


@pytest.mark.slow
def test_a_worker_killed_before_any_change_leaves_nothing_half_written(tmp_path: Path, object_store: str) -> None:
    """Each of the next workers gets one change further; the last one ends, with the bytes of one that never died."""
    frames = [("a.fits", frame(3, 128)), ("b.fits", frame(4, 128))]
    unharmed = Place(tmp_path / "unharmed").validated(frames)
    batch = Place(tmp_path / "killed", object_store).open(frames)
    command = [
        sys.executable,
        "-m",
        "entropy_assets_tests.stages.killed_worker",
        str(tmp_path / "killed"),
        object_store,
    ]
    for number in range(30):
        done = subprocess.run([*command, batch.key, str(number)], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert number > 5, "manifest, noise of two frames and their maps, its rows, blocks, records, verdicts"
    for document in (INTAKE, MANIFEST, NOISE, BLOCKS, RECORDS, VERDICTS):
        assert batch.blobs.read(f"{batch.key}/{document.file}") == unharmed.path(document).read_bytes()


def test_a_store_that_went_away_is_told_and_breaks_no_look(
    tmp_path: Path, object_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    home = Home(tmp_path, object_store, f"{object_store}/inbox")
    ages = Trail.of(home).freshness()
    assert (ages["problem"], ages["rejected_images"]) == (None, None)
    [(code, sentence)] = ages["doubts"]
    assert (code, "gave no answer" in sentence) == ("store-unavailable", True)
    assert object_store not in sentence, "strangers are told no bucket"
    waiting = Waiting(home, "ea-2026-2", batch_files=1, max_file_bytes=1, settle_seconds=0.0)
    assert [code for code, _ in waiting.doubts()] == ["inbox-unreadable"]
    with pytest.raises(StoreUnavailable):
        home.refuse_unsafe_stores()


def test_a_loss_that_is_accepted_while_the_store_is_away_burns_nothing_before_it_is_back(
    tmp_path: Path,
    s3_address: str,
    object_store: str,
    pool: PoolClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An entry without its blocks would stay so for ever, and nobody could be told where they came from."""
    monkeypatch.setattr(asking, "FIRST_PAUSE_S", 0.001)
    proxy = FaultyProxy(s3_address)
    with proxy.running() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        place = Place(tmp_path, object_store)
        batch = place.validated([("a.fits", frame(1))])
        publish_batch(batch, place.ledger(), pool, run_id="run", now_us=1)
        served = {leased.block.block_id for leased in pool.lease(1000, lane="public").blocks}
        place.ledger_file.unlink()
        known = list(known_publications(place.batches()).values())
        remember = remembers(place)

        def goes_away(batch: Batch, image_sha256: str) -> None:
            remember(batch, image_sha256)
            proxy.refuses = 10**9

        with pytest.raises(StoreUnavailable):
            accept_losses(place, NO_LINK, known, 2, goes_away)
        assert not place.ledger().is_published(batch.key)
        proxy.refuses = 0
        assert accept_losses(place, NO_LINK, known, 3, remember)[0] == [batch.key]
        assert {block.block_id for block in place.ledger().published_blocks(batch.key)} == served
