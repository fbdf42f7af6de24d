"""Sensors: nothing dropped is lost, nothing is asked for twice, every tick says why it did what it did."""

import json
import os
import time

import dagster as dg
import pytest

from entropy_assets.defs import sensors
from entropy_assets.defs.cursors import PUBLISH_AGAIN_S, PublishCursor, ReplenishCursor
from entropy_assets_tests.defs.conftest import Home
from entropy_assets_tests.stages.batches_made import frame


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


def test_a_folder_of_no_listed_source_is_left_alone(home: Home) -> None:
    folder = home.stores.layout.inbox_folder / "somewhere"
    folder.mkdir(parents=True)
    (folder / "a.fits").write_bytes(frame(1))
    assert isinstance(home.tick("new_images"), dg.SkipReason)
    assert (folder / "a.fits").exists()


def test_a_tick_that_was_not_acknowledged_asks_for_the_same_runs_again(home: Home) -> None:
    """A daemon killed after the files moved, before or after the partition was added: no batch is forgotten."""
    home.drop("a.fits", frame(1))
    context = dg.build_sensor_context(instance=home.instance, resources={"stores": home.stores})
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
    folder = "entropy_assets.stores.inbox"
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


def test_every_validated_batch_is_asked_to_be_published_once(home: Home) -> None:
    """An asset sensor would see only the newest of these; a cursor over storage ids sees each."""
    keys = [home.batch_of((f"{seed}.fits", frame(seed))) for seed in (1, 2, 3)]
    for key in keys:
        home.run("process_images", key)
    first = home.tick("publish_validated_blocks")
    assert [request.partition_key for request in first.run_requests] == keys
    replayed = home.tick("publish_validated_blocks")
    assert [r.run_key for r in replayed.run_requests] == [r.run_key for r in first.run_requests]
    assert isinstance(home.tick("publish_validated_blocks", cursor=first.cursor), dg.SkipReason)


def test_a_batch_whose_publish_run_failed_is_asked_for_again_until_the_ledger_has_it(home: Home) -> None:
    """The pool may be away for longer than a run waits for it."""
    key = home.batch_of(("a.fits", frame(1, side=512)))
    home.run("process_images", key)
    cursor = PublishCursor.loads(home.tick("publish_validated_blocks").cursor)
    cursor.waiting[key].asked_at -= PUBLISH_AGAIN_S
    again = home.tick("publish_validated_blocks", cursor=cursor.dumps())
    assert [request.run_key.rsplit(":", 1)[1] for request in again.run_requests] == ["1"]
    home.run("publish_blocks", key)
    later = PublishCursor.loads(again.cursor)
    later.waiting[key].asked_at -= PUBLISH_AGAIN_S
    assert isinstance(home.tick("publish_validated_blocks", cursor=later.dumps()), dg.SkipReason)


def test_a_batch_validated_again_gets_a_new_publish_run_that_pushes_nothing(home: Home) -> None:
    key = home.batch_of(("a.fits", frame(1)))
    home.run("process_images", key)
    first = home.tick("publish_validated_blocks")
    home.run("publish_blocks", key)
    home.run("process_images", key)
    second = home.tick("publish_validated_blocks", cursor=first.cursor)
    assert second.run_requests[0].run_key != first.run_requests[0].run_key
    events = home.run("publish_blocks", key).get_asset_materialization_events()
    assert events[0].materialization.metadata["pushed"].value == 0.0


def test_an_empty_pool_asks_for_frames_in_rounds(home: Home) -> None:
    first = home.tick("replenish_low_pool")
    assert [request.run_key for request in first.run_requests] == ["replenish:0"]
    second = home.tick("replenish_low_pool", cursor=first.cursor)
    assert [request.run_key for request in second.run_requests] == ["replenish:1"]


def test_a_low_pool_waits_while_images_are_on_their_way(home: Home) -> None:
    home.drop("a.fits", frame(1))
    result = home.tick("replenish_low_pool")
    assert isinstance(result, dg.SkipReason)
    assert "on their way" in str(result.skip_message)


def test_an_absent_pool_is_borne_for_a_while_and_then_the_tick_is_red(home: Home) -> None:
    home.pool = type(home.pool)(url="unix:///nonexistent.sock")
    sensor = home.sensor("replenish_low_pool")
    cursor: str | None = None
    for tick in range(1, sensors.POOL_GRACE_TICKS + 1):
        context = dg.build_sensor_context(
            instance=home.instance, cursor=cursor, resources={"stores": home.stores, "pool": home.pool}
        )
        assert isinstance(sensor(context), dg.SkipReason)
        cursor = context.cursor
        assert ReplenishCursor.loads(cursor).pool_absent_ticks == tick
    with pytest.raises(dg.Failure, match="has not answered"):
        home.tick("replenish_low_pool", cursor=cursor)
