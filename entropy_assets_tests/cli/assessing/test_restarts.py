"""Restart matrices of files give NIST's numbers; frames of one sensor are one too, and what stays the same fails."""

import json
from pathlib import Path

import numpy as np
import pytest

from entropy_assets_tests.cli.conftest import Run
from entropy_assets_tests.core.sp800_90b.references import known, symbols_of
from entropy_assets_tests.images.image_files import fits

SIDE = 192


def exposures(folder: Path, count: int, pattern: float, noise: float = 6) -> list[Path]:
    """Write so many frames of one sensor, with noise and a pattern that are so wide."""
    fixed = np.random.default_rng(1).normal(2000, pattern, (SIDE, SIDE))
    paths = [folder / f"frame{n:03}.fits" for n in range(count)]
    for n, path in enumerate(paths):
        path.write_bytes(fits(np.rint(fixed + np.random.default_rng(100 + n).normal(0, noise, (SIDE, SIDE)))))
    return paths


@pytest.mark.slow
def test_restart_data_are_judged_as_by_nists_tool(run: Run, shared_data: Path, tmp_path: Path) -> None:
    """usnistgov/SP800-90B_EntropyAssessment v1.1.8, ea_restart -n truerand_8bit.bin 7.2; by column it is the same."""
    assert "restart" in known(shared_data)
    symbols = symbols_of(shared_data, "truerand_8bit").reshape(1000, 1000)
    (tmp_path / "rows.bin").write_bytes(symbols.tobytes())
    (tmp_path / "columns.bin").write_bytes(symbols.T.tobytes())
    options = ("--restart", "--bits-per-symbol", 8, "--h-initial", 7.2, "--json")
    for name, more in (("rows.bin", ()), ("columns.bin", ("--column-dataset",))):
        result = run("assess", tmp_path / name, *options, *more)
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)["files"][0]["restart"]
        assert (found["sanity"]["cutoff"], found["sanity"]["largest_count"]) == (25, 16)
        assert found["h_r"] == pytest.approx(7.865118, abs=1e-6)
        assert found["h_c"] == pytest.approx(6.638405, abs=1e-6)


def test_a_symbol_that_comes_too_often_in_a_row_fails_and_exit_code_is_3(run: Run, tmp_path: Path) -> None:
    symbols = np.random.default_rng(2).integers(0, 256, (1000, 1000), dtype=np.uint8)
    symbols[5, :40] = 7
    (tmp_path / "rows.bin").write_bytes(symbols.tobytes())
    result = run("assess", tmp_path / "rows.bin", "--restart", "--bits-per-symbol", 8, "--h-initial", 7.2)
    assert result.exit_code == 3
    assert "more than 25 fail: FAILED" in result.stdout
    assert (
        "the restart tests fail: a symbol is too frequent in a row or column. No min-entropy is left" in result.stdout
    )


def test_a_file_of_another_size_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "rows.bin").write_bytes(bytes(999_999))
    result = run("assess", tmp_path / "rows.bin", "--restart", "--bits-per-symbol", 8, "--h-initial", 7)
    assert result.exit_code == 1
    assert "holds 999,999 samples; restart data are 1,000 samples after each of 1,000 restarts" in result.stderr


def test_frames_of_one_sensor_are_laid_out_and_what_can_not_be_told_is_said(run: Run, tmp_path: Path) -> None:
    paths = exposures(tmp_path, 3, pattern=2)
    (tmp_path / "text.fits").write_bytes(b"SIMPLE  = no image")
    result = run("assess", "--restart", *paths, tmp_path / "text.fits", paths[0], "--export", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "3 frames x 1,000 pixel pairs, the low 5 bits of each" in result.stdout
    assert "left out text.fits: " in result.stdout
    assert "left out frame000.fits: the same exposure was taken in before" in result.stdout
    assert "3 frames are fewer than the 1,000 restarts of 3.1.4.1" in result.stdout
    assert "no column can fail: of 3 samples even equal ones are no surprise" in result.stdout
    assert "fixed pattern: " in result.stdout
    assert "nothing fails, as far as 3 frames can tell: " in result.stdout
    written = np.fromfile(tmp_path / "out" / "restart-3x1000-5bit.bin", np.uint8)
    assert (written.size, int(written.max())) == (3000, 31)


@pytest.mark.slow
def test_a_pattern_is_told_where_the_tests_pass_and_fails_the_columns_where_it_is_nearly_all(
    run: Run, tmp_path: Path
) -> None:
    """Twelve frames, each of which looks like noise of 60 steps, and of which all but 6, or 1, is the same in all.

    Pair differences of that noise hold 4.4 bits, or 1.8 (Gaussian): the standard's tests pass at more than the first.
    """
    found = {}
    for noise in (6, 1):
        result = run("assess", "--restart", *exposures(tmp_path, 12, pattern=60, noise=noise), "--json")
        found[noise] = json.loads(result.stdout)["restart"] | {"exit": result.exit_code}
    assert all(
        (one["frames"], one["enough_frames"], one["columns_can_fail"]) == (12, False, True) for one in found.values()
    )
    assert found[6]["pattern"]["share"] == pytest.approx(100 / 101, abs=0.002)
    assert (found[6]["exit"], found[6]["passed"]) == (0, True)
    assert found[6]["h"] > 4.4 > found[6]["h_fresh"] > 2
    assert (found[1]["exit"], found[1]["of_columns"]["passed"], found[1]["h"]) == (3, False, None)


def test_one_usable_frame_is_refused_with_the_reason_of_the_others(run: Run, tmp_path: Path) -> None:
    [path] = exposures(tmp_path, 1, pattern=2)
    result = run("assess", "--restart", path, path)
    assert result.exit_code == 1
    assert "1 usable frames, and two are needed at least: frame000.fits: the same exposure" in result.stderr
