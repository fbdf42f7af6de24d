"""An auditor sees each feed upstream of the images, with what its operator says of it; without feeds nothing of it."""

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from entropy_assets.defs.build import build_defs
from entropy_assets.settings import Settings
from entropy_assets_tests.defs.feeds.fed import Fed


@pytest.fixture
def fed(tmp_path: Path) -> Fed:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Fed.of(tmp_path / "home", instance)


def test_each_feed_that_is_enabled_is_an_asset_upstream_of_the_images(fed: Fed) -> None:
    graph = fed.defs.resolve_asset_graph()
    feeds = {dg.AssetKey(["feeds", name]) for name in ("sun", "sea", "sky")}
    assert graph.get(dg.AssetKey("raw_images")).parent_keys == feeds
    node = graph.get(dg.AssetKey(["feeds", "sea"]))
    assert (node.group_name, node.owners, node.is_external) == ("feeds", ["team:entropy"], True)
    assert node.metadata["host"] == "frames.example.org"
    assert node.metadata["credit"] == "Example Observatory"
    assert "vouched for as 'raw-ccd'" in node.description
    dg.Definitions.validate_loadable(fed.defs)


def test_a_feed_with_a_limit_of_age_is_judged_by_dagster_too(fed: Fed) -> None:
    graph = fed.defs.resolve_asset_graph()
    policy = graph.get(dg.AssetKey(["feeds", "sun"])).freshness_policy
    assert policy.fail_window.to_timedelta() == timedelta(hours=6)
    assert policy.warn_window.to_timedelta() == timedelta(hours=3)
    assert graph.get(dg.AssetKey(["feeds", "sky"])).freshness_policy is None, "an archive is never stale"


def test_without_a_file_no_asset_is_shown(tmp_path: Path) -> None:
    defs = build_defs(Settings(home=tmp_path))
    assert defs.resolve_asset_graph().get(dg.AssetKey("raw_images")).parent_keys == set()
