"""Removal: what was planned goes and nothing else, whoever is killed, and whoever makes a batch meanwhile."""

import itertools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from entropy_assets.errors import BatchError
from entropy_assets.provenance.outsider import make_again
from entropy_assets.provenance.rewalk import rewalk
from entropy_assets.provenance.trail import Trail
from entropy_assets.stages.assessments import noise_rows
from entropy_assets.stages.intake import finish_intakes, settle_assessed
from entropy_assets.stages.publication import accept_losses
from entropy_assets.stages.retention.plan import Kind
from entropy_assets.stages.state import Unfinished, known_publications
from entropy_assets.stores.batches import INTAKE, VERDICTS
from entropy_assets.stores.blobs.folder import FolderBlobs
from entropy_assets.stores.inboxes.folder import DropFolder
from entropy_assets.stores.inboxes.settled import settled_batches
from entropy_assets.stores.ledger.rows import BURNED
from entropy_assets.stores.ledger.storage import LedgerPromoted, LedgerServer
from entropy_assets.stores.removals import REMOVED, BatchRemoved, keep_removal, removal_of
from entropy_assets_tests.postgres_server import PostgresServer
from entropy_assets_tests.stages.batches_made import LIMITS, TIME_NS, Place, frame, remembers
from entropy_assets_tests.stages.retention.installations import (
    NOW_S,
    SORTS,
    copied,
    files_below,
    planned,
    publish,
    removed,
)
from entropy_assets_tests.stores.ledger.places import as_promoted


@pytest.fixture
def published(old: Place, keys: dict[str, str]) -> dict[str, list[str]]:
    """Publish all that can be, the last one yesterday; give the ids of the blocks."""
    days = {"first": 100, "again": 50, "private": 40, "late": 1}
    return {sort: publish(old, keys[sort], days_ago=days_ago) for sort, days_ago in days.items()}


def test_a_block_of_a_removed_batch_says_so(old: Place, keys: dict[str, str], published: dict[str, list[str]]) -> None:
    removed(old, planned(old, batches_days=60))
    trail = Trail.of(old)
    for told in (trail.find(published["first"][0]), trail.tell(published["first"][0], None)):
        assert told is not None
        assert told["removed"]["why"] == "60 days are kept (ENTROPY_KEEP_BATCHES_DAYS)"
        assert str(told["problem"]).startswith(f"batch {keys['first']} was removed on 20")
        assert told["block_sha256"]
        assert "manifest" not in told
    with pytest.raises(BatchRemoved):
        rewalk(trail, published["first"][0])
    assert keys["first"] not in {summary["key"] for summary in trail.recent(10)}


def test_nobody_takes_a_removed_batch_for_one_that_stands_still(
    old: Place, keys: dict[str, str], published: dict[str, list[str]]
) -> None:
    watching = Unfinished(old.batches(), old.ledger(readonly=True))
    assert list(watching) == []
    head = old.ledger().verify()
    removed(old, planned(old, batches_days=1))
    assert list(watching) == list(Unfinished(old.batches(), old.ledger(readonly=True))) == []
    assert [batch.key for batch in old.batches()] == [keys["late"]]
    assert old.ledger().verify() == head
    assert {anchor.link for anchor in known_publications(old.batches()).values()} == {head}
    with pytest.raises(BatchRemoved):
        old.batches().batch(keys["first"])
    with pytest.raises(BatchRemoved):
        old.open([("a.fits", frame(1))])  # the very same intake again


def test_noise_that_went_is_made_again_by_the_audit(
    old: Place, keys: dict[str, str], published: dict[str, list[str]]
) -> None:
    kept = {block: rewalk(Trail.of(old), block).data for ids in published.values() for block in ids}
    done = removed(old, planned(old, noise_days=1))
    assert done.count(Kind.NOISE) == len(SORTS) - 1, "the newest one is young; the rejected one has a map"
    assert not list(old.batches().batch(keys["first"]).root.rglob("*.npy"))
    assert {block: rewalk(Trail.of(old), block).data for block in kept} == kept
    assert list(Unfinished(old.batches(), old.ledger(readonly=True))) == []
    assert planned(old, noise_days=1).going == ()


def test_the_files_of_a_removed_batch_are_settled_as_it_said(
    old: Place, keys: dict[str, str], published: dict[str, list[str]], tmp_path: Path
) -> None:
    """The machine with the inbox was away until the batch was removed by another one."""
    inbox = DropFolder(tmp_path / "inbox", settle_seconds=0)
    for key, name in ((keys["first"], "a.fits"), (keys["rejected"], "flat.png")):
        inbox.deposit(name, b"as it came")
        inbox.take(inbox.ready(1e12), key)
    removed(old, planned(old, batches_days=60))
    settle_assessed(old, {"drop": inbox})
    assert inbox.taken() == sorted([keys["first"], keys["rejected"]])
    assert list(finish_intakes(old, {"drop": inbox}, recipe="", limits=LIMITS, next_lane=never)) == []
    assert inbox.taken() == []
    kept = {str(path.relative_to(inbox.inbox)) for path in inbox.inbox.rglob("*") if path.is_file()}
    assert kept == {
        f"processed/{keys['first']}/a.fits",
        f"rejected/{keys['rejected']}/flat.png",
        f"rejected/{keys['rejected']}/flat.png.reason.json",
    }


def test_a_note_that_is_damaged_or_names_a_file_elsewhere_stops_no_other_batch(
    old: Place, keys: dict[str, str], published: dict[str, list[str]], tmp_path: Path
) -> None:
    """Its batch is asked for, and the run of that says what is wrong."""
    inbox, blobs = DropFolder(tmp_path / "inbox", settle_seconds=0), old.batches().blobs
    for key, name in ((keys["first"], "a.fits"), (keys["rejected"], "flat.png")):
        inbox.deposit(name, b"as it came")
        inbox.take(inbox.ready(1e12), key)
    removed(old, planned(old, batches_days=60))
    blobs.replace(f"{REMOVED}/{keys['first']}.json", b"{")
    rejected = f"{REMOVED}/{keys['rejected']}.json"
    blobs.replace(rejected, blobs.read(rejected).replace(b'"flat.png"', b'"../flat.png"'))
    assert [*finish_intakes(old, {"drop": inbox}, recipe="", limits=LIMITS, next_lane=never)] == [keys["first"]]
    with pytest.raises(BatchError, match="damaged"):
        old.batches().batch(keys["first"])
    assert inbox.taken() == sorted([keys["first"], keys["rejected"]])


def never(_source: str) -> Any:
    raise AssertionError("no batch is made")


class Killed(BaseException):
    """What stands for SIGKILL: nothing catches it."""


def mortal(monkeypatch: pytest.MonkeyPatch, changes: int) -> None:
    """Let the change of that number not happen, nor any after it."""
    left = [changes]
    for kind, name in ((FolderBlobs, "create"), (FolderBlobs, "replace"), (Path, "unlink"), (Path, "rmdir")):
        real = getattr(kind, name)

        def change(self: Any, *args: Any, real: Callable[..., Any] = real, **more: Any) -> Any:
            if not (isinstance(self, Path) and self.suffix == ".tmp"):
                if left[0] == 0:
                    raise Killed
                left[0] -= 1
            return real(self, *args, **more)

        monkeypatch.setattr(kind, name, change)


def test_what_was_begun_is_removed_whatever_the_settings_say_by_then(
    old: Place, keys: dict[str, str], published: dict[str, list[str]]
) -> None:
    """Killed once its intake was gone, and told to keep batches longer from then on."""
    keep_removal(old.batches().blobs, planned(old, batches_days=60).removals[keys["first"]])
    old.batches().batch(keys["first"]).path(INTAKE).unlink()
    later = planned(old, batches_days=4000)
    assert [(item.kind, item.name) for item in later.of(Kind.BATCH)] == [(Kind.BATCH, keys["first"])]
    removed(old, later)
    assert keys["first"] not in old.batches().names()


def test_in_an_object_store_all_goes_the_same_way(tmp_path: Path, object_store: str) -> None:
    """The batch, its image and its settled file; the younger batch can be made again by the audit."""
    place = Place(tmp_path, object_store, f"{object_store}/inbox")
    keys = [place.validated([("a.fits", frame(seed))], time_ns=TIME_NS + seed).key for seed in (1, 2)]
    inboxes = place.inboxes(["raw-ccd"], settle_seconds=0.0, max_file_bytes=1 << 30)
    inboxes["raw-ccd"].deposit("a.fits", b"as it came")
    inboxes["raw-ccd"].take(inboxes["raw-ccd"].ready(1e12), keys[0])
    settle_assessed(place, inboxes)
    blocks = [publish(place, key, days_ago=days_ago) for key, days_ago in zip(keys, (90, 1), strict=True)]
    [image] = place.batches().batch(keys[0]).intake.files
    plan = planned(place, inboxes, batches_days=30, inbox_days=30)
    assert [item.kind for item in plan.going] == [Kind.BATCH, Kind.IMAGE, Kind.SETTLED]
    assert removed(place, plan, inboxes).items == plan.going
    assert place.batches().names() == (keys[1],)
    assert [blob.last for blob in place.images().all()] != []
    assert image.image_sha256 not in place.images()
    assert [batch.files for batch in settled_batches(inboxes["raw-ccd"])] == []
    told = Trail.of(place).find(blocks[0][0])
    assert told is not None
    assert "removed" in told
    assert rewalk(Trail.of(place), blocks[1][0]).data
    assert planned(place, inboxes, batches_days=30, inbox_days=30).going == ()


@pytest.mark.slow
def test_with_the_ledger_in_postgresql_it_is_the_same_and_a_promotion_lets_nothing_go(
    tmp_path: Path, postgres: PostgresServer, postgres_url: str
) -> None:
    place = Place(tmp_path, ledger_server=LedgerServer(postgres_url, is_single=True))
    keys = [place.validated([("a.fits", frame(seed))], time_ns=TIME_NS + seed).key for seed in (1, 2)]
    blocks = [publish(place, key, days_ago=days_ago) for key, days_ago in zip(keys, (90, 1), strict=True)]
    plan = planned(place, batches_days=30)
    removed(place, plan)
    assert "removed" in (Trail.of(place).find(blocks[0][0]) or {})
    assert rewalk(Trail.of(place), blocks[1][0]).data
    assert place.ledger().verify() == place.ledger().head()
    as_promoted(place.ledger(), postgres)
    with pytest.raises(LedgerPromoted):
        planned(place, batches_days=1)


def test_an_image_of_a_removed_batch_gives_nothing_when_it_comes_again(
    old: Place, keys: dict[str, str], published: dict[str, list[str]]
) -> None:
    """The ledger remembers it without the batch."""
    removed(old, planned(old, batches_days=60))
    batch = old.validated([("again.fits", frame(1))], time_ns=10**18)
    [row] = noise_rows(batch)
    assert (row.accepted, row.reason) == (False, "replayed_file")


def test_an_outsider_is_told_that_the_batch_is_gone(
    old: Place, keys: dict[str, str], published: dict[str, list[str]]
) -> None:
    removed(old, planned(old, batches_days=60))
    told = Trail.of(old).tell(published["first"][0], None)
    assert told is not None
    with pytest.raises(BatchRemoved, match="nobody can tell any more where this block comes from: batch"):
        make_again(json.loads(json.dumps(told)), {})


def killed_at_each_change(place: Place, folder: Path, look: Callable[[Place], None], **limits: int) -> int:
    """Remove from copies of `place`, killed before one change after the other, and return how many changes there are.

    After each kill nothing stands still, `look` is content, and the next run ends the work.
    """
    whole = copied(place.root, folder / "whole")
    removed(whole, planned(whole, **limits))
    for changes in itertools.count():
        killed = copied(place.root, folder / str(changes))
        watching = Unfinished(killed.batches(), killed.ledger(readonly=True))
        assert list(watching) == []
        with pytest.MonkeyPatch.context() as patch:
            mortal(patch, changes)
            try:
                removed(killed, planned(killed, **limits))
            except Killed:
                pass
            else:
                return changes
        assert list(watching) == list(Unfinished(killed.batches(), killed.ledger(readonly=True))) == []
        look(killed)
        removed(killed, planned(killed, **limits))
        assert files_below(killed.root).keys() == files_below(whole.root).keys()
        shutil.rmtree(killed.root)
    raise AssertionError("the numbers never end")


def test_a_kill_before_any_change_leaves_no_batch_that_stands_still(
    old: Place, keys: dict[str, str], tmp_path: Path
) -> None:
    """Of a rejected batch the ledger knows nothing: half of it must not look as if it had to be run."""
    for sort in set(SORTS) - {"rejected"}:
        shutil.rmtree(old.batches().batch(keys[sort]).root)
    for blob in list(old.images().all()):
        if blob.size > 100_000:
            old.images().delete(blob.last)
    changes = killed_at_each_change(old, tmp_path, lambda _: None, batches_days=60)
    assert changes >= 10, "a note, an intake, six more files, two folders"


@pytest.mark.slow
def test_a_kill_before_any_change_leaves_nothing_half_told(
    old: Place, keys: dict[str, str], published: dict[str, list[str]], tmp_path: Path
) -> None:
    """At each point every block is told whole, or as removed."""

    def look(place: Place) -> None:
        for sort, ids in published.items():
            told = Trail.of(place).find(ids[0])
            assert told is not None
            assert "manifest" in told or (sort == "first" and "removed" in told), told
            if sort != "first":
                rewalk(Trail.of(place), ids[0])

    changes = killed_at_each_change(old, tmp_path, look, batches_days=60, noise_days=30)
    assert changes > 30, "two notes, two intakes, the rest of two batches, noise of two, images"


def test_an_image_that_a_new_batch_takes_meanwhile_is_kept(
    old: Place, keys: dict[str, str], published: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the batch is made before the image is deleted, or between that and the look at new batches."""
    plan = planned(old, batches_days=60)
    image = next(iter(plan.removals[keys["rejected"]].files)).image_sha256
    data = old.images().get(image)
    assert image in {item.name for item in plan.of(Kind.IMAGE)}
    real = FolderBlobs.delete

    def racing(self: FolderBlobs, name: str) -> None:
        real(self, name)
        if name.endswith(image):
            # as if its put had come before the delete: the intake alone is made now
            with monkeypatch.context() as patch:
                patch.setattr(type(old.images()), "put", lambda *_: image)
                old.open([("b.png", data)])

    monkeypatch.setattr(FolderBlobs, "delete", racing)
    done = removed(old, plan)
    assert old.images().get(image) == data
    assert image not in {item.name for item in done.items}


def test_an_image_that_was_put_again_since_the_plan_is_left_alone(
    old: Place, keys: dict[str, str], published: dict[str, list[str]]
) -> None:
    plan = planned(old, batches_days=60)
    [image] = {file.image_sha256 for file in plan.removals[keys["rejected"]].files}
    path = old.images().path(image)
    os.utime(path, (NOW_S, NOW_S))
    done = removed(old, plan)
    assert path.exists()
    assert done.freed == plan.freed - path.stat().st_size


def test_a_lost_ledger_burns_what_was_removed_too(
    old: Place, keys: dict[str, str], published: dict[str, list[str]]
) -> None:
    """Its images are spent in the new ledger: brought again they give nothing."""
    [image] = old.batches().batch(keys["first"]).intake.files
    removed(old, planned(old, batches_days=60))
    anchors = list(known_publications(old.batches()).values())
    old.ledger_file.unlink()
    burned, _ = accept_losses(old, old.ledger(readonly=True).head(), anchors, 1, remembers(old))
    assert keys["first"] in burned
    publication = old.ledger().publication_of(keys["first"])
    assert publication is not None
    assert publication.run_id == BURNED
    assert old.ledger().spent_by(keys["first"], [image.image_sha256]) == {image.image_sha256}
    assert removal_of(old.batches().blobs, keys["rejected"]) is not None
    assert not old.ledger().is_published(keys["rejected"])


@pytest.mark.parametrize("examples", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_what_is_kept_can_be_audited_and_a_dry_run_says_the_truth(
    template: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory, examples: int
) -> None:
    """Over random installations: published in any order, unfinished, with noise gone or not, by all limits."""

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(
        order=st.permutations([sort for sort in SORTS if sort != "rejected"]),
        ages=st.lists(st.integers(0, 120), min_size=4, max_size=4),
        unpublished=st.integers(0, 3),
        is_unfinished=st.booleans(),
        limits=st.fixed_dictionaries(
            {},
            optional={
                "batches_days": st.integers(1, 120),
                "noise_days": st.integers(1, 120),
                "total_bytes": st.integers(1, 3_000_000),
                "least_days": st.integers(1, 60),
            },
        ),
    )
    @example(  # noise of one batch and the whole of another
        order=["first", "again", "private", "late"],
        ages=[1, 1, 1, 2],
        unpublished=0,
        is_unfinished=False,
        limits={"batches_days": 2, "noise_days": 1},
    )
    def holds(order: list[str], ages: list[int], unpublished: int, is_unfinished: bool, limits: dict[str, int]) -> None:
        folder = tmp_path_factory.mktemp("random") / "home"
        place, keys = copied(template[0], folder), template[1]
        blocks: dict[str, list[str]] = {}
        for sort, age in list(zip(order, sorted(ages, reverse=True), strict=True))[unpublished:]:
            blocks[sort] = publish(place, keys[sort], days_ago=age)
        for sort in order[: unpublished if is_unfinished else 0]:
            place.batches().batch(keys[sort]).path(VERDICTS).unlink()
        before, left = files_below(folder), {batch.key for batch, _ in Unfinished(place.batches(), place.ledger())}
        plan = planned(place, **limits)
        assert files_below(folder) == before
        assert removed(place, plan).items == plan.going
        after = files_below(folder)
        notes = {name for name in after if ".removed" in name}
        assert sum(before.values()) - sum(after[name] for name in after.keys() - notes) == plan.freed
        assert after.keys() - before.keys() == notes
        assert {batch.key for batch, _ in Unfinished(place.batches(), place.ledger())} == left
        assert planned(place, **limits).going == (), "nothing is left for a second run"
        trail = Trail.of(place)
        for sort, ids in blocks.items():
            if keys[sort] not in plan.removals:
                rewalk(trail, ids[0])
            else:
                assert "removed" in (trail.find(ids[0]) or {})
        for key in left:
            assert all(file.image_sha256 in place.images() for file in place.batches().batch(key).intake.files)
        shutil.rmtree(folder)

    holds()
