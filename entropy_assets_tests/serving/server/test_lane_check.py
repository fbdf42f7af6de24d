"""Whether the fast lane fits the installed uvicorn is tried at the start, and where it does not, there is none."""

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from entropy_assets.serving.server import lane_check, workers
from entropy_assets.serving.server.bounds import Bounded
from entropy_assets.serving.server.fast_lane import FastLane


def test_the_lane_fits_the_installed_uvicorn() -> None:
    assert lane_check.why_no_fast_lane() is None
    assert workers.server_options(fast_lane=True)["http"].func is FastLane


@pytest.mark.parametrize("name", ["on_message_begin", "on_message_complete", "on_headers_complete", "data_received"])
def test_a_uvicorn_that_works_otherwise_is_noticed_and_served_without_the_lane(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FastLane, name, lambda *_: None)
    assert lane_check.why_no_fast_lane() is not None
    assert workers.server_options(fast_lane=True)["http"].func is Bounded


def test_a_uvicorn_without_what_the_lane_leans_on_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(HttpToolsProtocol, "_start_asgi_task")
    assert lane_check.why_no_fast_lane() is not None
