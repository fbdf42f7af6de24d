"""A run's process killed with -9 at any point: its batch is published once in the end, or can be."""

import os
import signal
import time
from collections.abc import Callable, Collection
from contextlib import suppress

import pytest

from entropy_assets.stores.batches import INTAKE, MANIFEST, NOISE, RECORDS, Batch
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.e2e.running import SLOW, Installation, eventually
from entropy_assets_tests.pids import alive
from entropy_assets_tests.stages.batches_made import frame

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

LOOK_S = 0.05
"""How often the processes are looked through; that takes longer than a stage may last."""
LAST_DOCUMENT = {"read": INTAKE, "extract": MANIFEST, "hash": NOISE, "validate": RECORDS}
"""The newest document of a batch when a stage begins."""


def was_killed(pid: int) -> bool:
    """Kill a process, and tell whether it was still at work."""
    with suppress(ProcessLookupError):
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
            return True
    return False


def kill_workers_when(
    installation: Installation, condition: Callable[[], bool], what: str, spared: Collection[int] = ()
) -> None:
    """Kill every process that executes a run, but the `spared`, at the moment in which `condition` comes true."""
    deadline, workers, looked = time.monotonic() + SLOW, set[int](), -LOOK_S
    while (now := time.monotonic()) < deadline:
        if now - looked >= LOOK_S:
            workers, looked = set(installation.run_workers()).difference(spared), time.monotonic()
        if condition() and sum(map(was_killed, workers)):
            return
        time.sleep(0.001)
    pytest.fail(f"no run was there to be killed {what}")


def workers_before_publishing(installation: Installation, batch: Batch) -> list[int]:
    """Wait for the publish run of a batch, and give who worked before it had a process: the run before it may still."""
    workers: list[int] = []

    def looked() -> bool:
        nonlocal workers
        at_work = installation.run_workers()
        statuses = [run["status"] for run in installation.runs(batch, "publish_blocks")]
        if not statuses or statuses[0] in ("QUEUED", "NOT_STARTED"):
            workers = at_work
        return bool(statuses)

    eventually("its publish run", looked, pause=0.05)
    return workers


def finish(installation: Installation, batch: Batch) -> None:
    """Wait for Dagster's own retries; where they are used up, do what an operator does: run the batch again."""
    eventually("a retry", lambda: installation.published(batch) or len(installation.runs(batch)) > 1)
    eventually("publication, or rest", lambda: installation.published(batch) or installation.idle())
    if not installation.published(batch):
        installation.launch(batch, "process_images")
        eventually("publication", lambda: installation.published(batch))


def test_killed_process_runs_end_published_exactly_once(installation: Installation, pool: PoolClient) -> None:
    """Four batches, one killed while it reads, one while it extracts, hashes, validates.

    Nothing publishes meanwhile: killed between ledger and pool, another batch would lose its blocks, as it may.
    """
    eventually("the end of all runs", installation.idle)
    before = pool.stats()
    batches = []
    with installation.stopped("publish_validated_blocks"):
        for number, (stage, document) in enumerate(LAST_DOCUMENT.items()):
            batch = installation.drop({f"killed-{stage}.fits": frame(920 + number, side=512)})
            kill_workers_when(installation, lambda batch=batch, document=document: batch.has(document), f"to {stage}")
            batches.append(batch)
    for batch in batches:
        finish(installation, batch)
    eventually("the end of all runs", installation.idle)
    blocks = [block.block_id for batch in batches for block in installation.ledger.published_blocks(batch.key)]
    assert len(blocks) == len(set(blocks)) >= len(batches)
    after = pool.stats()
    assert after.pushed_blocks - before.pushed_blocks == len(blocks)
    assert after.refused_blocks == before.refused_blocks, "no block was offered twice"
    assert all("FAILURE" in {run["status"] for run in installation.runs(batch)} for batch in batches), "really killed"
    installation.ledger.verify()


@pytest.mark.parametrize("moment", ["before the ledger", "at the ledger"])
def test_a_killed_publish_run_repeats_no_block(installation: Installation, pool: PoolClient, moment: str) -> None:
    """Killed before the ledger, the batch is published by the retry; killed after it, its blocks may be lost."""
    eventually("the end of all runs", installation.idle)
    before = pool.stats()
    name = moment.replace(" ", "-")
    batch = installation.drop({f"killed-{name}.fits": frame(930 + len(moment), side=512)})
    if moment == "at the ledger":
        kill_workers_when(installation, lambda: installation.published(batch), moment)
    else:
        kill_workers_when(installation, lambda: True, moment, spared=workers_before_publishing(installation, batch))
    # Dagster may lose the retry (`has_lost_its_retry`): then a sensor asks again after a minute.
    eventually("publication", lambda: installation.published(batch))
    eventually("a retry", lambda: len(installation.runs(batch, "publish_blocks")) > 1)
    eventually("the end of all runs", installation.idle)
    blocks = [block.block_id for block in installation.ledger.published_blocks(batch.key)]
    assert len(blocks) == len(set(blocks)) > 0
    after = pool.stats()
    possible = (len(blocks),) if moment == "before the ledger" else (0, len(blocks))
    assert after.pushed_blocks - before.pushed_blocks in possible
    assert after.refused_blocks == before.refused_blocks, "no block was offered twice"
    installation.ledger.verify()
