"""The same exposure, or sensor, is remembered however it lies and whenever it came; independent noise is not."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from entropy_assets.core.credit.elsewhere.moved import Turned
from entropy_assets.core.credit.elsewhere.recollection import Recollection
from entropy_assets.core.credit.fresh import SeenPart, explained
from entropy_assets.core.credit.memory import PARTS, Remembered, SensorMemory, known_parts, lookup_of, recollection_of
from entropy_assets.core.credit.sketches import Sketch, sketch_of
from entropy_assets.core.digests import oriented
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.core.frame import Frame
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.core.frames import frame, white
from entropy_assets_tests.scenarios.judging import Memory, assessed
from entropy_assets_tests.scenarios.laws import Gaussian
from entropy_assets_tests.scenarios.scenario import fits_file

EXPOSURE = white((320, 288), sigma=9, seed=1)


def sketch(image: Frame) -> Sketch:
    return sketch_of(image, survey_frame(image, STANDARD))


def shown(one: np.ndarray, other: np.ndarray) -> Recollection:
    """Give what `other` shows of the noise of `one`."""
    return recollection_of(Turned(sketch(frame(one))), sketch(frame(other)), 1)


def memory_of(*sketches: Sketch, most: int = 10_000) -> tuple[SensorMemory, dict[str, Sketch]]:
    memory = SensorMemory(most)
    for each in sketches:
        memory.add(Remembered(each.name, each.sensor, each.live_pixels, lookup_of(each)))
    return memory, {each.name: each for each in sketches}


def recollected(memory: tuple[SensorMemory, dict[str, Sketch]], of: Sketch) -> Recollection:
    return memory[0].recollect(of, lambda names: [memory[1][name] for name in names])


# What two frames share


@given(st.integers(0, 7), st.integers(-200, 200), st.integers(-200, 200), st.sampled_from((1, -1)))
@example(0, 128, -128, 1)
@example(0, 160, 144, -1)
@settings(max_examples=15, deadline=None)
def test_one_exposure_is_itself_in_every_orientation_shift_and_sign(way: int, down: int, right: int, sign: int) -> None:
    other = 3000 + sign * np.roll(oriented(EXPOSURE, way), (down, right), axis=(0, 1))
    assert shown(other, EXPOSURE).known_parts > 0.75 * PARTS, "more than half, so it counts as a copy"


@pytest.mark.parametrize("fresh", [3, 9, 18])
def test_of_a_copy_with_noise_added_the_share_is_no_less_than_its_own(fresh: float) -> None:
    other = np.rot90(EXPOSURE)[::-1] + white((288, 320), sigma=fresh, seed=2) - 1000
    assert 81 / (81 + fresh**2) < shown(other, EXPOSURE).known_parts / PARTS < math.sqrt(81 / (81 + fresh**2)) + 0.04


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("slope", [1, 5, 10])
def test_a_copy_under_other_light_holds_nothing_wherever_else_it_seems_to_fit(slope: int, seed: int) -> None:
    """Places at which it fits by chance and what rounding makes of a correlation of 1 decide nothing."""
    codes = np.rint(2000 + 9 * np.random.default_rng(seed).standard_normal((256, 256))).astype(np.int64)
    assert shown(codes + slope * np.arange(256), codes).known_parts == 10_000


def test_the_pattern_of_a_sensor_is_measured_as_its_share_of_the_variance() -> None:
    pattern = white((320, 320), sigma=8, seed=9) - 1000
    one, other = (white((320, 320), sigma=8, seed=n) + pattern for n in (10, 11))
    assert 0.5 < shown(one, other).known_parts / PARTS < 0.54
    turned = white((320, 320), sigma=8, seed=12) + np.rot90(pattern)
    assert 0.5 < shown(turned, one).known_parts / PARTS < 0.54


def test_a_pattern_of_columns_counts_as_it_does_in_the_credited_differences() -> None:
    """Of columns a Laplacian shows less than a third of what the differences along a row do."""
    columns = np.rint(np.random.default_rng(5).normal(0, 3, 320)).astype(np.int64)
    one, other = (white((320, 320), sigma=8, seed=n) + columns for n in (13, 14))
    assert 9 / 73 < shown(one, other).known_parts / PARTS < 9 / 73 + 0.08


def test_a_part_of_an_exposure_is_known_although_the_rest_thins_it_out() -> None:
    part = EXPOSURE[64:224, 37:197]
    assert shown(part, EXPOSURE).known_parts > 0.9 * PARTS
    assert shown(EXPOSURE, part).known_parts > 0.9 * PARTS


def test_half_of_an_exposure_copied_is_half_known_and_the_rest_is_fresh() -> None:
    """Of a copied half nothing is left; as a share of the variance it would leave nearly all."""
    other = white((320, 288), sigma=9, seed=3)
    other[:160] = EXPOSURE[:160]
    found = shown(other, EXPOSURE)
    assert 0.45 < found.known_parts / PARTS < 0.58
    assert min(found.cells[:8]) == PARTS
    assert max(found.cells[8:]) < 0.2 * PARTS


def test_independent_frames_show_nothing_of_each_other() -> None:
    """All pairs of 24 frames, in 8 orientations and at 16,384 shifts each."""
    sketches = [sketch(frame(white((160, 160), sigma=7, seed=100 + n))) for n in range(24)]
    found = [recollection_of(Turned(sketches[n]), other, 0) for n in range(1, 24) for other in sketches[:n]]
    assert len(found) == 276
    assert {each.known_parts for each in found} == {0}


def test_stars_and_gradients_of_one_scene_are_no_pattern() -> None:
    rows, columns = np.mgrid[:320, :320]
    scene = np.rint(rows * 3.0 + columns + 4000 * np.exp(-((rows - 160) ** 2 + (columns - 150) ** 2) / 30)).astype(int)
    assert shown(*(scene + white((320, 320), sigma=7, seed=n) for n in (5, 6))).known_parts == 0


def test_dead_areas_decide_nothing() -> None:
    half, other = EXPOSURE.copy(), white((320, 288), sigma=9, seed=8)
    half[:, :160] = other[:, :160] = 1000
    assert shown(half, other).known_parts == 0
    assert shown(half, half[::-1]).known_parts > 0.99 * PARTS
    assert shown(half, EXPOSURE).known_parts > 0.9 * PARTS


@given(st.floats(0.05, 1), st.floats(0.001, 0.02), st.floats(1, 4))
def test_what_counts_as_known_is_above_what_was_measured(rho: float, error: float, ratio: float) -> None:
    assert min(PARTS, rho * PARTS) <= known_parts(rho, error, ratio) <= PARTS


# The memory


@pytest.mark.slow
def test_an_earlier_frame_is_found_among_many_of_other_sensors_however_it_lies() -> None:
    """The index alone finds it: none of them counts as the same sensor, and it is not among the newest."""
    earlier = [sketch(frame(white((96 + 32 * (n % 5), 160), sigma=9, seed=300 + n))) for n in range(120)]
    memory = memory_of(sketch(frame(EXPOSURE)), *earlier)
    for other in (EXPOSURE[::-1], np.rot90(EXPOSURE), np.roll(EXPOSURE, (17, 40), axis=(0, 1)), 3000 - EXPOSURE.T):
        found = recollected(memory, sketch(frame(np.ascontiguousarray(other[:280, :272]))))
        assert found.of == frame(EXPOSURE).image_sha256
        assert found.known_parts > 0.9 * PARTS


def test_the_newest_frames_of_a_sensor_are_looked_at_whatever_the_index_says() -> None:
    pattern = white((320, 320), sigma=3, seed=9) - 1000
    frames = [sketch(frame(white((320, 320), sigma=8, seed=400 + n) + pattern)) for n in range(3)]
    found = recollected(memory_of(*frames[:2]), frames[2])
    assert found.frames == 2
    assert 9 / 73 - 0.01 < found.known_parts / PARTS < 9 / 73 + 0.08


def test_it_holds_the_newest_frames_and_no_more() -> None:
    frames = [sketch(frame(white((64, 64), sigma=8, seed=500 + n))) for n in range(5)]
    memory, shelf = memory_of(*frames, most=3)
    assert len(memory) == 3
    assert recollected((memory, shelf), frames[0]).known_parts == 0
    assert recollected((memory, shelf), frames[4]).known_parts == PARTS


def test_nothing_is_remembered_at_first() -> None:
    assert recollected(memory_of(), sketch(frame(EXPOSURE))) == Recollection(0)


def test_a_recollection_comes_back_from_its_row() -> None:
    found = shown(EXPOSURE[::-1], EXPOSURE)
    assert found.of is not None
    assert Recollection.from_row(found.to_row()) == found
    assert "turned by" in explained([SeenPart(0, sketch(frame(EXPOSURE[::-1])), found)], "repeats")


def test_frames_get_the_same_credit_together_one_at_a_time_and_late() -> None:
    """Together, in batches of their own, and after frames of other sensors."""
    rng = np.random.default_rng(7)
    pattern = 1000 + rng.normal(0, 12, (160, 160))
    files = [fits_file(Gaussian(6.0).draw(rng, pattern)) for _ in range(3)]
    others = [fits_file(Gaussian(6.0).draw(rng, np.full((96, 128), 1000.0))) for _ in range(6)]
    together, apart = Memory(), Memory()
    once = [together.spend(*assessed(data, "raw-ccd")).credit_bits for data in files]
    late = []
    for n, data in enumerate(files):
        late.append(apart.spend(*assessed(data, "raw-ccd")).credit_bits)
        for other in others[2 * n : 2 * n + 2]:
            apart.spend(*assessed(other, "raw-ccd"))
    assert once == late
    assert min(once) > 0
