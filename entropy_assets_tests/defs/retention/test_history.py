"""What Dagster may forget: old runs, but never what the sensors or the ledger's watch still ask for."""

import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from entropy_assets.defs.anchors import known_to_dagster
from entropy_assets.defs.cursors import PARTITION
from entropy_assets.defs.partitions import IMAGE_BATCHES
from entropy_assets.defs.retention import history
from entropy_assets.defs.retention.history import History, forget, old_history
from entropy_assets.stores.ledger.anchors import Anchor

YEAR_S = 365 * 86_400


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


def old(instance: dg.DagsterInstance, *, days: int | None = 30, **more: set[str]) -> History:
    given = {"removed": set(), "busy": set(), **more}
    return old_history(instance, days=days, now_s=time.time() + YEAR_S, **given)


def test_old_runs_go_but_the_newest_of_each_job(instance: dg.DagsterInstance) -> None:
    runs = [ran(instance, job) for job in (some, other, some, some)]
    assert old(instance) == History((runs[0], runs[2]))
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
    assert found == History((gone,), ("gone",))
    forget(instance, found)
    assert list(instance.get_dynamic_partitions(IMAGE_BATCHES)) == ["kept"]
    assert [run.run_id for run in instance.get_runs()] == [kept]


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
        assert [path.name for path in tmp_path.rglob("*") if first in str(path)] == [f"{first}.db"]
        assert instance.all_logs(first) == [], "Dagster empties the file of a run and keeps it"


def test_a_removed_batch_with_a_run_at_work_waits(instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions(IMAGE_BATCHES, ["gone"])
    ran(instance, some, "gone")
    instance.create_run_for_job(some, tags={PARTITION: "gone"}, status=dg.DagsterRunStatus.STARTED)
    assert old(instance, days=None, removed={"gone"}) == History()


def test_one_look_takes_no_more_than_it_can_delete(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [ran(instance, some) for _ in range(4)]
    monkeypatch.setattr(history, "MOST_AT_ONCE", 2)
    assert old(instance).runs == tuple(runs[:2])
    forget(instance, old(instance))
    assert old(instance).runs == (runs[2],)
