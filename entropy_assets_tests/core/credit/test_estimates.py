"""The estimates behind a credit: all ten, on symbols and bits, in both orders; those of earlier recipes unchanged."""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

import array_api_strict
import numpy as np
import numpy.typing as npt
import pytest

from entropy_assets.core.arrays import HOST, Arrays, is_on_host
from entropy_assets.core.credit import estimates
from entropy_assets.core.credit.assessment import assess, assess_image, eight_bit_estimates
from entropy_assets.core.credit.estimates import RASTER, estimate, in_raster_order, raster_samples
from entropy_assets.core.extraction.noise import NoiseArray, NoiseExtractor
from entropy_assets.core.sp800_90b.non_iid import counted
from entropy_assets.recipe import RECIPES, STANDARD, STRICT, Recipe
from entropy_assets_tests.core.frames import frame, white

ELSEWHERE = Arrays("array-api-strict", array_api_strict, array_api_strict.__version__, "cpu")
TEN = (
    "most_common_value", "collision", "markov", "compression", "t_tuple", "repeated_substring", "multi_mcw", "lag",
    "multi_mmc", "lz78y",
)  # fmt: skip
BITS_ONLY = {"collision", "markov", "compression"}
ALL = {f"bits_{name}" for name in TEN} | {name for name in TEN if name not in BITS_ONLY}
# What commit 4d88716 estimated, before there were counts of bits and raster order.
BEFORE = {
    5: {
        "most_common_value": 4.738472371094555, "t_tuple": 4.526033826195753, "repeated_substring": 4.729410697659474,
        "multi_mcw": 4.735394769881672, "lag": 4.862953014801778, "multi_mmc": 4.808546620699914,
        "lz78y": 4.779569160064411, "bits_most_common_value": 4.915061723497322, "bits_collision": 4.2511543188025245,
        "bits_markov": 4.958364532336836, "bits_compression": 3.7980164973746926, "bits_t_tuple": 4.615004629108841,
        "bits_repeated_substring": 4.74997828309215,
    },
    6: {
        "most_common_value": 5.68661167293556, "t_tuple": 5.68661167293556, "repeated_substring": 5.7958582486653905,
        "lag": 5.716235756586451, "multi_mmc": 5.927184484513358, "lz78y": 5.948800579035087,
        "bits_most_common_value": 5.904194458983654, "bits_collision": 5.036302204778529,
        "bits_markov": 5.9536182305311875, "bits_compression": 4.593426680991973, "bits_t_tuple": 5.563769892951124,
        "bits_repeated_substring": 5.872403686982857,
    },
}  # fmt: skip


def sums_of_hashes(count: int) -> npt.NDArray[np.uint8]:
    """Give sums of four bytes of SHA-256 of a counter, modulo 256."""
    stream = b"".join(hashlib.sha256(number.to_bytes(8, "big")).digest() for number in range(count // 8))
    return np.frombuffer(stream, dtype=np.uint8).reshape(-1, 4).sum(axis=1, dtype=np.uint8)


def noise_of(pixels: npt.NDArray[np.int64], nonce: bytes = bytes(32), recipe: Recipe = STANDARD) -> NoiseArray:
    return NoiseExtractor(recipe).extract(frame(pixels), nonce)


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_all_ten_take_part_on_symbols_and_on_bits(bits: int) -> None:
    """6.3.1 to 6.3.10 as far as they apply, for symbols of every width; and the same in raster order."""
    low = white((8192,)).astype(np.uint8) & np.uint8((1 << bits) - 1)
    assert set(estimate(low, bits, STANDARD)) == ALL
    image = frame(white((128, 128)))
    assert set(assess(noise_of(image.pixels[0]), image, STANDARD).estimates) == ALL | {RASTER + name for name in ALL}


@pytest.mark.parametrize("name", ["ea-2026-1", "ea-2026-1-strict"])
@pytest.mark.parametrize("bits", [5, 6])
def test_earlier_recipes_estimate_what_they_did(name: str, bits: int) -> None:
    """The same names, and the same numbers to many more digits than rounding leaves before they decide bytes."""
    symbols = sums_of_hashes(40_000) & np.uint8((1 << bits) - 1)
    assert estimate(symbols, bits, RECIPES[name]) == pytest.approx(BEFORE[bits], abs=1e-12, rel=0)


@pytest.mark.parametrize("channels, sigma", [(1, 6.0), (3, 0.75)])
def test_samples_are_counted_where_the_pixels_lie(channels: int, sigma: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """In either order, with symbols of several bits and of one; the assessment is the same, name by name."""
    image = frame(white((channels, 96, 96), sigma=sigma), source="raw-ccd")
    expected = assess_image(image, bytes(32), STANDARD).assessment
    seen: list[bool] = []

    def watched(symbols: Any, *more: Any, **named: Any) -> dict[str, Any]:
        seen.append(is_on_host(symbols))
        return counted(symbols, *more, **named)

    monkeypatch.setattr(estimates, "counted", watched)
    found, told = ELSEWHERE.computed(image, lambda placed: assess_image(image, bytes(32), STANDARD, placed=placed))
    assert (found.assessment, told) == (expected, str(ELSEWHERE))
    assert list(found.assessment.estimates) == list(expected.estimates)
    assert seen == [False] * 4 * channels


def test_counts_that_do_not_fit_are_made_in_memory_and_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As all else of that frame is then."""

    def full(symbols: Any, *more: Any, **named: Any) -> dict[str, Any]:
        if is_on_host(symbols):
            return counted(symbols, *more, **named)
        raise MemoryError

    image = frame(white((96, 96)), source="raw-ccd")
    expected = assess_image(image, bytes(32), STANDARD).assessment
    monkeypatch.setattr(estimates, "counted", full)
    found, told = ELSEWHERE.computed(image, lambda placed: assess_image(image, bytes(32), STANDARD, placed=placed))
    assert (found.assessment, told) == (expected, str(HOST))


def test_each_estimator_sees_the_first_samples_that_the_recipe_says() -> None:
    """What comes after the recipe's count changes nothing, and one sample less does."""
    few = dataclasses.replace(
        STANDARD, name="test", assessment_samples=3000, prediction_samples=2000, bit_prediction_samples=1000
    )
    symbols = sums_of_hashes(4096) & np.uint8(15)
    found = estimate(symbols, 4, few)
    changed = symbols.copy()
    changed[3000:] = 0
    assert estimate(changed, 4, few) == found
    changed[2000:] = 0
    assert {name for name, h in estimate(changed, 4, few).items() if h == found[name]} == {
        "multi_mcw", "lag", "multi_mmc", "lz78y", "bits_multi_mcw", "bits_lag", "bits_multi_mmc", "bits_lz78y",
    }  # fmt: skip
    changed[1000:] = 0
    predicted_bits = {name for name, h in estimate(changed, 4, few).items() if h == found[name]}
    assert predicted_bits == {"bits_multi_mcw", "bits_lag", "bits_multi_mmc", "bits_lz78y"}


@pytest.mark.parametrize(
    "defect",
    [
        lambda s: np.where(np.arange(len(s)) % 3 == 0, 0, s),
        lambda s: np.repeat(s[::2], 2),
        lambda s: np.resize(s[:300], len(s)),
        lambda s: np.concatenate([s[: len(s) // 2], s[: len(s) // 2]]),
        lambda s: np.where(np.arange(len(s)) % 2 == 1, np.roll(s, 8), s),
        lambda s: np.arange(len(s)) % 32,
        lambda s: s & 15,
    ],
    ids=["a third stuck", "each twice", "period 300", "second half repeats", "copies at lag 8", "counter", "stuck bit"],
)
@pytest.mark.parametrize("recipe", [STANDARD, RECIPES["ea-2026-1"]], ids=lambda recipe: recipe.name)
def test_each_defect_lowers_the_estimate(defect: Callable[..., npt.NDArray[np.int64]], recipe: Recipe) -> None:
    """What is less random is worth less: every defect is seen by one estimator at least."""
    good = np.random.default_rng(4).integers(0, 32, 8192).astype(np.uint8)
    bad = defect(good).astype(np.uint8)
    assert min(estimate(bad, 5, recipe).values()) < min(estimate(good, 5, recipe).values()) - 0.3


def test_a_rule_of_second_order_is_found_in_the_samples_that_are_looked_at() -> None:
    """Each sample follows from the two before it in 4 of 5 cases, .33 bits: 8,192 samples hide most of it."""
    rng = np.random.default_rng(5)
    rule, chance = rng.integers(0, 64, (64, 64)), rng.random(60_000)
    symbols = rng.integers(0, 64, 60_000).astype(np.uint8)
    for i in np.flatnonzero(chance < 0.8)[2:]:
        symbols[i] = rule[symbols[i - 2], symbols[i - 1]]
    assert min(estimate(symbols, 6, RECIPES["ea-2026-1"]).values()) > 0.55
    assert 0.31 < min(estimate(symbols, 6, STANDARD).values()) < 0.45


def test_raster_order_is_that_of_the_pixels() -> None:
    """Of a frame that is live all over, the samples are its pair differences row by row, from the first region on."""
    pixels = white((96, 160))
    noise = noise_of(pixels, nonce=b"\1" * 32)
    pairs = (pixels[:, 1::2] - pixels[:, ::2]).astype(np.uint8)
    top = int(noise.regions[0, 0])
    assert top > 0
    expected = np.roll(pairs, -top, axis=0).reshape(-1)
    assert np.array_equal(raster_samples(noise, 0, pairs.size), expected)
    for count in (1, 129, 5000, pairs.size - 1):
        assert np.array_equal(raster_samples(noise, 0, count), expected[:count])


def test_raster_order_leaves_out_what_is_not_live() -> None:
    """Regions may be missing anywhere; those of one row of regions are read line by line all the same."""
    rng = np.random.default_rng(6)
    regions = np.array([(y, x) for y in range(0, 64, 16) for x in range(0, 96, 16)], dtype=np.int32)
    regions = regions[rng.permutation(len(regions))[:17]]
    pairs = np.array([[(y + i // 8) % 256 for i in range(128)] for y, _ in regions], dtype=np.uint8)
    columns = np.array([[x // 2 + i % 8 for i in range(128)] for _, x in regions], dtype=np.uint8)
    rows, places = (in_raster_order(values, regions, 17 * 128).astype(int) for values in (pairs, columns))
    below = (rows - regions[0, 0]) % 64
    keys = below * 1000 + places
    assert (np.diff(keys) > 0).all()
    assert sorted(zip(rows, places, strict=True)) == sorted(
        zip(pairs.reshape(-1).astype(int), columns.reshape(-1).astype(int), strict=True)
    )


def test_what_only_neighbouring_regions_share_is_found_in_raster_order() -> None:
    """Every other 24 pixels repeat the 24 before them: draw order mostly parts them, raster order doesn't."""
    pixels = white((256, 288), seed=8).reshape(256, 6, 2, 24)
    pixels[:, :, 1] = pixels[:, :, 0]
    pixels = pixels.reshape(256, 288)
    recipe = dataclasses.replace(
        STANDARD,
        name="test",
        max_repeat_correlation=2.0,
        max_copied_share=1.0,
        max_empty_spectrum=1.0,
        max_repeated_noise=1.0,
    )
    found = assess(noise_of(pixels, recipe=recipe), frame(pixels), recipe)
    assert found.limited_by.startswith(RASTER)
    assert found.estimates["raster_lag"] < 1.2 < 3 < found.estimates["lag"]


def test_the_whole_8_bits_are_those_of_draw_order() -> None:
    """They are told beside what a tool says of the exported samples, which are in that order."""
    assert set(eight_bit_estimates(noise_of(white((64, 64))), STRICT)) == ALL
