"""``entropy-assets assess``: what it takes for an image or for samples, and options that mean nothing together."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from entropy_assets_tests.cli.conftest import Run


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """Give a file of symbols of 2 bits."""
    path = tmp_path / "noise.bin"
    path.write_bytes(np.random.default_rng(8).integers(0, 4, 3000, dtype=np.uint8).tobytes())
    return path


@pytest.mark.parametrize(
    "options, said",
    [
        (["--iid"], "say how wide a symbol is with --bits-per-symbol"),
        (["--first", 10], "say how wide a symbol is with --bits-per-symbol"),
        (["--html", "report.html"], "add --bits-per-symbol, or --restart"),
        (["--submitter", 1], "add --bits-per-symbol, or --restart"),
        (["--bits-per-symbol", 17], "17 is not in the range 1<=x<=16"),
        (["--bits-per-symbol", 2, "--source", "raw-ccd"], "--source is of images"),
        (["--bits-per-symbol", 2, "--export", "samples"], "--export is of images"),
        (["--bits-per-symbol", 2, "--seed", 4], "add --iid"),
        (["--bits-per-symbol", 2, "--early"], "add --iid"),
        (["--bits-per-symbol", 2, "--h-initial", 1], "add --restart"),
        (["--bits-per-symbol", 2, "--restart"], "--h-initial H_I"),
        (["--bits-per-symbol", 2, "--submitter", "nan"], "--submitter is a number of bits per sample"),
        (["--bits-per-symbol", 2, "--restart", "--h-initial", "inf"], "--h-initial is a number of bits per sample"),
        (["--restart", "--iid"], "say how wide a symbol is with --bits-per-symbol"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_options_that_mean_nothing_together_are_wrong_usage(
    run: Run, noise: Path, options: list[object], said: str
) -> None:
    result = run("assess", noise, *options)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
    assert not list(noise.parent.glob("report*"))


def test_a_folder_of_raw_samples_is_wrong_usage(run: Run, noise: Path) -> None:
    result = run("assess", noise.parent, "--bits-per-symbol", 2)
    assert result.exit_code == 2
    assert "is a folder: name the files of raw samples in it" in " ".join(result.output.split())


def test_a_folder_stands_for_the_images_in_it(run: Run, tmp_path: Path) -> None:
    """By name or content, links too; what lies beside them is passed over, and a folder without one is told."""
    frames = tmp_path / "frames"
    frames.mkdir()
    (frames / "notes.txt").write_text("of the night")
    empty = run("assess", frames)
    assert (empty.exit_code, "is a folder without an image" in " ".join(empty.output.split())) == (2, True)
    for name in ("b.png", "a", ".hidden.png"):
        Image.new("L", (64, 64)).save(frames / name, "PNG")
    (frames / "c.png").symlink_to("b.png")
    (frames / "deeper.png").mkdir()
    told = json.loads(run("assess", frames, "--json").stdout)
    assert [Path(row["file"]).name for row in told["images"]] == ["a", "b.png", "c.png"]


def test_a_pipe_needs_the_width_of_a_symbol(run: Run) -> None:
    result = run("assess", "-")
    assert result.exit_code == 2
    assert "'-' is raw samples from a pipe" in " ".join(result.output.split())


def test_a_report_tells_of_every_file_and_what_is_printed_stays(run: Run, noise: Path) -> None:
    other = noise.with_name("<other>.bin")
    other.write_bytes(noise.read_bytes()[::-1])
    result = run("assess", noise, other, "--bits-per-symbol", 2, "--html", "report.html")
    assert result.exit_code == 0, result.output
    report = (noise.parent / "report.html").read_text()
    assert "<h2>noise.bin</h2>" in report
    assert "<h2>&lt;other&gt;.bin</h2>" in report
    assert result.stdout.count("of 2 bits per sample, decided by") == 2
