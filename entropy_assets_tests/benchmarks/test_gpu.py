"""The clock of the benchmark of a card counts what each frame takes, and not what each thread takes once."""

import threading
import types
from typing import Any

import pytest

from benchmarks import gpu
from entropy_assets.core.arrays import HOST, Arrays
from entropy_assets.core.frame import Frame
from entropy_assets_tests.core.random_frames import random_frame


def test_what_each_thread_begins_with_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread's first product makes a handle of cuBLAS, and its stream's first frame takes memory of the card."""
    mine = threading.local()
    computed: list[int] = []
    seconds: list[float] = []

    def first_is_slow(frame: Frame, arrays: Arrays) -> bool:
        if not hasattr(mine, "begun"):
            seconds.append(0.5)
        mine.begun = True
        computed.append(threading.get_ident())
        return True

    monkeypatch.setattr(gpu, "noise_of", first_is_slow)
    monkeypatch.setattr(gpu, "time", types.SimpleNamespace(perf_counter=lambda: sum(seconds)))
    assert gpu.batch_seconds(random_frame(1), HOST, 4, 8) == 0
    assert sum(seconds) == 4 * 0.5
    assert len(computed) == 4 + 8
    assert len(set(computed[:4])) == 4


def test_a_batch_that_does_not_fit_on_a_card_is_not_taken_for_its_speed() -> None:
    def full(pixels: Any) -> Any:
        raise MemoryError

    small = Arrays("small", types.SimpleNamespace(asarray=full), "1", "a card")
    assert gpu.batch_seconds(gpu.noise_frame(64), small, 2, 2) == float("inf")
    assert gpu.batch_seconds(gpu.noise_frame(64), HOST, 2, 2) < float("inf")


def test_a_profile_tells_the_longest_steps_of_survey_and_views() -> None:
    steps = gpu.profile(gpu.noise_frame(64), HOST)
    assert next(iter(steps)) == "noise: extract"
    assert {"noise: survey", "survey: survey_frame"} < set(steps)
    assert list(steps.values()) == sorted(steps.values(), reverse=True)
    assert len(steps) == gpu.STEPS


def test_the_frame_that_the_aim_is_for_is_profiled_where_it_is_measured() -> None:
    assert gpu.profiled_of([512, 2048, 4096, 7808]) == 4096
    assert gpu.profiled_of([512, 2048]) == 2048
