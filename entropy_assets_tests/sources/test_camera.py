"""The simulated camera: its noise has a sensor's shape, and it never passes for a real one."""

import itertools
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from entropy_assets.sources import ImageSource
from entropy_assets.sources.camera import Sensor, SimulatedCamera
from entropy_assets.stores.images import decode

WHEN = datetime(2026, 11, 5, 1, 2, 3, 450_000, tzinfo=UTC)
DARK = Sensor(stars=0.0)


def camera(seed: int = 1, **options: Any) -> SimulatedCamera:
    """Return a camera whose frames can be repeated."""
    return SimulatedCamera(np.random.default_rng(seed), **options)


def laplacian(plane: Any) -> Any:
    """Return the 4-neighbour Laplacian of the inner pixels."""
    inner = plane[1:-1, 1:-1]
    return 4 * inner - plane[:-2, 1:-1] - plane[2:, 1:-1] - plane[1:-1, :-2] - plane[1:-1, 2:]


def test_frame_is_labelled_as_simulated_whatever_the_caller_says() -> None:
    """Instrument, flag, time and depth are in the file."""
    data = camera().expose(WHEN)
    frame = decode(data, source="nasa")
    assert frame.source == "simulated"
    assert b"SIMULATE=                    T" in data
    assert b"INSTRUME= 'SIMULATED'" in data
    assert frame.captured_at == "2026-11-05T01:02:03.450"
    assert (frame.container, frame.bit_depth, frame.adc_step, frame.lossy) == ("fits", 16, 1, False)
    assert frame.pixels.shape == (1, 512, 512)


def test_noise_is_white_as_a_raw_sensor_is() -> None:
    """White noise leaves lag-1 correlations of -8/20 in its Laplacian, along both axes."""
    residual = laplacian(decode(camera(sensor=DARK).expose(WHEN)).pixels[0].astype(float))
    for first, second in ((residual[:, 1:], residual[:, :-1]), (residual[1:], residual[:-1])):
        assert np.corrcoef(first.ravel(), second.ravel())[0, 1] == pytest.approx(-0.40, abs=0.01)


def test_noise_and_level_are_those_of_the_sensor() -> None:
    """Shot and read noise add in quadrature, in ADU; the level is bias plus sky and dark."""
    sensor = Sensor(stars=0.0, gain=2.0, read_noise=5.0, sky=300.0, dark=100.0, bias=500.0)
    plane = decode(camera(sensor=sensor).expose(WHEN)).pixels[0]
    assert plane.mean() == pytest.approx(500 + 400 / 2.0, abs=0.2)
    assert plane.std() == pytest.approx(np.sqrt(400 + 25) / 2.0, rel=0.01)


def test_frames_differ_and_a_seed_repeats_them() -> None:
    """Two exposures share no noise; the same generator gives the same file."""
    one, other = camera(), camera()
    first, second = one.expose(WHEN), one.expose(WHEN)
    assert first == other.expose(WHEN)
    a, b = (decode(data).pixels[0].ravel() for data in (first, second))
    quiet = (np.abs(a - np.median(a)) < 100) & (np.abs(b - np.median(b)) < 100)
    assert abs(np.corrcoef(a[quiet], b[quiet])[0, 1]) < 0.02


def test_stars_rise_and_saturate() -> None:
    """A star of a million electrons clips at the top of the ADC; nothing wraps round."""
    sensor = Sensor(stars=30.0, brightest=5e6, psf_sigma=1.0)
    plane = decode(camera(sensor=sensor).expose(WHEN)).pixels[0]
    assert plane.max() == 65535
    assert plane.min() > 1000
    assert np.median(plane) < 1300


def test_camera_is_a_source_with_a_clock() -> None:
    """It hands over one frame under the UTC time of exposure, and satisfies the protocol."""
    ticks = itertools.count()
    zone = timezone(timedelta(hours=2))
    source: ImageSource = camera(shape=(64, 48), clock=lambda: WHEN.astimezone(zone) + timedelta(seconds=next(ticks)))
    names = [name for _ in range(2) for name, _ in source.collect()]
    assert names == ["simulated-20261105T010203450000.fits", "simulated-20261105T010204450000.fits"]
    assert source.name == "simulated"
