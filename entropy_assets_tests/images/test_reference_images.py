"""What the decoder makes of every reference image: the hostile ones, the samples and the bench."""

import csv
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images.decode import decode

LATER: Final = "decoded; the survey of the noise decides"
NOT_AN_IMAGE: Final = {"README.md", "make_specials.sh", "slow_writer.py"}
HOSTILE: Final = {
    "truncated.jpg": RejectionReason.TRUNCATED,
    "truncated.png": RejectionReason.TRUNCATED,
    "truncated_data.fits": RejectionReason.TRUNCATED,
    "truncated_header.fits": RejectionReason.TRUNCATED,
    "frame_in_progress.fits.part": RejectionReason.TRUNCATED,
    "bitflip.png": RejectionReason.DECODE_ERROR,
    "bomb_ztxt.png": RejectionReason.DECODE_ERROR,
    "zero_byte.jpg": RejectionReason.EMPTY_FILE,
    "text_as_image.jpg": RejectionReason.UNKNOWN_FORMAT,
    "http_429_page.jpg": RejectionReason.UNKNOWN_FORMAT,
    "bomb_header_100000x100000.png": RejectionReason.OVER_PIXEL_BUDGET,
    "bomb_real_30000x30000_1bit.png": RejectionReason.OVER_PIXEL_BUDGET,
    "bomb_65535x65535.jpg": RejectionReason.OVER_PIXEL_BUDGET,
    "bomb_naxis.fits": RejectionReason.OVER_PIXEL_BUDGET,
    "negative_naxis.fits": RejectionReason.INVALID_HEADER,
    "naxis999.fits": RejectionReason.INVALID_HEADER,
    "all_nan.fits": RejectionReason.NOT_FINITE,
    "table_only.fits": RejectionReason.NO_IMAGE_DATA,
    "header_only.fits": RejectionReason.NO_IMAGE_DATA,
    "compressed_gzip_quantized.fits": RejectionReason.DITHERED,
    "nan_inf.fits": RejectionReason.UNSUPPORTED_PIXELS,
    "animated.gif": RejectionReason.UNSUPPORTED_PIXELS,
    "cmyk.jpg": RejectionReason.UNSUPPORTED_PIXELS,
    "one_bit.png": RejectionReason.UNSUPPORTED_PIXELS,
    "palette.png": RejectionReason.UNSUPPORTED_PIXELS,
    "png_named.jpg": LATER,
    "jpeg_named.fits": LATER,
    "all_black.png": LATER,
    "all_white.png": LATER,
    "constant_grey16.fits": LATER,
    "gradient.png": LATER,
    "tiled_noise.png": LATER,
    "prng_noise_seed0.png": LATER,
    "sixteen_bit_3_values.png": LATER,
    "sixteen_bit_from_8bit.png": LATER,
    "left_justified_12in16.png": LATER,
    "upscaled_4x.png": LATER,
    "denoised_median.png": LATER,
    "jpeg_quality_5.jpg": LATER,
    "saturated_90pct.png": LATER,
    "one_pixel.png": LATER,
    "tiny_8x8.png": LATER,
    "strip_1x4096.png": LATER,
    "alpha.png": LATER,
    "alpha_fully_transparent.png": LATER,
    "la16.png": LATER,
    "multipage.tif": LATER,
    "tiff_ifd_loop.tif": LATER,
    "exif_rotated.jpg": LATER,
    "dup_same_bytes.fits": LATER,
    "dup_same_pixels.png": LATER,
    "bscale_bzero_blank.fits": LATER,
    "uint16_bzero32768.fits": LATER,
    "cube_5x64x64.fits": LATER,
    "compressed_rice.fits": LATER,
    "mef_3_ext.fits": LATER,
    "bitpix64.fits": LATER,
    "name with spaces.png": LATER,
    "näme-мир-星雲-🛰.png": LATER,
    "-rf.png": LATER,
    "$(touch pwned);`id`.png": LATER,
    "<script>alert(1)<⁄script>.png": LATER,  # noqa: RUF001 - the slash of the file's own name
    "Frame.PNG": LATER,
    ".hidden.png": LATER,
    "a" * 240 + ".png": LATER,
}
"""Outcome of decoding alone: whether a name is taken at all is the drop folder's business."""

SAMPLES: Final = {
    "saao_1m_ccd_raw16_a.fits": 1,
    "saao_1m_ccd_raw16_b.fits": 1,
    "apogee_ccd_raw16_tiny.fits": 1,
    "cassini_iss_jupiter_raw12.fits.fz": 1,
    "cassini_iss_lab_flat_raw8.fits.fz": 1,
    "galileo_ssi_blacksky_raw8.png": 1,
    "startracker_imx265_alt40_azi-135.tif": 16,
    "startracker_imx265_alt40_azi45.tif": 16,
    "startracker_imx265_alt60_azi135.tif": 16,
    "sdo_hmi_continuum_512.jp2": 1,
    "hst_ngc2808.png": RejectionReason.UNSUPPORTED_PIXELS,
    "earth_bluemarble_2048.jpg": 1,
    "earth_dark_2048.jpg": 1,
}
"""Step of each bundled image, or why it is refused: NGC 2808 is a palette."""
VECTORS: Final = {
    "kpno_m51_16bit.tif": 1,
    "hst_xdf_872x1000.jpg": 1,
    "saao_1m_ccd_raw16.fits": 1,
    "soho_eit_171_float64.fits": RejectionReason.UNSUPPORTED_PIXELS,
}
"""The same of images that were bundled once: EIT is averaged floats."""
EXPOSED: Final = {
    "saao_1m_ccd_raw16_a.fits": (260, 512),
    "saao_1m_ccd_raw16_b.fits": (260, 512),
    "saao_1m_ccd_raw16.fits": (520, 512),
}
"""Height and width of those with overscan, which their TRIMSEC leaves out."""


def outcome(path: Path) -> Frame | RejectionReason:
    """Return the frame in a file, or why there is none."""
    try:
        return decode(path.read_bytes())
    except ImageRejected as rejection:
        return rejection.reason


def test_every_hostile_file_has_an_expected_outcome(shared_data: Path) -> None:
    """The table above leaves out no file: new ones must be judged."""
    names = {path.name for path in (shared_data / "hostile").iterdir() if path.is_file()}
    assert names - NOT_AN_IMAGE == set(HOSTILE)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_gets_its_outcome(shared_data: Path, name: str) -> None:
    """One clear reason, or a frame that later steps can judge."""
    found = outcome(shared_data / "hostile" / name)
    assert (LATER if isinstance(found, Frame) else found) == HOSTILE[name]


@pytest.mark.parametrize(
    "name, step",
    [
        ("left_justified_12in16.png", 16),
        ("sixteen_bit_from_8bit.png", 257),
        ("sixteen_bit_3_values.png", 1),
        ("bitpix64.fits", 1),
    ],
)
def test_step_of_disguised_depths(shared_data: Path, name: str, step: int) -> None:
    """The depth that a file claims is not the depth that it has."""
    frame = outcome(shared_data / "hostile" / name)
    assert isinstance(frame, Frame)
    assert frame.adc_step == step


def test_copies_of_the_sample_are_found_out(shared_data: Path, samples: Path) -> None:
    """The same bytes have the same file hash; the same pixels as PNG have the same pixel hash."""
    original = outcome(samples / "apogee_ccd_raw16_tiny.fits")
    copy, repack = (outcome(shared_data / "hostile" / f"dup_same_{kind}") for kind in ("bytes.fits", "pixels.png"))
    assert isinstance(original, Frame)
    assert isinstance(copy, Frame)
    assert isinstance(repack, Frame)
    assert copy.image_sha256 == original.image_sha256 != repack.image_sha256
    assert copy.pixel_sha256 == original.pixel_sha256 == repack.pixel_sha256


def test_unsigned_and_scaled_hostile_frames(shared_data: Path) -> None:
    """Unsigned values come out as 0..65535 and agree with the RICE-packed ones; BLANK is masked."""
    unsigned, rice, scaled = (
        outcome(shared_data / "hostile" / name)
        for name in ("uint16_bzero32768.fits", "compressed_rice.fits", "bscale_bzero_blank.fits")
    )
    assert isinstance(unsigned, Frame)
    assert isinstance(rice, Frame)
    assert isinstance(scaled, Frame)
    assert (unsigned.pixels.min(), unsigned.pixels.max()) == (928, 1090)
    assert unsigned.pixel_sha256 == rice.pixel_sha256
    assert 0 < np.count_nonzero(~scaled.usable) < 20
    assert scaled.pixels.min() == -72


@pytest.mark.parametrize("name", [*SAMPLES, *VECTORS])
def test_bundled_sample_is_what_its_sources_say(samples: Path, vectors: Path, name: str) -> None:
    """Hash, shape, depth and lossiness as in the SOURCES.csv beside it."""
    folder, expected = (samples, SAMPLES[name]) if name in SAMPLES else (vectors, VECTORS[name])
    [row] = [row for row in csv.DictReader((folder / "SOURCES.csv").read_text().splitlines()) if row["file"] == name]
    assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == row["sha256"]
    found = outcome(folder / name)
    if isinstance(found, RejectionReason):
        assert found == expected
        return
    assert found.shape == EXPOSED.get(name, (int(row["height"]), int(row["width"])))
    assert found.bit_depth == int(row["bit_depth"])
    assert found.lossy == row["lossy"].startswith("yes")
    assert found.adc_step == expected
    grey_stored_as_colour = name == "earth_dark_2048.jpg"
    assert found.channels == (1 if grey_stored_as_colour else int(row["channels"]))


def test_every_bench_image_but_the_averaged_one_is_read(shared_data: Path) -> None:
    """Shapes as in SOURCES.csv; star-tracker frames have step 16; ISAAC is a mean of 25 reads, so it is refused."""
    rows = list(csv.DictReader((shared_data / "bench" / "SOURCES.csv").read_text().splitlines()))
    found = {row["file"]: outcome(shared_data / "bench" / row["file"]) for row in rows if int(row["width"]) <= 2148}
    assert found.pop("vlt_isaac_nir_float32.fits") is RejectionReason.UNSUPPORTED_PIXELS
    for row in rows:
        frame = found.get(row["file"])
        if frame is not None:
            assert isinstance(frame, Frame)
            assert frame.shape == (int(row["height"]), int(row["width"]))
            assert frame.adc_step == (16 if row["file"].startswith("startracker") else 1)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_memory_for_all_hostile_files_is_bounded(shared_data: Path) -> None:
    """Decoding every hostile file takes less than 400 MB, bombs included."""
    code = (
        "import pathlib, sys\n"
        "from entropy_assets.errors import ImageRejected\n"
        "from entropy_assets.images.decode import decode\n"
        "for path in pathlib.Path(sys.argv[1]).iterdir():\n"
        "    if path.is_file():\n"
        "        try: decode(path.read_bytes())\n"
        "        except ImageRejected: pass\n"
        # ru_maxrss would begin at what the parent had when it forked
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "print(status.split('VmHWM:')[1].split()[0])"
    )
    command = [sys.executable, "-c", code, os.fspath(shared_data / "hostile")]
    peak = int(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)
    assert peak < 400 << 10
