"""Raw samples are read as NIST's tool reads them, assessed to its digits, and refused in words that help."""

import io
import json
import os
import select
import signal
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from entropy_assets.cli.assessing import samples
from entropy_assets.cli.assessing.samples import read_samples
from entropy_assets.core.sp800_90b.non_iid import assess_non_iid
from entropy_assets.errors import InputRefused
from entropy_assets_tests.cli.conftest import Run
from entropy_assets_tests.core.sp800_90b.references import BITS_PER_SYMBOL, LONG, known, symbols_of
from entropy_assets_tests.core.sp800_90b.test_non_iid import NAMES, VALUES

EVERY = [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in BITS_PER_SYMBOL]
NOISE = np.random.default_rng(6).integers(0, 8, 20_000, dtype=np.uint8)


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """Give a file of symbols of 3 bits."""
    path = tmp_path / "noise.bin"
    path.write_bytes(NOISE.tobytes())
    return path


def only(result: Any) -> dict[str, Any]:
    """Return the only file that a command told of."""
    [row] = json.loads(result.stdout)["files"]
    return dict(row)


@pytest.mark.parametrize("name", EVERY)
def test_every_value_is_that_of_nists_tool(run: Run, shared_data: Path, tmp_path: Path, name: str) -> None:
    """Through the command and JSON, within 1e-10 (usnistgov/SP800-90B_EntropyAssessment v1.1.8, ea_non_iid -vv)."""
    told = known(shared_data)["non_iid"][name]["results"]
    (tmp_path / "samples.bin").write_bytes(symbols_of(shared_data, name).tobytes())
    row = only(run("assess", tmp_path / "samples.bin", "--bits-per-symbol", BITS_PER_SYMBOL[name], "--json"))
    assert row["min_entropy"] == pytest.approx(float(told["Assessed min entropy"]), abs=1e-10)
    for printed, found in ((told["Literal"], "literal"), (told.get("Bitstring", {}), "of_bits")):
        assert row["non_iid"][found].keys() == {NAMES[estimator] for estimator in printed}
        for estimator, values in printed.items():
            said = row["non_iid"][found][NAMES[estimator]]
            assert said["min_entropy"] == pytest.approx(float(values["min entropy"]), abs=1e-10)
            for key in values.keys() & VALUES.keys():
                assert said["values"][VALUES[key]] == pytest.approx(float(values[key]), abs=1e-10), (estimator, key)


def test_each_estimate_is_told_with_what_it_follows_from_and_the_least_is_marked(run: Run, noise: Path) -> None:
    result = run("assess", noise, "--bits-per-symbol", 3, "--submitter", 0.5)
    assert result.exit_code == 0, result.output
    found = assess_non_iid(NOISE, 3)
    lines = result.stdout.splitlines()
    marked = [line.split("  6.3")[0].strip(" *") for line in lines if line.lstrip().startswith("*")]
    least = [min(of, key=lambda name: of[name].min_entropy) for of in (found.literal, found.of_bits)]
    assert marked == [name.replace("_", " ") for name in least]
    for name, one in found.literal.items():
        [line] = [line for line in lines if f"{name.replace('_', ' ')}  " in line and f"{one.min_entropy:.6f}" in line]
        assert all(value in line for value in one.values)
    assert "min-entropy 0.500000 of 3 bits per sample, decided by H_submitter" in result.stdout
    assert "fewer than the 1,000,000 consecutive ones that 3.1.1 asks for" in result.stdout
    assert "health tests at that min-entropy (4.4, alpha 2^-40)" in result.stdout


def test_samples_come_from_a_pipe_and_as_many_as_are_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples.sys, "stdin", SimpleNamespace(buffer=io.BytesIO(NOISE.tobytes())))
    piped = read_samples(Path("-"), 3, first=9000)
    assert (piped.name, piped.symbols.tobytes()) == ("standard input", NOISE[:9000].tobytes())


@pytest.mark.parametrize("path", ["-", "/dev/zero"])
def test_what_never_ends_is_refused(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MOST_SAMPLES", 5000)
    with Path("/dev/zero").open("rb") as endless:
        monkeypatch.setattr(samples.sys, "stdin", SimpleNamespace(buffer=endless))
        with pytest.raises(InputRefused, match="more than 5,000 samples: say how many with --first"):
            read_samples(Path(path), 8)


def test_wide_samples_are_reduced_to_their_most_balanced_bits(run: Run, tmp_path: Path) -> None:
    """Twelve bits of which the two lowest are stuck: what is kept is told, highest first (6.4)."""
    wide = np.random.default_rng(7).integers(0, 1024, 9000).astype("<u2") << 2
    (tmp_path / "wide.bin").write_bytes(wide.astype("<u2").tobytes())
    row = only(run("assess", tmp_path / "wide.bin", "--bits-per-symbol", 12, "--json"))
    assert (row["samples"], row["bits_per_symbol"], row["sample_bits"]) == (9000, 8, 12)
    assert len(row["kept_bits"]) == 8
    assert set(row["kept_bits"]) <= set(range(2, 12))
    assert row["non_iid"]["alphabet"] == 256
    assert "reduced by 6.4" in run("assess", tmp_path / "wide.bin", "--bits-per-symbol", 12).stdout


@pytest.mark.parametrize(
    "data, bits, said",
    [
        (b"", 8, "is empty: there is nothing to assess"),
        (
            b"\1\2\11\1",
            3,
            "symbol 9 at offset 2 has more than 3 bits: the largest is 9, which takes --bits-per-symbol 4",
        ),
        (b"0110\n", 1, "it is text; a symbol is a byte with the value 0 or 1, not a digit"),
        (b"\1\2\3", 12, "ends within a sample: 12 bits are two bytes each"),
        (struct.pack("<3H", 1, 2, 4096), 12, "symbol 4096 at offset 4 has more than 12 bits"),
        (b"\1", 8, "1 samples can't be assessed"),
    ],
    ids=["empty", "wide symbol", "text", "half a sample", "wide sample", "one sample"],
)
def test_what_is_wrong_with_a_file_is_one_sentence(run: Run, tmp_path: Path, data: bytes, bits: int, said: str) -> None:
    (tmp_path / "file.bin").write_bytes(data)
    result = run("assess", tmp_path / "file.bin", "--bits-per-symbol", bits)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    told = json.loads(run("assess", tmp_path / "file.bin", "--bits-per-symbol", bits, "--json").stdout)
    assert said in told["message"]


@pytest.mark.parametrize("track", [[], ["--iid"]])
def test_equal_samples_are_worth_nothing_and_that_is_said(run: Run, tmp_path: Path, track: list[str]) -> None:
    (tmp_path / "zeros.bin").write_bytes(bytes(9000))
    result = run("assess", tmp_path / "zeros.bin", "--bits-per-symbol", 3, *track)
    assert result.exit_code == 3
    assert "all samples are equal: min-entropy 0, nothing here is random" in result.stdout


def test_what_a_reader_may_have_overlooked_is_remarked(run: Run, images: Path) -> None:
    """The file of an image is no file of samples, and bits that are always 0 are better left away."""
    result = run("assess", images / "live.fits", "--bits-per-symbol", 8, "--first", 2880, "--json")
    remarks = " ".join(only(result)["remarks"])
    assert "begins like an image" in remarks
    assert "the highest 1 of 8 bits are always 0: --bits-per-symbol 7" in remarks


def test_the_iid_track_tells_every_count_and_repeats_its_verdict(run: Run, noise: Path) -> None:
    """The same seed gives the same counts, another one others; the least of the track's estimates is its figure."""
    noise.write_bytes(NOISE[:600].tobytes())
    told = [
        only(run("assess", noise, "--bits-per-symbol", 3, "--iid", "--json", "--seed", seed))["iid"]
        for seed in (1, 1, 2)
    ]
    assert told[0] == told[1]
    assert told[0]["permutations"]["counts"] != told[2]["permutations"]["counts"]
    assert told[0]["permutations"]["seed"] == 1
    words = run("assess", noise, "--bits-per-symbol", 3, "--iid", "--seed", 1).stdout
    assert "seed 1 (" in words
    assert f"nothing speaks against IID: min-entropy {told[0]['h_i']:.6f} of 3 bits" in words
    for name, counts in told[0]["permutations"]["counts"].items():
        [line] = [line for line in words.splitlines() if line.strip().startswith(f"{name.replace('_', ' ')}  ")]
        assert [int(count.replace(",", "")) for count in line.split()[-3:]] == counts


def test_no_figure_follows_from_the_iid_track_where_its_verdict_is_another(run: Run, tmp_path: Path) -> None:
    """A counter; and the early decision has its own name."""
    (tmp_path / "counter.bin").write_bytes(np.arange(600).astype(np.uint8).tobytes())
    result = run("assess", tmp_path / "counter.bin", "--bits-per-symbol", 8, "--iid", "--early")
    assert result.exit_code == 3
    assert "the samples are not IID (" in result.stdout
    assert "no min-entropy follows from this track" in result.stdout
    assert "early: none of 1,666 as extreme" in result.stdout
    assert "health tests" not in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("track, bar", [(["--iid"], b"permutations"), ([], b"estimators")])
def test_progress_is_on_a_terminal_alone_and_an_interrupted_assessment_ends_with_130(
    tmp_path: Path, track: list[str], bar: bytes
) -> None:
    """A counter takes minutes by the standard's rule, and five million samples some seconds; the bar tells so."""
    samples = np.arange(100_000) if track else np.random.default_rng(4).integers(0, 256, 5_000_000)
    (tmp_path / "bad.bin").write_bytes(samples.astype(np.uint8).tobytes())
    command = [sys.executable, "-m", "entropy_assets.cli", "assess", "bad.bin", "--bits-per-symbol", "8", *track]
    ours, theirs = os.openpty()
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs, text=True) as process:
        os.close(theirs)
        shown = b""
        while bar not in shown:
            assert select.select([ours], [], [], 120)[0], shown
            shown += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=120)
    os.close(ours)
    assert (process.returncode, out) == (130, "")
