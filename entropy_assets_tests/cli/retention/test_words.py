"""What a person is told of a removal."""

from pathlib import Path

import pytest

from entropy_assets.cli.retention.words import KEPT, lines_of, lines_of_history, size_of
from entropy_assets.stages.retention.plan import Going, Kind

ITEMS = [
    Going(Kind.BATCH, "zoo-1", 2_500_000, "30 days are kept"),
    Going(Kind.IMAGE, "ab", 1_000, "no batch needs it"),
    Going(Kind.IMAGE, "cd", 500, "no batch needs it"),
]


def test_images_are_counted_and_batches_named() -> None:
    staying = {f"zoo-{number}": "it is young" for number in range(2, 7)}
    assert list(lines_of(ITEMS, staying, is_dry=True, keeps_all=False)) == [
        "batch       2.5 MB  zoo-1: 30 days are kept",
        "image       1.5 kB  2 images: no batch needs it",
        "2.5 MB would be removed; 5 batches stay",
        "  5 because it is young: zoo-2, zoo-3, zoo-4 ...",
    ]


def test_without_a_setting_it_says_how_to_begin() -> None:
    assert list(lines_of([], {}, is_dry=False, keeps_all=True)) == [KEPT]


def test_runs_are_counted_by_why_they_go() -> None:
    runs = {"a": "its batch was removed", "b": "7 days are kept", "c": "7 days are kept"}
    assert list(lines_of_history(Path("/d"), runs, ["zoo-1"], is_dry=True)) == [
        "run              2  7 days are kept",
        "run              1  its batch was removed",
        "partition        1  its batch was removed",
        "Dagster would forget 3 runs and 1 partition; it lies in /d",
    ]


def test_nothing_and_one_are_said_as_people_say_them() -> None:
    folder, one = Path("/d"), {"a": "7 days are kept"}
    assert list(lines_of_history(folder, {}, [], is_dry=True)) == ["Dagster would forget nothing; it lies in /d"]
    assert list(lines_of_history(folder, one, [], is_dry=False))[-1] == "Dagster forgot 1 run; it lies in /d"
    assert list(lines_of(ITEMS[1:2], {"zoo-1": "it is young"}, is_dry=False, keeps_all=False))[:2] == [
        "image       1.0 kB  1 image: no batch needs it",
        "1.0 kB removed; 1 batch stays",
    ]


@pytest.mark.parametrize(
    "size, text",
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_500_000, "1.5 MB"),
        (2 * 10**9, "2.0 GB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_sizes_are_told_in_thousands(size: int, text: str) -> None:
    assert size_of(size) == text
