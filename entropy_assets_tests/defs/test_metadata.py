"""What an auditor sees at each asset: numbers, a table, a picture, and never a byte of a block."""

import hashlib
import json
import re
from typing import Any

import dagster as dg
import pytest

from entropy_assets.core.arrays import HOST
from entropy_assets.defs import plots
from entropy_assets.defs.metadata import LISTED_BYTES, LISTED_ROWS, LONGEST_CELL, Cell, listed, some_of, table
from entropy_assets.stages.assessments import credits, noise_rows
from entropy_assets.stores.batches import BLOCKS, MANIFEST
from entropy_assets.stores.inboxes.origins import Origin
from entropy_assets_tests.defs.conftest import Home
from entropy_assets_tests.defs.drawings import drawn
from entropy_assets_tests.stages.batches_made import frame, simulated_frame

SMALL = 1000
"""Characters of a picture that Dagster shows without a click."""


def rows_of(listing: dg.MetadataValue[Any]) -> list[dict[str, str]]:
    """Give the rows of a list as it is read: what all have alike, and what the table says of each."""
    assert isinstance(listing, dg.MarkdownMetadataValue)
    alike: dict[str, str] = {}
    table: list[list[str]] = []
    for part in str(listing.value).split("\n\n"):
        if "|\n" in part:
            table = [re.split(r"(?<!\\)\|", line)[:-1] for line in part.split("\n")]
        elif not part.endswith(".json"):
            alike = dict(re.findall(r"([^:;]+): ([^;]*)(?:; |$)", part))
    rows = [dict(zip(table[0], cells, strict=True)) for cells in table[2:]] if table else [{}]
    return [alike | row for row in rows]


def test_the_table_of_the_noise_says_who_vouches_and_what_frames_share(home: Home) -> None:
    key = home.batch_of(("a.fits", frame(1)), ("b.fits", frame(2)))
    [event] = [
        event
        for event in home.run("process_images", key).get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("noise_arrays")
    ]
    assert event.materialization.metadata["computed_by"].value == f"{HOST}: 2 images"
    noise = {row.file: row for row in noise_rows(home.stores.batch(key))}
    first, second = rows_of(event.materialization.metadata["assessment"])
    for row in (first, second):
        assert row["source"] == "drop"
        assert float(row["claim, bits per sample"]) == noise[row["file"]].assessment["caps"]["claim"]
    assert first["shared with others"] == noise["a.fits"].assessment["repeats"] != ""
    assert second["shared with others"] == "nothing"


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
    assert titles == ["a.fits", "simulated: sky.fits"]
    for asset, entry in (("raw_images", "manifest"), ("noise_arrays", "assessment")):
        sources = {row["file"]: row["source"] for row in rows_of(shown[asset][entry])}
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
    rows = rows_of(event.materialization.metadata["manifest"])
    told = [[row[column] for column in ("url", "fetched", "credit line")] for row in rows]
    half = (LONGEST_CELL - len("...")) // 2
    cut = rf"\<b\>{'x' * (half - 3)}...{'x' * (half + 1)}"
    assert told == [[origin.url, origin.fetched_at, cut], [""] * 3]
    assert "licence" not in rows[0]


def test_what_all_rows_have_alike_is_said_once_and_the_rest_in_a_table() -> None:
    rows: list[dict[str, Cell]] = [
        {"file": "a", "bits": 16, "lossy": False, "reason": None, "p": 0.123456},
        {"file": "b", "bits": 16, "lossy": False, "more": "x", "p": 2e-9},
    ]
    shown = listed(rows, MANIFEST)
    assert str(shown.value) == "bits: 16; lossy: no\n\nfile|p|more|\n-|-|-|\na|0.1235||\nb|2e-09|x|"
    assert rows_of(shown)[1] == {"bits": "16", "lossy": "no", "file": "b", "p": "2e-09", "more": "x"}
    assert rows_of(listed(rows[:1], MANIFEST)) == [{"file": "a", "bits": "16", "lossy": "no", "p": "0.1235"}]
    assert str(listed([{"a": None}], MANIFEST).value) == str(listed([], MANIFEST).value) == "none"


def test_addresses_that_begin_alike_say_it_once() -> None:
    folder = "https://example.org/synoptic/2026/"
    rows: list[dict[str, Cell]] = [{"file": name, "url": name and folder + name} for name in ("a1", "a2", "")]
    text = str(listed(rows, MANIFEST).value)
    assert text == f"url begins with: {folder}\n\nfile|url|\n-|-|\na1|a1|\na2|a2|\n||"
    assert folder + "a1|" in str(listed([*rows, {"file": "b", "url": "https://example.com/b"}], MANIFEST).value)
    assert folder + "a1|" in str(listed([rows[0], rows[2]], MANIFEST).value)


def test_a_long_list_names_the_document_that_has_all_of_it_and_calls_alike_what_is_in_all() -> None:
    """Also in those rows that are not shown."""
    rows = [{"file": f"{place}.fits", "bits": 8 if place == 999 else 16, "source": "drop"} for place in range(1000)]
    text = str(listed(rows, MANIFEST).value)
    assert text.startswith("source: drop\n\nfile|bits|\n")
    assert text.endswith(f"\n{LISTED_ROWS - 1}.fits|16|\n\n{1000 - LISTED_ROWS} more in manifest.json")
    assert len(text) < 400


def test_a_list_is_short_whatever_its_texts_are() -> None:
    """Of 16 images that a feed brought, with addresses of 300 letters and the words of their server in each column."""
    columns = ("file", "detail", "url", "fetched", "instrument", "credit line", "licence")
    for sign in ("a", "\u2603", "\U0001f600"):
        for count in range(1, len(columns) + 1):
            rows = [dict.fromkeys(columns[:count], f"{place:02}{sign * 298}") for place in range(16)]
            shown = str(listed(rows, MANIFEST).value)
            assert len(json.dumps(shown)) <= LISTED_BYTES
            assert shown.endswith("in manifest.json")


def test_a_long_text_shows_where_it_begins_and_where_it_ends() -> None:
    """Of addresses that differ in their last letters alone none is taken for another."""
    rows: list[dict[str, Cell]] = [{"url": f"https://example.org/{'a' * 270}{place}.fits"} for place in range(16)]
    lines = str(listed(rows, MANIFEST).value).split("\n")
    told = [line for line in lines if re.fullmatch(r"https://example\.org/a+\.\.\.a+\d\.fits\|", line)]
    assert len(told) == LISTED_ROWS


def test_what_files_of_a_feed_are_called_alike_is_said_once() -> None:
    rows: list[dict[str, Cell]] = [{"file": f"observatory_sky_camera-{number}.fits"} for number in (17, 18)]
    text = str(listed(rows, MANIFEST).value)
    assert text == "file begins with: observatory\\_sky\\_camera-\n\nfile|\n-|\n17.fits|\n18.fits|"


def test_what_markdown_would_read_in_a_cell_is_text() -> None:
    names = ("a|b", "<img src=x>", "[a](http://x)", "*a* _b_ `c` ~~d~~", "&lt;", "a\n\n# b", "\\|")
    tables = [rows_of(listed([{"file": name}, {"file": "z"}], MANIFEST)) for name in names]
    assert [rows[0]["file"] for rows in tables] == [
        r"a\|b",
        r"\<img src=x\>",
        r"\[a\](http://x)",
        r"\*a\* \_b\_ \`c\` \~\~d\~\~",
        r"\&lt;",
        "a # b",
        r"\\\|",
    ]


def test_of_much_that_is_wrong_three_are_named() -> None:
    assert (some_of([]), some_of(["a", "b", "c"]), some_of(list("abcde"), "; ")) == ("", "a, b, c", "a; b; c; 2 more")


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
    pictures: list[dg.MarkdownMetadataValue] = []
    for event in events:
        values = event.materialization.metadata.values()
        pictures += [value for value in values if isinstance(value, dg.MarkdownMetadataValue) and drawn(value)]
        assert sum(isinstance(value, dg.FloatMetadataValue) for value in values) >= 3
        shown = repr(event.materialization.metadata)
        assert not any(block[:12].tobytes().hex() in shown for block in blocks)
    assert len(pictures) == 4
    assert all(len(str(picture.value)) < SMALL for picture in pictures)


def test_file_names_of_any_bytes_are_shown_and_break_nothing(home: Home) -> None:
    names = ("<script>alert(1)</script>.fits".replace("/", "\u2044"), "$2^{.fits", "a\n$\\frac{$\udcff.fits")
    key = home.batch_of(
        *((name, frame(seed, side=320)) for seed, name in enumerate(names)), ("bad\udcff$\\x$.jpg", b"x")
    )
    result = home.run("process_images", key)
    assert result.success
    assert len(credits(home.stores.batch(key))) == len(names), "each is a bar of the picture"
    shown = [
        value
        for event in result.get_asset_materialization_events()
        for value in event.materialization.metadata.values()
    ]
    texts = [text for value in shown if isinstance(value, dg.MarkdownMetadataValue) for text in drawn(value)]
    assert any("<script>" in text for text in texts)
    assert any(r"$2^{" in text for text in texts)
