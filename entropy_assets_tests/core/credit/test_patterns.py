"""What several frames of one batch share is credited once."""

import math
from pathlib import Path

import numpy as np
import pytest

from entropy_assets.core.credit.assessment import assess
from entropy_assets.core.credit.patterns import PatternSketch, batch_derating, derated, pattern_correlation, sketch_of
from entropy_assets.core.extraction.noise import NoiseArray, NoiseExtractor
from entropy_assets.core.frame import Frame
from entropy_assets.images.decode import decode
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.core.frames import frame, white

PATTERN = white((256, 256), sigma=4, seed=100) - 1000


def exposure(seed: int, share: float = 1.0) -> np.ndarray:
    return white((256, 256), sigma=8, seed=seed) + np.rint(PATTERN * share).astype(np.int64)


def sketches_of(frames: list[Frame], noises: list[NoiseArray]) -> list[PatternSketch]:
    return [sketch_of(one, noise.survey, STANDARD) for one, noise in zip(frames, noises, strict=True)]


def test_independent_noise_does_not_correlate() -> None:
    """Frames of the same size from anywhere keep their whole credit."""
    frames = [frame(white((256, 256), seed=n)) for n in range(4)]
    assert abs(pattern_correlation(frames[0], frames[1])) < 0.03
    sketches = [sketch_of(one, NoiseExtractor().survey(one), STANDARD) for one in frames]
    assert [found.lost_bits for found in batch_derating(sketches, STANDARD)] == [0.0] * 4


def test_a_shared_pattern_is_measured() -> None:
    """Pattern of 4 steps under noise of 8: a fifth of the variance is shared."""
    assert pattern_correlation(frame(exposure(1)), frame(exposure(2))) == pytest.approx(16 / 80, abs=0.02)


def test_the_first_frame_keeps_its_credit_and_the_others_lose_the_pattern() -> None:
    """Each later frame loses -0.5 log2(1 - rho) bits per sample, and says of which image."""
    frames = [frame(exposure(n)) for n in (1, 2, 3)]
    noises = [NoiseExtractor().extract(one, bytes(32)) for one in frames]
    first, *others = batch_derating(sketches_of(frames, noises), STANDARD)
    assert first.lost_bits == 0
    for found in others:
        assert found.lost_bits == pytest.approx(-0.5 * math.log2(1 - 16 / 80), abs=0.04)
        assert found.of in {one.image_sha256 for one in frames[:2]}
        assert "bits off each sample" in found.explanation
    before = assess(noises[1], frames[1], STANDARD)
    after = derated(before, others[0], STANDARD)
    assert after.limited_by == "repeats"
    assert after.credit_bits < before.credit_bits
    assert derated(before, first, STANDARD) is before


def test_a_capped_credit_loses_the_same_share() -> None:
    """What a container's cap left of the credit is no less shared: the cap hides nothing of what repeats take."""
    frames = [frame(exposure(n), data=bytes(8_000)) for n in (1, 2)]
    noises = [NoiseExtractor().extract(one, bytes(32)) for one in frames]
    found = batch_derating(sketches_of(frames, noises), STANDARD)[1]
    before = assess(noises[1], frames[1], STANDARD)
    after = derated(before, found, STANDARD)
    assert before.limited_by == "container"
    assert after.limited_by == "repeats"
    share = 1 - found.lost_bits / before.min_entropy
    assert abs(before.credit_bits * share - after.credit_bits) < 2


def test_the_same_exposure_twice_is_worth_nothing_twice() -> None:
    """Stored brighter by one step in 2 %, it has other hashes and the same noise: no credit is left."""
    pixels = exposure(1)
    other = pixels + (np.random.default_rng(9).random(pixels.shape) < 0.02)
    frames = [frame(pixels), frame(other)]
    noises = [NoiseExtractor().extract(one, bytes(32)) for one in frames]
    found = batch_derating(sketches_of(frames, noises), STANDARD)[1]
    assert found.correlation > 0.999
    assert derated(assess(noises[1], frames[1], STANDARD), found, STANDARD).credit_bits == 0


def test_other_shapes_are_not_compared() -> None:
    """A frame of another size shows nothing that could be compared pixel by pixel."""
    one, other = frame(exposure(1)), frame(exposure(2)[:128])
    assert pattern_correlation(one, other) == 0
    sketches = [sketch_of(image, NoiseExtractor().survey(image), STANDARD) for image in (one, other)]
    assert [found.of for found in batch_derating(sketches, STANDARD)] == [None, None]


def test_bright_stars_do_not_decide() -> None:
    """Two fields with the same few stars still count as independent noise."""
    stars = np.zeros((256, 256), dtype=np.int64)
    stars[np.random.default_rng(1).integers(0, 256, 30), np.random.default_rng(2).integers(0, 256, 30)] = 20_000
    frames = [frame(white((256, 256), seed=n) + stars) for n in (1, 2)]
    assert abs(pattern_correlation(*frames)) < 0.05


def test_real_repeats(shared_data: Path) -> None:
    """Flats of one camera share a little of their differences; two frames of one hazard camera share most."""
    bench = shared_data / "bench"
    flats = [decode((bench / f"cassini_iss_flat_133ms_{which}.fits").read_bytes()) for which in "ab"]
    assert 0.02 < pattern_correlation(*flats) < 0.2
    rovers = [decode((bench / f"mer_opportunity_hazcam_edr12_{name}").read_bytes()) for name in ("a.fits", "b.png")]
    assert pattern_correlation(*rovers) > 0.5
