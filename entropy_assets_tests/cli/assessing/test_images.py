"""What an image is worth and why, and the very samples that were assessed."""

import json
from pathlib import Path

import numpy as np
import pytest

from entropy_assets.core.advice import advice_on
from entropy_assets.core.credit.assessment import assess_image
from entropy_assets.core.credit.estimates import RASTER, estimate
from entropy_assets.core.extraction.noise import deterministic_nonce
from entropy_assets.images.decode import decode
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.cli.conftest import Run
from entropy_assets_tests.file_modes import open_to_others
from entropy_assets_tests.images.image_files import NOISE, fits
from entropy_assets_tests.stages.batches_made import simulated_frame


def test_json_tells_what_decided_and_agrees_with_the_pipeline(run: Run, images: Path) -> None:
    told = json.loads(run("assess", images / "live.fits", "--json", "--source", "raw-ccd").stdout)
    [row] = told["images"]
    frame = decode((images / "live.fits").read_bytes(), source="raw-ccd")
    image = assess_image(frame, deterministic_nonce(frame.image_sha256), STANDARD).assessment
    assert (told["recipe"], told["source"], row["accepted"]) == (STANDARD.name, "raw-ccd", True)
    assert {name: row[name] for name in image.to_row()} == json.loads(json.dumps(image.to_row()))
    assert row["eight_bits"]["min_entropy"] < row["min_entropy"]


def test_it_is_told_in_words_and_a_rejected_image_with_its_reason(run: Run, images: Path) -> None:
    result = run("assess", images / "text.fits", images / "live.fits")
    assert result.exit_code == 0, result.output
    assert "text.fits: no credit, truncated: " in result.stdout
    assert f"\n  what to do: {advice_on('truncated')}\n" in result.stdout
    assert "bits of credit" in result.stdout
    assert "limited by claim" in result.stdout
    assert "the whole 8 bits" in result.stdout


def test_nothing_of_worth_is_exit_code_3_and_what_a_file_says_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "stack.fits").write_bytes(fits(np.resize(NOISE, (64, 64)), NCOMBINE=9))
    (tmp_path / "simulated.fits").write_bytes(simulated_frame(1))
    result = run("assess", tmp_path / "stack.fits", tmp_path / "simulated.fits")
    assert result.exit_code == 3
    assert result.stdout.count("no credit, not_raw") == 2
    assert "the file says NCOMBINE = 9" in result.stdout
    known = run("assess", tmp_path / "simulated.fits", "--source", "simulated")
    assert known.exit_code == 0, known.output


def test_the_samples_that_are_exported_are_those_that_were_assessed(run: Run, images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "samples"
    result = run("assess", images / "live.fits", "--export", folder, "--json")
    [row] = json.loads(result.stdout)["images"]
    assert [file["order"] for file in row["exported"]] == ["draw", "draw", "raster", "raster"]
    again = {}
    for low, whole in (row["exported"][:2], row["exported"][2:]):
        assert (low["bits_per_symbol"], whole["bits_per_symbol"]) == (row["symbol_bits"], 8)
        symbols, samples = (np.fromfile(file["path"], np.uint8) for file in (low, whole))
        assert len(symbols) == len(samples) == row["samples"] == low["samples"]
        assert np.array_equal(symbols, samples & ((1 << row["symbol_bits"]) - 1))
        seen = symbols if low["order"] == "draw" else symbols[: STANDARD.raster_samples]
        prefix = "" if low["order"] == "draw" else RASTER
        again |= {prefix + name: h for name, h in estimate(seen, row["symbol_bits"], STANDARD).items()}
    assert again == pytest.approx(row["estimates"], abs=0)
    assert open_to_others(folder) == []


def test_what_was_taken_of_a_file_with_several_images_is_told(run: Run, tmp_path: Path) -> None:
    cube = np.rint(np.random.default_rng(5).normal(1000, 9, (18, 64, 64)))
    (tmp_path / "cube.fits").write_bytes(fits(cube))
    result = run("assess", tmp_path / "cube.fits", tmp_path / "cube.fits", "--json")
    assert json.loads(result.stdout)["images"][0]["selection"].startswith("16 of the 18 images of the file")
    words = run("assess", tmp_path / "cube.fits").stdout
    assert "  16 of the 18 images of the file, the first that an exposure can be in; the others are not used" in words


def test_an_unknown_source_is_a_usage_error(run: Run, images: Path) -> None:
    result = run("assess", images / "live.fits", "--source", "my-camera")
    assert result.exit_code == 2
    assert "raw-ccd" in result.output


def test_nothing_is_kept_or_spent(run: Run, images: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert run("assess", images / "live.fits").exit_code == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_who_hands_in_samples_as_an_image_is_told_how(run: Run, tmp_path: Path) -> None:
    (tmp_path / "samples.bin").write_bytes(bytes(range(200)))
    result = run("assess", tmp_path / "samples.bin")
    assert result.exit_code == 3
    assert "no credit, unknown_format" in result.stdout
    assert "if these are raw samples, one symbol a byte, say how wide they are: --bits-per-symbol 8" in result.stdout


def test_each_exported_file_comes_with_the_command_that_assesses_it(run: Run, images: Path, tmp_path: Path) -> None:
    told = run("assess", images / "live.fits", "--export", tmp_path / "samples").stdout
    commands = [line.split() for line in told.splitlines() if line.strip().startswith("entropy-assets assess")]
    assert len(commands) == 4
    again = run(*commands[0][1:], "--json", "--first", 2000)
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["files"][0]["samples"] == 2000
