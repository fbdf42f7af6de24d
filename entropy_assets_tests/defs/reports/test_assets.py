"""The reports on an ephemeral instance: what the UI shows, what turns red, and that a red run is an alert."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np
import pytest

from entropy_assets.defs.reports.shown import source_checks
from entropy_assets.stages.reports.sources import Bounds, report_on_sources
from entropy_assets_tests.defs.conftest import Home, evaluations
from entropy_assets_tests.stages.reports.noises import PAIRS, kept
from entropy_assets_tests.stages.reports.streams import BLOCK, honest, published

MOST_PICTURE_BYTES = 50_000


def shown(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    """Give what the UI shows of an asset, by name."""
    (event,) = [one for one in result.get_asset_materialization_events() if one.asset_key == dg.AssetKey(asset)]
    return dict(event.materialization.metadata)


def white(seed: int, count: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 16, PAIRS, dtype=np.uint8) for _ in range(count))


def test_an_honest_installation_is_green_and_shows_its_figures(home: Home) -> None:
    kept(home.stores.layout, *white(1, 3))
    published(home.stores.layout, honest(62))
    result = home.run("nightly_reports")
    assert evaluations(result) == dict.fromkeys(("credit_is_covered", "restarts", "newest_sequences", "long_run"), True)
    sources, stream = shown(result, "source_assessment"), shown(result, "stream_report")
    assert sources["least_margin"].value > 0
    assert sources["margin_raw-ccd"].value == sources["least_margin"].value
    (row,) = [record.data for record in sources["sources"].records]
    assert row["samples"] == "24,576 of 3 frames; 3.1.1 wants 1,000,000"
    assert row["matrix"] == "3 x 1000; 3.1.4 wants 1000 frames"
    assert stream["sequences_of_night"].value == 2.0
    assert len(stream["tests"].records) == 15
    for figure in (sources["worth"], stream["p_values"]):
        assert "data:image/webp;base64," in figure.value
        assert len(figure.value) < MOST_PICTURE_BYTES
    for metadata in (sources, stream):
        assert not any(isinstance(value, dg.IntMetadataValue) for value in metadata.values())


def test_nothing_that_is_shown_or_logged_holds_a_byte_of_a_block(home: Home) -> None:
    data = honest(31)
    published(home.stores.layout, data)
    result = home.run("nightly_reports")
    everything = repr(result.all_events)
    assert not any(data[at : at + 8].hex() in everything for at in range(0, len(data), BLOCK))


def test_a_new_installation_says_that_there_is_nothing_yet(home: Home) -> None:
    result = home.run("nightly_reports")
    assert all(evaluations(result).values())
    assert "none" in str(shown(result, "stream_report")["night"].value)


@pytest.mark.slow
def test_a_broken_stream_turns_the_run_red_and_stays_red_when_it_is_run_again(home: Home) -> None:
    """What is red becomes an alert by the sensor for failed runs; the other report is made all the same."""
    rng = np.random.default_rng(1)
    block = rng.bytes(BLOCK - 8)
    published(home.stores.layout, b"".join(block + rng.bytes(8) for _ in range(31)))
    for _ in range(2):
        result = home.run("nightly_reports", fails=True)
        assert not result.success
        assert not evaluations(result)["newest_sequences"]
        assert evaluations(result)["credit_is_covered"]
    home.tick("run_failure_alert")
    alerts = home.stores.layout.alerts().read()
    assert {alert["job"] for alert in alerts} == {"nightly_reports"}


@pytest.mark.slow
def test_a_source_that_is_worth_less_than_its_credit_turns_the_run_red(home: Home) -> None:
    kept(home.stores.layout, *(frame & 1 for frame in white(2, 3)))
    result = home.run("nightly_reports", fails=True)
    assert not result.success
    assert not evaluations(result)["credit_is_covered"]


def test_a_fixed_pattern_fails_the_check_on_restarts(home: Home) -> None:
    pattern, *fresh = white(3, 61)
    kept(home.stores.layout, *(pattern ^ (frame & 1) for frame in fresh), credited=0.5)
    report = report_on_sources(home.stores.layout, Bounds(frames=1, glued_samples=16_000))
    results = {result.check_name: result for result in source_checks(report)}
    assert {name: result.passed for name, result in results.items()} == {"credit_is_covered": True, "restarts": False}
    assert "at one pixel pair" in str(results["restarts"].description)
