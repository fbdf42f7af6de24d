"""The output of NIST's tool is read as it was meant, and the table hides no estimate of ours above the tool's."""

import hashlib
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.nist_tool import (
    Said,
    above,
    asked,
    images_in,
    least,
    parsed,
    print_page,
    reasons,
    row_of,
    same_symbols,
    seen_by,
)
from entropy_assets.core.sp800_90b import estimators, predictors
from entropy_assets.core.sp800_90b.tuples import tuples_and_repeats
from entropy_assets.recipe import DROP, STANDARD, recipe_named
from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.stages.batches_made import frame

VECTORS = PROJECT / "entropy_assets_tests" / "vectors"
WIDTHS = pytest.mark.parametrize("bits", [1, 3])
TOOL = shutil.which("ea_non_iid")


def symbols(bits: int) -> np.ndarray:
    """Return the 7,000 uneven symbols that the tool was asked about.

    ``ea_non_iid -v -v -l 0,7000 symbols.bin BITS > entropy_assets_tests/vectors/ea_non_iid_BITSbit.txt`` was run on
    them in November 2026: version 1.1.7, commit 68ed165 of usnistgov/SP800-90B_EntropyAssessment, g++ 12.2, x86-64.
    """
    drawn = np.frombuffer(hashlib.shake_256(b"ea_non_iid").digest(14_000), np.uint8)
    three = drawn[:7000] & 7 & (drawn[7000:] | 5)
    return three if bits == 3 else three & (three >> 2) & 1


def recorded(bits: int) -> str:
    return (VECTORS / f"ea_non_iid_{bits}bit.txt").read_text(encoding="utf-8")


@WIDTHS
def test_the_recording_is_of_these_symbols(bits: int) -> None:
    """So that the recordings can be made again."""
    assert hashlib.sha256(symbols(bits).tobytes()).hexdigest() in recorded(bits)


@WIDTHS
def test_each_figure_is_read_under_the_name_of_the_estimator_that_gives_it_here(bits: int) -> None:
    """The estimators here give the tool's figures to the last digits, so a name that is mistaken shows."""
    said = parsed(recorded(bits))
    of_symbols, of_bits = symbols(bits), np.unpackbits(symbols(bits)[:, np.newaxis], axis=1)[:, 8 - bits :].ravel()
    assert (said.samples, said.bits_per_symbol) == (7000, bits)
    assert said.least == pytest.approx(min(said.estimates.values()), abs=1e-12)
    pair = tuples_and_repeats(of_symbols, 1 << bits)
    expected = {"t_tuple": pair[0].min_entropy, "repeated_substring": pair[1].min_entropy}
    for sequence, prefix, alphabet, times in ((of_symbols, "", 1 << bits, 1), (of_bits, "bits_", 2, bits)):
        expected[f"{prefix}most_common_value"] = times * estimators.most_common_value(sequence).min_entropy
        for name in ("multi_mcw", "lag", "multi_mmc", "lz78y"):
            expected[prefix + name] = times * getattr(predictors, name)(sequence, alphabet).min_entropy
    for name in ("collision", "markov", "compression"):
        expected[f"bits_{name}"] = bits * getattr(estimators, name)(of_bits).min_entropy
    if bits > 1:
        pair = tuples_and_repeats(of_bits, 2)
        expected |= {"bits_t_tuple": bits * pair[0].min_entropy, "bits_repeated_substring": bits * pair[1].min_entropy}
    else:  # the tool makes no bitstring of 1-bit symbols
        expected = {name: h for name, h in expected.items() if name in said.estimates}
    assert said.estimates == pytest.approx(expected, abs=1e-9)
    assert len(said.estimates) == (17 if bits == 3 else 10)


@pytest.mark.parametrize("text", ["", "Error reading file.\n", "cut"])
def test_an_output_without_a_result_is_no_result(text: str) -> None:
    """A tool that stops half way would else leave out the least of its estimates."""
    with pytest.raises(ValueError, match="no result"):
        parsed(text.replace("cut", recorded(3)[: recorded(3).index("H_original")]))


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """Give a program that says of every file what the tool said of the recorded one, and notes what it is asked."""
    program = tmp_path / "ea_non_iid"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\ncat {VECTORS}/ea_non_iid_3bit.txt\n')
    program.chmod(0o700)
    return program


def test_the_tool_is_given_the_exported_files(stand_in: Path, tmp_path: Path) -> None:
    """The low k bits as far as each kind of estimator looks, all of them, and the whole 8 bits."""
    (tmp_path / "live.fits").write_bytes(frame(1, side=256))
    looks = {"assessment_samples": 5000, "prediction_samples": 8000, "bit_prediction_samples": 2000}
    looks["raster_samples"] = 3000
    row = row_of(tmp_path / "live.fits", stand_in, replace(STANDARD, **looks), DROP, 9000)
    calls = re.findall(r"-v -v -l 0,(\d+) \w+-channel0-(\d)bit(-raster)?.bin (\d)", (tmp_path / "asked").read_text())
    k = str(row["k"])
    drawn = [(count, k, "", k) for count in ("2000", "5000", "8000", "9000")]
    assert calls == [*drawn, *((count, k, "-raster", k) for count in ("2000", "3000")), ("9000", "8", "", "8")]
    assert row["samples"] > 9000
    of_each = parsed(recorded(3)).estimates
    assert row["same"]["estimates"] == of_each | {f"raster_{name}": h for name, h in of_each.items()}
    assert row["ours"] <= min(row["estimates"].values())


def test_each_estimate_of_the_same_symbols_is_of_as_many_as_are_looked_at_here() -> None:
    looks = {"assessment_samples": 50, "prediction_samples": 80, "bit_prediction_samples": 20, "raster_samples": 10}
    recipe = replace(STANDARD, **looks)
    names = ("markov", "lag", "bits_lag")
    by_count = {count: least([Said(count, 3, dict.fromkeys(names, count / 100), 0)]) for count in (10, 20, 50, 80, 90)}
    said = same_symbols({"draw": by_count, "raster": {10: by_count[10]}}, recipe)
    drawn = {"markov": 0.5, "lag": 0.8, "bits_lag": 0.2}
    assert said["estimates"] == drawn | {f"raster_{name}": 0.1 for name in names}
    assert (said["least"], said["limited_by"]) == (0.1, "raster_markov")
    assert seen_by("bits_lag", recipe_named("ea-2026-1")) == 32_768


def test_a_refused_image_is_named_with_its_reason(stand_in: Path, tmp_path: Path) -> None:
    (tmp_path / "text.fits").write_bytes(b"SIMPLE  = no image")
    row = row_of(tmp_path / "text.fits", stand_in, STANDARD, DROP, 5000)
    assert row == {"image": "text.fits", "refused": "truncated"}


def told(value: float, name: str = "lag") -> dict[str, object]:
    return least([Said(9, 3, {name: value}, value)])


def row(ours: float, tool: float, limited_by: str = "lag", **others: float) -> dict[str, object]:
    figures = {"all": others.get("whole", tool), "eight_bits": others.get("eight", tool)}
    return {
        **{"image": "a|b.fits", "k": 3, "samples": 9, "ours": ours, "limited_by": limited_by},
        **{"estimates": {limited_by: ours}, "same": told(tool)},
        **{name: told(value) for name, value in figures.items()},
    }


def test_an_estimate_above_the_tool_s_stands_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_page([row(2.5, 2.0, whole=2.6), row(1.9, 2.0), row(2.0, 2.0, whole=1.8)], "noniid 1.1.7", STANDARD, 9)
    page = capsys.readouterr().out
    assert page.count("ABOVE") == 2
    assert (
        "On the same symbols ours is above the tool's in 1 of 3 images.\n"
        "- a&#124;b.fits: the tool's lag gives 2.000000 and gives 2.500000 here.\n\n"
        "Beside all samples ours is above the tool's in 1 of 3 images.\n"
        "- a&#124;b.fits: the tool's lag gives 1.800000 and gives 2.000000 here.\n"
    ) in page
    assert not above(row(2.0 + 1e-12, 2.0), "same")


def test_an_estimator_that_is_not_run_here_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    print_page([row(2.5, 2.0, "markov")], "noniid 1.1.7", STANDARD, 9)
    page = capsys.readouterr().out
    assert "the tool's lag gives 2.000000 and is not run here." in page
    assert "by the tool alone, on some image: lag" in page


def test_each_difference_has_its_word() -> None:
    assert reasons(row(2.0, 2.0)) == []
    assert reasons(row(2.0, 2.0, eight=1.5)) == ["sign"]
    assert reasons(row(2.0, 2.0, eight=2.5)) == ["part"]
    assert reasons(row(1.5, 2.0, "raster_lag")) == ["order"]
    assert reasons(row(2.0, 2.0, whole=2.2, eight=2.2)) == ["length"]


def test_of_several_channels_the_least_counts() -> None:
    pair = [Said(9, 3, {"lag": 2.0, "markov": 1.5}, 1.5), Said(9, 3, {"lag": 1.0, "markov": 1.8}, 1.0)]
    said = least(pair)
    assert (said["least"], said["limited_by"]) == (1.0, "lag")
    assert said["estimates"] == {"lag": 1.0, "markov": 1.5}


def test_lists_beside_the_images_are_no_images(tmp_path: Path) -> None:
    for name in ("b.fits", "a.png", "SOURCES.csv", "README.md"):
        (tmp_path / name).touch()
    assert [path.name for path in images_in([tmp_path])] == ["a.png", "b.fits"]


def test_the_table_holds_what_the_page_promises() -> None:
    """Of ten real images at least, nothing is estimated above what the tool says of the same symbols."""
    page = (PROJECT / "benchmarks" / "NIST_TOOL.md").read_text(encoding="utf-8")
    [images] = re.findall(r"^On the same symbols ours is above the tool's in 0 of (\d+) images\.$", page, re.MULTILINE)
    assert int(images) >= 10
    assert f"Recipe `{STANDARD.name}`" in page
    assert "Run by the tool alone, on some image: none." in page


@pytest.mark.skipif(TOOL is None, reason="ea_non_iid is not on PATH; it is built from SP800-90B_EntropyAssessment")
@WIDTHS
def test_the_tool_still_says_what_was_recorded(bits: int, tmp_path: Path) -> None:
    """Where the tool is there: another version of it would show here first."""
    (tmp_path / "symbols.bin").write_bytes(symbols(bits).tobytes())
    assert asked(Path(str(TOOL)), tmp_path / "symbols.bin", bits, 7000) == parsed(recorded(bits))
