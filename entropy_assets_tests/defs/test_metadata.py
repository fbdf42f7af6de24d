"""What an auditor sees at each asset: numbers, a table, a picture, and never a byte of a block."""

import hashlib

import dagster as dg
import pytest

from entropy_assets.core.arrays import HOST
from entropy_assets.defs import plots
from entropy_assets.defs.metadata import LONGEST_CELL, table
from entropy_assets.stages.assessments import credits, noise_rows
from entropy_assets.stores.batches import BLOCKS
from entropy_assets.stores.inboxes.origins import Origin
from entropy_assets_tests.defs.conftest import Home
from entropy_assets_tests.stages.batches_made import frame, simulated_frame


def test_the_table_of_the_noise_says_who_vouches_and_what_frames_share(home: Home) -> None:
    key = home.batch_of(("a.fits", frame(1, side=512)), ("b.fits", frame(2)))
    [event] = [
        event
        for event in home.run("process_images", key).get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("noise_arrays")
    ]
    table = event.materialization.metadata["assessment"]
    assert isinstance(table, dg.TableMetadataValue)
    assert event.materialization.metadata["computed_by"].value == f"{HOST}: 2 images"
    noise = {row.file: row for row in noise_rows(home.stores.batch(key))}
    for record in table.records:
        row = noise[str(record.data["file"])]
        assert record.data["source"] == "drop"
        assert record.data["claim, bits per sample"] == row.assessment["caps"]["claim"]
        assert record.data["shared with others"] == row.assessment["repeats"] != ""


def test_a_simulated_frame_is_called_so_wherever_images_are_listed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so by itself, whatever inbox it was dropped into and whatever it is called."""
    titles: list[str] = []
    draw = plots.thumbnails
    monkeypatch.setattr(plots, "thumbnails", lambda shown: titles.extend(title for title, _ in shown) or draw(shown))
    key = home.batch_of(("a.fits", frame(1)), ("sky.fits", simulated_frame(2)))
    shown = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in home.run("process_images", key).get_asset_materialization_events()
    }
    assert shown["raw_images"]["simulated"].value == 1.0
    assert titles == ["a.fits", "simulated:\nsky.fits"]
    for asset, entry in (("raw_images", "manifest"), ("noise_arrays", "assessment")):
        listed = shown[asset][entry]
        assert isinstance(listed, dg.TableMetadataValue)
        sources = {record.data["file"]: record.data["source"] for record in listed.records}
        assert sources == {"a.fits": "drop", "sky.fits": "simulated"}


def test_the_table_of_images_says_where_a_feed_fetched_one_and_whose_it_is(home: Home) -> None:
    """Beside an image that nobody fetched, whose fields stay empty; long words of a server are cut.

    Nobody said a licence, so there is no column for it.
    """
    origin = Origin(
        feed="sdo", url="https://example.org/a", fetched_at="2026-11-29T08:33:00Z", credit="<b>" + "x" * 999
    )
    home.stores.layout.origins().keep(hashlib.sha256(frame(1)).hexdigest(), origin)
    key = home.batch_of(("a.fits", frame(1)), ("b.fits", frame(2)))
    [event] = home.run("process_images", key).get_asset_materialization_events()[:1]
    listed = event.materialization.metadata["manifest"]
    assert isinstance(listed, dg.TableMetadataValue)
    told = [[record.data[column] for column in ("url", "fetched", "credit line")] for record in listed.records]
    cut = f"<b>{'x' * (LONGEST_CELL - 3)}"
    assert told == [[origin.url, origin.fetched_at, cut], [""] * 3]
    assert "licence" not in listed.records[0].data


def test_a_row_that_lacks_a_column_leaves_it_empty() -> None:
    """Dagster refuses records of different fields, and with them the run."""
    shown = table([{"a": 1.0}, {"a": None, "b": "x"}])
    assert [record.data for record in shown.records] == [{"a": 1.0, "b": ""}, {"a": "", "b": "x"}]


def test_a_column_without_any_value_is_left_out_and_zero_is_one() -> None:
    rows: list[dict[str, str | float | bool | None]] = [{"a": None, "b": 0.0}, {"c": False, "d": "", "b": 0.0}]
    assert [record.data for record in table(rows).records] == [{"b": 0.0, "c": ""}, {"b": 0.0, "c": False}]
    assert [record.data for record in table([{"a": None}, {"a": ""}]).records] == [{}, {}]


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
        assert "data:image/webp;base64," in str(pictures[0].value)
        assert len(str(pictures[0].value)) < 70_000
        assert sum(isinstance(value, dg.FloatMetadataValue) for value in values) >= 3
        shown = repr(event.materialization.metadata)
        assert not any(block[:12].tobytes().hex() in shown for block in blocks)


def test_file_names_of_any_bytes_are_shown_and_break_nothing(home: Home) -> None:
    names = ("<script>alert(1)</script>.fits".replace("/", "\u2044"), "$2^{.fits", "a\n$\\frac{$\udcff.fits")
    key = home.batch_of(
        *((name, frame(seed, side=320)) for seed, name in enumerate(names)), ("bad\udcff$\\x$.jpg", b"x")
    )
    assert home.run("process_images", key).success
    assert len(credits(home.stores.batch(key))) == len(names), "each is a bar of the picture"
