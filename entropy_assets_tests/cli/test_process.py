"""``entropy-assets process``: the report, the exit codes, and what of a folder is an image."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from click.testing import Result

from entropy_assets.core.advice import advice_on, lines_of_advice
from entropy_assets.core.arrays import HOST
from entropy_assets.settings import Settings
from entropy_assets.stages import pipeline
from entropy_assets.stores.home import Home
from entropy_assets.stores.inboxes.origins import Origin
from entropy_assets_tests.cli.conftest import Run
from entropy_assets_tests.e2e.running import clean_environment
from entropy_assets_tests.file_modes import open_to_others
from entropy_assets_tests.stages.batches_made import frame


def processed(run: Run, *arguments: object) -> dict:
    result: Result = run("process", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_json_has_the_promised_names(run: Run, images: Path) -> None:
    report = processed(run, images)
    assert set(report) == {"images", "skipped", "batches", "timings"}
    promised = {"file", "image_sha256", "accepted", "reason", "credit_bits", "samples", "min_entropy"}
    assert all(promised <= set(row) for row in report["images"])
    [batch] = report["batches"]
    assert {"key", "blocks", "passed", "rejected", "chain_head", "checks", "computed_by"} <= set(batch)
    assert set(report["timings"]) >= {"intake", "read", "extract", "hash", "validate"}
    assert all(seconds >= 0 for seconds in report["timings"].values())


def test_what_computed_a_batch_is_told(run: Run, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Namespace, version and device, and of how many images; of those that could not be read nothing was computed."""
    monkeypatch.setenv("ENTROPY_ARRAYS", "numpy")
    report = processed(run, images)
    looked_at = [row for row in report["images"] if "live_fraction" in row]
    assert report["batches"][0]["computed_by"] == {str(HOST): len({row["image_sha256"] for row in looked_at})}
    assert f"computed by {HOST}\n" in run("process", images).stdout


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed here")
def test_a_card_that_was_asked_for_and_is_not_there_is_an_error_before_anything_is_kept(
    run: Run, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else computes in its place; the message says what brings it."""
    monkeypatch.setenv("ENTROPY_ARRAYS", "cupy")
    result = run("process", images, "--out", tmp_path / "kept")
    assert result.exit_code != 0
    assert "pip install 'entropy-assets[gpu]'" in result.stderr
    assert not list(tmp_path.glob("kept/*/*"))


def test_every_file_is_accepted_or_has_one_reason(run: Run, images: Path) -> None:
    report = processed(run, images)
    rows = {row["file"]: row for row in report["images"]}
    assert (rows["live.fits"]["accepted"], rows["live.fits"]["reason"]) == (True, None)
    assert rows["live.fits"]["credit_bits"] > 0
    assert (rows["text.fits"]["accepted"], rows["text.fits"]["credit_bits"]) == (False, 0)
    assert rows["text.fits"]["reason"] == "truncated"
    assert (rows["live.fits"]["advice"], rows["text.fits"]["advice"]) == (None, advice_on("truncated"))
    assert [item["file"] for item in report["skipped"]] == ["half.fits.part"]


def test_deterministic_gives_the_same_chain_head_twice_and_without_it_never(run: Run, images: Path) -> None:
    heads = [
        processed(run, images, *options)["batches"][0]["chain_head"]
        for options in (["--deterministic"], ["--deterministic"], [], [])
    ]
    assert heads[0] == heads[1]
    assert len(set(heads)) == 3


def test_out_keeps_images_batches_and_ledger_and_knows_the_image_the_next_time(
    run: Run, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "kept"
    processed(run, images / "live.fits", "--out", out)
    assert {path.name for path in out.iterdir()} >= {"images", "batches", "ledger.sqlite"}
    (images / "copy.fits").write_bytes((images / "live.fits").read_bytes())
    again = run("process", images / "copy.fits", "--out", out, "--json")
    assert again.exit_code == 3
    assert json.loads(again.stdout)["images"][0]["reason"] == "replayed_file"


def test_where_a_feed_fetched_an_image_goes_with_it(
    run: Run, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note is in the installation, and the batch is kept elsewhere: credit and licence are owed there too."""
    image_sha256 = hashlib.sha256((images / "live.fits").read_bytes()).hexdigest()
    note = Origin(feed="sky", url="https://a.example/live.fits", fetched_at="2026-11-29T08:33:00Z", credit="NASA/SDO")
    monkeypatch.setenv("ENTROPY_HOME", str(tmp_path / "home"))
    Home(tmp_path / "home").origins().keep(image_sha256, note)
    report = processed(run, images, "--out", tmp_path / "kept", "--deterministic")
    batch = Home(tmp_path / "kept").batches().batch(report["batches"][0]["key"])
    assert {file.file: file.origin for file in batch.intake.files} == {"live.fits": note, "text.fits": None}
    assert Home(tmp_path / "kept").origins().of(image_sha256) == note
    monkeypatch.setenv("ENTROPY_HOME", str(tmp_path / "empty"))
    without = processed(run, images, "--deterministic")
    assert without["batches"][0]["chain_head"] == report["batches"][0]["chain_head"], "a note decides no byte"


def test_no_block_is_exit_code_3_and_still_a_report(run: Run, images: Path) -> None:
    result = run("process", images / "text.fits", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["batches"][0]["blocks"] == 0


def test_why_there_is_no_block_is_told(run: Run, images: Path) -> None:
    """All of what was refused has its reason; where an image has credit, it is too little."""
    (images / "small.fits").write_bytes(frame(1, side=160))
    told = run("process", images / "small.fits").stdout
    assert "no block: too little credit for one, which takes 40,960 bits" in told
    assert "no block" not in run("process", images / "text.fits").stdout


def test_an_empty_folder_is_exit_code_3(run: Run, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    assert run("process", tmp_path / "nothing").exit_code == 3


def test_for_people_it_prints_a_table_and_the_chain_head(run: Run, images: Path) -> None:
    text = run("process", images).stdout
    for word in ("live.fits", "text.fits", "half.fits.part", "chain head", "passed"):
        assert word in text
    assert lines_of_advice(["truncated"])[0] in text.splitlines()
    [refused] = (row for row in processed(run, images)["images"] if not row["accepted"])
    assert f"refused 'text.fits': {refused['detail']}" in text.splitlines(), "advice speaks of this sentence"


def test_in_a_pipe_a_long_name_stays_in_one_piece_and_a_word_says_where_the_blocks_are(run: Run, images: Path) -> None:
    name = f"{'n' * 90}.fits"
    (images / "live.fits").rename(images / name)
    (images / "dead.jpg").write_bytes(b"")
    report = run("process", images).stdout
    assert name in report
    assert "empty_file" in report
    assert "--out FOLDER keeps images, blocks and ledger" in report


def test_a_name_that_is_not_utf8_or_looks_like_markup_is_printed(run: Run, images: Path) -> None:
    (images / "[bold]x.fits").write_bytes(b"no image")
    (images / r"\[red]x:cat:.fits").write_bytes(b"no image")
    (images / "\udcff.fits").write_bytes(b"no image either")
    result = run("process", images)
    assert result.exit_code == 0, result.output
    assert "[bold]x.fits" in result.stdout
    assert result.stdout.count(r"[red]x:cat:.fits") == 2, "in the table, and beside why it was refused"
    assert "\\xff.fits" in result.stdout


def test_a_name_moves_no_cursor_and_forges_no_line(run: Run, images: Path) -> None:
    """Neither where it is a file's that was looked at, nor where it was skipped, nor when it is named on its own."""
    forged = "x\nbatch drop-1: 9 blocks\x1b]0;title\x07.fits"
    (images / forged).write_bytes(b"no image")
    (images / f"{forged}.part").write_bytes(b"")
    for named in (images, images / forged):
        result = run("process", named)
        assert "\x1b" not in result.stdout
        assert "\nbatch drop-1" not in result.stdout
        assert r"x\nbatch drop-1" in result.stdout


def test_what_lies_beside_images_in_a_folder_is_skipped_unless_it_is_named_like_an_image(
    run: Run, images: Path
) -> None:
    """A note is no rejected image; text under the name of an image is, and so is a file that is named itself."""
    for name in ("README", "SOURCES.csv", "make.sh", "notes.md"):
        (images / name).write_text("no image")
    (images / "empty.txt").touch()
    (images / "text_as_image.JPG").write_text("<html>429</html>")
    (images / "no_suffix").write_bytes(frame(2))
    report = processed(run, images)
    reasons = {row["file"]: row["reason"] for row in report["images"]}
    assert reasons["text_as_image.JPG"] == "unknown_format"
    assert reasons["no_suffix"] is None
    skipped = {item["file"]: item["reason"] for item in report["skipped"]}
    notes = ("README", "SOURCES.csv", "make.sh", "notes.md", "empty.txt")
    assert skipped == {"half.fits.part": "partial", **dict.fromkeys(notes, "not_an_image")}
    named = json.loads(run("process", images / "notes.md", "--json").stdout)
    assert [row["reason"] for row in named["images"]] == ["unknown_format"]


def test_every_stage_reports_progress_to_its_end(images: Path, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    pipeline.process(
        [images],
        Home(tmp_path / "out"),
        Settings(),
        deterministic=True,
        os_bytes=bytes,
        progress=lambda *step: steps.append(step),
    )
    assert steps == [
        *(("read", 1, 2), ("read", 2, 2), ("extract", 1, 1)),
        *(("hash", 1, 1), ("validate", 1, 1)),
    ]


def test_an_interrupt_is_exit_code_130(run: Run, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("entropy_assets.stages.pipeline.process", interrupted)
    result = run("process", images)
    assert result.exit_code == 130
    assert result.stdout == ""


def test_a_path_that_is_not_there_is_wrong_usage(run: Run) -> None:
    result = run("process", "absent.fits")
    assert result.exit_code == 2
    assert "absent.fits" in result.stderr


def test_a_setting_out_of_range_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, images: Path) -> None:
    monkeypatch.setenv("ENTROPY_WORKERS", "0")
    result = run("process", images)
    assert result.exit_code == 2
    assert "ENTROPY_WORKERS: " in result.stderr


def test_nobody_else_can_read_what_is_kept(images: Path) -> None:
    """Under the usual umask of 022; in a folder that everybody may enter, since a closed one above would prove nothing.

    Noise, blocks and the nonces of a batch tell its bytes before they are drawn.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "kept"
        Path(folder).chmod(0o755)
        arguments = ["-m", "entropy_assets.cli", "process", str(images), "--out", str(out)]
        subprocess.run([sys.executable, *arguments], umask=0o022, env=clean_environment(), check=True, timeout=120)
        assert list(out.glob("batches/*/blocks.npy"))
        assert open_to_others(out) == []
        if os.geteuid() != 0 or shutil.which("setpriv") is None:
            pytest.skip("only root can try it as another user, by setpriv")
        [blocks] = out.glob("batches/*/blocks.npy")
        for question in (["cat", str(blocks)], ["ls", str(out / "batches")]):
            asked = subprocess.run(
                ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *question], check=False
            )
            assert asked.returncode != 0
