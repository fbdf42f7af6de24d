"""The simulated camera as a feed: new frames each time, and all of them say what they are."""

import os

from entropy_assets.images.decode import decode
from entropy_assets.sources.feeds.kinds.simulated import SimulatedFeed
from entropy_assets_tests.sources.feeds.replaying import clock, table_of


def test_its_frames_are_new_and_say_that_they_are_simulated() -> None:
    feed = SimulatedFeed("mine", table_of("simulated", width=64, height=48, max_files=2), os.urandom, clock)
    found = feed.discover("")
    assert len({candidate.url for candidate in found.candidates}) == 2
    first, second = map(feed.fetch, found.candidates)
    assert first is not None
    assert second is not None
    assert first.data != second.data
    assert first.name == "simulated-20261129T083305000000.fits"
    frame = decode(first.data, source="drop")
    assert (frame.source, frame.pixels.shape[1:]) == ("simulated", (48, 64))
    assert (first.origin.instrument, first.origin.dated_at) == ("simulated camera", "2026-11-29T08:33:05Z")
