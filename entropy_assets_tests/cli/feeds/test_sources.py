"""``entropy-assets sources``: what a newcomer types, what is told, and that nothing is lost of the file."""

import json
import os
import re
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from entropy_assets.cli import main
from entropy_assets.cli.feeds.told import tables_of
from entropy_assets.recipe import STANDARD
from entropy_assets.sources.feeds.configuration import KINDS, example, parsed, schema
from entropy_assets_tests.cli.conftest import Run
from entropy_assets_tests.stages.batches_made import frame

TELESCOPE = """# mine
[feed.telescope]
kind = "folder"
path = "{folder}"
claim = "raw-ccd"
settle_seconds = 0
from_the_oldest = true
"""


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an installation with one feed: a folder with two frames."""
    home, folder = tmp_path / "home", tmp_path / "frames"
    for place in (home, folder):
        place.mkdir()
    for number in (1, 2):
        (folder / f"frame{number}.fits").write_bytes(frame(number, side=64))
    (home / "sources.toml").write_text(TELESCOPE.format(folder=folder))
    return home


def told(run: Run, *arguments: object) -> object:
    return json.loads(run("sources", *arguments, "--json").stdout)


def test_a_newcomer_is_told_how_to_begin(run: Run, tmp_path: Path) -> None:
    done = run("sources", "list", "--home", tmp_path)
    assert "add one with 'entropy-assets sources add KIND'" in done.stdout
    for command in (("check",), ("fetch", "sun")):
        done = run("sources", *command, "--home", tmp_path)
        assert done.exit_code == 2
        assert "entropy-assets sources add KIND" in done.stderr


def test_words_are_completed(installation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Feeds of the installation that is named, kinds of feeds, and sources; nothing where the file can't be read."""
    monkeypatch.setenv("ENTROPY_HOME", str(installation))
    file = installation / "sources.toml"
    file.write_text(file.read_text() + TELESCOPE.replace("feed.telescope", "feed.test").format(folder="/"))

    def completed(*words: object) -> list[str]:
        *before, begun = map(str, words)
        complete = ShellComplete(main, {}, "entropy-assets", "_ENTROPY_ASSETS_COMPLETE")
        return [item.value for item in complete.get_completions(before, begun)]

    assert completed("sources", "fetch", "te") == ["telescope", "test"]
    assert completed("sources", "fetch", "test", "") == ["telescope"]
    assert completed("sources", "fetch", "--home", tmp_path, "") == []
    assert completed("sources", "add", "sd") == ["sdo-latest"]
    assert completed("sources", "add", "ds") == ["dslr"]
    assert completed("assess", "--source", "sd") == ["sdo-latest"]
    monkeypatch.setenv("ENTROPY_RECIPE", "absent")
    assert completed("process", "--source", "") == completed("sources", "fetch", "") == []
    monkeypatch.delenv("ENTROPY_RECIPE")
    file.write_text("[")
    assert completed("sources", "fetch", "") == []


def test_a_feed_is_fetched_shown_and_not_fetched_twice(run: Run, installation: Path) -> None:
    at = ("--home", installation)
    [before] = told(run, "list", *at)
    assert (before["state"], before["last_new_s"]) == ("never asked", None)
    asked = run("sources", "check", "--connect", *at).stdout
    assert asked.startswith("1 feed, 1 enabled; the file is well\n  telescope: answers with 2 images")
    assert not (installation / "inbox").exists(), "to ask is not to take"
    fetched = run("sources", "fetch", "telescope", *at)
    assert fetched.stdout == "telescope: 2 new images\n"
    assert "waits in the inbox of raw-ccd for the pipeline: entropy-assets up" in fetched.stderr
    assert told(run, "fetch", "telescope", *at)["words"] == "nothing new"
    assert len(list((installation / "inbox" / "raw-ccd").iterdir())) == 2
    [after] = told(run, "list", *at)
    assert (after["state"], after["total"]["images"], after["kind"]) == ("well", 2, "folder")
    shown = run("sources", "list", *at).stdout
    assert "telescope" in shown
    assert "well" in shown


def test_several_feeds_are_asked_by_one_command_and_one_in_trouble_stops_no_other(run: Run, installation: Path) -> None:
    """In the order of the file, each once; with --json a line for each."""
    file = installation / "sources.toml"
    gone = TELESCOPE.format(folder=installation / "gone").replace("telescope", "gone")
    file.write_text(f"{gone}\n{file.read_text()}\n[feed.camera]\nkind = 'simulated'\nmax_files = 1\n")
    done = run("sources", "fetch", "camera", "telescope", "gone", "camera", "--home", installation)
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["gone", "telescope", "camera"]
    assert lines[1:] == ["telescope: 2 new images", "camera: 1 new image"]
    assert "waits in the inbox of raw-ccd and of simulated for the pipeline" in done.stderr
    done = run("sources", "fetch", "telescope", "camera", "--home", installation, "--json")
    assert [json.loads(line)["feed"] for line in done.stdout.splitlines()] == ["telescope", "camera"]
    done = run("sources", "fetch", "telescope", "nobody", "--home", installation)
    assert (done.exit_code, "no feed is called 'nobody'" in done.stderr) == (2, True)
    assert run("sources", "fetch", "--home", installation).exit_code == 2


def test_a_file_that_may_still_be_written_is_told_of(run: Run, installation: Path) -> None:
    """Else a newcomer who sees it there reads 'nothing new', and thinks that it was looked for in vain."""
    file = installation / "sources.toml"
    file.write_text(file.read_text().replace("settle_seconds = 0", "settle_seconds = 3600"))
    at = ("--home", installation)
    asked = run("sources", "check", "--connect", *at).stdout
    assert "answers with 0 images; 2 newer files may still be written: look again in some minutes" in asked
    words = told(run, "fetch", "telescope", *at)["words"]
    assert words == "nothing new; 2 files wait for a later look, in case more is written"


def test_the_schema_is_printed_for_editors(run: Run) -> None:
    assert json.loads(run("sources", "schema").stdout) == schema()


def test_trouble_is_told_with_what_to_do(run: Run, installation: Path) -> None:
    (installation.parent / "frames").rename(installation.parent / "away")
    done = run("sources", "fetch", "telescope", "--home", installation)
    assert done.exit_code == 1
    assert "can't be listed (No such file or directory); see that it is there" in done.stdout
    shown = run("sources", "list", "--home", installation).stdout
    assert "quarantine" in shown
    assert "telescope: the folder" in shown
    assert "(1 look in vain since " in shown
    file = installation / "sources.toml"
    file.write_text(file.read_text() + "enabled = false\n")
    assert "the folder" not in run("sources", "list", "--home", installation).stdout, "nobody asks it now"
    file.write_text(file.read_text().replace("enabled = false\n", ""))
    done = run("sources", "check", "--connect", "--home", installation)
    assert done.exit_code == 1


def test_a_file_that_is_wrong_is_refused_with_its_line(run: Run, installation: Path) -> None:
    with (installation / "sources.toml").open("a") as file:
        file.write("colour = 1\n")
    for command in ("list", "check", "fetch telescope", "add apod"):
        done = run("sources", *command.split(), "--home", installation)
        assert done.exit_code == 1, command
        assert "line 8: feed telescope, colour" in done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_of_each_kind_can_be_added(run: Run, tmp_path: Path, kind: str) -> None:
    """As it stands in the example: it is read again at once, and twice under another name."""
    for count in (1, 2):
        done = run("sources", "add", kind, "--home", tmp_path)
        assert done.exit_code == 0, done.output
        assert len(told(run, "check", "--home", tmp_path)["feeds"]) == count


@pytest.mark.parametrize("kind", KINDS)
def test_an_added_table_has_every_key_of_its_kind_with_its_default(run: Run, tmp_path: Path, kind: str) -> None:
    """With all lines of comment taken in, it is the table that it is without them."""
    text = told(run, "add", kind, "--home", tmp_path)["table"]
    keys = {match[1] for line in text.splitlines() if (match := re.match(r"#?([a-z_]+) =", line))}
    assert keys == set(KINDS[kind].model_fields)
    taken_in = "\n".join(line[1:] if re.match(r"#[a-z_]+ = .", line) else line for line in text.splitlines())
    [plain], [full] = (parsed(each.encode(), STANDARD).feeds.values() for each in (text, taken_in))
    assert plain == full


def test_every_kind_is_named_where_a_newcomer_looks(run: Run) -> None:
    told = re.sub(r"-\s+", "-", run("sources", "add", "--help").stdout)
    named = {name for kind, name, _ in tables_of(example()) if kind == "command"}
    assert {name for name in (*KINDS, *named) if name not in re.findall(r"[a-z0-9-]+", told)} == set()


def test_what_stands_in_the_file_stays_as_it_is(run: Run, installation: Path) -> None:
    file = installation / "sources.toml"
    file.chmod(0o640)
    before = file.read_text().rstrip("\n")
    file.write_text(before)
    added = told(run, "add", "apod", "--name", "daily", "--home", installation)
    assert file.read_text().startswith(before + "\n\n")
    assert "[feed.daily]" in added["table"]
    assert file.stat().st_mode & 0o077 == 0, "the installation is nobody else's, and so is what lies in it"
    assert run("sources", "add", "apod", "--name", "daily", "--home", installation).exit_code == 2
    assert run("sources", "add", "zoo", "--home", installation).exit_code == 2


def test_a_key_that_is_not_set_is_named_and_never_shown(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NASA_API_KEY", raising=False)
    done = run("sources", "add", "apod", "--home", tmp_path)
    assert "set NASA_API_KEY where the pipeline is started" in done.stderr
    done = run("sources", "check", "--home", tmp_path)
    assert done.exit_code == 1
    assert "set NASA_API_KEY" in done.stdout
    assert "NASA_API_KEY is not set" in run("sources", "fetch", "apod", "--home", tmp_path).stdout
    monkeypatch.setenv("NASA_API_KEY", "a-secret")
    done = run("sources", "check", "--home", tmp_path)
    assert done.exit_code == 0
    assert "a-secret" not in done.output


def test_what_is_to_be_done_next_is_said_where_it_is_asked(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "my home"
    first = run("sources", "add", "simulated", "--home", home).stderr
    assert f"check --connect --home '{home}'" in first
    assert f"check --connect --home '{home}'" in run("sources", "check", "--home", home).stderr
    assert "asks it at its next look" in first
    run("sources", "add", "simulated", "--home", home)
    assert run("sources", "list", "--home", tmp_path / "nowhere").exit_code == 2
    shown = run("sources", "fetch", "camera", "--home", home)
    assert "not enabled" not in shown.stderr
    file = home / "sources.toml"
    file.write_text(file.read_text().replace('kind = "simulated"', 'kind = "simulated"\nenabled = false', 1))
    assert (
        "is not enabled in the file: it is asked this once" in run("sources", "fetch", "camera", "--home", home).stderr
    )
    assert re.search(r" \d\d-\d\d \d\d:\d\dZ\s+\d\d-\d\d \d\d:\d\dZ", run("sources", "list", "--home", home).stdout)


def test_a_file_that_others_could_have_written_starts_no_program_and_is_not_silently_closed(
    run: Run, tmp_path: Path
) -> None:
    """What this command closes to others anyway would else hide that they could have put a program there."""
    at = ("--home", tmp_path)
    run("sources", "add", "allsky", "--name", "eye", *at)
    file = tmp_path / "sources.toml"
    assert run("sources", "check", *at).exit_code == 0
    file.chmod(0o622)
    for _ in range(2):
        done = run("sources", "fetch", "eye", *at)
        assert done.exit_code == 1
        assert f"others could have chosen: {file}: others may write to it: chmod go-w it" in done.stdout
    done = run("sources", "check", *at)
    assert (done.exit_code, "chmod go-w" in done.stdout) == (1, True)
    assert "chmod go-w" in told(run, "check", *at)["doubt"]


def test_a_feed_that_left_the_file_is_still_shown(run: Run, installation: Path) -> None:
    run("sources", "fetch", "telescope", "--home", installation)
    (installation / "sources.toml").write_text("")
    journal = installation / "feeds" / "telescope.json"
    assert f"is {journal}: remove" in run("sources", "list", "--home", installation).stderr
    [left] = told(run, "list", "--home", installation)
    assert (left["state"], left["total"]["images"]) == ("not in the file", 2)


def test_a_feed_whose_inbox_is_full_is_shown_as_held_back_until_it_has_room(run: Run, installation: Path) -> None:
    inbox, at = installation / "inbox" / "raw-ccd", ("--home", installation)
    inbox.mkdir(parents=True)
    for number in range(1024):
        (inbox / f"mine-{number}.fits").touch()
    assert run("sources", "fetch", "telescope", *at).exit_code == 0, "it is no trouble of the feed"
    words = "1024 files wait in its inbox: nothing more is fetched until batches take them in"
    [facts] = told(run, "list", *at)
    assert (facts["state"], facts["words"], facts["trouble"]) == ("inbox full", words, None)
    assert f"telescope: {words}\n" in run("sources", "list", *at).stdout
    (inbox / "mine-0.fits").unlink()
    run("sources", "fetch", "telescope", *at)
    run("sources", "fetch", "telescope", *at)
    [facts] = told(run, "list", *at)
    assert (facts["state"], facts["total"]["images"]) == ("inbox full", 1)
    for file in inbox.iterdir():
        file.unlink()
    run("sources", "fetch", "telescope", *at)
    [facts] = told(run, "list", *at)
    assert (facts["state"], facts["words"]) == ("well", None)


def test_a_damaged_journal_does_not_hide_the_others(run: Run, installation: Path) -> None:
    run("sources", "fetch", "telescope", "--home", installation)
    (installation / "feeds" / "telescope.json").write_bytes(os.urandom(30))
    [facts] = told(run, "list", "--home", installation)
    assert facts["state"] == "damaged"
    assert "remove it" in run("sources", "list", "--home", installation).stdout
