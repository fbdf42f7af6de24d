"""What the daemon does before it begins: runs that ended with an earlier code server are failed, and no others."""

import time
from pathlib import Path

import dagster as dg
import pytest

from entropy_assets.supervisor.daemon import AT_WORK, fail_lost_runs


@dg.op
def works() -> None:
    pass


@dg.job
def job() -> None:
    works()


@pytest.mark.parametrize("status", AT_WORK)
def test_a_run_of_an_earlier_code_server_is_failed_and_one_of_this_server_is_not(
    tmp_path: Path, status: dg.DagsterRunStatus
) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        lost = instance.create_run_for_job(job, status=status)
        waits = instance.create_run_for_job(job, status=dg.DagsterRunStatus.NOT_STARTED)
        code_since = time.time() + 0.1
        time.sleep(1.2)  # the storage knows whole seconds
        works = instance.create_run_for_job(job, status=status)
        assert fail_lost_runs(instance, code_since) == [lost.run_id]
        states = {run.run_id: run.status for run in instance.get_runs()}
        assert states == {
            lost.run_id: dg.DagsterRunStatus.FAILURE,
            waits.run_id: dg.DagsterRunStatus.NOT_STARTED,
            works.run_id: status,
        }
        assert fail_lost_runs(instance, code_since) == []
