"""Dagster's daemon: ``python -m entropy_assets.supervisor.daemon --workspace FILE --code-since SECONDS``.

Before it begins, the runs are failed that an earlier code server took with it. Their processes ended with it and nobody
else tells: Dagster would believe for an hour that they work, and let nobody else work on their batches meanwhile.
"""

import argparse
import runpy
import sys
from typing import Final

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

AT_WORK: Final = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


def fail_lost_runs(instance: DagsterInstance, code_since: float) -> list[str]:
    """Fail the runs at work of which nothing was heard since the code server began; return their ids.

    As runs whose process crashed they are launched again, see ``run_retries`` in ``dagster.yaml``.

    Parameters
    ----------
    code_since
        When the code server began, whose children all runs are, seconds since 1970.
    """
    lost = [
        record.dagster_run
        for record in instance.get_run_records(RunsFilter(statuses=AT_WORK))
        if record.update_timestamp.timestamp() < code_since
    ]
    for run in lost:
        instance.report_run_failed(run, "the code server ended, and this run with it")
    return [run.run_id for run in lost]


def main() -> None:
    """Fail what was lost, and be the daemon until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m entropy_assets.supervisor.daemon", description=__doc__)
    parser.add_argument("--workspace", required=True, help="file that names the code locations")
    parser.add_argument(
        "--code-since", type=float, required=True, help="when the code server began, seconds since 1970"
    )
    given = parser.parse_args()
    with DagsterInstance.get() as instance:
        fail_lost_runs(instance, given.code_since)
    sys.argv = ["dagster-daemon", "run", "-w", given.workspace]
    runpy.run_module("dagster._daemon", run_name="__main__")


if __name__ == "__main__":
    main()
