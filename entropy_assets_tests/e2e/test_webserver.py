"""What somebody who reaches Dagster's web page can make it do and show: no other place, no secret."""

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from entropy_assets.stores.batches import Batch
from entropy_assets_tests.e2e.browser import Browser
from entropy_assets_tests.e2e.running import LAUNCH, REPOSITORY, Installation

pytestmark = pytest.mark.e2e

ADDRESS = {"env": "ENTROPY_REDIS_URL"}
CONFIGS: list[dict[str, Any]] = [
    {"resources": {"stores": {"config": {"home": "/elsewhere"}}}},
    {"resources": {"stores": {"config": {"home": ADDRESS, "recipe": ADDRESS}}}},
    {"resources": {"pool": {"config": {"url": ADDRESS}}}},
    {"resources": {"io_manager": {"config": {"base_dir": ADDRESS}}}},
    {"execution": {"config": {"step_dependency_config": {"require_upstream_step_success": False}}}},
    {"loggers": {"console": {"config": {"name": ADDRESS}}}},
]
QUERIES = {
    "runs": "{runsOrError(limit: 99) {... on Runs {results {id runConfigYaml tags {key value} stats {__typename}}}}}",
    "instance": "{instance {info runLauncher {name} runQueuingSupported hasInfo}}",
    "locations": """{workspaceOrError {... on Workspace {locationEntries {name loadStatus displayMetadata {key value}
        locationOrLoadError {... on RepositoryLocation {serverId environmentPath dagsterLibraryVersions {name version}}
        ... on PythonError {message stack}}}}}}""",
    "resources": """query($repository: RepositorySelector!) {
        allTopLevelResourceDetailsOrError(repositorySelector: $repository) {... on ResourceDetailsList {results {
        name description configFields {name defaultValueAsJson} configuredValues {key value type} resourceType}}}}""",
    "variables": """query($repository: RepositorySelector!) {utilizedEnvVarsOrError(repositorySelector: $repository) {
        ... on EnvVarWithConsumersList {results {envVarName envVarConsumers {name}}}}}""",
    "schema": """query($job: PipelineSelector!) {runConfigSchemaOrError(selector: $job, mode: "default") {
        ... on RunConfigSchema {rootDefaultYaml allConfigTypes {key description}}}}""",
    "sensors": """query($repository: RepositorySelector!) {sensorsOrError(repositorySelector: $repository) {
        ... on Sensors {results {name metadata {assetKeys {path}} sensorState {ticks {status skipReason cursor
        error {message stack} logEvents {events {message}}} typeSpecificData {... on SensorData {lastCursor}}}}}}}""",
    "assets": """{assetNodes {assetKey {path} description metadataEntries {label description}
        requiredResources {resourceKey} assetMaterializations(limit: 5) {metadataEntries {label description
        ... on TextMetadataEntry {text} ... on JsonMetadataEntry {jsonString} ... on PathMetadataEntry {path}}}}}""",
}
OF_A_RUN = {
    "events": """query($run: ID!) {logsForRun(runId: $run) {... on EventConnection {events {
        ... on MessageEvent {message stepKey}
        ... on MaterializationEvent {metadataEntries {label description}}}}}}""",
    "output": """query($key: [String!]!) {capturedLogs(logKey: $key) {stdout stderr}}""",
}


@pytest.mark.parametrize("config", CONFIGS, ids=json.dumps)
@pytest.mark.parametrize("job", ["process_images", "publish_blocks", "replenish_pool", "daily_audit", "__ASSET_JOB"])
def test_a_run_that_brings_its_own_places_is_refused_and_told_nothing(
    installation: Installation, batch: Batch, pool_url: str, job: str, config: dict[str, Any]
) -> None:
    params = {
        "selector": {**REPOSITORY, "pipelineName": job},
        "mode": "default",
        "runConfigData": json.dumps(config),
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": batch.key}]},
    }
    launch = LAUNCH.replace(
        "... on PythonError", "... on RunConfigValidationInvalid {errors {message}} ... on PythonError"
    )
    answer = installation.ask(launch, params=params)["launchPipelineExecution"]
    assert answer["__typename"] == "RunConfigValidationInvalid"
    assert pool_url.removeprefix("unix://") not in json.dumps(answer)


def test_nothing_that_can_be_asked_for_holds_the_address_of_the_pool(
    installation: Installation, batch: Batch, pool_url: str
) -> None:
    """It may hold a password. All runs of a batch are over, and their events, outputs and debug files are there."""
    secret = pool_url.removeprefix("unix://")
    given = {"repository": REPOSITORY, "job": {**REPOSITORY, "pipelineName": "publish_blocks"}}
    shown = {}
    for name, query in QUERIES.items():
        variables = {key: value for key, value in given.items() if f"${key}" in query}
        shown[name] = json.dumps(installation.ask(query, **variables))
    for run in installation.runs(batch):
        run_id = run["runId"]
        shown[f"events of {run_id}"] = json.dumps(installation.ask(OF_A_RUN["events"], run=run_id))
        for step in ("published_blocks", "raw_images", run_id):
            output = installation.ask(OF_A_RUN["output"], key=[run_id, "compute_logs", step])
            shown[f"output of {run_id} {step}"] = json.dumps(output)
        debug = httpx.get(f"{installation.dagster}/download_debug/{run_id}", timeout=60)
        shown[f"debug file of {run_id}"] = gzip.decompress(debug.content).decode()
    assert {"runs", "instance", "resources"} <= {name for name, text in shown.items() if len(text) > 100}
    assert batch.key in shown["runs"]
    assert "PIPELINE_SUCCESS" in shown[f"debug file of {installation.runs(batch)[0]['runId']}"]
    assert [name for name, text in shown.items() if secret in text] == []


def test_only_what_makes_and_gives_blocks_knows_where_the_pool_is(installation: Installation, pool_url: str) -> None:
    knowing = {
        kind
        for pid, line in installation.up.descendants().items()
        for kind in ("api grpc", "supervisor.daemon", "supervisor.webserver", "entropy_assets.cli serve")
        if kind in line and pool_url.encode() in Path(f"/proc/{pid}/environ").read_bytes()
    }
    assert knowing == {"api grpc", "entropy_assets.cli serve"}


ATTACK = """<!doctype html><body>
<form id=form method=post enctype=text/plain target=frame action="ASKED"><input name='{"query": "' value='"}'></form>
<iframe name=frame></iframe><img src="ASKED">
<script>
const json = {"Content-Type": "application/json"}, body = BODY;
const ways = [
    fetch("ASKED", {mode: "no-cors"}),
    fetch("ASKED", {method: "POST", mode: "no-cors"}),
    fetch("GRAPHQL", {method: "POST", mode: "no-cors", headers: {"Content-Type": "text/plain;application/json"}, body}),
    fetch("GRAPHQL", {method: "POST", headers: json, body}),
    new Promise((opened, refused) => {
        const socket = new WebSocket("GRAPHQL".replace("http", "ws"), "graphql-ws");
        socket.onopen = () => opened("socket"); socket.onerror = refused;
    }),
];
form.submit();
Promise.allSettled(ways).then(ends => document.body.append("tried: " + ends.map(end => end.value).join()));
</script>"""


@pytest.fixture
def other_site(installation: Installation) -> Iterator[str]:
    """Give the address of a page of another site that tries what a page can try."""
    graphql = f"{installation.dagster}/graphql"
    query = 'mutation {setConcurrencyLimit(concurrencyKey: "from-another-site", limit: 7)}'
    page = ATTACK.replace("ASKED", f"{graphql}?query={quote(query)}").replace("GRAPHQL", graphql)
    page = page.replace("BODY", json.dumps(json.dumps({"query": query})))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.browser
def test_a_page_of_another_site_can_not_drive_it_from_a_real_browser(
    installation: Installation, browser: Browser, other_site: str
) -> None:
    browser.open(other_site)
    assert "socket" not in browser.wait_for("tried:")
    browser.still()
    limits = installation.ask("{instance {concurrencyLimits {concurrencyKey}}}")["instance"]["concurrencyLimits"]
    assert [limit["concurrencyKey"] for limit in limits] == []
