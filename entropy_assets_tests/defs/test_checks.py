"""Checks: what is gated and what only warns, each result with its partition."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from entropy_assets.core.validation import second_level
from entropy_assets.stages import validation
from entropy_assets.stores.batches import RECORDS, VERDICTS
from entropy_assets_tests.defs.conftest import CHECKS, Home, evaluations
from entropy_assets_tests.stages.batches_made import break_conditioning, frame


def test_every_check_result_carries_its_partition(home: Home) -> None:
    """Without it the pass of one batch would hide the failure of another."""
    key = home.batch_of(("a.fits", frame(1, side=512)))
    result = home.run("process_images", key)
    assert {evaluation.partition for evaluation in result.get_asset_check_evaluations()} == {key}


def test_blocks_with_a_stuck_bit_fail_every_check_and_stop_the_run(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    break_conditioning(monkeypatch)
    key = home.batch_of(("a.fits", frame(1, side=512)))
    result = home.run("process_images", key, fails=True)
    assert not result.success
    failed = {name for name, passed in evaluations(result).items() if not passed}
    assert failed >= {"shannon_entropy", "chi_square"}
    drawn = {each.check_name for each in result.get_asset_check_evaluations() if "p_values" in each.metadata}
    assert drawn == failed & CHECKS, "no verdicts come after it, which would show them"
    shown = {each.check_name: each.metadata for each in result.get_asset_check_evaluations()}
    listed = {name: metadata["lowest"].value for name, metadata in shown.items() if "lowest" in metadata}
    assert listed.keys() == drawn
    ids = [row["block_id"] for row in home.stores.batch(key).read_json(RECORDS)["rows"]]
    assert all(each in str(text) for text in listed.values() for each in ids)
    assert not home.stores.batch(key).has(VERDICTS)


def test_an_altered_block_fails_all_its_checks_with_its_reason(home: Home) -> None:
    key = home.batch_of(("a.fits", frame(1, side=512)))
    home.run("process_images", key)
    path = Path(str(home.stores.batch(key).root)) / "blocks.npy"
    blocks = np.load(path)
    blocks[0, 0] ^= 1
    np.save(path, blocks)
    job = home.defs.resolve_job_def("process_images")
    result = job.execute_in_process(
        instance=home.instance, partition_key=key, op_selection=["block_tests"], raise_on_error=False
    )
    assert evaluations(result) == dict.fromkeys({*CHECKS, "rejection_rate"}, False)
    assert all("block 0" in str(item.description) for item in result.get_asset_check_evaluations())


def test_an_image_that_was_altered_stops_the_run_and_an_unreadable_file_beside_it_does_not(home: Home) -> None:
    key = home.batch_of(("a.fits", frame(1)), ("dead.jpg", b"no image"))
    result = home.run("process_images", key)
    assert result.success
    [warning] = [each for each in result.get_asset_check_evaluations() if each.check_name == "files_usable"]
    assert (warning.passed, warning.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert warning.description == "1 of 2 files are readable images; all have their hashes"
    for path in home.stores.layout.images_folder.rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(path.read_bytes() + b"x")
    job = home.defs.resolve_job_def("process_images")
    steps = ["files_usable", "noise_arrays"]
    result = job.execute_in_process(instance=home.instance, partition_key=key, op_selection=steps, raise_on_error=False)
    [error] = result.get_asset_check_evaluations()
    assert (error.passed, error.severity, error.metadata["altered"].value) == (False, dg.AssetCheckSeverity.ERROR, 2.0)
    assert (result.success, result.get_asset_materialization_events()) == (False, [])


def test_a_batch_without_blocks_warns_and_stops_nothing(home: Home) -> None:
    key = home.batch_of(("dead.jpg", b""))
    result = home.run("process_images", key)
    assert result.success
    by_name = {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}
    for name in (*CHECKS, "files_usable", "health_tests"):
        assert (by_name[name].passed, by_name[name].severity) == (False, dg.AssetCheckSeverity.WARN)
    assert by_name["files_usable"].description == "0 of 1 files are readable images; all have their hashes"
    assert by_name["health_tests"].description == ("0 of 0 readable images are credited; 0 sequences pass")


def test_an_alarm_over_a_batch_warns_and_stops_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many rejections, or too few near ones, speak of the source; the tests alone gate the batch."""
    key = home.batch_of(("a.fits", frame(1, side=512)))
    quiet = {item.check_name: item for item in home.run("process_images", key).get_asset_check_evaluations()}
    assert quiet["rejection_rate"].passed
    report_of = second_level.batch_report
    monkeypatch.setattr(validation, "batch_report", lambda verdicts: replace(report_of(verdicts), alarm=True))
    result = home.run("process_images", key)
    assert result.success
    [loud] = [item for item in result.get_asset_check_evaluations() if item.check_name == "rejection_rate"]
    assert (loud.passed, loud.severity) == (False, dg.AssetCheckSeverity.WARN)


def test_partitioned_checks_are_still_a_preview() -> None:
    """The version of Dagster is pinned for them: when this goes red, look at what changed and move the pin."""
    from dagster._utils.warnings import PreviewWarning

    partitions = dg.DynamicPartitionsDefinition(name="any")
    with pytest.warns(PreviewWarning, match="partitions_def on an AssetCheckSpec"):
        dg.AssetCheckSpec("check", asset="asset", partitions_def=partitions)
