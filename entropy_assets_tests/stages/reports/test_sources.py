"""What a source is worth: an honest sensor passes; what is stuck, uneven, repeats or is pattern is told."""

from collections.abc import Callable

import numpy as np
import pytest

from entropy_assets.stages.reports.sources import Bounds, SensorFinding, report_on_sources
from entropy_assets_tests.stages.batches_made import Place
from entropy_assets_tests.stages.reports.noises import PAIRS, kept

Frames = Callable[[np.random.Generator], list[np.ndarray]]


def white(rng: np.random.Generator, count: int = 14) -> list[np.ndarray]:
    return [rng.integers(0, 16, PAIRS, dtype=np.uint8) for _ in range(count)]


def the_only(place: Place, bounds: Bounds | None = None) -> SensorFinding:
    (sensor,) = report_on_sources(place, bounds).sensors
    return sensor


def test_an_honest_sensor_passes_and_every_figure_is_there(place: Place) -> None:
    kept(place, *white(np.random.default_rng(1)))
    sensor = the_only(place)
    assert sensor.over_credited == ()
    assert sensor.patterned == ""
    assert len(sensor.frames) == 8
    assert sensor.glued.samples == 14 * 8192
    assert not sensor.glued.enough_samples
    assert sensor.credited == pytest.approx(2.4, abs=1e-3)
    assert sensor.claim == 4.0
    assert sensor.restarts is not None
    assert (sensor.restarts.frames, sensor.restarts.columns) == (14, 1000)
    assert 0 < sensor.margin < sensor.glued.h_i


def stuck(rng: np.random.Generator) -> list[np.ndarray]:
    """Give frames in which all samples are the same."""
    return [np.full(PAIRS, 5, dtype=np.uint8) for _ in range(14)]


def uneven(rng: np.random.Generator) -> list[np.ndarray]:
    """Give frames whose highest bit is 0 in three of four samples, and the next one too."""
    return [one & np.where(rng.random(PAIRS) < 0.5, 3, 15).astype(np.uint8) for one in white(rng)]


def repeating(rng: np.random.Generator) -> list[np.ndarray]:
    """Give frames of which nearly each sample is the one above."""
    fresh = white(rng)
    rows = [np.repeat(one[:1], PAIRS[0], axis=0) for one in fresh]
    return [np.where(rng.random(PAIRS) < 0.05, one, row) for one, row in zip(fresh, rows, strict=True)]


@pytest.mark.parametrize("broken", [stuck, uneven, pytest.param(repeating, marks=pytest.mark.slow)])
def test_a_source_that_was_credited_too_much_is_told(place: Place, broken: Frames) -> None:
    kept(place, *broken(np.random.default_rng(2)))
    sensor = the_only(place)
    assert sensor.margin < 0
    assert any("frames in a row" in sentence for sentence in sensor.over_credited)


def test_the_frame_that_is_worth_least_is_told_though_all_together_are_enough(place: Place) -> None:
    """Glued, one dead frame of many is a small part; by itself it has nothing."""
    rng = np.random.default_rng(3)
    kept(place, *white(rng, 5), *stuck(rng)[:1])
    told = the_only(place).over_credited
    assert told[0].startswith("raw-ccd, 128x128: 5.fits is assessed at 0.000")


def test_a_fixed_pattern_is_told_by_the_matrix_alone(place: Place) -> None:
    """Each frame is as good as the others, and glued they are too: only side by side they are the same."""
    rng = np.random.default_rng(4)
    pattern = rng.integers(0, 16, PAIRS, dtype=np.uint8)
    kept(place, *[(pattern + rng.integers(0, 2, PAIRS, dtype=np.uint8)) & 15 for _ in range(60)], credited=0.5)
    sensor = the_only(place, Bounds(frames=1, glued_samples=16_000))
    assert sensor.over_credited == ()
    assert "at one pixel pair" in sensor.patterned


def test_a_pattern_that_is_in_every_sequence_is_told_as_too_much_credit(place: Place) -> None:
    """The same with a hundred frames and more: what is left of a sample is compared with what was credited."""
    rng = np.random.default_rng(5)
    pattern = rng.integers(0, 16, PAIRS, dtype=np.uint8)
    kept(place, *[(pattern + rng.integers(0, 2, PAIRS, dtype=np.uint8)) & 15 for _ in range(104)])
    sensor = the_only(place, Bounds(frames=1, glued_samples=16_000))
    assert any("side by side" in sentence for sentence in sensor.over_credited)


def test_what_is_beyond_the_bounds_is_left_out_and_counted(place: Place) -> None:
    rng = np.random.default_rng(6)
    kept(place, *white(rng, 3))
    kept(place, *white(rng, 2), source="mast-raw")
    report = report_on_sources(place, Bounds(sensors=1, frames=1, frame_samples=5000, glued_samples=9000))
    (sensor,) = report.sensors
    assert (sensor.source, report.left_out) == ("mast-raw", 1)
    assert [each.assessment.samples for each in sensor.frames] == [5000]
    assert sensor.glued.samples == 9000


def test_one_frame_makes_no_matrix_and_none_no_finding(place: Place) -> None:
    assert report_on_sources(place).sensors == ()
    kept(place, *white(np.random.default_rng(7), 1))
    assert the_only(place).restarts is None
