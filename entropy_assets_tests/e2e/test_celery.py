"""Runs on Celery workers: one that is killed with all its processes is noticed, and its batch is published once."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import dagster as dg
import pytest
import yaml

from entropy_assets.stores.home import Home
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.e2e.running import SLOW, clean_environment, eventually, processes_below
from entropy_assets_tests.ports import free_port
from entropy_assets_tests.stages.batches_made import frame

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NOTICED = 180.0
"""Seconds after which a run whose worker was killed has failed and is launched again, at the latest."""
FRAMES = 8
"""So many that the step is still under way when what was seen of it has been acted on."""


@contextmanager
def broker() -> Iterator[str]:
    """Run a plain Redis, and give the part of its address that the numbers of databases follow."""
    program = shutil.which("redis-server")
    if program is None:
        assert not os.environ.get("CI"), "redis-server is missing"
        pytest.skip("needs redis-server")
    port = free_port()
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    with running(command, clean_environment()):
        yield f"redis://127.0.0.1:{port}"


@contextmanager
def running(command: list[str], environment: Mapping[str, str], log: Path | None = None) -> Iterator[subprocess.Popen]:
    """Run a process, and end it with all below it."""
    with ExitStack() as stack:
        output = subprocess.DEVNULL if log is None else stack.enter_context(log.open("ab"))
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=PROJECT)
        try:
            yield process
        finally:
            kill_all(process)


def kill_all(process: subprocess.Popen) -> None:
    """Kill a process and all below it with -9, as a machine that loses its power does."""
    for pid in (process.pid, *processes_below(process.pid)):
        if process.poll() is None or pid != process.pid:
            with suppress(ProcessLookupError):  # one below may end by itself meanwhile
                os.kill(pid, signal.SIGKILL)
    process.wait()


def dagster_home(folder: Path, redis_url: str) -> Path:
    """Give Dagster the shipped configuration, with runs on Celery."""
    configuration = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    fragment = (PROJECT / "deploy" / "dagster" / "celery.yaml").read_text()
    configuration |= yaml.safe_load(fragment)
    configuration["run_launcher"]["config"] |= {"broker": f"{redis_url}/0", "backend": f"{redis_url}/1"}
    folder.mkdir(parents=True)
    (folder / "dagster.yaml").write_text(yaml.safe_dump(configuration))
    return folder


def test_a_killed_worker_is_noticed_and_its_batch_is_published_once(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    inbox = home.inbox_folder / "raw-ccd"
    inbox.mkdir(parents=True)
    for number in range(FRAMES):
        (inbox / f"{number}.fits").write_bytes(frame(700 + number, 512))
    with broker() as redis_url, EmbeddedServer() as pool, ExitStack() as stack:
        folder = dagster_home(home.dagster_folder, redis_url)
        # First: two processes that make the tables of a new SQLite at once are in each other's way.
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(folder)))
        environment = clean_environment(
            ENTROPY_HOME=str(home.root),
            ENTROPY_REDIS_URL=pool.url,
            ENTROPY_PUBLIC_SHARE="0",
            DAGSTER_HOME=str(folder),
            PYTHONPATH=str(PROJECT),
        )

        def worker(name: str) -> subprocess.Popen:
            command = ["-m", "celery", "-A", "entropy_assets.defs.engines.celery_app", "worker", "-n", name]
            command += ["--concurrency", "1", "--loglevel", "info"]
            return stack.enter_context(running([sys.executable, *command], environment, tmp_path / f"{name}.log"))

        daemon = [sys.executable, "-m", "dagster._daemon", "run", "-m", "entropy_assets.definitions"]
        stack.enter_context(running(daemon, environment, tmp_path / "daemon.log"))
        first = worker("first")

        def runs(job: str) -> list[dg.DagsterRun]:
            return list(instance.get_runs(dg.RunsFilter(job_name=job)))

        def in_mid_step() -> bool:
            manifests = list(home.batches_folder.glob("*/manifest.json"))
            return bool(manifests) and any(run.status is dg.DagsterRunStatus.STARTED for run in runs("process_images"))

        eventually("a run in the middle of a step", in_mid_step, pause=0.05)
        kill_all(first)
        [killed] = [run.run_id for run in runs("process_images") if run.status is dg.DagsterRunStatus.STARTED]
        worker("second")
        eventually(
            "a run in its place",
            lambda: any(run.parent_run_id == killed for run in runs("process_images")),
            seconds=NOTICED,
        )
        lost = instance.get_run_by_id(killed)
        assert lost is not None
        assert lost.status is dg.DagsterRunStatus.FAILURE
        ledger = home.ledger(readonly=True)
        eventually("publication", lambda: all(ledger.is_published(batch.key) for batch in home.batches()), 2 * SLOW)
        ledger.verify()
