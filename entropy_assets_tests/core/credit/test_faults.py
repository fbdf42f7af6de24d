"""Files that were credited wrongly, or refused with a misleading reason: each is what it should be now, or listed."""

from pathlib import Path

import pytest

from entropy_assets.core.credit.assessment import AssessedImage
from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageRejected
from entropy_assets.images import raw
from entropy_assets_tests.scenarios import judging


@pytest.fixture
def faults(shared_data: Path) -> Path:
    return shared_data / "faults"


def assessed(path: Path, source: str = "raw-ccd") -> tuple[Frame, AssessedImage]:
    return judging.assessed(path.read_bytes(), source)


def credits_one_after_the_other(paths: list[Path]) -> list[int]:
    memory = judging.Memory()
    return [memory.spend(*assessed(path)).credit_bits for path in paths]


@pytest.mark.parametrize("source", ["raw-ccd", "drop"])
@pytest.mark.parametrize(
    "name, reason, words",
    [
        ("indi_simulator_noise20_exp1.fits", "not_raw", "INSTRUME = CCD Simulator"),
        ("masterdark_400.fits", "not_raw", "MASTER DARK"),
        ("black_clipped_dark.fits", "clipped_at_black", "raise the offset"),
        ("av1_filmgrain_frame11.png", "tiled", "film grain"),
    ],
)
def test_it_is_refused_with_the_reason_that_fits(faults: Path, name: str, reason: str, words: str, source: str) -> None:
    with pytest.raises(ImageRejected) as caught:
        assessed(faults / name, source)
    assert caught.value.reason == reason
    assert words in caught.value.message


@pytest.mark.parametrize(
    "name",
    [
        "mef_dq_first.fits",
        "mef_1x1_primary.fits",
        "tile_GZIP_1.fits.fz",
        "tile_HCOMPRESS_1.fits.fz",
        "float64_integers.tif",
        "bigtiff_bigendian.tif",
        "int8.tif",
    ],
)
def test_it_is_read(faults: Path, name: str) -> None:
    _, image = assessed(faults / name)
    assert image.noise.survey.live_fraction == 1
    assert image.assessment.credit_bits > 10_000


@pytest.mark.skipif(not raw.can_read_raw(), reason="needs the extra `raw`")
@pytest.mark.parametrize("name, pixels", [("thumbnail_first.dng", 512 * 256), ("cfa.dng", 256 * 256)])
def test_the_raw_data_of_a_dng_is_credited_and_not_its_thumbnail(faults: Path, name: str, pixels: int) -> None:
    _, image = assessed(faults / name)
    assert image.assessment.samples == pixels // 2
    assert image.assessment.min_entropy > 3.5


def test_one_exposure_from_the_top_and_from_the_bottom_is_credited_once(faults: Path) -> None:
    first, second = credits_one_after_the_other([faults / "flip_topdown.fits", faults / "flip_bottomup.fits"])
    assert first > 0
    assert second == 0


def test_the_pattern_of_three_frames_is_credited_once(faults: Path) -> None:
    first, *others = credits_one_after_the_other([faults / f"fixed_pattern_{n}.fits" for n in range(3)])
    fresh = 1.91 * 32_768  # a difference of noise of one code holds 1.91 bits
    assert first > 0
    assert all(fresh / 2 < credit < 0.75 * fresh for credit in others)


def test_each_colour_of_a_raw_mosaic_is_credited(faults: Path) -> None:
    _, image = assessed(faults / "bayer_sky.fits")
    assert image.assessment.samples == 256 * 256 // 2
    assert image.assessment.min_entropy > 3.5
