"""Sensors: nothing dropped is lost, nothing is asked for twice, every tick says why it did what it did."""

import json
import os
import time

import dagster as dg
import pytest

from entropy_assets.defs import sensors
from entropy_assets.defs.assets import GPU
from entropy_assets.defs.build import build_defs
from entropy_assets.defs.cursors import LOST_RETRY_S, PUBLISH_AGAIN_S, RETRIED_BY, WILL_RETRY
from entropy_assets.defs.jobs import ARRAYS, PROCESS
from entropy_assets.stores.batches import MANIFEST, VERDICTS
from entropy_assets_tests.defs.conftest import Home, with_share
from entropy_assets_tests.stages.batches_made import frame


def run_keys(result: object) -> list[str]:
    return [str(request.run_key) for request in getattr(result, "run_requests", None) or []]


def fail_to_publish(home: Home, key: str) -> None:
    """Let the publish run of a batch fail before the ledger."""
    verdicts = home.stores.batch(key).path(VERDICTS)
    kept = verdicts.read_bytes()
    verdicts.write_text("[")
    home.run("publish_blocks", key, fails=True)
    verdicts.write_bytes(kept)


def test_all_files_that_wait_become_one_batch(home: Home) -> None:
    for seed in (1, 2, 3):
        home.drop(f"{seed}.fits", frame(seed))
    (request,) = home.tick("new_images").run_requests
    intake = home.stores.batch(request.partition_key).intake
    assert [item.file for item in intake.files] == ["1.fits", "2.fits", "3.fits"]


def test_files_of_different_sources_never_share_a_batch(home: Home) -> None:
    """What a source vouches for holds for all files of a batch."""
    home.drop("sky.fits", frame(2))
    home.stores.inbox_of("simulated").deposit("f.fits", frame(1))
    home.stores.inbox_of("raw-ccd").deposit("g.fits", frame(3))
    keys = [request.partition_key for request in home.tick("new_images").run_requests]
    assert sorted(home.stores.batch(key).intake.source for key in keys) == ["drop", "raw-ccd", "simulated"]


def test_a_run_of_a_listed_source_goes_before_one_of_the_plain_inbox(home: Home) -> None:
    """Dagster's queue is by age otherwise, and a heap of files may be older."""
    home.drop("sky.fits", frame(2))
    home.stores.inbox_of("raw-ccd").deposit("g.fits", frame(3))
    requests = home.tick("new_images").run_requests
    urgency = {home.stores.batch(request.partition_key).intake.source: request.tags for request in requests}
    assert urgency == {"drop": {"dagster/priority": "1"}, "raw-ccd": {"dagster/priority": "3"}}


def test_runs_that_need_a_card_say_so(home: Home) -> None:
    """By a tag, for launchers and limits, and by a pool for their steps; where none is asked for, neither is there."""
    settings = home.settings.model_copy(update={"arrays": "cupy"})
    on_card = build_defs(settings, {"pool": home.pool})
    for defs, arrays, pool in ((on_card, "cupy", GPU), (home.defs, None, None)):
        assert defs.resolve_job_def(PROCESS).tags.get(ARRAYS) == arrays
        assert defs.resolve_assets_def("noise_arrays").op.pool == pool


def batches_by_lane(home: Home) -> dict[str, list[list[str]]]:
    lanes: dict[str, list[list[str]]] = {"public": [], "private": []}
    for batch in home.stores.layout.batches():
        lanes[batch.intake.lane].append([file.file for file in batch.intake.files])
    return lanes


def test_the_first_files_of_a_source_are_dealt_into_a_batch_for_each_lane(home: Home) -> None:
    home = with_share(home, None)
    for name in "abcd":
        home.drop(f"{name}.fits", frame(ord(name)))
    home.tick("new_images")
    assert sorted(map(str, batches_by_lane(home).values())) == ["[['a.fits', 'c.fits']]", "[['b.fits', 'd.fits']]"]
    for name in "efg":
        home.drop(f"{name}.fits", frame(ord(name)))
    home.tick("new_images")
    assert any(["e.fits", "f.fits", "g.fits"] in batches for batches in batches_by_lane(home).values())


def test_the_lane_that_lacks_more_of_its_share_gets_the_next_batch(home: Home) -> None:
    home = with_share(home, 0.5)
    for number in range(6):
        home.drop(f"{number}.fits", frame(number))
        home.tick("new_images")
    assert {lane: len(batches) for lane, batches in batches_by_lane(home).items()} == {"public": 3, "private": 3}


def test_a_feed_that_wants_a_lane_gets_it(home: Home) -> None:
    home.stores.layout.root.mkdir(exist_ok=True)
    home.stores.layout.sources_file.write_text(
        '[feed.mine]\nkind = "folder"\npath = "/frames"\nclaim = "drop"\nlane = "public"\n'
    )
    home = with_share(home, 0.0)
    home.drop("a.fits", frame(1))
    home.tick("new_images")
    assert [len(batches) for batches in batches_by_lane(home).values()] == [1, 0]


@pytest.mark.parametrize("share, lane", [(0.0, "private"), (1.0, "public")])
def test_a_share_of_all_or_nothing_leaves_the_other_lane_nothing(home: Home, share: float, lane: str) -> None:
    home = with_share(home, share)
    for number in range(3):
        home.drop(f"{number}.fits", frame(number))
        home.drop(f"{number}-more.fits", frame(number + 10))
        home.tick("new_images")
    assert [name for name, batches in batches_by_lane(home).items() if batches] == [lane]
    assert len(batches_by_lane(home)[lane]) == 3


def test_a_folder_of_no_listed_source_is_left_alone(home: Home) -> None:
    folder = home.stores.layout.inbox_folder / "somewhere"
    folder.mkdir(parents=True)
    (folder / "a.fits").write_bytes(frame(1))
    assert isinstance(home.tick("new_images"), dg.SkipReason)
    assert (folder / "a.fits").exists()


def test_a_tick_that_was_not_acknowledged_asks_for_the_same_runs_again(home: Home) -> None:
    """A daemon killed after the files moved, before or after the partition was added: no batch is forgotten."""
    home.drop("a.fits", frame(1))
    context = dg.build_sensor_context(instance=home.instance, resources=home.resources)
    lost = home.sensor("new_images")(context)
    partition_only = home.tick("new_images")
    again = home.tick("new_images")
    keys = [[request.run_key for request in result.run_requests] for result in (lost, partition_only, again)]
    assert keys[0] == keys[1] == keys[2]
    home.run("process_images", keys[0][0])
    assert isinstance(home.tick("new_images"), dg.SkipReason)


@pytest.mark.parametrize("killed_in", ["take", "read"])
def test_a_crash_in_the_middle_of_taking_loses_no_file(
    home: Home, monkeypatch: pytest.MonkeyPatch, killed_in: str
) -> None:
    for seed in (1, 2):
        home.drop(f"{seed}.fits", frame(seed))
    folder = "entropy_assets.stores.inboxes.folder"
    with monkeypatch.context() as patched:

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        patched.setattr(f"{folder}.sync_folder" if killed_in == "take" else f"{folder}.DropFolder.read", killed)
        with pytest.raises(KeyboardInterrupt):
            home.tick("new_images")
    requests = home.tick("new_images").run_requests
    files = [item.file for request in requests for item in home.stores.batch(request.partition_key).intake.files]
    assert sorted(files) == ["1.fits", "2.fits"]


def test_a_file_that_comes_again_unchanged_ends_as_rejected_and_not_in_limbo(home: Home) -> None:
    """Copied with its old name and time it looks just like the one that was processed."""
    keys = []
    for _ in range(2):
        home.drop("a.fits", frame(1))
        os.utime(home.stores.layout.inbox_folder / "a.fits", (1_700_000_000, 1_700_000_000))
        # a key tells the second of its intake
        time.sleep(1.1)
        (request,) = home.tick("new_images").run_requests
        keys.append(request.partition_key)
        home.run("process_images", keys[-1])
    assert keys[0] != keys[1]
    assert (home.stores.layout.inbox_folder / "processed" / keys[0] / "a.fits").is_file()
    reason = home.stores.layout.inbox_folder / "rejected" / keys[1] / "a.fits.reason.json"
    assert json.loads(reason.read_text())["reason"] == "replayed_file"


def test_half_written_and_hidden_files_stay_and_the_tick_says_so(home: Home) -> None:
    home.stores.layout.inbox_folder.mkdir(parents=True)
    (home.stores.layout.inbox_folder / "a.fits.part").write_bytes(b"half")
    (home.stores.layout.inbox_folder / ".hidden.png").write_bytes(b"hidden")
    result = home.tick("new_images")
    assert isinstance(result, dg.SkipReason)
    assert "2 entries" in str(result.skip_message)
    assert (home.stores.layout.inbox_folder / "a.fits.part").exists()


@pytest.mark.slow
def test_every_validated_batch_is_asked_to_be_published_once(home: Home) -> None:
    """An asset sensor would see only the newest of these; the batches say what waits."""
    keys = [home.batch_of((f"{seed}.fits", frame(seed, side=512))) for seed in (1, 2, 3)]
    for key in keys:
        home.run("process_images", key)
    first = home.tick("publish_validated_blocks")
    assert {request.partition_key for request in first.run_requests} == set(keys)
    replayed = home.tick("publish_validated_blocks")
    assert [r.run_key for r in replayed.run_requests] == [r.run_key for r in first.run_requests]
    for key in keys:
        home.run("publish_blocks", key)
    assert isinstance(home.tick("publish_validated_blocks"), dg.SkipReason)


@pytest.mark.slow
def test_a_batch_whose_publish_run_failed_is_asked_for_again_until_the_ledger_has_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool may be away for longer than a run waits for it."""
    key = home.batch_of(("a.fits", frame(1, side=512)))
    home.run("process_images", key)
    first = run_keys(home.tick("publish_validated_blocks"))
    fail_to_publish(home, key)
    assert isinstance(home.tick("publish_validated_blocks"), dg.SkipReason), "not at once"
    later = time.time() + PUBLISH_AGAIN_S
    monkeypatch.setattr("entropy_assets.defs.sensors.time.time", lambda: later)
    (again,) = home.tick("publish_validated_blocks").run_requests
    assert (again.partition_key, again.run_key in first) == (key, False)
    home.run("publish_blocks", key)
    assert isinstance(home.tick("publish_validated_blocks"), dg.SkipReason)


@pytest.mark.slow
def test_a_published_batch_that_is_validated_again_is_not_asked_for(home: Home) -> None:
    key = home.batch_of(("a.fits", frame(1, side=512)))
    for job in ("process_images", "publish_blocks", "process_images"):
        home.run(job, key)
    assert isinstance(home.tick("publish_validated_blocks"), dg.SkipReason)
    events = home.run("publish_blocks", key).get_asset_materialization_events()
    assert events[0].materialization.metadata["pushed"].value == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("how", ["damaged", "unreadable"])
def test_a_batch_that_can_not_be_read_holds_up_no_other(home: Home, how: str) -> None:
    keys = [home.batch_of((f"{seed}.fits", frame(seed, side=512))) for seed in (1, 2)]
    for key in keys:
        home.run("process_images", key)
    verdicts = home.stores.batch(keys[0]).path(VERDICTS)
    if how == "damaged":
        verdicts.write_text("[")
    else:  # the system refuses it whoever asks, as it does another user's file or a bad disk
        verdicts.unlink()
        verdicts.symlink_to(verdicts.name)
    home.tick("new_images")
    (request,) = home.tick("publish_validated_blocks").run_requests
    assert request.partition_key == keys[1]


@pytest.mark.slow
def test_batches_validated_after_a_wipe_of_all_runs_are_published(home: Home) -> None:
    """``dagster run wipe`` numbers events from 1 again, and keeps the cursors of the sensors."""
    first = home.batch_of(("a.fits", frame(1, side=512)))
    home.run("process_images", first)
    cursor = home.tick("publish_validated_blocks").cursor
    home.run("publish_blocks", first)
    home.instance.wipe()
    second = home.batch_of(("b.fits", frame(2, side=512)))
    home.run("process_images", second)
    result = home.tick("publish_validated_blocks", cursor=cursor)
    assert [request.partition_key for request in result.run_requests] == [second]


@pytest.mark.parametrize("how", ["run wipe", "DAGSTER_HOME deleted"])
def test_a_batch_that_was_validated_before_dagster_forgot_it_is_published_after_it(home: Home, how: str) -> None:
    """Nothing of its run is left in Dagster: neither its event nor its partition. Its folder says what it lacks."""
    key = home.batch_of(("a.fits", frame(1, side=512)))
    home.run("process_images", key)
    with dg.DagsterInstance.ephemeral() as another:
        home.instance.wipe()
        if how == "DAGSTER_HOME deleted":
            home.instance = another
        result = home.tick("publish_validated_blocks")
        assert [request.partition_key for request in result.run_requests] == [key]
        assert home.instance.has_dynamic_partition("image_batches", key), "a run of no partition is refused"
        home.run("publish_blocks", key)
    assert home.stores.layout.ledger().is_published(key)


def test_a_batch_whose_run_was_wiped_in_the_middle_is_begun_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files were settled, so no inbox tells of it any more."""
    key = home.batch_of(("a.fits", frame(1, side=512)))
    home.run("process_images", key, only="raw_images")
    home.run("process_images", key, only="noise_arrays")
    home.instance.wipe()
    later = time.time() + sensors.BEGIN_AGAIN_S
    monkeypatch.setattr("entropy_assets.defs.sensors.time.time", lambda: later)
    (request,) = home.tick("new_images").run_requests
    assert request.partition_key == key
    home.run("process_images", key)
    assert run_keys(home.tick("new_images")) == []


@pytest.mark.parametrize("retried", [False, True])
def test_a_batch_whose_runs_retry_was_lost_is_begun_again(
    home: Home, monkeypatch: pytest.MonkeyPatch, retried: bool
) -> None:
    """Dagster's daemon looks at a failure once: it may then still take the run for one that works."""
    key = home.batch_of(("a.fits", frame(1, side=512)))
    home.run("process_images", key, only="raw_images")
    manifest = home.stores.batch(key).path(MANIFEST)
    kept = manifest.read_bytes()
    manifest.write_text("[")
    home.run("process_images", key, only="noise_arrays", fails=True)
    manifest.write_bytes(kept)
    failed = home.instance.get_run_records(limit=1)[0].dagster_run
    home.instance.add_run_tags(failed.run_id, {WILL_RETRY: "true"} | ({RETRIED_BY: "another"} if retried else {}))
    before = run_keys(home.tick("new_images"))
    later = time.time() + LOST_RETRY_S + sensors.BEGIN_AGAIN_S
    monkeypatch.setattr("entropy_assets.defs.sensors.time.time", lambda: later)
    new = set(run_keys(home.tick("new_images"))) - set(before)
    assert new == (set() if retried else {f"{key}:after:{failed.run_id}"})


@pytest.mark.slow
def test_no_run_key_comes_again_when_a_cursor_is_lost(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster passes over a run whose key it has seen, and says so nowhere but in the tick."""
    key = home.batch_of(("a.fits", frame(1, side=512)))
    home.run("process_images", key)
    keys = set(run_keys(home.tick("publish_validated_blocks")))
    fail_to_publish(home, key)
    keys.update(run_keys(home.tick("replenish_low_pool")))
    assert len(keys) == 2
    home.run("replenish_pool")
    later = time.time() + PUBLISH_AGAIN_S
    monkeypatch.setattr("entropy_assets.defs.sensors.time.time", lambda: later)
    assert run_keys(home.tick("publish_validated_blocks"))
    assert keys.isdisjoint(run_keys(home.tick("publish_validated_blocks")))
    assert keys.isdisjoint(run_keys(home.tick("replenish_low_pool")))


def test_a_run_that_fails_after_a_wipe_is_told(home: Home) -> None:
    alerts = home.stores.layout.alerts()
    keys = [home.batch_of((f"{seed}.fits", frame(seed, side=512))) for seed in (1, 2)]
    for key in keys:
        home.tick("new_images")  # a wipe forgets the partitions too
        home.run("publish_blocks", key, fails=True)
        home.tick("run_failure_alert")
        home.tick("run_failure_alert")
        assert [alert["batch"] for alert in alerts.read()].count(key) == 1
        assert "published_blocks" in alerts.read()[-1]["error"]
        home.instance.wipe()


def test_of_many_runs_that_failed_some_are_told_at_each_look(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that failed first are told first, and none of hundreds is left out: a look stays short whatever failed."""
    monkeypatch.setattr(sensors, "MOST_TOLD", 60)
    for _ in range(110):
        run = home.instance.create_run_for_job(home.defs.resolve_job_def("replenish_pool"))
        home.instance.report_run_failed(run)
    failed = [record.dagster_run.run_id for record in home.instance.get_run_records()][::-1]
    alerts = home.stores.layout.alerts()
    told = []
    for _ in range(3):
        home.tick("run_failure_alert")
        told.append([alert["run_id"] for alert in alerts.read()])
    assert told == [failed[:60], failed, failed]
