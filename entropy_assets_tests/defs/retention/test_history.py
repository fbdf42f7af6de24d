"""What Dagster may forget: old runs, but never what the sensors or the ledger's watch still ask for."""

import dataclasses
import itertools
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from entropy_assets.defs.anchors import known_to_dagster
from entropy_assets.defs.cursors import PARTITION
from entropy_assets.defs.feeds.jobs import INGEST
from entropy_assets.defs.partitions import IMAGE_BATCHES
from entropy_assets.defs.retention import history
from entropy_assets.defs.retention.history import (
    OF_REMOVED,
    Forgotten,
    History,
    KnownBatches,
    forget,
    old_history,
)
from entropy_assets.stages.retention.limits import RunLimits
from entropy_assets.stages.retention.plan import Going, Kind, RemovalPlan
from entropy_assets.stores.ledger.anchors import Anchor
from entropy_assets.stores.removals import keep_removal
from entropy_assets_tests.stages.batches_made import Place
from entropy_assets_tests.stores.test_removals import NOTE

DAY_S = 86_400
YEAR_S = 365 * DAY_S
OLD = "30 days are kept (ENTROPY_KEEP_RUNS_DAYS)"


@dg.op
def nothing() -> None:
    pass


@dg.job
def some() -> None:
    nothing()


@dg.job
def other() -> None:
    nothing()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def ran(instance: dg.DagsterInstance, job: dg.JobDefinition, key: str | None = None) -> str:
    tags = {} if key is None else {PARTITION: key}
    return job.execute_in_process(instance=instance, tags=tags).run_id


def were(
    instance: dg.DagsterInstance,
    jobs: Iterable[str],
    key: str | None = None,
    *,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.SUCCESS,
) -> list[str]:
    """Put runs into Dagster's memory that ended so, and return their ids."""
    tags = {} if key is None else {PARTITION: key}
    runs = [dg.DagsterRun(job_name=job, run_id=str(uuid.uuid4()), status=status, tags=tags) for job in jobs]
    return [instance.add_run(run).run_id for run in runs]


def old(
    instance: dg.DagsterInstance, *, days: int | None = 30, after_s: float = YEAR_S, **known: Iterable[str]
) -> History:
    batches = KnownBatches(**{name: frozenset(keys) for name, keys in known.items()})
    return old_history(instance, batches, RunLimits(days=days), now_s=time.time() + after_s)


def test_old_runs_go_but_the_newest_of_each_job(instance: dg.DagsterInstance) -> None:
    runs = [ran(instance, job) for job in (some, other, some, some)]
    assert old(instance) == History({runs[0]: OLD, runs[2]: OLD})
    assert old(instance, days=366) == old(instance, days=None) == History()
    forget(instance, old(instance))
    assert {run.run_id for run in instance.get_runs()} == {runs[1], runs[3]}
    assert instance.all_logs(runs[0]) == []
    assert old(instance) == History()


def test_runs_of_a_batch_on_which_something_is_left_to_do_stay(instance: dg.DagsterInstance) -> None:
    """Without them it would be asked for again."""
    first, second, _ = ran(instance, some, "busy"), ran(instance, some, "done"), ran(instance, some)
    assert first not in old(instance, busy={"busy"}).runs
    assert second in old(instance, busy={"busy"}).runs


def test_runs_and_partition_of_a_removed_batch_go_whatever_their_age(instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions(IMAGE_BATCHES, ["gone", "kept"])
    gone, kept = ran(instance, some, "gone"), ran(instance, some, "kept")
    found = old(instance, days=None, removed={"gone", "long-gone"})
    assert found == History({gone: OF_REMOVED}, {"gone": (gone,)})
    assert forget(instance, found) == Forgotten(1, 1)
    assert list(instance.get_dynamic_partitions(IMAGE_BATCHES)) == ["kept"]
    assert [run.run_id for run in instance.get_runs()] == [kept]


def test_a_batch_that_was_put_back_is_known_until_it_goes_again(tmp_path: Path) -> None:
    place = Place(tmp_path)
    key = place.open([("a.fits", b"x")]).key
    keep_removal(place.batches().blobs, dataclasses.replace(NOTE, key=key))
    keep_removal(place.batches().blobs, NOTE)
    assert KnownBatches.of(place, RemovalPlan(), {}).removed == {NOTE.key}
    again = RemovalPlan((Going(Kind.BATCH, key, 1, "it is old"),))
    assert KnownBatches.of(place, again, {}).removed == {NOTE.key, key}


@pytest.mark.slow
def test_on_a_disk_it_is_the_same_and_what_dagster_knows_of_the_ledger_stays(
    tmp_path: Path,
) -> None:
    """Of an asset on SQLite the newest materialization must be found after older runs went, with their logs."""

    @dg.asset
    def published_blocks() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata={"ledger_head": "ab" * 32})

    @dg.asset
    def other_asset() -> None: ...

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        first, second = (dg.materialize([published_blocks], instance=instance).run_id for _ in range(2))
        newest = dg.materialize([other_asset], instance=instance).run_id
        assert list(known_to_dagster(instance)) == [Anchor("ab" * 32, "Dagster")]
        forget(instance, old(instance))
        assert {run.run_id for run in instance.get_runs()} == {second, newest}
        assert list(known_to_dagster(instance)) == [Anchor("ab" * 32, "Dagster")]
        assert [path for path in tmp_path.rglob("*") if path.is_file() and first in str(path)] == []
        assert instance.all_logs(second), "and those of the others are whole"


def test_a_removed_batch_with_a_run_at_work_waits(instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions(IMAGE_BATCHES, ["gone"])
    ran(instance, some, "gone")
    instance.create_run_for_job(some, tags={PARTITION: "gone"}, status=dg.DagsterRunStatus.STARTED)
    assert old(instance, days=None, removed={"gone"}) == History()


@pytest.mark.parametrize("batches", [12, pytest.param(600, marks=pytest.mark.slow)])
def test_one_look_finds_all_and_a_partition_goes_with_the_last_of_its_runs(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    """However many there are: what one look leaves out is found by none once its partition is gone."""
    monkeypatch.setattr(history, "KEYS_AT_ONCE", min(history.KEYS_AT_ONCE, batches // 2 - 1))
    keys = [f"zoo-{number}" for number in range(batches)]
    instance.add_dynamic_partitions(IMAGE_BATCHES, keys)
    of_batches = [run for key in keys for run in were(instance, ["process", "publish", "publish"], key)]
    [last] = were(instance, ["process"])
    found = old(instance, days=None, removed=keys)
    assert list(found.runs) == of_batches
    assert list(found.partitions) == keys
    forget(instance, found)
    assert [run.run_id for run in instance.get_runs()] == [last]
    assert instance.get_dynamic_partitions(IMAGE_BATCHES) == []


def test_who_runs_out_of_time_leaves_what_the_next_one_finds(instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions(IMAGE_BATCHES, ["one", "two"])
    runs = were(instance, ["some"] * 2, "one") + were(instance, ["some"] * 2, "two")
    removed = {"removed": ["one", "two"]}
    found = old(instance, days=None, **removed)
    clock = itertools.count().__next__
    assert forget(instance, found, for_s=5, clock=clock) == Forgotten(runs=3, partitions=1, left=2)
    assert list(instance.get_dynamic_partitions(IMAGE_BATCHES)) == ["two"]
    assert old(instance, days=None, **removed) == History({runs[3]: OF_REMOVED}, {"two": (runs[3],)})


def test_a_partition_stays_whose_batch_got_a_run_since_the_look(instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions(IMAGE_BATCHES, ["gone"])
    were(instance, ["some"], "gone")
    found = old(instance, days=None, removed=["gone"])
    [late] = were(instance, ["some"], "gone")
    assert forget(instance, found) == Forgotten(runs=1)
    assert list(instance.get_dynamic_partitions(IMAGE_BATCHES)) == ["gone"]
    assert list(old(instance, days=None, removed=["gone"]).runs) == [late]


def test_runs_of_no_batch_go_after_a_week_and_failed_ones_after_a_quarter(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any setting: a feed may be asked every minute, and each run on SQLite is a file of 139 kB."""
    monkeypatch.setattr(history, "KEYS_AT_ONCE", 2)
    well, ended = were(instance, [INGEST] * 5), were(instance, [INGEST], status=dg.DagsterRunStatus.CANCELED)
    failed = were(instance, [INGEST], status=dg.DagsterRunStatus.FAILURE)
    were(instance, ["process", "process"], "kept")
    were(instance, [INGEST])
    assert old(instance, days=None, after_s=6 * DAY_S).runs == {}
    assert list(old(instance, days=None, after_s=8 * DAY_S).runs) == well + ended
    assert list(old(instance, days=None, after_s=91 * DAY_S).runs) == well + ended + failed
    assert list(old(instance, days=400, after_s=91 * DAY_S).runs) == well + ended


def test_the_run_stays_by_which_dagster_judges_how_fresh_a_feed_is(instance: dg.DagsterInstance) -> None:
    """A feed may bring images once a month."""

    @dg.op
    def ask(context: dg.OpExecutionContext) -> None:
        context.log_event(dg.AssetMaterialization(["feeds", "rare"]))

    @dg.job(name=INGEST)
    def ingest() -> None:
        ask()

    _, newest = ran(instance, ingest), ran(instance, ingest, "gone")
    were(instance, [INGEST] * 2)
    assert newest not in old(instance).runs
    assert len(old(instance).runs) == 2
    instance.add_dynamic_partitions(IMAGE_BATCHES, ["gone"])
    assert old(instance, days=None, removed=["gone"]).partitions == {}, "a partition stays as long as a run of it"
