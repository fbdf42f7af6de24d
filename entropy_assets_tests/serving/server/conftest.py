"""Fixtures of the tests inside the server."""

import pytest

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
