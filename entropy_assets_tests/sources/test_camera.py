"""The simulated camera: its noise has a sensor's shape, and it never passes for a real one."""

import itertools
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from entropy_assets.core.credit.assessment import assess
from entropy_assets.core.extraction.noise import NoiseExtractor
from entropy_assets.images.decode import decode
from entropy_assets.recipe import RECIPES
from entropy_assets.sources.camera import (
    BAND_PIXELS,
    STATE_BITS,
    STATE_BYTES,
    Sensor,
    SimulatedCamera,
    fresh_generator,
    pixel_credit,
)
from entropy_assets.sources.image_source import ImageSource
from entropy_assets_tests.stages.batches_made import seeded_bytes

WHEN = datetime(2026, 11, 5, 1, 2, 3, 450_000, tzinfo=UTC)
DARK = Sensor(stars=0.0)


def camera(seed: int = 1, **options: Any) -> SimulatedCamera:
    """Return a camera whose frames can be repeated."""
    return SimulatedCamera(seeded_bytes(seed), **options)


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
    """Two exposures share no noise; the same system bytes give the same file."""
    one, other = camera(), camera()
    first, second = one.expose(WHEN), one.expose(WHEN)
    assert first == other.expose(WHEN)
    a, b = (decode(data).pixels[0].ravel() for data in (first, second))
    quiet = (np.abs(a - np.median(a)) < 100) & (np.abs(b - np.median(b)) < 100)
    assert abs(np.corrcoef(a[quiet], b[quiet])[0, 1]) < 0.02


def test_a_generator_starts_from_all_the_bytes_it_is_given() -> None:
    """Its first output is that of the Mersenne Twister of 1998 in the given state, and each word counts.

    Of the first word only the highest bit is state: 1 + 623 * 32 = 19937.
    """
    state = np.frombuffer(seeded_bytes(1)(STATE_BYTES), dtype="<u4")

    def outputs(words: Any) -> Any:
        return fresh_generator(lambda size: words.tobytes()[:size]).integers(0, 1 << 32, 624, np.uint32).tolist()

    mixed = int(state[0]) & 0x80000000 | int(state[1]) & 0x7FFFFFFF
    word = int(state[397]) ^ mixed >> 1 ^ (0x9908B0DF if mixed & 1 else 0)
    word ^= word >> 11
    word ^= word << 7 & 0x9D2C5680
    word ^= word << 15 & 0xEFC60000
    assert outputs(state)[0] == word ^ word >> 18
    for at in range(624):
        altered = state.copy()
        altered[at] ^= np.uint32(1 << 31)
        assert outputs(altered) != outputs(state), at
    assert STATE_BITS == 1 + 623 * 32


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("shape", [(512, 512), (96, 331)])
def test_a_frame_takes_in_more_fresh_bits_than_it_is_credited(shape: tuple[int, int], recipe: Any) -> None:
    """Whatever the estimates say: no band can be credited what its generator holds, so neither can the frame."""
    taken: list[int] = []
    system_bytes = seeded_bytes(1)

    def counted(size: int) -> bytes:
        taken.append(size)
        return system_bytes(size)

    frame = decode(SimulatedCamera(counted, shape, DARK).expose(WHEN))
    credit = assess(NoiseExtractor().extract(frame, bytes(32)), frame, recipe).credit_bits
    scene, *bands = taken
    assert {scene, *bands} == {STATE_BYTES}
    assert len(bands) == -(-frame.pixels.size // BAND_PIXELS)
    assert BAND_PIXELS * pixel_credit(recipe) < STATE_BITS
    assert 0 < credit <= frame.pixels.size * pixel_credit(recipe) < len(bands) * STATE_BITS


def test_each_band_has_a_generator_of_its_own() -> None:
    """Other bytes for one band change all of its noise and none of the others'."""

    def expose(altered: int) -> Any:
        calls, system_bytes = itertools.count(), seeded_bytes(1)

        def altering(size: int) -> bytes:
            given = system_bytes(size)
            return given[::-1] if next(calls) == altered else given

        return decode(SimulatedCamera(altering, sensor=DARK).expose(WHEN)).pixels[0].ravel()

    changed = (expose(-1) != expose(3)).reshape(-1, BAND_PIXELS).mean(axis=1)
    assert changed[2] > 0.9
    assert not changed[:2].any()
    assert not changed[3:].any()


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
