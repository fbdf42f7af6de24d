"""A store or a ledger's server that is away for a moment: its step is tried again, and no check speaks for it."""

import shutil
from collections.abc import Sequence
from dataclasses import replace

import dagster as dg
import pytest

from entropy_assets.defs.build import build_defs
from entropy_assets.defs.partitions import IMAGE_BATCHES
from entropy_assets.defs.resources import RETRIES, EntropyStores
from entropy_assets.stages.ingest import read_images
from entropy_assets.stores.batches import Batch, BatchStore
from entropy_assets.stores.blobs import asking
from entropy_assets.stores.ledger.storage import LedgerServer
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
