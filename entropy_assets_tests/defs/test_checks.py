"""Checks: what is gated and what only warns, each result with its partition."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from entropy_assets.core.validation import second_level
from entropy_assets.stages import validation
from entropy_assets.stores.batches import VERDICTS
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


def test_a_batch_without_blocks_warns_and_stops_nothing(home: Home) -> None:
    key = home.batch_of(("dead.jpg", b""))
    result = home.run("process_images", key)
    assert result.success
    by_name = {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}
    for name in CHECKS:
        assert (by_name[name].passed, by_name[name].severity) == (False, dg.AssetCheckSeverity.WARN)


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
