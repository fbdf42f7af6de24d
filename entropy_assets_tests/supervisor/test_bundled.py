"""The bundled images, as the first run of an installation takes them: real frames that fill the pool of both lanes."""

import os
import time
from collections import Counter
from pathlib import Path

import pytest

from entropy_assets.images.decode import decode
from entropy_assets.recipe import STANDARD
from entropy_assets.settings import Settings
from entropy_assets.stages.intake import take_batches
from entropy_assets.stages.pipeline import ProcessReport, process
from entropy_assets.stores.home import Home
from entropy_assets.supervisor.installation import SAMPLES, drop_samples

PROMISED_BYTES = 100_000
PACKED = {
    "startracker_imx265_alt40_azi-135.tif": "bench/startracker_imx265_Alt40_Azi-135.tiff",
    "startracker_imx265_alt40_azi45.tif": "bench/startracker_imx265_Alt40_Azi45.tiff",
    "startracker_imx265_alt60_azi135.tif": "bench/startracker_imx265_Alt60_Azi135.tiff",
    "cassini_iss_jupiter_raw12.fits.fz": "sample/shared_only/cassini_iss_jupiter_raw12_lossless.png",
    "cassini_iss_lab_flat_raw8.fits.fz": "bench/cassini_iss_flat_133ms_a.fits",
    "galileo_ssi_blacksky_raw8.png": "sample/shared_only/galileo_ssi_blacksky_raw8.png",
}
"""Frames that were packed anew, and the file of the reference data that each was made from."""


@pytest.fixture(scope="module")
def lanes(tmp_path_factory: pytest.TempPathFactory) -> list[ProcessReport]:
    """Deal the bundled images as ``up --samples`` does, and give what becomes of each of the two batches."""
    home = Home(tmp_path_factory.mktemp("first"))
    drop_samples(home)
    inboxes = home.inboxes(STANDARD.sources, settle_seconds=0.0, max_file_bytes=64 << 20)
    take_batches(inboxes, max_files=64, max_bytes=512 << 20, now=time.time() + 1, are_first=True)
    taken = [home.inbox_folder / "samples" / ".taken" / key for key in inboxes["samples"].taken()]
    settings = Settings(home=home.root)
    return [
        process([folder], home, settings, source="samples", deterministic=True, os_bytes=os.urandom) for folder in taken
    ]


@pytest.mark.slow
def test_real_images_alone_fill_the_pool_of_both_lanes(lanes: list[ProcessReport]) -> None:
    made = [report.passed_blocks * STANDARD.block_len for report in lanes]
    assert len(made) == 2
    assert sum(made) > PROMISED_BYTES
    assert min(made) > PROMISED_BYTES // 4, "neither lane is left with the rest"


def test_most_are_accepted_and_each_refusal_is_of_a_kind_of_its_own(lanes: list[ProcessReport]) -> None:
    """Who opens the page sees what works first, and one example of each way in which an image is dead."""
    rows = [row for report in lanes for row in report.images]
    assert len(rows) == len([path for path in SAMPLES.iterdir() if path.suffix != ".csv"])
    refused = Counter(row["reason"] for row in rows if not row["accepted"])
    assert sum(refused.values()) <= len(rows) // 4
    assert set(refused.values()) == {1}
    assert len(refused) >= 3


@pytest.mark.parametrize("name", PACKED)
def test_a_frame_that_was_packed_anew_has_the_pixels_of_its_original(
    name: str, samples: Path, shared_data: Path
) -> None:
    packed, original = (
        decode(path.read_bytes(), source="samples") for path in (samples / name, shared_data / PACKED[name])
    )
    assert packed.pixel_sha256 == original.pixel_sha256
    assert packed.usable.all() == original.usable.all()
