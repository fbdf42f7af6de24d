"""The table of images shows what each was worth before, and argues for each change."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.images import ARGUMENTS, NOT_ARGUED, beside, causes, main, print_changes, rows_of
from entropy_assets.recipe import DROP, STANDARD, recipe_named
from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.images.image_files import fits, picture
from entropy_assets_tests.stages.batches_made import frame

EARLIER = recipe_named("ea-2026-1")


def accepted(**changes: Any) -> dict[str, Any]:
    """Return the row of an accepted image."""
    row = {"file": "a.fits", "outcome": "accepted", "samples": 4096, "k": 4, "min-entropy": 2.0, "credit": 6144}
    return {**row, "limit": "bits_compression", "estimates": {"lag": 3.0, "bits_compression": 2.0}, **changes}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder of images that `ea-2026-2` judges as before, by another claim, and not at all."""
    noise = np.random.default_rng(3).normal(120, 9, (128, 128)).astype(np.uint8)
    (tmp_path / "raw.fits").write_bytes(frame(1, side=192))
    (tmp_path / "picture.png").write_bytes(picture(noise, "PNG"))
    (tmp_path / "stack.fits").write_bytes(fits(noise, NCOMBINE=9))
    (tmp_path / "text.fits").write_bytes(b"SIMPLE  = no image")
    return tmp_path


@pytest.mark.slow
def test_an_image_stands_beside_what_it_was_worth_before(folder: Path) -> None:
    rows = beside(*(rows_of(folder, DROP, recipe) for recipe in (STANDARD, EARLIER)))
    told = {row["file"]: row for row in rows}
    assert {name: row["before"] for name, row in told.items()} == {
        **dict.fromkeys(("raw.fits", "picture.png", "stack.fits"), "accepted"),
        "text.fits": "truncated",
    }
    assert told["picture.png"]["credit"] < told["picture.png"]["credit before"]
    assert told["picture.png"]["causes"] == ["claim"]
    assert told["stack.fits"]["causes"] == ["not_raw"]
    assert told["text.fits"]["causes"] == []


@pytest.mark.parametrize(
    "now, before, expected",
    [
        (accepted(), accepted(), []),
        (accepted(outcome="dithered"), accepted(), ["dithered"]),
        (accepted(), accepted(outcome="uneven_codes"), ["accepted, was uneven_codes"]),
        (accepted(outcome="constant"), accepted(outcome="constant", credit=0), []),
        (accepted(limit="claim", credit=9, **{"min-entropy": 0.25}), accepted(), ["claim"]),
        (accepted(limit="claim", credit=12288, k=5), accepted(), ["k"]),
        (accepted(limit="container", credit=9), accepted(), ["container"]),
        (accepted(samples=8192, credit=12288), accepted(), ["samples"]),
        (accepted(limit="bits_lag", credit=9, estimates={"bits_lag": 1.0}), accepted(), ["estimator"]),
        (accepted(credit=9), accepted(), ["estimates"]),
    ],
)
def test_a_change_is_told_by_what_made_it(now: dict[str, Any], before: dict[str, Any], expected: list[str]) -> None:
    assert causes(now, before) == expected


def test_a_change_that_nobody_argued_for_stands_out(capsys: pytest.CaptureFixture[str]) -> None:
    told = {"file": "a|b.fits", "credit": 9, "credit before": 6144}
    rows = [{**told, "causes": ["claim"]}, {**told, "causes": ["moonlight"]}, {**told, "causes": []}]
    print_changes({"folder": rows}, EARLIER)
    page = capsys.readouterr().out
    assert "2 of 3 entries" in page
    assert f"**claim**: {ARGUMENTS['claim']}\n  a&#124;b.fits (6 144 -> 9)." in page
    assert f"**moonlight**: {NOT_ARGUED}" in page


def test_each_change_of_a_reference_image_is_argued() -> None:
    assert NOT_ARGUED not in (PROJECT / "benchmarks" / "IMAGES.md").read_text(encoding="utf-8")


def test_the_benchmark_of_images_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["images", str(folder), "--json"])
    assert main() == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["recipe"], told["before"]) == (STANDARD.name, EARLIER.name)
    assert len(told["folders"][str(folder)]) == 4
