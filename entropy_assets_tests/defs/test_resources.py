"""Resources: the stores that Dagster's side works on, and what becomes of this project's errors in it."""

import time
from pathlib import Path

import dagster as dg
import pytest
import redis

from entropy_assets.defs.resources import NO_PASSAGE, ImageSources, RedisPool, typed_failures
from entropy_assets.errors import (
    BatchError,
    BlockRefused,
    EntropyAssetsError,
    LedgerBehind,
    PoolAddressInvalid,
    PoolUnavailable,
    UnsafePoolServer,
)
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.stages.ingest import read_images
from entropy_assets.stages.state import BlocksLost
from entropy_assets.stores.blobs.refusals import StoreDenied, StoreUnavailable
from entropy_assets.stores.ledger.storage import LedgerUnavailable
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.defs.conftest import Home
from entropy_assets_tests.stages.batches_made import Place, frame

HOUR_S = 3600.0


def test_a_published_batch_is_frozen_and_another_is_not(home: Home) -> None:
    batch = Place(home.stores.layout.root).validated([("a.fits", frame(1))])
    smaller = DecodeLimits(max_pixels=1)
    read_images(home.stores.batch(batch.key), home.stores.layout.images(), smaller)
    home.stores.layout.ledger().append_publication(batch.key, "00" * 32, [], "run", 1)
    with pytest.raises(BatchError, match="is published"):
        read_images(home.stores.batch(batch.key), home.stores.layout.images(), batch.intake.limits)


def test_asking_for_a_batch_that_is_none_makes_no_ledger(home: Home) -> None:
    for key in ("nope", "../x"):
        with pytest.raises(BatchError):
            home.stores.batch(key)
    assert not home.stores.layout.ledger_file.exists()


def test_stuck_batches_are_old_and_unfinished_and_each_says_what_to_do(home: Home) -> None:
    place, now = Place(home.stores.layout.root), time.time()
    old = int((now - 2 * HOUR_S) * 1e9)
    unread = place.open([("a.fits", frame(1))], time_ns=old)
    unpublished = place.validated([("b.fits", frame(2))], time_ns=old)
    place.validated([("dead.jpg", b"")], time_ns=old)
    place.open([("new.fits", frame(3))], time_ns=int(now * 1e9))
    assert home.stores.stuck_batches(older_than_s=HOUR_S, now=now) == {
        unread.key: "not validated: look at its run of process_images, and launch it again",
        unpublished.key: "not published: launch publish_blocks for it",
    }


def test_the_camera_is_asked_for_as_many_frames_as_the_settings_say_and_only_if_it_is_on() -> None:
    frames = list(ImageSources(simulated_camera=True, camera_frames=2).collect())
    assert [(source, Path(name).suffix) for source, name, _ in frames] == [("simulated", ".fits")] * 2
    assert list(ImageSources(simulated_camera=False).collect()) == []


@pytest.mark.parametrize(
    "error, retries",
    [
        (PoolUnavailable("away"), True),
        (StoreUnavailable("away", url="s3://b"), True),
        (LedgerUnavailable("away", path="p"), True),
        (StoreDenied("no"), False),
        (LedgerBehind("it lacks"), False),
        (BlockRefused("bad", batch="b"), False),
        (BlocksLost("lost", batch="b"), False),
    ],
)
def test_an_error_becomes_a_failure_with_its_facts_and_only_an_absent_server_is_retried(
    error: EntropyAssetsError, retries: bool
) -> None:
    with pytest.raises(dg.Failure) as caught, typed_failures():
        raise error
    assert (caught.value.description, caught.value.allow_retries) == (error.message, retries)
    facts = {key: str(value.value) for key, value in caught.value.metadata.items()}
    assert facts == {"error": error.code, **{key: str(value) for key, value in error.data.items()}}


def test_without_an_address_of_the_pool_the_step_says_which_variable_is_missing() -> None:
    with pytest.raises(PoolAddressInvalid, match="set ENTROPY_REDIS_URL"), RedisPool(url=None).connect():
        pass


def test_who_publishes_looks_at_the_server_each_time() -> None:
    """Somebody may give it persistence while it runs."""
    with EmbeddedServer() as server, redis.Redis.from_url(server.url) as raw:
        pool = RedisPool(url=server.url)
        with pool.connect():
            pass
        raw.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(UnsafePoolServer, match="evicts"), pool.connect():
            pass


def test_a_step_that_returns_something_fails_instead_of_leaving_a_pickle() -> None:
    """Steps hand on by the stores, so Dagster's own store of values is out of reach of a run."""

    @dg.op
    def leaks() -> bytes:
        return b"bytes of a block"

    @dg.op
    def tells() -> None:
        pass

    @dg.job(resource_defs={"io_manager": NO_PASSAGE})
    def job() -> None:
        leaks()
        tells()

    result = job.execute_in_process(raise_on_error=False)
    assert [event.step_key for event in result.get_step_failure_events()] == ["leaks"]
