"""Linear generators are found however they were laid out, and no sensor's bits follow a short rule."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.extraction.made.linearity import gf2_rank, relative_complexity
from entropy_assets.core.extraction.noise import NoiseExtractor
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images.decode import decode
from entropy_assets.recipe import STANDARD, recipe_named
from entropy_assets_tests.core.frames import frame, survey

SHAPE = (96, 160)
COUNT = SHAPE[0] * SHAPE[1]


def register(bits_per_pixel: int) -> Iterator[int]:
    """Give pixels from a maximal register of 16 bits (taps 16, 14, 13, 11), the first bit highest."""
    state = 0xACE1
    while True:
        pixel = 0
        for _ in range(bits_per_pixel):
            bit = (state ^ state >> 2 ^ state >> 3 ^ state >> 5) & 1
            state = state >> 1 | bit << 15
            pixel = pixel << 1 | bit
        yield pixel


def xorshift(bits: int, shifts: tuple[int, int, int], seed: int = 2_463_534_242) -> Iterator[int]:
    """Give the words of Marsaglia's generator of that width."""
    mask, word = (1 << bits) - 1, seed
    while True:
        word ^= word << shifts[0] & mask
        word ^= word >> shifts[1]
        word ^= word << shifts[2] & mask
        yield word


def c_library() -> Iterator[int]:
    """Give what ``random()`` of the GNU C library gives for seed 1: additive feedback, without the lowest bit."""
    state = [1]
    for _ in range(30):
        state.append(16_807 * state[-1] % 2_147_483_647)
    words = state + state[:3]
    for place in range(34, 10**9):
        words.append((words[-3] + words[-31]) % 2**32)
        if place >= 344:
            yield words[-1] >> 1


GENERATORS = {
    "register, 5 bits": lambda: register(5),
    "register, 6 bits": lambda: register(6),
    "xorshift32, low": lambda: (word % 64 for word in xorshift(32, (13, 17, 5))),
    "xorshift32, high": lambda: (word >> 26 for word in xorshift(32, (13, 17, 5))),
    "xorshift64, low": lambda: (word % 256 for word in xorshift(64, (13, 7, 17))),
    "xorshift64, scaled": lambda: (word * 48 >> 64 for word in xorshift(64, (13, 7, 17))),
    "xorshift64*": lambda: (word * 0x2545F4914F6CDD1D % 64 for word in xorshift(64, (12, 25, 27))),
    "the C library": lambda: (word % 20 for word in c_library()),
}


def filled(name: str, order: str = "C") -> npt.NDArray[np.int64]:
    """Give a frame on a level of 1000 ADU that the generator filled, by rows (C) or by columns (F)."""
    pixels = np.fromiter(islice(GENERATORS[name](), COUNT), dtype=np.int64)
    return 1000 + pixels.reshape(SHAPE, order=order)  # type: ignore[call-overload]


def everywhere(pixels: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    return np.ones([side // 32 for side in pixels.shape], dtype=np.bool_)


def complexity(pixels: npt.NDArray[np.integer], live: npt.NDArray[np.bool_] | None = None) -> float:
    steps = pixels - pixels.min()
    return relative_complexity(steps, everywhere(pixels) if live is None else live, 32, float(pixels.std()))


@pytest.mark.parametrize("name", [name for name in GENERATORS if name != "xorshift64, scaled"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_linear_generators_are_found(name: str, order: str) -> None:
    """Filled by rows or by columns, from low bits or from high ones."""
    assert complexity(filled(name, order)) < STANDARD.min_linear_complexity


def test_what_is_not_linear_in_the_bits_is_not_found() -> None:
    """A range that is no power of two mixes the bits with carries: this search can't see that."""
    assert complexity(filled("xorshift64, scaled")) > 0.9


def test_a_register_has_the_complexity_of_its_state() -> None:
    """16 bits of state, and one for the level below the pixels: of 1,024 and of 512 that noise needs."""
    assert complexity(filled("register, 6 bits")) <= 17 / 512


def test_planes_above_noise_are_searched_too() -> None:
    """A lowest bit of fair noise does not hide the register above it; and 6 bits read in turn show it as a whole."""
    pixels = filled("register, 6 bits") - 1000
    fair = np.random.default_rng(1).integers(0, 2, SHAPE)
    assert complexity(2 * pixels + fair) < 0.1


def test_a_run_of_live_squares_is_enough() -> None:
    """Dead squares break the raster; the longest run is looked at, of the rows with the longest runs."""
    pixels = np.random.default_rng(3).integers(0, 64, (128, 640))
    pixels[0, 256:] = np.fromiter(islice(register(6), 384), dtype=np.int64)
    live = np.ones((4, 20), dtype=np.bool_)
    live[:, 7] = live[1:, 12] = False
    assert complexity(pixels, live) < 0.2
    live[0, 12] = False
    assert complexity(pixels, live) > 0.9


def test_a_short_run_is_seen_by_all_its_bits_together() -> None:
    """128 pixels have too few lowest bits, but five bits of each one after the other are enough."""
    live = np.zeros((3, 5), dtype=np.bool_)
    live[0, :4] = True
    assert complexity(filled("register, 6 bits"), live) < 0.5


def test_the_frame_is_refused_with_its_reason() -> None:
    """Sums of four words look Gaussian, and their lowest bits still add modulo 2: no credit, and what to send."""
    words = np.fromiter(islice(xorshift(32, (13, 17, 5)), 4 * COUNT), dtype=np.int64)
    pixels = (words % 32).reshape(*SHAPE, 4).sum(axis=2)
    with pytest.raises(ImageRejected, match=r"generator.*shift register.*send a frame") as rejection:
        NoiseExtractor().extract(frame(pixels), bytes(32))
    assert rejection.value.reason is RejectionReason.SYNTHETIC_NOISE
    assert survey(pixels).counts == {"synthetic": 15}


@given(st.floats(0.6, 60), st.sampled_from([0.0, 0.25, 0.5]), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_noise_has_the_complexity_of_noise(sigma: float, level: float, seed: int) -> None:
    """At every width that is live: far above the limit, since chance deviates by a few bits from half their number."""
    pixels = np.rint(np.random.default_rng(seed).normal(1000 + level, sigma, SHAPE)).astype(np.int64)
    found = survey(pixels)
    if found.live.any():
        assert complexity(pixels, found.live) > 0.9


@pytest.mark.parametrize("lit", [30, 60, 100])
def test_quiet_corners_beside_a_bright_disc_have_the_complexity_of_noise(lit: int) -> None:
    """The longest stretch is quiet, and bits that the disc fills are constant there."""
    y, x = np.indices((512, 512)) - 255.5
    sigma = np.where(y * y + x * x < 0.6 * 512 * 512 / np.pi, lit, 3)
    noise = np.random.default_rng(3).standard_normal((512, 512)) * sigma
    pixels = np.rint(np.where(sigma == lit, 2000 + lit * lit, 2000) + noise).astype(np.int32)
    assert relative_complexity(pixels, np.ones((16, 16), dtype=np.bool_), 32, float(lit)) > 0.9


def test_a_sky_on_a_slope_has_the_complexity_of_noise() -> None:
    """Gradients, stars and stripes add nothing that a register could repeat."""
    y, x = np.mgrid[:96, :160]
    rng = np.random.default_rng(4)
    pixels = rng.poisson(300 + 20.0 * x + 9 * y + 900 * ((x % 37 < 2) & (y % 29 < 2))) + 30 * (y % 2)
    assert complexity(pixels) > 0.9


@pytest.mark.parametrize("name", ["register, 5 bits", "xorshift32, low", "xorshift64, low"])
def test_one_live_square_is_enough(name: str) -> None:
    """No 256 live pixels follow each other, but the windows of a square have no more rank than the state has bits."""
    alone = np.eye(3, 5, dtype=np.bool_) & (np.arange(5) == 1)
    assert complexity(filled(name), alone) < STANDARD.min_linear_complexity
    noise = np.rint(np.random.default_rng(6).normal(1000, 2, (20, *SHAPE))).astype(np.int64)
    assert min(complexity(pixels, alone) for pixels in noise) > 0.95


@given(st.integers(20, 64), st.integers(2, 8), st.integers(2, 8), st.booleans(), st.integers(0, 2**32))
@settings(max_examples=12, deadline=None)
def test_registers_of_any_kind_are_found(length: int, bits: int, squares: int, reverse: bool, seed: int) -> None:
    """20 to 64 bits of state, any taps, any bits a pixel, and only every third square is live."""
    rng = np.random.default_rng(seed)
    taps, side = sorted({0, *rng.integers(1, length, 3)}), 32 * squares
    stream = [int(bit) for bit in rng.integers(0, 2, length)]
    for place in range(side * side * bits - length):
        stream.append(sum(stream[place + tap] for tap in taps) & 1)
    weights = 1 << np.arange(bits)[:: -1 if reverse else 1]
    pixels = 1000 + np.array(stream).reshape(side, side, bits) @ weights
    live = np.add.outer(np.arange(squares), np.arange(squares)) % 3 == 1
    assert complexity(pixels, live) < STANDARD.min_linear_complexity


def test_rank_counts_independent_rows() -> None:
    assert gf2_rank([]) == gf2_rank([0, 0]) == 0
    assert gf2_rank([0b110, 0b011, 0b101]) == 2
    assert gf2_rank([1 << place for place in range(200)]) == 200


def test_the_simulator_of_the_field_is_found(shared_data: Path) -> None:
    """INDI's CCD simulator adds ``random() % 20`` to its level: the lowest bit has 527 bits of state."""
    data = (shared_data / "faults" / "indi_simulator_noise20_exp1.fits").read_bytes()
    image = decode(data, source="drop")
    assert complexity(image.pixels[0]) == pytest.approx(527 / 1024, abs=0.01)


def test_earlier_recipes_do_not_look_for_registers() -> None:
    """Their blocks were made without this search, and must come out again."""
    found = survey_frame(frame(filled("register, 6 bits")), recipe_named("ea-2026-1"))
    assert (found.linear_complexity, found.advice, found.live_fraction) == (1.0, "", 1.0)
