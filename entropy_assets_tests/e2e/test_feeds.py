"""Feeds with the real daemon: what a telescope and a web server have becomes blocks that tell where they came from."""

import functools
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from entropy_assets_tests.e2e.running import Installation, eventually
from entropy_assets_tests.stages.batches_made import frame

pytestmark = pytest.mark.e2e

TABLES = """
[feed.telescope]
kind = "folder"
path = "{folder}"
claim = "raw-ccd"
instrument = "the dome's camera"
settle_seconds = 0
cadence_seconds = 10
from_the_oldest = true
lane = "public"

[feed.server]
kind = "http-directory"
url = "{url}"
own_network = true
claim = "raw-ccd"
cadence_seconds = 60
from_the_oldest = true
lane = "public"
credit = "Somebody's observatory"
licence = "CC0"

[feed.away]
kind = "http-directory"
url = "http://127.0.0.1:1/"
own_network = true
claim = "raw-ccd"
lane = "public"
credit = "nobody"
licence = "none"
"""


class Quiet(SimpleHTTPRequestHandler):
    """A folder as a web server lists it."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def www(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Give a folder and where it is served."""
    folder = tmp_path / "www"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_what_feeds_have_becomes_blocks_that_tell_where_they_came_from(tmp_path: Path, www: tuple[Path, str]) -> None:
    """One that is away stops none of the others."""
    served, url = www
    telescope, home = tmp_path / "telescope", tmp_path / "home"
    telescope.mkdir()
    home.mkdir()
    (telescope / "dome.fits").write_bytes(frame(1, side=512))
    (served / "sky 1.fits").write_bytes(frame(2, side=512))
    with Installation.running(home) as installation:
        # a pipeline that ran before there was any feed finds the file
        (home / "sources.toml").write_text(TABLES.format(folder=telescope, url=url))

        def published() -> bool:
            batches = installation.get("/batches").json()["batches"]
            return sum(len(batch["images"]) for batch in batches if batch["published_blocks"]) == 2

        eventually("the publication of both images", published, 300)
        origins = {}
        for batch in installation.batches:
            assert batch.intake.lane == "public"
            origins |= {item.origin.feed: item.origin for item in batch.intake.files if item.origin}
        dome, sky = origins["telescope"], origins["server"]
        assert (dome.url, dome.instrument) == ("folder:telescope/dome.fits", "the dome's camera")
        assert (sky.url, sky.credit, sky.licence) == (f"{url}sky%201.fits", "Somebody's observatory", "CC0")
        metrics = installation.get("/metrics").text
        assert re.search(r'^entropy_feed_images_total\{feed="telescope"\} 1(\.0)?$', metrics, re.MULTILINE), metrics
        assert re.search(r'^entropy_feed_in_trouble\{feed="away"\} 1(\.0)?$', metrics, re.MULTILINE), metrics
        told = installation.command("sources", "list", "--json")
        assert told.returncode == 0, told.stderr
