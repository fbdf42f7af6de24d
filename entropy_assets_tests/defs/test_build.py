"""The definitions as a whole: what people and programs rely on by name."""

from pathlib import Path

from entropy_assets.defs.build import build_defs
from entropy_assets.settings import Settings
from entropy_assets_tests.defs.conftest import CHECKS


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
