"""Images fetched again: what a server has now is told apart by its bytes, and each is asked for once."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest

from entropy_assets.provenance.refetching import LONGEST_REASON, NOT_PUBLIC, fetched_again
from entropy_assets.sources.feeds.web.hosts import HostRules
from entropy_assets.sources.feeds.web.limits import WebLimits
from entropy_assets.sources.feeds.web.pacing import Pacing
from entropy_assets.sources.feeds.web.reader import HttpReader
from entropy_assets_tests.sources.feeds.fault_server import FaultServer, answer, redirect
from entropy_assets_tests.stages.batches_made import flat_png

IMAGE = flat_png()
OTHER = IMAGE + b"a comment"
PNG = {"Content-Type": "image/png"}
PAGE = answer(b"<!doctype html><html>Not found</html>", headers={"Content-Type": "text/html"})


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        running.give("/same.png", answer(IMAGE, headers=PNG))
        running.give("/changed.png", answer(OTHER, headers=PNG))
        running.give("/page.png", PAGE)
        running.give("/broken.png", answer(IMAGE, headers=PNG, length=10 * len(IMAGE)))
        running.give("/busy.png", answer(b"x" * 5000, 503, {"X-Words": "\x1b[2J"}))
        running.give("/astray.png", redirect("https://elsewhere.example/a.png"))
        yield running


def told(url: str, image: bytes = IMAGE) -> dict[str, Any]:
    origin = {"feed": "sdo", "url": url, "fetched_at": "2026-11-29T08:33:00Z", "etag": '"as it was"'}
    return {"image_sha256": sha256(image).hexdigest(), "origin": origin}


@pytest.mark.parametrize(
    "path, outcome",
    [
        ("/same.png", "same"),
        ("/changed.png", "changed"),
        ("/page.png", "changed"),
        ("/missing.png", "gone"),
        ("/broken.png", "no answer"),
        ("/busy.png", "no answer"),
        ("/astray.png", "not asked"),
    ],
)
def test_what_a_server_has_now_is_told_apart(server: FaultServer, path: str, outcome: str) -> None:
    """By the bytes: what it says of versions is not believed, so nothing is asked that it could answer by that."""
    rules = HostRules([f"127.0.0.1:{server.port}"], plain=["127.0.0.1"], local=["127.0.0.1"])
    reader = HttpReader("audit", rules, pacing=Pacing(), limits=WebLimits(attempts=1, least_interval_s=0))
    [found] = fetched_again([told(server.origin + path)], lambda _url: reader)
    assert (found.outcome, bool(found.reason)) == (outcome, outcome != "same")
    assert len(found.reason) <= LONGEST_REASON
    assert all("if-none-match" not in dict(asked.headers) for asked in server.asked)
    assert found.to_row() == {
        "image_sha256": sha256(IMAGE).hexdigest(),
        "url": server.origin + path,
        "outcome": outcome,
        "reason": found.reason,
    }


def test_an_image_that_no_feed_brought_is_named_and_each_is_asked_for_once(server: FaultServer) -> None:
    rules = HostRules([f"127.0.0.1:{server.port}"], plain=["127.0.0.1"], local=["127.0.0.1"])
    reader = HttpReader("audit", rules, pacing=Pacing(), limits=WebLimits(attempts=1, least_interval_s=0))
    images = [told(server.origin + "/same.png")] * 3 + [
        {"image_sha256": "ab" * 32, "origin": None},
        {"image_sha256": "c"},
    ]
    assert [found.outcome for found in fetched_again(images, lambda _url: reader)] == ["same", "not asked", "not asked"]
    assert len(server.asked) == 1


def test_a_server_that_may_not_be_asked_is_nothing_that_a_table_of_feeds_could_mend(server: FaultServer) -> None:
    rules = HostRules([f"127.0.0.1:{server.port}"])
    reader = HttpReader("audit", rules, pacing=Pacing(), limits=WebLimits(attempts=1, least_interval_s=0))
    [found] = fetched_again([told(server.origin + "/same.png")], lambda _url: reader)
    assert (found.outcome, found.reason) == ("not asked", NOT_PUBLIC)
    assert server.asked == []
