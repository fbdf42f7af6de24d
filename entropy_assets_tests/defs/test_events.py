"""What a batch leaves in Dagster's storage: each number and picture once, as few events and bytes as can be."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from benchmarks.growth import LAUNCH_BYTES, LAUNCH_EVENTS
from entropy_assets.defs.build import build_defs
from entropy_assets.sources.feeds.depot import name_in_inbox
from entropy_assets.sources.feeds.interface import FetchedImage
from entropy_assets.stores.inboxes.origins import Origin
from entropy_assets_tests.defs.conftest import Home
from entropy_assets_tests.stages.batches_made import frame

MOST_EVENTS = 78
"""Of both runs, with those that a daemon and a launcher add."""
MOST_BYTES = {1: 96_000, 4: 98_000, 16: 98_500, 1000: 98_500}
"""JSON of them, by frames of a batch. 1.2 kB of each event are Dagster's own: 86 kB hold nothing of the batch."""
MOST_BYTES_FED = 99_500
"""The same where a feed brought 16 frames and all that can be told of them."""
URL_LETTERS = 300


def stored(folder: Path) -> Iterator[str]:
    """Give the events of all runs as they lie in the files of an instance."""
    for file in folder.glob("history/runs/*-*.db"):
        with sqlite3.connect(file) as db:
            yield from (event for (event,) in db.execute("SELECT event FROM event_logs"))


def shown_in(event: dict[str, Any]) -> list[str]:
    """Give the names of what an event shows, wherever in it."""
    labels = [event["label"]] if event.get("__class__") == "EventMetadataEntry" else []
    for value in event.values():
        for item in value if isinstance(value, list) else [value]:
            labels += shown_in(item) if isinstance(item, dict) else []
    return labels


def fetched(number: int, *, apart: bool) -> Origin:
    """Give where a feed got an image, with as much as servers tell; `apart` from all other images in each word."""
    mark = hashlib.sha256(str(number).encode()).hexdigest()
    place = f"https://{mark[:8] if apart else 'archive'}.example.org/{'d' * 180}/{mark}.fits?version="
    own = f"{mark} " if apart else ""
    return Origin(
        feed="observatory-at-the-long-hill",
        url=place + "v" * (URL_LETTERS - len(place)),
        fetched_at=f"2026-11-29T08:33:{number:02}Z",
        dated_at="2026-11-29T08:00:00Z",
        instrument=f"{own}Wide camera of the observatory",
        credit=f"{own}{'Example Observatory and the universities of its consortium, ' * 4}",
        licence=f"{own}CC BY 4.0",
    )


def bytes_of_both_runs(home: Home, folder: Path, key: str) -> int:
    """Run a batch through, and give the bytes of its events, with those that a daemon and a launcher add."""
    for job in ("process_images", "publish_blocks"):
        home.run(job, key)
    return sum(map(len, stored(folder))) + LAUNCH_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("apart", [False, True])
def test_what_feeds_tell_of_sixteen_frames_stays_within_the_same_bounds(
    home: Home, tmp_path: Path, apart: bool
) -> None:
    settings = home.settings.model_copy(update={"batch_max_files": 16})
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        home = replace(home, instance=instance, settings=settings, defs=build_defs(settings, {"pool": home.pool}))
        contents = []
        for number in range(16):
            data, origin = frame(number, 512), fetched(number, apart=apart)
            image_sha256 = hashlib.sha256(data).hexdigest()
            assert len(origin.url) == URL_LETTERS
            home.stores.layout.origins().keep(image_sha256, origin)
            named = FetchedImage(f"{'n' * 100}.fits", data, origin)
            contents.append((name_in_inbox(named, image_sha256), data))
        size = bytes_of_both_runs(home, tmp_path, home.batch_of(*contents))
    assert size < MOST_BYTES_FED


@pytest.mark.parametrize("frames", [1, *(pytest.param(frames, marks=pytest.mark.slow) for frames in (4, 16, 1000))])
def test_a_batch_leaves_few_events_which_show_each_thing_once(home: Home, tmp_path: Path, frames: int) -> None:
    settings = home.settings.model_copy(update={"batch_max_files": frames})
    side = 512 if frames <= 16 else 128
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        home = replace(home, instance=instance, settings=settings, defs=build_defs(settings, {"pool": home.pool}))
        key = home.batch_of(*((f"{number}.fits", frame(number, side)) for number in range(frames)))
        results = [home.run(job, key) for job in ("process_images", "publish_blocks")]
    events = list(stored(tmp_path))
    assert len(events) + LAUNCH_EVENTS < MOST_EVENTS
    assert sum(map(len, events)) + LAUNCH_BYTES < MOST_BYTES[frames]
    materializations = [event for result in results for event in result.get_asset_materialization_events()]
    expected = sorted(label for event in materializations for label in event.materialization.metadata)
    evaluations = [each for result in results for each in result.get_asset_check_evaluations()]
    assert not [each.check_name for each in evaluations if "p_values" in each.metadata], "the verdicts show them all"
    assert {"manifest", "pictures", "assessment", "live_area", "credit_by_image", "verdicts"} <= set(expected)
    shown = [label for event in events for label in shown_in(json.loads(event))]
    assert sorted(label for label in shown if label in set(expected)) == expected
