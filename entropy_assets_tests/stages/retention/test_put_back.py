"""What an operator puts back is kept as any other: a note beside it decides nothing, and forgets nothing."""

import shutil
from pathlib import Path

import pytest

from entropy_assets.provenance.rewalk import rewalk
from entropy_assets.provenance.trail import Trail
from entropy_assets.stages.publication import accept_losses
from entropy_assets.stages.retention.plan import INTERRUPTED, Kind
from entropy_assets.stages.state import Unfinished, known_publications
from entropy_assets.stores.removals import removal_of
from entropy_assets_tests.stages.batches_made import Place, remembers
from entropy_assets_tests.stages.retention.installations import copied, files_below, planned, publish, removed


@pytest.fixture
def restored(old: Place, keys: dict[str, str], tmp_path: Path) -> Place:
    """Give an installation of which two batches were removed and put back, with their images."""
    for sort, days_ago in (("first", 100), ("late", 1)):
        publish(old, keys[sort], days_ago=days_ago)
    for sort in ("again", "private"):
        shutil.rmtree(old.batches().batch(keys[sort]).root)
    backup = copied(old.root, tmp_path / "backup")
    removed(old, planned(old, batches_days=60))
    assert not old.batches().has(keys["first"])
    for folder in ("batches", "images"):
        shutil.copytree(backup.root / folder, old.root / folder, dirs_exist_ok=True)
    return old


def test_what_was_put_back_stays_as_long_as_the_settings_say(restored: Place, keys: dict[str, str]) -> None:
    before = files_below(restored.root)
    [image] = restored.batches().batch(keys["first"]).intake.files
    for limits in ({"batches_days": 4000}, {"noise_days": 4000}, {"inbox_days": 1}):
        plan = planned(restored, **limits)
        assert keys["first"] not in {item.name for item in plan.of(Kind.BATCH)}
        assert image.image_sha256 not in {item.name for item in plan.of(Kind.IMAGE)}
        removed(restored, plan)
    assert files_below(restored.root).items() >= {
        name: size for name, size in before.items() if keys["first"] in name
    }.items()  # fmt: skip


def test_it_goes_again_by_its_age_and_its_note_tells_the_newest_time(restored: Place, keys: dict[str, str]) -> None:
    first = removal_of(restored.batches().blobs, keys["first"])
    plan = planned(restored, batches_days=50)
    assert {item.name for item in plan.of(Kind.BATCH)} == {keys["first"], keys["rejected"]}
    assert INTERRUPTED not in {item.why for item in plan.going}
    removed(restored, plan)
    again = removal_of(restored.batches().blobs, keys["first"])
    assert first is not None
    assert again is not None
    assert (first.why[:2], again.why[:2]) == ("60", "50")
    assert again.files == first.files


def test_its_blocks_can_be_audited(restored: Place, keys: dict[str, str]) -> None:
    [block, *_] = restored.ledger().published_blocks(keys["first"])
    assert rewalk(Trail.of(restored), block.block_id).data
    assert list(Unfinished(restored.batches(), restored.ledger(readonly=True))) == []


def test_beside_a_lost_ledger_it_is_burned_once(restored: Place, keys: dict[str, str]) -> None:
    [image] = restored.batches().batch(keys["first"]).intake.files
    anchors = list(known_publications(restored.batches()).values())
    restored.ledger_file.unlink()
    burned, _ = accept_losses(restored, restored.ledger(readonly=True).head(), anchors, 1, remembers(restored))
    assert burned.count(keys["first"]) == 1
    assert restored.ledger().spent_by(keys["first"], [image.image_sha256]) == {image.image_sha256}
