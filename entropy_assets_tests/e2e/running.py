"""A whole installation as processes, and the questions that a user, an operator and an auditor ask it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx

from entropy_assets.stores.batches import Batch
from entropy_assets.stores.file_names import safe_name
from entropy_assets.stores.home import Home

REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": "entropy_assets"}
URL = re.compile(r"http://127\.0\.0\.1:\d+")
FINISHED = {"SUCCESS", "FAILURE", "CANCELED"}
SLOW = 180.0
"""Seconds: what a busy two-core machine may take for one batch from end to end."""

RUNS = """query($filter: RunsFilter) {runsOrError(filter: $filter) {... on Runs {results {
  runId jobName status parentRunId tags {key value}}}}}"""
CHECKS = """{assetNodes(assetKeys: [{path: ["hashed_blocks"]}]) {assetChecksOrError {... on AssetChecks {checks {
  name partitionStatuses {... on AssetCheckDefaultPartitionStatuses {
    succeededPartitions failedPartitions executionFailedPartitions}}}}}}}"""
LAUNCH = """mutation($params: ExecutionParams!) {launchPipelineExecution(executionParams: $params) {
  __typename ... on LaunchRunSuccess {run {runId}} ... on PythonError {message}}}"""
AGAIN = """mutation($params: ReexecutionParams!) {launchRunReexecution(reexecutionParams: $params) {
  __typename ... on LaunchRunSuccess {run {runId}} ... on PythonError {message}}}"""
BACKFILL = """mutation($params: LaunchBackfillParams!) {launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess {backfillId} ... on PythonError {message}}}"""
BACKFILL_STATUS = (
    """query($id: String!) {partitionBackfillOrError(backfillId: $id) {... on PartitionBackfill {status}}}"""
)
SENSOR = """query($sensor: SensorSelector!) {sensorOrError(sensorSelector: $sensor) {... on Sensor {
  sensorState {id status}}}}"""
STOP = """mutation($id: String!) {stopSensor(id: $id) {__typename}}"""
START = """mutation($sensor: SensorSelector!) {startSensor(sensorSelector: $sensor) {__typename}}"""
CURSOR = """mutation($sensor: SensorSelector!, $cursor: String) {
  setSensorCursor(sensorSelector: $sensor, cursor: $cursor) {__typename}}"""


def eventually(what: str, look: Callable[[], Any], seconds: float = SLOW, pause: float = 0.2) -> Any:
    """Return the first truthy answer of `look`, or fail with `what` did not come."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(pause)
    return found


def clean_environment(**changes: str) -> dict[str, str]:
    """Give the environment of a user who set nothing of ours but `changes`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ENTROPY_", "DAGSTER_"))}
    return {**inherited, **changes}


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``entropy-assets`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "entropy_assets.cli", *arguments],
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=SLOW,
        check=False,
    )


class Up:
    """``entropy-assets up`` on a home of its own; what it prints lands in `lines`."""

    def __init__(self, home: Path, *options: str, **environment: str) -> None:
        self.home = home
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "entropy_assets.cli", "up", "--home", str(home)),
                *("--http-port", "0", "--dagster-port", "0", *options),
            ],
            env=clean_environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            for line in stdout:
                self.lines.append(line.rstrip("\n"))

    @property
    def said(self) -> str:
        return "\n".join(self.lines)

    def line(self, begin: str) -> str:
        """Give the line that begins with `begin`, once it is there."""

        def look() -> str | None:
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.said}"
            found = [line for line in self.lines if line.startswith(begin)]
            return found[0] if found else None

        return str(eventually(f"a line {begin!r} in:\n{self.said}", look))

    def descendants(self) -> dict[int, str]:
        """Give all processes below this one, with their command lines."""
        return processes_below(self.process.pid)

    def end(self, number: int = signal.SIGINT, seconds: float = 60.0) -> int:
        """Send a signal and give the exit code."""
        self.process.send_signal(number)
        return self.ended(seconds)

    def ended(self, seconds: float) -> int:
        """Wait until it ends and give the exit code; `lines` is complete then."""
        code = self.process.wait(seconds)
        self._reader.join(seconds)
        return code


def processes_below(root: int) -> dict[int, str]:
    """Give the descendants of a process, zombies left out, with their command lines."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (path / "stat").read_text().rpartition(") ")[2].split()[:2]
            names[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            parents[int(path.name)] = int(parent)
    below: set[int] = set()
    while found := {pid for pid, parent in parents.items() if parent in below | {root}} - below:
        below |= found
    return {pid: names[pid] for pid in below}


class Installation:
    """What runs, seen through its files, its HTTP service and Dagster's GraphQL."""

    def __init__(self, up: Up) -> None:
        self.up = up
        self.home = up.home
        # Declared by its folder to hold what a camera gave: small test frames are then worth a block.
        self.inbox = Home(up.home).inbox_folder / "raw-ccd"
        self.inbox.mkdir(parents=True, exist_ok=True)
        self.http = URL.findall(up.line("http     "))[0]
        self.dagster = URL.findall(up.line("dagster  "))[0]
        up.line("daemon   ")
        self.ledger = Home(up.home).ledger(readonly=True)
        self.batches = Home(up.home).batches()

    @classmethod
    @contextmanager
    def running(cls, home: Path, *options: str, **environment: str) -> Iterator[Self]:
        up = Up(home, *options, **environment)
        try:
            yield cls(up)
        finally:
            if up.process.poll() is None:
                up.end()

    # What somebody at the keyboard does

    def drop(self, files: Mapping[str, bytes]) -> Batch:
        """Put files into the inbox in one step each, and give the batch that they became."""
        before = {batch.key for batch in self.batches}
        hidden = {name: self.inbox / f".{name}" for name in files}
        for name, data in files.items():
            hidden[name].write_bytes(data)
        # A look of the sensor takes those that have not changed for two seconds: of one time are all of them or none.
        now = time.time_ns()
        for path in hidden.values():
            os.utime(path, ns=(now, now))
        for name, path in hidden.items():
            path.rename(self.inbox / name)
        return eventually(f"a batch of {sorted(files)}", lambda: self._batch_of({*map(safe_name, files)}, before))

    def _batch_of(self, names: set[str], before: set[str]) -> Batch | None:
        fresh = [batch for batch in self.batches if batch.key not in before]
        return next((batch for batch in fresh if names <= {item.file for item in batch.intake.files}), None)

    def get(self, path: str, **query: str) -> httpx.Response:
        return httpx.get(f"{self.http}{path}", params=query, timeout=30)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return command(*arguments, ENTROPY_HOME=str(self.home), ENTROPY_HTTP_PORT=self.http.rsplit(":", 1)[1])

    # What Dagster knows

    def ask(self, query: str, **variables: Any) -> Any:
        answer = httpx.post(f"{self.dagster}/graphql", json={"query": query, "variables": variables}, timeout=60).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def runs(self, batch: Batch, job: str | None = None) -> list[dict[str, Any]]:
        """Give the runs of a batch, newest first."""
        tags = [{"key": "dagster/partition", "value": batch.key}]
        found = self.ask(RUNS, filter={"tags": tags, **({"pipelineName": job} if job else {})})
        return list(found["runsOrError"]["results"])

    def finished_run(self, run_id: str) -> dict[str, Any]:
        """Wait until a run has ended, and give it."""

        def look() -> dict[str, Any] | None:
            [run] = self.ask(RUNS, filter={"runIds": [run_id]})["runsOrError"]["results"]
            return run if run["status"] in FINISHED else None

        return eventually(f"the end of run {run_id}", look)

    def idle(self) -> bool:
        """Tell whether no run waits or works."""
        unfinished = ["QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"]
        return not self.ask(RUNS, filter={"statuses": unfinished})["runsOrError"]["results"]

    def checks(self) -> dict[str, dict[str, list[str]]]:
        """Give the partitions of each check on the blocks, by result."""
        [node] = self.ask(CHECKS)["assetNodes"]
        return {check["name"]: check["partitionStatuses"] for check in node["assetChecksOrError"]["checks"]}

    def launch(
        self, batch: Batch, job: str = "__ASSET_JOB", assets: tuple[str, ...] = (), checks: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """Launch a job, or assets and checks alone, for a batch as the UI does, and give the run when it has ended."""
        selector: dict[str, Any] = {**REPOSITORY, "pipelineName": job}
        if assets or checks:
            selector["assetSelection"] = [{"path": [asset]} for asset in assets]
            selector["assetCheckSelection"] = [
                {"assetKey": {"path": ["hashed_blocks"]}, "name": name} for name in checks
            ]
        tags = [{"key": "dagster/partition", "value": batch.key}]
        params = {"selector": selector, "mode": "default", "executionMetadata": {"tags": tags}}
        return self._launched(self.ask(LAUNCH, params=params)["launchPipelineExecution"])

    def run_again(self, run_id: str) -> dict[str, Any]:
        """Re-execute a whole run, and give the new one when it has ended."""
        params = {"parentRunId": run_id, "strategy": "ALL_STEPS"}
        return self._launched(self.ask(AGAIN, params=params)["launchRunReexecution"])

    def _launched(self, answer: dict[str, Any]) -> dict[str, Any]:
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return self.finished_run(answer["run"]["runId"])

    def backfill(self, batch: Batch, *assets: str) -> None:
        """Launch a backfill of one partition and wait for its end."""
        params = {"partitionNames": [batch.key], "assetSelection": [{"path": [asset]} for asset in assets]}
        answer = self.ask(BACKFILL, params=params)["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        ended = ("COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")

        def look() -> bool:
            status = self.ask(BACKFILL_STATUS, id=answer["backfillId"])["partitionBackfillOrError"]["status"]
            return status in ended

        eventually("the end of the backfill", look)

    @contextmanager
    def stopped(self, sensor: str) -> Iterator[None]:
        """Stop a sensor as the UI does, and start it again from the beginning of its events."""
        selector = {**REPOSITORY, "sensorName": sensor}
        state = self.ask(SENSOR, sensor=selector)["sensorOrError"]["sensorState"]
        self.ask(STOP, id=state["id"])
        try:
            yield
        finally:
            self.ask(CURSOR, sensor=selector, cursor=None)
            self.ask(START, sensor=selector)

    def published(self, batch: Batch) -> bool:
        return self.ledger.is_published(batch.key)

    # What the kernel knows

    def run_workers(self) -> list[int]:
        """Give the processes that execute runs: children of the code server."""
        below = self.up.descendants()
        return [pid for pid, line in below.items() if "multiprocessing.spawn" in line and "spawn_main" in line]


def reason_beside(path: Path) -> str:
    """Give the reason that lies beside a rejected file."""
    return str(json.loads(path.with_name(path.name + ".reason.json").read_text())["reason"])
