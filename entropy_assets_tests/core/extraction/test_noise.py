"""The noise array is what frame, recipe and nonce say it is, and no pixel enters it twice."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import fft

from entropy_assets.core.extraction.noise import (
    NoiseArray,
    NoiseExtractor,
    deterministic_nonce,
    draw_order,
    high_frequencies,
    low_pass_weights,
    noise_digest,
    row_length,
    sampling_nonce,
)
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images.decode import decode
from entropy_assets.recipe import STANDARD, STRICT
from entropy_assets_tests.core.frames import frame, white
from entropy_assets_tests.core.second_hashing import (
    NOISE_SHAPES,
    OS_BYTES_LENGTHS,
    TIME_NS,
    image_hash,
    kept_vectors,
    noise_rows,
    pattern,
)

NONCE = hashlib.sha256(b"a nonce").digest()
SIZE, DRAWN = STANDARD.region_size, STANDARD.draw_size


def extract(pixels: np.ndarray, usable: np.ndarray | None = None, nonce: bytes = NONCE) -> NoiseArray:
    return NoiseExtractor().extract(frame(pixels, usable), nonce)


def test_shapes_and_layout() -> None:
    """One row a region: pair differences, Laplacian interior, high frequencies, for one grey plane 32 + 36 + 64."""
    noise = extract(white((128, 96)))
    assert noise.samples.shape == (192, 132)
    assert noise.samples.dtype == np.uint8
    assert (noise.pairs_per_region, noise.planes, noise.channels) == (32, 1, 1)
    assert noise.credited().shape == (192 * 32,)
    assert not noise.samples.flags.writeable
    assert not noise.regions.flags.writeable


def test_colour_has_a_plane_a_channel_and_a_grey_one() -> None:
    """Three channels are processed on their own, and their sum as greyscale; credit is asked per channel."""
    pixels = np.stack([white((64, 64), seed=s) for s in (1, 2, 3)])
    noise = extract(pixels)
    assert (noise.planes, noise.channels) == (4, 3)
    assert noise.samples.shape == (64, 4 * 132)
    for channel in range(3):
        alone = extract(pixels[channel])
        assert noise.credited(channel).tolist() == alone.credited().tolist()
    grey = extract(pixels.sum(axis=0)).samples[:, :32]
    assert noise.samples[:, 3 * 132 : 3 * 132 + 32].tobytes() == grey.tobytes()


@given(st.integers(0, 2**32), st.integers(64, 200), st.integers(64, 200))
@settings(max_examples=15, deadline=None)
def test_views_are_what_a_plain_loop_gives(seed: int, height: int, width: int) -> None:
    """Every region's row equals differences, Laplacian and FFT residual computed region by region in plain NumPy."""
    pixels = white((height, width), sigma=30, seed=seed)
    noise = extract(pixels)
    steps = pixels - pixels.min()
    for row, (y, x) in zip(noise.samples[:20], noise.regions[:20], strict=False):
        square = steps[y : y + SIZE, x : x + SIZE]
        pairs = square[:, 1::2] - square[:, ::2]
        inner = square[1:-1, 1:-1]
        bend = 4 * inner - square[:-2, 1:-1] - square[2:, 1:-1] - square[1:-1, :-2] - square[1:-1, 2:]
        assert row[:32].tolist() == (pairs % 256).ravel().tolist()
        assert row[32:68].tolist() == (bend % 256).ravel().tolist()
        spectrum = fft.fft2(square.astype(float))
        waves = np.abs(np.fft.fftfreq(SIZE, 1 / SIZE)) <= STANDARD.low_frequencies
        spectrum[np.ix_(waves, waves)] = 0
        exact = fft.ifft2(spectrum).real
        away = np.abs(exact - np.floor(exact) - 0.5) > 0.05
        assert (row[68:].reshape(SIZE, SIZE) == np.rint(exact).astype(int) % 256)[away].all()


@pytest.mark.parametrize("size", [8, 16])
def test_high_frequencies_do_not_depend_on_the_order_of_sums(size: int) -> None:
    """Every product and sum is an integer below 2**53: adding up backwards, or in int64, gives the same bytes."""
    weights = low_pass_weights(size, 2)
    squares = np.random.default_rng(5).integers(0, 1 << 20, (40, size, size))
    relative = np.clip(squares - squares[:, :1, :1], -(1 << 18), 1 << 18)
    whole = weights.astype(np.int64)
    low = np.einsum("ij,njk,kl->nil", whole, relative, whole)
    assert np.abs(low).max() < 1 << 53
    expected = np.rint(relative - low / 2.0**32).astype(np.int64)
    assert (high_frequencies(squares, weights) == expected % 256).all()
    assert (high_frequencies(squares[::-1], weights)[::-1] == expected % 256).all()


@pytest.mark.parametrize("size", [8, 16])
def test_filter_weights_are_far_from_a_tie(size: int) -> None:
    """No FFT library's last bit can move a weight: all are further than 1e-6 from being rounded the other way."""
    exact = low_pass_weights.__wrapped__(size, 2)
    spectrum = np.zeros((size // 2 + 1, size), dtype=complex)
    spectrum[:3] = np.fft.rfft(np.eye(size), axis=0)[:3]
    unrounded = np.fft.irfft(spectrum, size, axis=0) * (1 << 16)
    assert np.abs(unrounded - exact).max() < 0.5 - 1e-6


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_no_pixel_is_in_two_regions(seed: int) -> None:
    """Regions lie on the grid, inside live squares, and never overlap."""
    pixels = white((160, 160), seed=seed)
    pixels[32:64, 64:128] = 7
    noise = extract(pixels)
    used = np.zeros((160, 160), dtype=int)
    for y, x in noise.regions:
        used[y : y + SIZE, x : x + SIZE] += 1
    live = noise.survey.live.repeat(32, axis=0).repeat(32, axis=1)
    assert used.max() == 1
    assert (used.astype(bool) == live).all()


@given(st.integers(0, 2**32), st.integers(1, 30))
@settings(max_examples=20, deadline=None)
def test_masked_pixels_are_never_sampled(seed: int, count: int) -> None:
    """What the container calls blank changes nothing: other values under the mask give the same samples."""
    rng = np.random.default_rng(seed)
    usable = np.ones((160, 160), dtype=np.bool_)
    usable[rng.integers(0, 160, count), rng.integers(0, 64, count)] = False
    pixels = white((160, 160), seed=seed)
    other = np.where(usable, pixels, rng.integers(990, 1010, pixels.shape))
    noise = extract(pixels, usable)
    assert noise.noise_sha256 == extract(other, usable).noise_sha256
    assert all(usable[y : y + SIZE, x : x + SIZE].all() for y, x in noise.regions)


def test_the_nonce_decides_the_order_and_nothing_else() -> None:
    """Same nonce, same array; another nonce, the same regions in another order."""
    pixels = white((256, 256))
    one, same, other = extract(pixels), extract(pixels), extract(pixels, nonce=bytes(32))
    assert one.samples.tobytes() == same.samples.tobytes()
    assert one.noise_sha256 == same.noise_sha256 != other.noise_sha256
    assert one.regions.tolist() != other.regions.tolist()
    assert sorted(one.regions.tolist()) == sorted(other.regions.tolist())
    assert sorted(row.tobytes() for row in one.samples) == sorted(row.tobytes() for row in other.samples)


@pytest.mark.parametrize("change", [lambda p: p + 5000, lambda p: p * 16, lambda p: p * 257, lambda p: p - 4000])
def test_offset_and_step_leave_the_samples_alone(change: object) -> None:
    """A bias level, a left-justified ADC and bits stretched to 16 give the same bytes."""
    pixels = white((128, 128))
    assert extract(pixels).noise_sha256 == extract(change(pixels)).noise_sha256  # type: ignore[operator]


def test_draw_order_is_written_down() -> None:
    """The permutation is that of keys from SHAKE-256, recomputed here; the first ones are fixed for ever."""
    stream = hashlib.shake_256(b"entropy_assets draw order 1\0" + NONCE).digest(8 * 1000)
    keys = [int.from_bytes(stream[8 * i : 8 * i + 8], "big") for i in range(1000)]
    order = draw_order(NONCE, 1000)
    assert order.tolist() == sorted(range(1000), key=keys.__getitem__)
    assert draw_order(bytes(32), 8).tolist() == [3, 1, 7, 4, 5, 2, 6, 0]


def test_draw_order_is_fair() -> None:
    """Over many nonces each region is drawn first equally often."""
    firsts = [int(draw_order(n.to_bytes(32, "big"), 16)[0]) for n in range(4000)]
    assert np.bincount(firsts, minlength=16).min() > 180


def test_nonces() -> None:
    """A nonce follows from hash, time and OS bytes, each of which changes it; the deterministic one from the hash."""
    image = hashlib.sha256(b"image").hexdigest()
    other = hashlib.sha256(b"other").hexdigest()
    known = sampling_nonce(image, 1_790_000_000_000_000_000, b"x" * 16)
    varied = {
        known,
        sampling_nonce(other, 1_790_000_000_000_000_000, b"x" * 16),
        sampling_nonce(image, 1_790_000_000_000_000_001, b"x" * 16),
        sampling_nonce(image, 1_790_000_000_000_000_000, b"y" * 16),
        deterministic_nonce(image),
        deterministic_nonce(other),
    }
    assert len(varied) == 6
    assert {len(nonce) for nonce in varied} == {32}


def test_sampling_gives_the_vectors() -> None:
    """Nonces, draw orders and noise digests are fixed for ever, to the byte."""
    vectors, image = kept_vectors(), image_hash("first")
    nonces = {str(size): sampling_nonce(image, TIME_NS, pattern("os", size)).hex() for size in OS_BYTES_LENGTHS}
    assert nonces == vectors["random_nonce"]
    assert deterministic_nonce(image).hex() == vectors["deterministic_nonce"]
    for count, order in vectors["draw_order"].items():
        assert draw_order(bytes.fromhex(image), int(count)).tolist() == order
    for shape in NOISE_SHAPES:
        samples = np.frombuffer(b"".join(noise_rows(shape)), np.uint8).reshape(shape)
        assert noise_digest(samples) == vectors["noise_digest"][f"{shape[0]}x{shape[1]}"]


def test_noise_digest_covers_the_layout() -> None:
    """The same bytes in rows of another length have another hash."""
    samples = np.arange(24, dtype=np.uint8)
    assert noise_digest(samples.reshape(4, 6)) != noise_digest(samples.reshape(6, 4))


def test_wide_pixels_do_not_overflow() -> None:
    """64-bit pixels beyond 2**50 give samples, and those of their low bits."""
    pixels = np.rint(np.random.default_rng(2).normal(0, 1 << 49, (128, 128))).astype(np.int64)
    noise = extract(pixels)
    y, x = noise.regions[0]
    square = pixels[y : y + DRAWN, x : x + DRAWN]
    assert noise.credited()[: DRAWN**2 // 2].tolist() == ((square[:, 1::2] - square[:, ::2]) % 256).ravel().tolist()


def test_dead_frames_are_rejected_with_the_reason_that_masks_most() -> None:
    """Less than 3 % live is none: a few squares of a dead picture pass every limit by luck."""
    pixels = np.add.outer(np.arange(640), np.arange(640))
    pixels[:64, :32] = white((64, 32))
    with pytest.raises(ImageRejected) as rejection:
        extract(pixels)
    assert rejection.value.reason is RejectionReason.QUANTISED_AWAY
    assert rejection.value.data["verdicts"]["live"] == 2


def test_strict_recipe_refuses_lossy_containers() -> None:
    """JPEG noise is live, and still refused by the strict recipe before anything is extracted."""
    lossy = frame(white((128, 128)), lossy=True, container="jpeg")
    assert len(NoiseExtractor().extract(lossy, NONCE).regions) == 256
    with pytest.raises(ImageRejected) as rejection:
        NoiseExtractor(STRICT).extract(lossy, NONCE)
    assert rejection.value.reason is RejectionReason.LOSSY_REFUSED


def test_row_length_follows_the_region() -> None:
    """128 + 196 + 256 at 16 pixels."""
    assert row_length(16) == 580
    assert row_length(8) == 32 + 36 + 64


ACCEPTED = {
    "apogee_ccd_raw16_tiny.fits",
    "cassini_iss_jupiter_raw12.fits.fz",
    "cassini_iss_lab_flat_raw8.fits.fz",
    "galileo_ssi_blacksky_raw8.png",
    "saao_1m_ccd_raw16_a.fits",
    "saao_1m_ccd_raw16_b.fits",
    "sdo_hmi_continuum_512.jp2",
    "startracker_imx265_alt40_azi-135.tif",
    "startracker_imx265_alt40_azi45.tif",
    "startracker_imx265_alt60_azi135.tif",
}


def test_bundled_samples_are_live_or_dead_as_documented(samples: Path) -> None:
    """Raw frames are live; composites, artwork and a palette picture are not."""
    live = set()
    for path in sorted(samples.iterdir()):
        if path.suffix == ".csv":
            continue
        try:
            image = decode(path.read_bytes())
            NoiseExtractor().extract(image, deterministic_nonce(image.image_sha256))
            live.add(path.name)
        except ImageRejected as rejection:
            assert rejection.reason in set(RejectionReason)  # noqa: PT017
    assert live == ACCEPTED


HOSTILE = {
    "all_black.png": RejectionReason.CONSTANT,
    "all_white.png": RejectionReason.SATURATED,
    "constant_grey16.fits": RejectionReason.CONSTANT,
    "gradient.png": RejectionReason.CONSTANT,
    "tiled_noise.png": RejectionReason.TILED,
    "sixteen_bit_3_values.png": RejectionReason.DITHERED,
    "sixteen_bit_from_8bit.png": RejectionReason.CORRELATED,
    "upscaled_4x.png": RejectionReason.QUANTISED_AWAY,
    "denoised_median.png": RejectionReason.QUANTISED_AWAY,
    "jpeg_quality_5.jpg": RejectionReason.CONSTANT,
    "saturated_90pct.png": RejectionReason.SATURATED,
    "one_pixel.png": RejectionReason.TOO_SMALL,
    "tiny_8x8.png": RejectionReason.TOO_SMALL,
    "strip_1x4096.png": RejectionReason.TOO_SMALL,
}


@pytest.mark.parametrize("name, reason", HOSTILE.items())
def test_hostile_pixels_end_as_their_readme_says(shared_data: Path, name: str, reason: RejectionReason) -> None:
    """One clear reason each."""
    image = decode((shared_data / "hostile" / name).read_bytes())
    with pytest.raises(ImageRejected) as rejection:
        NoiseExtractor().extract(image, NONCE)
    assert rejection.value.reason is reason
