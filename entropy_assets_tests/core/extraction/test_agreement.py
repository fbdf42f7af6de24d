"""An accelerator computes for an installation only if it agrees with NumPy, and nothing takes its place unasked."""

import dataclasses
import importlib.util
import types
from typing import Any

import array_api_strict
import numpy as np
import pytest

from entropy_assets.core.arrays import HOST, Arrays
from entropy_assets.core.extraction.agreement import arrays_for, frame_digest, known_frames, require_agreement
from entropy_assets.core.extraction.squares import Verdict
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.errors import ExtraMissing, StartFailed
from entropy_assets.recipe import STANDARD

WITHOUT_CUPY = pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed here")


def test_the_standard_alone_agrees() -> None:
    require_agreement(Arrays("array-api-strict", array_api_strict, array_api_strict.__version__, "cpu"))


def test_a_card_that_errs_in_one_pixel_is_found_out() -> None:
    """And told of by name, with the frames and what to do."""

    def moved(pixels: np.ndarray) -> Any:
        wrong = np.array(pixels)
        wrong[..., 5, 7] += 1
        return array_api_strict.asarray(wrong)

    broken = Arrays("broken", types.SimpleNamespace(asarray=moved), "1.0", "a card")
    with pytest.raises(StartFailed, match=r"broken 1\.0, a card gives other digits") as told:
        require_agreement(broken)
    assert "grey" in told.value.data["frames"]
    assert "ENTROPY_ARRAYS=numpy" in told.value.message


def test_a_card_that_errs_in_what_only_counts_need_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It puts one word of 8,000 last that belongs into the middle; survey and views sort nothing there."""
    sort = array_api_strict.sort

    def nearly(words: Any, **named: Any) -> Any:
        ordered = sort(words, **named)
        if words.dtype != array_api_strict.uint64 or words.shape[0] < 8_000:
            return ordered
        return array_api_strict.concat((ordered[:4000], ordered[4001:], ordered[4000:4001]))

    frame = dict(known_frames())["grey"]
    placed = dataclasses.replace(frame, pixels=array_api_strict.asarray(frame.pixels))
    assert frame_digest(placed, STANDARD) == frame_digest(frame, STANDARD)
    monkeypatch.setattr(array_api_strict, "sort", nearly)
    assert frame_digest(placed, STANDARD) != frame_digest(frame, STANDARD)


def test_the_known_frames_show_what_can_differ() -> None:
    """Among them are all three widths of pixels, live area, and squares that are dead for several reasons."""
    frames = dict(known_frames())
    assert {frame.pixels.dtype.itemsize for frame in frames.values()} == {2, 4, 8}
    verdicts = {
        Verdict(value) for frame in frames.values() for value in np.unique(survey_frame(frame, STANDARD).verdict)
    }
    assert verdicts >= {Verdict.LIVE, Verdict.MISSING, Verdict.SATURATED, Verdict.CONSTANT, Verdict.REPEATED}
    digests = {frame_digest(frame, STANDARD) for frame in frames.values()}
    assert len(digests) == len(frames)


def test_memory_is_chosen_without_a_look_at_any_card() -> None:
    assert arrays_for("numpy") is HOST


@WITHOUT_CUPY
def test_without_cupy_memory_is_taken_unless_a_card_was_asked_for() -> None:
    assert arrays_for("auto") is HOST
    with pytest.raises(ExtraMissing, match="gpu"):
        arrays_for("cupy")
