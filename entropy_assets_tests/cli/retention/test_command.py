"""``entropy-assets retention``: a dry run changes nothing and says what the run then does."""

import json
import time
from pathlib import Path

import pytest

from entropy_assets.cli.retention.words import KEPT
from entropy_assets.stages.publication import publish_batch
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.cli.conftest import Run
from entropy_assets_tests.stages.batches_made import TIME_NS, Place, frame
from entropy_assets_tests.stages.retention.installations import files_below

DAY_US = 86_400 * 10**6


@pytest.fixture
def place(tmp_path: Path, pool: PoolClient) -> Place:
    """Give an installation with a batch that was published 40 days ago, and one of today."""
    place, now_us = Place(tmp_path / "home"), time.time_ns() // 1000
    for number, time_us in enumerate((now_us - 40 * DAY_US, now_us)):
        batch = place.validated([("a.fits", frame(1 + number))], time_ns=TIME_NS + number * 10**9)
        publish_batch(batch, place.ledger(), pool, run_id="run", now_us=time_us)
    return place


def test_a_dry_run_says_what_the_run_does(run: Run, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTROPY_KEEP_BATCHES_DAYS", "35")
    before = files_below(place.root)
    said = json.loads(run("retention", "--dry-run", "--home", place.root, "--json").stdout)
    assert files_below(place.root) == before
    did = json.loads(run("retention", "--home", place.root, "--json").stdout)
    assert (said["dry_run"], did["dry_run"]) == (True, False)
    assert {**said, "dry_run": False} == did
    [row] = did["removed"]
    assert (row["kind"], row["why"]) == ("batch", "35 days are kept (ENTROPY_KEEP_BATCHES_DAYS)")
    assert [batch.key for batch in place.batches()] == list(did["stays"])
    again = run("retention", "--home", place.root)
    assert again.exit_code == 0
    assert again.stdout.startswith("0 B removed; 1 batches stay\n  1 because its receipt tells")


def test_without_a_setting_nothing_goes(run: Run, place: Place) -> None:
    before = files_below(place.root)
    assert run("retention", "--home", place.root).stdout == KEPT + "\n"
    assert files_below(place.root) == before


def test_a_lost_ledger_lets_nothing_go(run: Run, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTROPY_KEEP_BYTES", "1")
    place.ledger_file.unlink()
    before = files_below(place.root)
    refused = run("retention", "--home", place.root, "--json")
    assert (refused.exit_code, json.loads(refused.stdout)["error"]) == (1, "ledger-behind")
    assert files_below(place.root) == before
