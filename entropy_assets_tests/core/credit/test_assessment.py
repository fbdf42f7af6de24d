"""Credit is what the least estimate says, less the safety factor, and never more than a cap allows."""

import dataclasses
import hashlib
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.credit.assessment import Assessment, assess, credit_of, rounded_down, symbol_bits
from entropy_assets.core.credit.estimates import estimate, raster_samples
from entropy_assets.core.extraction.noise import NoiseExtractor, deterministic_nonce
from entropy_assets.core.frame import Frame
from entropy_assets.core.sp800_90b.health_tests import rct_cutoff
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images.decode import decode
from entropy_assets.images.limits import STRIP_PIXELS
from entropy_assets.recipe import RECIPES, STANDARD, STRICT, Recipe
from entropy_assets_tests.core.frames import frame, white
from entropy_assets_tests.scenarios.laws import Gaussian, masses_at

GENEROUS = dataclasses.replace(STANDARD, name="test", claims=(("raw-ccd", 8.0),))


def assessed(image: Frame, recipe: Recipe = STANDARD) -> Assessment:
    noise = NoiseExtractor().extract(image, deterministic_nonce(image.image_sha256))
    return assess(noise, image, recipe)


@given(st.floats(1, 60), st.integers(0, 2**32))
@settings(max_examples=8, deadline=None)
def test_estimates_stay_below_the_truth(sigma: float, seed: int) -> None:
    """For Gaussian noise, whose min-entropy is known, the assessment is below it and above half of it."""
    image = frame(white((320, 320), sigma=sigma, seed=seed))
    result = assessed(image, GENEROUS)
    offsets = np.arange(-40, 41) - 0.0
    spread = math.sqrt(2 * (sigma**2 + 1 / 12))
    mode = max(np.exp(-0.5 * (offsets / spread) ** 2) / (spread * math.sqrt(2 * math.pi)))
    truth = min(8.0, -math.log2(min(1.0, float(mode))))
    assert result.min_entropy < truth
    assert result.min_entropy > 0.5 * min(truth, result.symbol_bits)


@pytest.mark.parametrize(
    "sigma, floored, bits",
    [
        *((0.0, 1, 1), (0.6, 1, 1), (0.75, 1, 1), (0.76, 1, 2), (0.9, 1, 2), (0.91, 2, 2), (1.52, 2, 3), (1.81, 3, 3)),
        *((6.05, 4, 4), (6.07, 4, 5), (7.29, 5, 5), (28.9, 7, 7), (1e6, 8, 8)),
    ],
)
def test_symbol_bits_follow_the_noise(sigma: float, floored: int, bits: int) -> None:
    """From 1 to 8, 2**k at most pi * sqrt(2) * sigma; by this recipe also up to a quarter of an octave above it."""
    assert symbol_bits(sigma, RECIPES["ea-2026-1"]) == floored
    assert symbol_bits(sigma, STANDARD) == bits


@given(st.floats(0.6, 50))
@settings(deadline=None)
def test_wrapped_noise_is_nearly_uniform(sigma: float) -> None:
    """Modulo 2**k no value of a Gaussian difference is much likelier than if uniform: 1 + 2 exp(-2 / 4**rounding)."""
    k = symbol_bits(sigma, STANDARD)
    if k == 1 or k == 8:
        return
    spread = math.sqrt(2) * sigma
    wide = np.arange(-(1 << 14), 1 << 14)
    density = np.exp(-0.5 * (wide / spread) ** 2)
    wrapped = np.bincount(wide % (1 << k), weights=density) / density.sum()
    assert wrapped.max() * (1 << k) < 1 + 2.1 * math.exp(-2 / 4**STANDARD.symbol_rounding)


def test_credit_is_the_least_estimate_less_the_safety_factor() -> None:
    """Estimates in the row are the ones that decided; credit = floor(H * n) * 3 / 4."""
    result = assessed(frame(white((256, 256))))
    least = min(result.estimates.values())
    assert least == result.estimates[result.limited_by]
    assert result.min_entropy == math.floor(least * 10**6) / 10**6, "rounded down before it decides"
    assert result.samples == 256 * 256 // 2
    assert result.assessed_samples == min(STANDARD.assessment_samples, result.samples)
    assert result.credit_bits == math.floor(least * 10**6) * result.samples // 10**6 * 3 // 4
    assert not result.health_failed
    assert json.loads(json.dumps(result.to_row()))["credit_bits"] == result.credit_bits


def test_the_source_caps_the_estimate() -> None:
    """A listed source is worth its claim; the plain inbox, which is not listed, 2 bits; no source at all nothing."""
    pixels = white((256, 256), sigma=80)
    listed = assessed(frame(pixels))
    unlisted = assessed(frame(pixels, source="drop"))
    nameless = assessed(frame(pixels, source=""))
    assert (listed.min_entropy, listed.limited_by) == (4.0, "claim")
    assert (unlisted.min_entropy, unlisted.limited_by) == (2.0, "claim")
    assert (nameless.credit_bits, nameless.limited_by) == (0, "claim")
    assert min(listed.estimates.values()) > 6


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_only_a_declaration_earns_a_raw_cameras_claim(recipe: Recipe) -> None:
    """The plain inbox takes anything from anyone: it is not listed, and gets half of what a declared raw camera gets.

    Listed names can be folders and arguments. Lossy and edited feeds get less than an unknown file.
    """
    assert "drop" not in recipe.sources
    assert recipe.claim_of("drop") == recipe.unlisted_claim == recipe.claim_of("raw-ccd") / 2
    assert recipe.claim_of("") == 0
    assert all(re.fullmatch("[a-z0-9-]{1,32}", name) for name in recipe.sources)
    assert len(set(recipe.sources)) == len(recipe.sources)
    below = {name for name in recipe.sources if recipe.claim_of(name) < recipe.unlisted_claim}
    assert below == {"sdo-latest", "epic", "mars-raw", "apod", "nasa-images"}


def test_a_hashed_counter_is_worth_what_its_source_vouches_for() -> None:
    """Sums of SHA-256 of a counter pass every estimate, as they must, and hold nothing: without a source, no credit.

    Statistics see the output; only provenance tells a sensor from a generator. Put into the plain inbox
    it gets what a picture does there; declared as a raw camera's, what the operator vouches for, and not a bit more.
    """
    stream = b"".join(hashlib.sha256(n.to_bytes(8, "big")).digest() for n in range(8192))
    pixels = np.frombuffer(stream, dtype=np.uint8).reshape(256, 256, 4).sum(axis=2, dtype=np.int64)
    unclaimed = assessed(frame(pixels, source=""))
    assert min(unclaimed.estimates.values()) > 5.5
    assert not unclaimed.health_failed
    assert unclaimed.credit_bits == 0
    for source, claim in (("drop", 0.25), ("raw-ccd", 4.0)):
        vouched = assessed(frame(pixels, bit_depth=8, source=source))
        assert vouched.credit_bits == credit_of(claim, 256 * 128, STANDARD)


def test_the_file_caps_the_credit() -> None:
    """Not more than the live share of the file's bits; of a lossy file an eighth of that; strict takes none."""
    pixels = white((256, 256))
    pixels[:128] = 1000
    image = frame(pixels, data=bytes(8000))
    lossless = assessed(image)
    assert (lossless.credit_bits, lossless.limited_by) == (8 * 8000 // 2, "container")
    lossy = dataclasses.replace(image, lossy=True)
    assert assessed(lossy).credit_bits == 8 * 8000 // 2 // 8
    noise = NoiseExtractor().extract(lossy, bytes(32))
    refused = assess(noise, lossy, STRICT)
    assert (refused.credit_bits, refused.limited_by) == (0, "lossy_refused")


@pytest.mark.parametrize("sigma", [1.0, 2.0, 5.0, 10.0, 20.0])
def test_the_repetition_count_refuses_no_good_frame_however_large(sigma: float) -> None:
    """A run of six symbols of five bits comes once in 33 million: every third frame of 24 Mi pixels had one."""
    k = symbol_bits(sigma, STANDARD)
    masses = masses_at(Gaussian(sigma), 0.0)[1]
    differences = np.correlate(masses, masses, "full")
    symbols = np.bincount(np.arange(len(differences)) % (1 << k), weights=differences)
    expected = min(STANDARD.claim_of("raw-ccd"), -math.log2(symbols.max()))
    cutoff = rct_cutoff(expected, STANDARD.health_alpha_bits)
    assert (symbols**cutoff).sum() * STRIP_PIXELS / 2 < 1e-3


def test_a_failed_health_test_leaves_nothing() -> None:
    """A stuck stretch that the estimates hardly see, in samples that were not assessed, costs the whole credit."""
    image = frame(white((512, 512)))
    noise = NoiseExtractor().extract(image, bytes(32))
    stuck = noise.samples.copy()
    stuck[3600:3608, :32] = 3
    broken = dataclasses.replace(noise, samples=stuck)
    few = dataclasses.replace(
        STANDARD, name="test", assessment_samples=32_768, prediction_samples=32_768, raster_samples=0
    )
    result = assess(broken, image, few)
    assert (result.credit_bits, result.limited_by) == (0, "health:repetition_count")
    assert result.health_failed


def test_too_few_samples_are_worth_nothing() -> None:
    """1024 samples are the start-up test of SP 800-90B 4.3; two squares hold them, one does not."""
    assert assessed(frame(white((32, 32)))).limited_by == "too_few_samples"
    assert assessed(frame(white((32, 32)))).credit_bits == 0
    assert assessed(frame(white((32, 64)))).credit_bits > 0


def test_colour_counts_one_channel_at_the_worst_estimate() -> None:
    """Three channels give the samples of one; the quietest decides on the bits of a symbol and on the estimate."""
    channels = np.stack([white((128, 128), sigma=s, seed=n) for n, s in enumerate((20.0, 8.0, 20.0))])
    image = frame(channels)
    noise = NoiseExtractor().extract(image, bytes(32))
    colour = assess(noise, image, GENEROUS)
    assert colour.samples == 128 * 128 // 2
    assert colour.symbol_bits == 5
    drawn = [noise.credited(channel) & np.uint8(31) for channel in range(3)]
    rastered = [raster_samples(noise, channel, GENEROUS.raster_samples) & np.uint8(31) for channel in range(3)]
    least = min(min(estimate(low, 5, GENEROUS).values()) for low in (*drawn, *rastered))
    assert colour.min_entropy == rounded_down(least, GENEROUS)
    assert len(colour.health) == 3


def test_the_order_decides_little() -> None:
    """Another nonce takes another sample of the same noise: the estimate moves by what the estimators spread."""
    image = frame(white((512, 512)))
    found = [assess(NoiseExtractor().extract(image, bytes([n]) * 32), image, STANDARD).min_entropy for n in range(4)]
    assert max(found) / min(found) < 1.2


def test_raw_frames_fill_several_blocks(samples: Path, whole_frame: Path) -> None:
    """Raw frames carry 30 to 100 KB of blocks at 320 bits of credit per 32 bytes."""
    credit = {}
    for path in (whole_frame, samples / "apogee_ccd_raw16_tiny.fits", samples / "sdo_hmi_continuum_512.jp2"):
        credit[path.name] = assessed(decode(path.read_bytes(), source="samples")).credit_bits
    assert credit["saao_1m_ccd_raw16.fits"] > 250_000
    assert 3_000 < credit["apogee_ccd_raw16_tiny.fits"] < 5_000
    assert 30_000 < sum(credit.values()) // 320 * 32 < 100_000


def test_a_seeded_generator_gets_no_more_than_the_claim() -> None:
    """Gaussian noise from a seed has no entropy at all, and no test can tell: provenance decides, the claim limits."""
    result = assessed(frame(white((256, 256), sigma=40, seed=0), source="drop"))
    assert result.limited_by == "claim"
    assert result.credit_bits == credit_of(STANDARD.unlisted_claim, 256 * 128, STANDARD)


def test_a_generator_with_a_flat_histogram_is_refused(shared_data: Path) -> None:
    """prng_noise_seed0.png holds all numbers below 256 alike, as no sensor does: one box of codes, evenly filled."""
    image = decode((shared_data / "hostile" / "prng_noise_seed0.png").read_bytes(), source="drop")
    with pytest.raises(ImageRejected) as rejection:
        assessed(image)
    assert rejection.value.reason is RejectionReason.DITHERED


def test_compressed_noise_is_no_more_than_a_picture(shared_data: Path) -> None:
    """msl_navcam_raw8.jpg passes naive whiteness tests; runs of equal differences give it away.

    Few samples are estimated too high, and then the health tests find them. More are estimated so low that the runs are
    what that leaves to expect.
    """
    image = decode((shared_data / "sample" / "shared_only" / "msl_navcam_raw8.jpg").read_bytes(), source="drop")
    before, result = assessed(image, RECIPES["ea-2026-1"]), assessed(image)
    assert before.credit_bits == 0
    assert before.limited_by.startswith("health:")
    assert min(result.estimates.values()) < 0.95 * min(before.estimates.values())
    assert result.credit_bits <= credit_of(STANDARD.picture_claim, result.samples, STANDARD)
