"""The description against the service: what it allows is accepted, what it forbids refused, what it says answered.

Schemathesis reads ``/openapi.json`` of a running service and derives the requests from it; every one of its checks is
on, and no operation is left out. `query_rules` says which refusals it can't foresee.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from entropy_assets.provenance.trail import Trail
from entropy_assets.scopes import SCOPES
from entropy_assets.serving.config import ServiceConfig, StreamLimits
from entropy_assets.stores.api_keys import FileKeys
from entropy_assets.stores.batches import RECORDS, VERDICTS
from entropy_assets.stores.ledger.rows import LedgerBlock
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.pool_blocks import blocks_for_both, pool_blocks
from entropy_assets_tests.serving.http.query_rules import LONGEST
from entropy_assets_tests.serving.keyed import key_of
from entropy_assets_tests.serving.running import RunningService
from entropy_assets_tests.stages.batches_made import Place, frame

pytestmark = pytest.mark.slow

BLOCKS = 3000
EXAMPLES = 40
_OPTIONS = [
    "--checks=all", f"--max-examples={EXAMPLES}", "--continue-on-failure", "--generation-database=none", "--seed=1",
    "--no-color", "--report=json", "--report-json-path=report.json",
]  # fmt: skip

# half of what is looked up is something that the ledger has; the rest fits the pattern, or does not
_KNOWN = """
[dictionaries.published]
values = {block_ids}

[dictionaries.spent]
values = {images}

[parameters]
"path.block_id" = {{ dictionary = "published", probability = 0.5 }}
"path.image_sha256" = {{ dictionary = "spent", probability = 0.5 }}
"""


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    """Give the way back of every block of the pool, and of a batch that was really made."""
    place = Place(tmp_path / "home")
    batch = place.validated([("a.fits", frame(1))], lane="public")
    released = set(batch.read_json(VERDICTS)["released"])
    rows = batch.read_json(RECORDS)["rows"]
    made = [
        LedgerBlock(row["block_id"], row["index"], row["block_sha256"], row["link"])
        for row in rows
        if row["block_id"] in released
    ]
    place.ledger().append_publication(batch.key, rows[-1]["link"], made, run_id="", time_us=1)
    others = [LedgerBlock(block.block_id, block.index, block.sha256, block.link) for block in pool_blocks(BLOCKS)]
    place.ledger().append_publication(pool_blocks(1)[0].batch_key, "ef" * 32, others, run_id="", time_us=2)
    return Trail.of(place)


@pytest.fixture
def config(valkey_url: str, pool_prefix: str, pool: PoolClient) -> ServiceConfig:
    """Give the configuration of a service that does not run dry: a full pool, and short draws."""
    pool.push(blocks_for_both(BLOCKS))
    limits = StreamLimits(max_download_bytes=4 * LONGEST)
    return ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix, max_request_bytes=LONGEST, streams=limits)


def _report(url: str, trail: Trail, folder: Path, *options: str) -> tuple[dict[str, Any], str]:
    """Return what a run of schemathesis found, and what it said; whatever it keeps, it keeps in `folder`."""
    (batch,) = trail.batches
    made = trail.ledger.published_blocks(batch.key, 2)
    known = {
        "block_ids": [block.block_id for block in (*made, *pool_blocks(2))],
        "images": [file.image_sha256 for file in batch.intake.files],
    }
    folder.mkdir()
    (folder / "schemathesis.toml").write_text(_KNOWN.format(**{name: json.dumps(ids) for name, ids in known.items()}))
    hooks = {"SCHEMATHESIS_HOOKS": "entropy_assets_tests.serving.http.query_rules", "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", *_OPTIONS, *options],
        cwd=folder,
        env={**os.environ, **hooks},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert (folder / "report.json").is_file(), done.stdout + done.stderr
    return json.loads((folder / "report.json").read_text()), done.stdout


def _require_clean(service: RunningService, report: dict[str, Any], told: str) -> None:
    assert (report["failures"], report["errors"]) == ([], []), told
    assert {name: found for name, found in report["warnings"].items() if found} == {}, told
    assert (report["exit_code"], report["stop_reason"], report["complete"]) == (0, "completed", True)
    described = service.client.get("/openapi.json").json()["paths"]
    operations = {f"{method.upper()} {path}" for path, item in described.items() for method in item}
    assert report["operations"]["tested"] == report["operations"]["total"] == len(operations)
    assert {report["phases"][name]["status"] for name in ("examples", "coverage", "fuzzing", "stateful")} == {
        "success"
    }, told
    assert report["valid_rates"].keys() == operations
    for operation, rates in report["valid_rates"].items():
        assert sum(rate["accepted"] for rate in rates.values()), f"{operation} was never answered"


def test_an_open_service_does_what_its_description_says(config: ServiceConfig, trail: Trail, tmp_path: Path) -> None:
    with RunningService(config, trail) as service:
        _require_clean(service, *_report(service.url, trail, tmp_path / "run"))


def test_a_service_with_keys_does_so_for_who_has_one_and_for_nobody_else(
    config: ServiceConfig, trail: Trail, store: FileKeys, tmp_path: Path
) -> None:
    """The requests are repeated without the key and with a wrong one: what needs it has to be refused then."""
    key = key_of(store, *SCOPES)
    keyed = replace(config, keys=str(tmp_path / "keys.json"), anonymous_scopes=())
    with RunningService(keyed, trail) as service:
        _require_clean(service, *_report(service.url, trail, tmp_path / "run", f"--header=X-API-Key: {key}"))
