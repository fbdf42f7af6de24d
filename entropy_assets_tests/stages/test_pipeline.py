"""``process --deterministic``: the same images give the same bytes, whatever the machine does meanwhile.

The chain of a batch starts from its manifest, so it depends on the bytes of the files, their order, what the decoder
saw in them, and the recipe; not on folders, modification times, the clock or the number of workers. Names matter only
where a folder is given, whose files are taken by name. The noise of an image depends on its own bytes and the recipe.
`make oldest` shows the same across releases of NumPy and SciPy.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from entropy_assets.images.decode import decode
from entropy_assets.recipe import STANDARD
from entropy_assets.settings import Settings
from entropy_assets.stages.pipeline import ProcessReport, ReportedBatch, ReportedImage, process
from entropy_assets.stores.home import Home
from entropy_assets_tests.stages.batches_made import frame

NAMES = ("a.fits", "b.fits", "c.fits")


@pytest.fixture(scope="module")
def frames() -> list[bytes]:
    return [frame(seed) for seed in (1, 2, 3)]


def written(folder: Path, contents: dict[str, bytes]) -> list[Path]:
    folder.mkdir()
    paths = [folder / name for name in contents]
    for path, data in zip(paths, contents.values(), strict=True):
        path.write_bytes(data)
    return paths


def run(
    paths: Sequence[Path], home: Path, workers: int = 1, recipe: str = STANDARD.name
) -> tuple[ProcessReport, bytes]:
    """Return the report, and all that was kept of noise and blocks."""
    settings = Settings(home=home, workers=workers, recipe=recipe)
    report = process(paths, Home(home), settings, deterministic=True, os_bytes=os.urandom)
    kept = sorted((home / "batches").rglob("*.npy"))
    assert len(kept) > len(paths)
    return report, b"".join(path.name.encode() + path.read_bytes() for path in kept)


def heads(report: ProcessReport) -> list[str]:
    assert report.passed_blocks > 0
    return [batch["chain_head"] for batch in report.batches]


HALVES = ("saao_1m_ccd_raw16_a.fits", "saao_1m_ccd_raw16_b.fits")
FIRST_BUNDLED = (
    *("apogee_ccd_raw16_tiny.fits", "earth_bluemarble_2048.jpg", "earth_dark_2048.jpg", "hst_ngc2808.png"),
    *("hst_xdf_872x1000.jpg", "kpno_m51_16bit.tif", "saao_1m_ccd_raw16.fits", "sdo_hmi_continuum_512.jp2"),
    "soho_eit_171_float64.fits",
)
SAMPLES_HEADS = {
    "ea-2026-1": "920412a66ccff573a7b8acc22e89b357b852b98fff9744db1a60a1b8e088758a",
    "ea-2026-2": "4dac1fb7fb8a8b7bfa204e6fbd67d18ffd121d166c19a882ff9a562413e1b74d",
}
"""What ``entropy-assets process --deterministic`` gave for the nine images that were bundled at commit c932263, and the
same under ``ea-2026-2`` as it is now, which no release has yet."""
BUNDLED_HEAD = "6a1276ea61fec4b48e4d25f5a59a978098d7dbfd5dfa16acff626c01b3d1753c"
"""The same for the images that are bundled now."""


def noise(report: ProcessReport) -> dict[str, str]:
    return {row["image_sha256"]: row["noise_sha256"] for row in report.images}


@pytest.mark.parametrize("recipe", SAMPLES_HEADS)
def test_images_give_the_chain_head_that_they_always_gave(tmp_path, samples, vectors, recipe):
    """A hash, a sample or a credit that changes needs a recipe of another name."""
    kept = [next(path for path in (samples / name, vectors / name) if path.exists()) for name in FIRST_BUNDLED]
    report, _ = run(kept, tmp_path / "home", recipe=recipe)
    assert heads(report) == [SAMPLES_HEADS[recipe]]


def test_the_bundled_images_give_their_chain_head(tmp_path, samples):
    report, _ = run([samples], tmp_path / "home")
    assert heads(report) == [BUNDLED_HEAD]


def test_the_bundled_halves_are_the_pixels_of_the_whole_frame(samples, whole_frame):
    halves = [decode((samples / name).read_bytes(), source="samples").pixels for name in HALVES]
    whole = decode(whole_frame.read_bytes(), source="samples").pixels
    assert np.array_equal(np.concatenate(halves, axis=1), whole)


def test_one_worker_and_two_give_the_same_bytes(tmp_path, frames):
    """Workers finish in any order; noise, credit, blocks and chain don't show it."""
    paths = written(tmp_path / "in", dict(zip(NAMES, frames, strict=True)))
    one, kept_by_one = run(paths, tmp_path / "one", workers=1)
    two, kept_by_two = run(paths, tmp_path / "two", workers=2)
    assert kept_by_one == kept_by_two
    assert one.images == two.images
    assert one.batches == two.batches
    assert heads(one)


def test_a_card_that_does_not_answer_is_told_of_and_the_processor_computes(tmp_path, monkeypatch, caplog):
    """CuPy is installed, and its driver is missing: without a word somebody would think that the card works."""
    (tmp_path / "cupy.py").write_text("raise ImportError('libcuda.so.1: cannot open shared object file')")
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    paths = written(tmp_path / "in", {"a.fits": frame(1)})
    report, _ = run(paths, tmp_path / "home")
    assert "the processor computes: no card answers (libcuda.so.1" in caplog.text
    assert [by.split()[0] for batch in report.batches for by in batch["computed_by"]] == ["numpy"]


def test_folder_names_and_times_of_the_files_change_nothing(tmp_path, frames):
    """A copy elsewhere, with other names in the same order and other modification times, gives the same chain."""
    originals = written(tmp_path / "in", dict(zip(NAMES, frames, strict=True)))
    copies = written(tmp_path / "copy", dict(zip(("k.fits", "l.fits", "m.fits"), frames, strict=True)))
    for path in copies:
        os.utime(path, (1_000_000_000, 1_000_000_000))
    first, _ = run(originals, tmp_path / "one")
    second, _ = run([tmp_path / "copy"], tmp_path / "two")
    assert heads(first) == heads(second)


def test_order_changes_the_chain_but_not_the_noise(tmp_path, frames):
    """The order is in the manifest, from which the chain starts; the noise of an image is its own."""
    paths = written(tmp_path / "in", dict(zip(NAMES, frames, strict=True)))
    first, _ = run(paths, tmp_path / "one")
    second, _ = run(paths[::-1], tmp_path / "two")
    assert heads(first) != heads(second)
    assert noise(first) == noise(second)


def test_the_report_has_the_fields_that_are_named_in_their_order(tmp_path, frames):
    """What ``process --json`` prints; a file that is no image has no noise to tell of."""
    paths = written(tmp_path / "in", {"a.fits": frames[0], "b.fits": b"no image"})
    report, _ = run(paths, tmp_path / "home")
    looked_at, refused = report.images
    assert list(looked_at) == list(ReportedImage.__annotations__)
    assert list(refused) == [name for name in ReportedImage.__annotations__ if name in ReportedImage.__required_keys__]
    assert [list(batch) for batch in report.batches] == [list(ReportedBatch.__annotations__)]
