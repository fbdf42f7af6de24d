"""``entropy-assets retention``: a dry run changes nothing and says what the run then does."""

import json
import time
import uuid
from pathlib import Path

import dagster as dg
import pytest

from entropy_assets.cli.retention.words import KEPT
from entropy_assets.defs.partitions import IMAGE_BATCHES
from entropy_assets_tests.cli.conftest import Run
from entropy_assets_tests.stages.batches_made import TIME_NS, Place, frame
from entropy_assets_tests.stages.retention.installations import DAY_S, NOW_S, files_below, publish


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give an installation with a batch that was published 40 days ago, and one of today."""
    place, today = Place(tmp_path / "home"), (NOW_S - time.time()) / DAY_S
    for number, days_ago in enumerate((today + 40, today)):
        batch = place.validated([("a.fits", frame(1 + number))], time_ns=TIME_NS + number * 10**9)
        publish(place, batch.key, days_ago=days_ago)
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
    assert again.stdout.startswith("0 B removed; 1 batch stays\n  1 because its receipt tells")


@pytest.mark.slow
def test_what_dagster_forgets_is_told_and_done(run: Run, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs and partition of a batch that goes, in the Dagster that DAGSTER_HOME names."""
    folder = place.root.parent / "elsewhere"
    folder.mkdir()
    (folder / "dagster.yaml").write_text("{telemetry: {enabled: false}}")
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    monkeypatch.setenv("ENTROPY_KEEP_BATCHES_DAYS", "35")
    keys = [batch.key for batch in place.batches()]
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        instance.add_dynamic_partitions(IMAGE_BATCHES, keys)
        runs = [
            instance.add_run(dg.DagsterRun("some", str(uuid.uuid4()), tags={"dagster/partition": key})).run_id
            for key in keys
        ]
        for run_id in runs:
            instance.report_run_canceled(instance.get_run_by_id(run_id))
    said = json.loads(run("retention", "--dry-run", "--home", place.root, "--json").stdout)
    gone = {"run_id": runs[0], "why": "its batch was removed"}
    assert said["dagster"] == [{"folder": str(folder), "runs": [gone], "partitions": [keys[0]]}]
    words = run("retention", "--dry-run", "--home", place.root).stdout.splitlines()
    assert words[-3:] == [
        "run              1  its batch was removed",
        "partition        1  its batch was removed",
        f"Dagster would forget 1 run and 1 partition; it lies in {folder}",
    ]
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        assert instance.get_runs_count() == 2
    did = json.loads(run("retention", "--home", place.root, "--json").stdout)
    assert did == {**said, "dry_run": False}
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        assert [run.run_id for run in instance.get_runs()] == [runs[1]]
        assert list(instance.get_dynamic_partitions(IMAGE_BATCHES)) == [keys[1]]
    assert not list(folder.rglob(f"{runs[0]}*"))


def test_without_a_setting_nothing_goes(run: Run, place: Place) -> None:
    before = files_below(place.root)
    assert run("retention", "--home", place.root).stdout == KEPT + "\n"
    assert files_below(place.root) == before


def test_where_there_is_no_installation_it_says_so_and_makes_none(run: Run, tmp_path: Path) -> None:
    refused = run("retention", "--dry-run")
    assert (refused.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert f"there is no folder {tmp_path / 'var'}: give --home, or set ENTROPY_HOME" in refused.stderr


def test_a_lost_ledger_lets_nothing_go(run: Run, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTROPY_KEEP_BYTES", "1")
    place.ledger_file.unlink()
    before = files_below(place.root)
    refused = run("retention", "--home", place.root, "--json")
    assert (refused.exit_code, json.loads(refused.stdout)["error"]) == (1, "ledger-behind")
    assert files_below(place.root) == before
