"""Assets and checks on an ephemeral instance: what is gated, what is shown, what a re-run does."""

import json
from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from entropy_assets.core.validation import second_level
from entropy_assets.defs.build import build_defs
from entropy_assets.settings import Settings
from entropy_assets.stages import validation
from entropy_assets.stages.extraction import noise_rows
from entropy_assets.stores.batches import BLOCKS, VERDICTS
from entropy_assets_tests.defs.conftest import Home
from entropy_assets_tests.stages.batches_made import break_conditioning, frame

CHECKS = {"shannon_entropy", "chi_square", "runs", "autocorrelation"}


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {evaluation.check_name: evaluation.passed for evaluation in result.get_asset_check_evaluations()}


def pool_blocks(home: Home) -> int:
    with home.pool.connect() as client:
        return client.depth().blocks


def test_a_batch_goes_from_inbox_to_pool_and_the_inbox_is_settled(home: Home) -> None:
    key = home.batch_of(("a.fits", frame(1, side=512)), ("dead.jpg", b""))
    result = home.run("process_images", key)
    assert {name for name, passed in evaluations(result).items() if passed} >= CHECKS
    home.run("publish_blocks", key)
    assert pool_blocks(home) >= 1
    inbox = home.stores.place.inbox_folder
    assert (inbox / "processed" / key / "a.fits").is_file()
    assert json.loads((inbox / "rejected" / key / "dead.jpg.reason.json").read_text())["reason"] == "empty_file"


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
    assert not home.stores.batch(key).has(VERDICTS)


@pytest.mark.parametrize("path", [["validated_blocks", "published_blocks"], ["published_blocks"]])
def test_a_failed_batch_stays_out_of_the_pool_when_assets_are_materialised_alone(
    home: Home, monkeypatch: pytest.MonkeyPatch, path: list[str]
) -> None:
    """A failing check gates only its own run, so what comes after verifies by itself."""
    break_conditioning(monkeypatch)
    key = home.batch_of(("a.fits", frame(1, side=512)))
    home.run("process_images", key, fails=True)
    for asset in path:
        job = "publish_blocks" if asset == "published_blocks" else "process_images"
        assert not home.run(job, key, only=asset, fails=True).success
    assert pool_blocks(home) == 0
    assert not home.stores.place.ledger().is_published(key)


def test_an_altered_block_fails_all_four_checks_with_its_reason(home: Home) -> None:
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
    assert evaluations(result) == dict.fromkeys(CHECKS, False)
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


def test_the_table_of_the_noise_says_who_vouches_and_what_frames_share(home: Home) -> None:
    key = home.batch_of(("a.fits", frame(1, side=512)), ("b.fits", frame(2)))
    [event] = [
        event
        for event in home.run("process_images", key).get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("noise_arrays")
    ]
    table = event.materialization.metadata["assessment"]
    assert isinstance(table, dg.TableMetadataValue)
    noise = {row.file: row for row in noise_rows(home.stores.batch(key))}
    for record in table.records:
        row = noise[str(record.data["file"])]
        assert record.data["source"] == "simulated"
        assert record.data["claim, bits per sample"] == row.assessment["caps"]["claim"]
        assert record.data["shared with others"] == row.assessment["repeats"] != ""


def test_materialising_a_stage_before_its_input_says_what_to_do(home: Home) -> None:
    key = home.batch_of(("a.fits", frame(1, side=512)))
    result = home.run("process_images", key, only="hashed_blocks", fails=True)
    failure = result.get_step_failure_events()[0].step_failure_data
    assert "materialise" in str(failure.user_failure_data.description)


def test_every_asset_shows_numbers_a_picture_and_no_bytes_of_a_block(home: Home) -> None:
    key = home.batch_of(("a.fits", frame(1, side=512)))
    events = [
        *home.run("process_images", key).get_asset_materialization_events(),
        *home.run("publish_blocks", key).get_asset_materialization_events(),
    ]
    blocks = home.stores.batch(key).read_array(BLOCKS)
    assert len(events) == 5
    for event in events:
        values = event.materialization.metadata.values()
        pictures = [value for value in values if isinstance(value, dg.MarkdownMetadataValue)]
        assert len(pictures) == 1
        assert "data:image/png;base64," in str(pictures[0].value)
        assert len(str(pictures[0].value)) < 70_000
        assert sum(isinstance(value, dg.FloatMetadataValue) for value in values) >= 3
        shown = repr(event.materialization.metadata)
        assert not any(block[:12].tobytes().hex() in shown for block in blocks)


def test_file_names_of_any_bytes_are_shown_and_break_nothing(home: Home) -> None:
    key = home.batch_of(
        ("<script>alert(1)</script>.fits".replace("/", "\u2044"), frame(1, side=512)), ("bad\udcff.jpg", b"x")
    )
    assert home.run("process_images", key).success


def test_running_everything_again_publishes_nothing_new(home: Home) -> None:
    key = home.batch_of(("a.fits", frame(1, side=512)))
    for _ in range(2):
        home.run("process_images", key)
        home.run("publish_blocks", key)
    with home.pool.connect() as client:
        released = home.stores.batch(key).read_json(VERDICTS)["released"]
        assert sorted(leased.block.block_id for leased in client.lease(1000).blocks) == sorted(released)


def test_the_definitions_are_what_the_ui_promises(tmp_path: Path) -> None:
    """Names, groups and gates that people and programs rely on: a change here is a change of the interface."""
    defs = build_defs(Settings(home=tmp_path))
    graph = defs.resolve_asset_graph()
    groups = {key.to_user_string(): graph.get(key).group_name for key in graph.get_all_asset_keys()}
    assert groups == {
        "raw_images": "ingest",
        "noise_arrays": "extraction",
        "hashed_blocks": "conditioning",
        "validated_blocks": "validation",
        "published_blocks": "publication",
        "entropy_pool": "publication",
    }
    specs = {check.name: check for check in graph.asset_check_keys}
    assert set(specs) == CHECKS | {"rejection_rate", "files_readable", "images_unaltered", "live_noise", "health_tests"}
    for name in CHECKS:
        node = graph.get(specs[name])
        assert node.blocking
        assert node.partitions_def is not None
    assert {job.name for job in defs.jobs or []} == {
        "process_images",
        "publish_blocks",
        "replenish_pool",
        "daily_audit",
    }
    assert {schedule.name for schedule in defs.schedules or []} == {"ingest", "daily_audit"}


def test_partitioned_checks_are_still_a_preview() -> None:
    """The version of Dagster is pinned for them: when this goes red, look at what changed and move the pin."""
    from dagster._utils.warnings import PreviewWarning

    partitions = dg.DynamicPartitionsDefinition(name="any")
    with pytest.warns(PreviewWarning, match="partitions_def on an AssetCheckSpec"):
        dg.AssetCheckSpec("check", asset="asset", partitions_def=partitions)
