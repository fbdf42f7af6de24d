"""Fixtures of the tests inside the server."""

import pytest

from entropy_assets.serving.answers.hot_path import HotPath, HotRequest
from entropy_assets.serving.server.fast_lane import FastLane


@pytest.fixture
def lane_answers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give a list that grows with each answer of the lane, so that a test knows which way was taken."""
    taken: list[int] = []
    write = FastLane._write

    def noting(self: FastLane, answer: object) -> None:
        taken.append(1)
        write(self, answer)  # type: ignore[arg-type]

    monkeypatch.setattr(FastLane, "_write", noting)
    return taken


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Give a list of the requests that were known by their bytes, and so not read."""
    seen: list[bytes] = []
    known = HotPath.known

    def noting(self: HotPath, request: bytes) -> HotRequest | None:
        asked = known(self, request)
        if asked is not None:
            seen.append(request)
        return asked

    monkeypatch.setattr(HotPath, "known", noting)
    return seen
