"""The sensor of the low pool: it asks the camera when all that was dropped is used up, and never before."""

import time
from dataclasses import replace
from typing import Any

import dagster as dg
import pytest

from entropy_assets.defs import sensors
from entropy_assets.defs.build import build_defs
from entropy_assets.defs.cursors import ReplenishCursor
from entropy_assets.stages.state import Unfinished
from entropy_assets.stores.inboxes.folder import DropFolder
from entropy_assets.stores.lanes import LANES
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.defs.conftest import Home
from entropy_assets_tests.defs.test_sensors import fail_to_publish, run_keys
from entropy_assets_tests.stages.batches_made import frame

pytestmark = pytest.mark.usefixtures("undrawn")


def with_marks(home: Home, *, low: int, high: int) -> Home:
    settings = home.settings.model_copy(update={"low_water_bytes": low, "high_water_bytes": high})
    return replace(home, settings=settings, defs=build_defs(settings, {"pool": home.pool}))


def test_an_empty_pool_asks_for_frames_in_rounds(home: Home) -> None:
    keys = []
    for _ in range(2):
        keys += run_keys(home.tick("replenish_low_pool"))
        home.run("replenish_pool")
        for inbox in home.stores.inboxes().values():
            for file in inbox.ready(time.time() + 1):
                file.path.unlink()
    assert len(set(keys)) == 2


def test_a_low_pool_waits_while_images_are_on_their_way(home: Home) -> None:
    home.drop("a.fits", frame(1, side=512))
    result = home.tick("replenish_low_pool")
    assert isinstance(result, dg.SkipReason)
    assert "on their way" in str(result.skip_message)


def test_the_camera_is_asked_only_when_what_was_dropped_is_published_and_used_up(home: Home) -> None:
    """Real frames keep the simulated camera still at each step to the pool, and there as long as they are enough."""
    home = with_marks(home, low=8192, high=2**30)
    resources = {"stores": home.stores, "pool": home.pool}
    cursor: str | None = None

    def asked() -> bool:
        nonlocal cursor
        context = dg.build_sensor_context(instance=home.instance, cursor=cursor, resources=resources)
        result = home.sensor("replenish_low_pool")(context)
        cursor = getattr(result, "cursor", None) or context.cursor
        return bool(run_keys(result))

    home.drop("a.fits", frame(1, side=512))
    assert not asked(), "it lies in the inbox"
    (request,) = home.tick("new_images").run_requests
    home.run("process_images", request.partition_key)
    assert not asked(), "it is validated, and no publish run was asked for yet"
    home.run("publish_blocks", request.partition_key)
    with home.pool.connect() as pool:
        assert pool.stats().bytes >= home.settings.low_water_bytes
        assert not asked(), "the pool is over its low mark, and nobody began to fill it up to the high one"
        for lane in LANES:
            pool.lease(100, lane=lane)
    assert asked()
    assert ReplenishCursor.loads(cursor).filling, "from here on up to the high mark"


@pytest.mark.parametrize(
    "stage, owner, look",
    [
        ("in the inbox", dg.DagsterInstance, "get_runs_count"),
        ("in the inbox", DropFolder, "ready"),
        ("in the inbox", DropFolder, "taken"),
        ("validated", Unfinished, "__iter__"),
        ("validated", PoolClient, "stats"),
    ],
)
def test_the_camera_is_not_asked_while_a_batch_moves_on_between_two_looks(
    home: Home, monkeypatch: pytest.MonkeyPatch, owner: type, look: str, stage: str
) -> None:
    """All that is left to do with a batch happens right after one of the looks, and fills the pool."""
    home = with_marks(home, low=8192, high=2**30)
    home.drop("a.fits", frame(1, side=512))

    def process() -> str:
        (request,) = home.tick("new_images").run_requests
        home.run("process_images", request.partition_key)
        return request.partition_key

    key = process() if stage == "validated" else None

    def finish() -> None:
        home.run("publish_blocks", key or process())

    original = getattr(owner, look)

    def looked(*arguments: Any, **options: Any) -> Any:
        found = original(*arguments, **options)
        found = iter(list(found)) if look == "__iter__" else found
        monkeypatch.setattr(owner, look, original)
        finish()
        return found

    monkeypatch.setattr(owner, look, looked)
    assert run_keys(home.tick("replenish_low_pool")) == []
    with home.pool.connect() as pool:
        assert pool.stats().bytes > 0, "it was published in the middle"


def test_a_batch_whose_publish_run_failed_does_not_keep_the_pool_empty(home: Home) -> None:
    key = home.batch_of(("a.fits", frame(1, side=512)))
    home.run("process_images", key)
    assert run_keys(home.tick("replenish_low_pool")) == []
    fail_to_publish(home, key)
    assert len(run_keys(home.tick("replenish_low_pool"))) == 1


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


def with_feeds(home: Home, text: str) -> Home:
    """Give the same installation without the camera, with a file of feeds."""
    home.settings.home.mkdir(exist_ok=True)
    (home.settings.home / "sources.toml").write_text(text)
    settings = home.settings.model_copy(update={"simulated_camera": False})
    return replace(home, settings=settings, defs=build_defs(settings, {"pool": home.pool}))


def test_a_low_pool_has_the_feeds_asked_that_are_due_and_no_others(home: Home) -> None:
    """A server's cadence is its own limit: an empty pool is no reason to ask it more often."""
    home = with_feeds(home, '[feed.sky]\nkind = "folder"\npath = "/nowhere"\nclaim = "drop"\ncadence_seconds = 3600\n')
    [request] = home.tick("replenish_low_pool").run_requests
    assert request.job_name == "ingest_feeds"
    assert home.run("ingest_feeds").success
    skipped = home.tick("replenish_low_pool")
    assert "low, and no feed is due: sky: the folder /nowhere can't be listed" in skipped.skip_message


def test_a_low_pool_tells_of_a_file_of_feeds_that_is_wrong(home: Home) -> None:
    skipped = with_feeds(home, "[feed.sky]\n").tick("replenish_low_pool")
    assert "low, and no feed can be asked" in skipped.skip_message
    assert "line 1: feed sky, kind is missing: it must be one of" in skipped.skip_message
