"""The table of raw noise says something of every source, and its last columns can fail and pass."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.raw_noise import NOT_SAID, REFUSED, failed_of, main, rows_of, said_of
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.images.image_files import fits

BITS = np.random.default_rng(12).integers(0, 2, 60_000, dtype=np.uint8)


def test_random_bits_fail_no_test_and_bell_curves_fail_some() -> None:
    """By Holm's rule: 60,000 coins, and the low 5 bits of differences of Gaussian noise of 4 steps."""
    assert failed_of(BITS)["failed"] == []
    differences = np.diff(np.rint(np.random.default_rng(13).normal(0, 4, 24_000)).astype(np.int64))[::2]
    symbols = (differences & 31).astype(np.uint8)
    bits = np.unpackbits(symbols[:, np.newaxis], axis=1)[:, 3:].reshape(-1)
    assert "spectral" in failed_of(bits)["failed"]
    assert failed_of(symbols & 1)["failed"] == []


def test_an_image_is_told_and_one_that_is_refused_has_its_reason(tmp_path: Path) -> None:
    (tmp_path / "startracker_a.fits").write_bytes(fits(np.rint(np.random.default_rng(1).normal(900, 4, (192, 192)))))
    (tmp_path / "black.fits").write_bytes(fits(np.zeros((192, 192))))
    (tmp_path / "notes.txt").write_bytes(b"no image")
    (black, sky), sensors = rows_of(tmp_path, STANDARD)
    assert (black["file"], sky["file"], sensors) == ("black.fits", "startracker_a.fits", [])
    assert said_of(black) == REFUSED.format(outcome=black["outcome"])
    assert said_of(sky).startswith("Night sky")
    assert said_of({**sky, "file": "new.fits"}) == NOT_SAID
    assert 0.6 * sky["k"] < sky["min-entropy"] < sky["k"]


def test_the_page_says_something_of_every_source() -> None:
    page = (PROJECT / "benchmarks" / "RAW_NOISE.md").read_text(encoding="utf-8")
    assert "fails on it by design" in " ".join(page.split())
    assert NOT_SAID not in page
    images = [line.split(" | ")[0] for line in page.splitlines() if " looked at " in line]
    assert len(images) > 20


@pytest.mark.slow
def test_its_json_has_every_figure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["raw_noise", "--json"])
    assert main() == 0
    [told] = json.loads(capsys.readouterr().out)["folders"].values()
    assert [row["sensor"] for row in told["sensors"]] == ["Sony IMX265, night sky"]
