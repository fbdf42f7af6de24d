"""A store or a ledger's server that is away for a moment: its step is tried again, and no check speaks for it."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import dagster as dg
import pytest
import redis

from entropy_assets.defs.build import build_defs
from entropy_assets.defs.partitions import IMAGE_BATCHES
from entropy_assets.defs.resources import RETRIES, EntropyStores, RedisPool
from entropy_assets.stages.ingest import read_images
from entropy_assets.stores.batches import Batch, BatchStore
from entropy_assets.stores.blobs import asking
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.storage import LedgerServer, LedgerUnavailable
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.defs.conftest import Home, evaluations
from entropy_assets_tests.stages.batches_made import Place, frame

CHECKS = ("files_usable", "health_tests", "block_tests")
STEPS = ("raw_images", "noise_arrays", "hashed_blocks", "validated_blocks", "published_blocks", *CHECKS)


class ImagesElsewhere(EntropyStores):
    """Stores whose batches lie in the folder, wherever the images are."""

    def batch(self, key: str) -> Batch:
        return BatchStore(self.layout.batches_folder).batch(key)


@pytest.fixture
def key(home: Home) -> str:
    """Give a batch whose images are read."""
    place = Place(home.stores.layout.root)
    batch = place.open([("a.fits", frame(1))])
    read_images(batch, place.images(), batch.intake.limits)
    home.instance.add_dynamic_partitions(IMAGE_BATCHES, [batch.key])
    return batch.key


def run(home: Home, key: str, stores: EntropyStores, steps: Sequence[str]) -> dg.ExecuteInProcessResult:
    """Run some steps of a batch, each of which is tried once more, at once."""
    job = build_defs(home.settings, {"pool": home.pool, "stores": stores}).resolve_job_def("process_images")
    for node in job.nodes:
        node.definition._retry_policy = dg.RetryPolicy(max_retries=1)  # the real one takes ten minutes
    return job.execute_in_process(
        instance=home.instance, partition_key=key, op_selection=list(steps), raise_on_error=False
    )


def steps_of(result: dg.ExecuteInProcessResult, kind: dg.DagsterEventType) -> list[str]:
    return [str(event.step_key) for event in result.all_events if event.event_type is kind]


def test_every_step_of_a_batch_is_tried_again(home: Home) -> None:
    jobs = [home.defs.resolve_job_def(name) for name in ("process_images", "publish_blocks")]
    policies = {node.name: node.definition.retry_policy for job in jobs for node in job.nodes}
    assert policies == dict.fromkeys(STEPS, RETRIES)


@pytest.mark.parametrize("step", ["raw_images", *CHECKS])
def test_a_ledgers_server_that_is_away_is_worth_another_try_and_fails_no_check(home: Home, key: str, step: str) -> None:
    server = LedgerServer(f"postgresql+psycopg://u@/db?host={home.stores.layout.root}")
    away = replace(home.stores, layout=replace(home.stores.layout, ledger_server=server))
    result = run(home, key, away, [step])
    assert steps_of(result, dg.DagsterEventType.STEP_UP_FOR_RETRY) == [step]
    assert (result.success, evaluations(result)) == (False, {})


def test_a_store_that_is_away_alters_no_image_and_what_comes_after_the_check_waits(
    home: Home, key: str, object_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    layout = replace(home.stores.layout, store_url=object_store)
    away = ImagesElsewhere(layout, home.stores.recipe, home.stores.limits, settle_seconds=0.0)
    result = run(home, key, away, ["files_usable", "noise_arrays"])
    assert steps_of(result, dg.DagsterEventType.STEP_UP_FOR_RETRY) == ["files_usable"]
    assert steps_of(result, dg.DagsterEventType.STEP_START) == ["files_usable"]
    assert (result.success, evaluations(result)) == (False, {})


def test_an_image_that_is_gone_fails_its_check_at_once(home: Home, key: str) -> None:
    shutil.rmtree(home.stores.layout.images_folder)
    result = run(home, key, home.stores, ["files_usable"])
    assert evaluations(result) == {"files_usable": False}
    assert steps_of(result, dg.DagsterEventType.STEP_UP_FOR_RETRY) == []


def published(home: Home, pool: RedisPool, key: str, monkeypatch: pytest.MonkeyPatch) -> dg.ExecuteInProcessResult:
    """Publish a batch in a run that is tried once more, at once."""
    job = build_defs(home.settings, {"pool": pool}).resolve_job_def("publish_blocks")
    for node in job.nodes:
        monkeypatch.setattr(node.definition, "_retry_policy", dg.RetryPolicy(max_retries=1))
    return job.execute_in_process(instance=home.instance, partition_key=key, raise_on_error=False)


def test_a_push_that_fails_after_the_ledger_fails_the_run_and_says_what_is_lost(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry would find the batch in the ledger, and be content: nobody would be told."""
    with EmbeddedServer() as server, redis.Redis.from_url(server.url) as raw:
        batch = Place(home.stores.layout.root).validated([("a.fits", frame(1))])
        home.instance.add_dynamic_partitions(IMAGE_BATCHES, [batch.key])
        tell = PoolClient.keep_ledger_link

        def told_and_filled(pool: PoolClient, link: str, seq: int) -> None:
            tell(pool, link, seq)
            raw.config_set("maxmemory", 1)

        monkeypatch.setattr(PoolClient, "keep_ledger_link", told_and_filled)
        result = published(home, RedisPool(url=server.url), batch.key, monkeypatch)
    assert (result.success, steps_of(result, dg.DagsterEventType.STEP_UP_FOR_RETRY)) == (False, [])
    publication = home.stores.layout.ledger(readonly=True).publication_of(batch.key)
    assert publication is not None
    told = result.get_step_failure_events()[0].step_failure_data.user_failure_data.description
    assert f"{publication.block_count} of its {publication.block_count} blocks are lost" in told
    assert "maxmemory" in told


def test_a_try_that_finds_what_an_earlier_one_of_its_run_did_not_end_fails(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the ledger's server took the row and its answer was lost: then nobody pushes."""
    batch = Place(home.stores.layout.root).validated([("a.fits", frame(1))])
    home.instance.add_dynamic_partitions(IMAGE_BATCHES, [batch.key])
    append = Ledger.append_publication

    def unanswered(*words: Any, **more: Any) -> bool:
        if append(*words, **more):
            raise LedgerUnavailable("no answer in time", path="ledger")
        return False

    monkeypatch.setattr(Ledger, "append_publication", unanswered)
    result = published(home, home.pool, batch.key, monkeypatch)
    assert len(steps_of(result, dg.DagsterEventType.STEP_UP_FOR_RETRY)) == 1
    assert not result.success
    told = result.get_step_failure_events()[0].step_failure_data.user_failure_data.description
    assert "an earlier try of this run" in told
