"""The job and its schedule: what was removed is asked for by nobody again, and Dagster forgets it."""

import os
from dataclasses import replace
from typing import Any

import dagster as dg
import pytest

from entropy_assets.defs.anchors import known_to_dagster
from entropy_assets.defs.build import build_defs
from entropy_assets.defs.jobs import PROCESS, PUBLISH
from entropy_assets.defs.partitions import IMAGE_BATCHES
from entropy_assets.defs.reports.jobs import NIGHTLY
from entropy_assets.defs.resources import EntropyStores
from entropy_assets.defs.retention import jobs
from entropy_assets.defs.retention.history import OF_NO_BATCH, RETENTION
from entropy_assets_tests.defs.conftest import Home
from entropy_assets_tests.stages.batches_made import TIME_NS, Place, frame

DAYS = 86_400


def keeping(home: Home, **limits: int) -> Home:
    """Give the same installation with limits of what it keeps."""
    settings = home.settings.model_copy(update=limits)
    defs = build_defs(settings, {"pool": home.pool})
    return replace(home, settings=settings, defs=defs, stores=EntropyStores.of(settings))


def published(home: Home, seed: int) -> str:
    """Bring a batch into the pool, as the sensor asks for it."""
    place = Place(home.settings.home)
    key = place.validated([(f"{seed}.fits", frame(seed))], time_ns=TIME_NS + seed * 10**9).key
    [request] = home.tick("publish_validated_blocks").run_requests
    assert request.partition_key == key
    assert home.run(PUBLISH, key).success
    return key


def tells(home: Home, *, dry_run: bool) -> dict[str, Any]:
    """Run the job and return what it told, as values."""
    run = home.defs.resolve_job_def(RETENTION).execute_in_process(
        instance=home.instance,
        run_config={"ops": {"remove_what_is_old": {"config": {"dry_run": dry_run}}}},
    )
    assert run.success
    [told] = [event for event in run.all_events if event.is_successful_output]
    metadata = told.step_output_data.metadata
    return {name: value.value for name, value in metadata.items()}


def runs_of(home: Home, key: str) -> list[str]:
    return [run.run_id for run in home.instance.get_runs(dg.RunsFilter(tags={"dagster/partition": key}))]


def test_what_was_removed_is_forgotten_and_asked_for_by_nobody(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two batches are published; a year later the first goes with its runs and partition."""
    first, second = published(home, 1), published(home, 2)
    anchors = list(known_to_dagster(home.instance))
    home = keeping(home, keep_batches_days=30)
    for path in home.stores.layout.images_folder.rglob("*"):
        os.utime(path, (1, 1))
    assert len(runs_of(home, first)) == 1
    now_s = jobs.time.time()
    with monkeypatch.context() as patch:
        patch.setattr(jobs.time, "time", lambda: now_s + 365 * DAYS)
        told = tells(home, dry_run=True)
        assert [batch.key for batch in home.stores.layout.batches()] == [first, second]
        assert len(runs_of(home, first)) == 1
        assert told["batch_would_go"] == told["runs_would_go"] == told["partitions_would_go"] == 1
        assert told["would_go"].records[0].data["name"] == first
        did = tells(home, dry_run=False)
        assert {name.replace("would_go", "removed"): value for name, value in told.items()} == did
    assert [batch.key for batch in home.stores.layout.batches()] == [second]
    assert list(home.instance.get_dynamic_partitions(IMAGE_BATCHES)) == [second]
    assert (runs_of(home, first), len(runs_of(home, second))) == ([], 1)
    assert list(known_to_dagster(home.instance)) == anchors
    for sensor in ("new_images", "publish_validated_blocks"):
        assert not getattr(home.tick(sensor), "run_requests", None)
    assert list(home.instance.get_dynamic_partitions(IMAGE_BATCHES)) == [second]
    assert home.stores.stuck_batches(older_than_s=0, now=now_s) == {}


def test_while_nothing_is_set_all_batches_and_their_runs_stay(home: Home) -> None:
    key = published(home, 1)
    told = tells(home, dry_run=False)
    assert {name: value for name, value in told.items() if name.endswith("_removed") and value} == {}
    assert [batch.key for batch in home.stores.layout.batches()] == [key]
    assert len(runs_of(home, key)) == 1


def test_every_job_but_those_of_batches_and_reports_is_known_as_one_of_no_batch(home: Home) -> None:
    """Runs of a job that is not known as such are kept for ever."""
    all_jobs = {job.name for job in home.defs.resolve_all_job_defs() if not job.name.startswith("__")}
    assert set(OF_NO_BATCH) == all_jobs - {PROCESS, PUBLISH, NIGHTLY}


def test_without_a_pool_nobody_tells_where_a_block_is(home: Home) -> None:
    """The job goes on with what need not be asked."""
    with jobs._asked(home.pool) as fate_of:
        assert fate_of is not None
        assert fate_of("00000000-0000-8000-8000-000000000000").state == "unknown"
    with jobs._asked(replace(home.pool, url="redis://127.0.0.1:1")) as nobody:
        assert nobody is None
