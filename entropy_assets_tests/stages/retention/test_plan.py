"""What may go, and why the rest stays: never what an audit, a draw, an inbox or the ledger still needs."""

from pathlib import Path

import pytest

from entropy_assets.stages.retention.limits import KeepLimits
from entropy_assets.stages.retention.looking import LOST_INTAKE, NEWEST, UNFINISHED, UNSETTLED
from entropy_assets.stages.retention.plan import Kind, plan_removal
from entropy_assets.stores.batches import INTAKE
from entropy_assets.stores.inboxes.folder import DropFolder
from entropy_assets.stores.intakes import IntakeFile
from entropy_assets_tests.stages.batches_made import Place, alter_json
from entropy_assets_tests.stages.retention.installations import NOW_S, files_below, planned, publish


@pytest.fixture
def published(old: Place, keys: dict[str, str]) -> dict[str, str]:
    """Publish all that can be, the last one yesterday."""
    for sort, days_ago in (("first", 100), ("again", 50), ("private", 40), ("late", 1)):
        publish(old, keys[sort], days_ago=days_ago)
    return keys


def names(place: Place, kind: Kind, **limits: int) -> set[str]:
    return {item.name for item in planned(place, **limits).of(kind)}


def test_without_a_word_of_the_operator_nothing_goes(old: Place, published: dict[str, str]) -> None:
    before = files_below(old.root)
    plan = plan_removal(old, KeepLimits(), now_s=NOW_S, inboxes={})
    assert plan.going == ()
    assert files_below(old.root) == before


def test_batches_go_by_their_age_with_the_images_that_no_other_needs(old: Place, published: dict[str, str]) -> None:
    plan = planned(old, batches_days=45)
    assert {item.name for item in plan.of(Kind.BATCH)} == {published[sort] for sort in ("first", "again", "rejected")}
    gone = {file.image_sha256 for key in ("first", "again", "rejected") for file in images_of(old, published[key])}
    assert {item.name for item in plan.of(Kind.IMAGE)} == gone
    assert plan.staying[published["private"]] == "it is younger than 45 days"
    assert plan.staying[published["late"]] == NEWEST


def images_of(place: Place, key: str) -> tuple[IntakeFile, ...]:
    return place.batches().batch(key).intake.files


def test_an_image_stays_while_another_batch_needs_it(old: Place, published: dict[str, str]) -> None:
    """The image of `first` is in `again` too, which is younger."""
    assert names(old, Kind.BATCH, batches_days=60) >= {published["first"]}
    assert names(old, Kind.IMAGE, batches_days=60).isdisjoint(
        file.image_sha256 for file in images_of(old, published["again"])
    )


def test_an_image_of_a_batch_that_is_being_made_stays(old: Place, published: dict[str, str]) -> None:
    """Nobody needs it yet; that it is young tells."""
    orphan = old.images().put(b"of a batch to be")
    young = old.images().find(orphan)
    assert young is not None
    keep = KeepLimits(batches_days=1)
    for age_s, goes in ((3600, False), (2 * 86_400, True)):
        plan = plan_removal(old, keep, now_s=young.modified_ns / 1e9 + age_s, inboxes={}, fate_of=None)
        assert (orphan in {item.name for item in plan.of(Kind.IMAGE)}) is goes


def test_noise_goes_first_and_only_what_can_be_made_again(old: Place, published: dict[str, str]) -> None:
    plan = planned(old, noise_days=45)
    assert {item.name for item in plan.going} == {published[sort] for sort in ("first", "again", "rejected")}
    assert {item.kind for item in plan.going} == {Kind.NOISE}


def test_by_size_the_oldest_go_and_noise_before_whole_batches(old: Place, published: dict[str, str]) -> None:
    everything = planned(old, total_bytes=10**9)
    assert everything.going == ()
    thinner = planned(old, total_bytes=everything.bytes_before - 1)
    assert [(item.kind, item.name) for item in thinner.going] == [(Kind.NOISE, published["first"])]
    assert thinner.bytes_after == everything.bytes_before - thinner.freed
    least = planned(old, total_bytes=1)
    assert {item.name for item in least.of(Kind.BATCH)} == set(published.values()) - {published["late"]}
    assert least.staying == {published["late"]: NEWEST}
    young = planned(old, total_bytes=1, least_days=45)
    assert published["private"] not in {item.name for item in young.going}
    assert young.staying[published["private"]] == "it is younger than 45 days"


def test_what_would_be_freed_is_what_the_files_take(old: Place, published: dict[str, str]) -> None:
    before = sum(files_below(old.root).values())
    plan = planned(old, total_bytes=1)
    assert plan.bytes_before == before
    assert plan.bytes_after == before - plan.freed


def test_what_is_unfinished_stays_whatever_its_age(old: Place, keys: dict[str, str]) -> None:
    (old.batches().batch(keys["private"]).root / "verdicts.json").unlink()
    publish(old, keys["late"], days_ago=1)
    plan = planned(old, batches_days=1, noise_days=1, total_bytes=1)
    assert [item.name for item in plan.of(Kind.BATCH)] == [keys["rejected"]]
    assert {plan.staying[keys[sort]] for sort in ("first", "again", "private")} == {UNFINISHED}
    assert plan.staying[keys["late"]] == NEWEST


def test_a_damaged_batch_stays_and_with_it_every_image(old: Place, published: dict[str, str]) -> None:
    """Nobody can tell which images it needs."""
    alter_json(old.batches().batch(published["again"]), INTAKE, lambda row: row.pop("files"))
    plan = planned(old, batches_days=1)
    assert plan.staying[published["again"]].startswith("it is damaged: intake.json of batch")
    assert published["first"] in {item.name for item in plan.of(Kind.BATCH)}
    assert list(plan.of(Kind.IMAGE)) == []


def test_a_batch_that_lost_its_intake_stays_as_it_is_and_with_it_every_image(
    old: Place, published: dict[str, str]
) -> None:
    """A disk was mended, or a backup was put back in part; no removal took it, since no note tells of one."""
    whole = planned(old, batches_days=1, noise_days=1)
    for sort in ("first", "again", "late"):
        old.batches().batch(published[sort]).path(INTAKE).unlink()
    plan = planned(old, batches_days=1, noise_days=1, total_bytes=1)
    assert list(whole.of(Kind.IMAGE)) != []
    assert list(plan.of(Kind.IMAGE)) == []
    assert {plan.staying[published[sort]] for sort in ("first", "again", "late")} == {LOST_INTAKE}
    assert {item.name for item in plan.going} == {published[sort] for sort in ("private", "rejected")}


def test_a_folder_that_is_no_batch_keeps_no_image(old: Place, published: dict[str, str]) -> None:
    whole = planned(old, batches_days=45)
    (old.batches().root / "begun").mkdir()
    (old.batches().root / "list").mkdir()
    (old.batches().root / "list" / "list.txt").write_bytes(b"a list of them")
    assert planned(old, batches_days=45).going == whole.going


def test_files_that_wait_in_an_inbox_keep_their_batch(old: Place, published: dict[str, str], tmp_path: Path) -> None:
    inbox = DropFolder(tmp_path / "inbox", settle_seconds=0)
    inbox.deposit("a.fits", b"whatever")
    inbox.take(inbox.ready(1e12), published["first"])
    plan = planned(old, {"drop": inbox}, batches_days=1)
    assert plan.staying[published["first"]] == UNSETTLED


def test_a_clock_that_went_back_lets_nothing_go(old: Place, keys: dict[str, str]) -> None:
    publish(old, keys["first"], days_ago=-5)
    publish(old, keys["late"], days_ago=-6)
    assert planned(old, batches_days=1).staying[keys["first"]] == "it is younger than 1 days"
