"""A file of feeds that can't be used is told with its line, again and again in the UI, and takes nothing else down."""

import logging
import time
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from entropy_assets.defs.feeds.asking import ImageFeeds
from entropy_assets.settings import Settings
from entropy_assets.stores.journals.alerts import LONGEST_ERROR
from entropy_assets_tests.defs.feeds.fed import FILE, Fed
from entropy_assets_tests.sources.feeds.scripted import Clock

BROKEN = FILE + "colour = 1\n"
WORDS = r"sources\.toml: line \d+: feed asleep, colour"


def test_a_broken_file_is_told_and_the_rest_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Runs of batches load the same definitions: a slip of the pen in this file must not stop them."""
    with dg.DagsterInstance.ephemeral() as instance, caplog.at_level(logging.ERROR):
        fed = Fed.of(tmp_path / "home", instance, BROKEN)
        assert "no feed is asked" in caplog.text
        dg.Definitions.validate_loadable(fed.defs)
        assert {"process_images", "ingest_feeds"} <= {job.name for job in fed.defs.jobs or []}
        for _ in range(3):
            with pytest.raises(dg.Failure, match=WORDS):
                fed.tick()
        assert not fed.run(raise_on_error=False).success
    [alert] = fed.feeds.rounds.alerts.read()
    assert alert["error"].startswith("no feed is asked: ")


def test_the_lane_of_a_claim_is_that_of_the_file_as_it_is_now(tmp_path: Path) -> None:
    """The first file, or another one, counts for the next batch: an image that was meant for the private lane would be
    shown to everybody. While the file can't be used, the lane is that of before, and without one the private lane."""
    file, settings = tmp_path / "sources.toml", Settings(home=tmp_path)
    feeds = ImageFeeds.of(settings)
    assert feeds.lane_of("raw-ccd") is None
    table = '[feed.a]\nkind = "folder"\npath = "/frames"\nclaim = "raw-ccd"\nlane = "{}"\n'
    file.write_text(table.format("private"))
    assert feeds.lane_of("raw-ccd") == "private"
    feeds = ImageFeeds.of(settings)
    file.write_text(table.format("public"))
    assert (feeds.lane_of("raw-ccd"), feeds.lane_of("drop")) == ("public", None)
    file.write_text("[feed.a]\n")
    assert (feeds.lane_of("raw-ccd"), feeds.lane_of("drop")) == ("private", None)
    assert ImageFeeds.of(settings).lane_of("drop") == "private"


def test_a_file_that_breaks_and_is_mended_while_its_definitions_stay_is_told_once_each_time(tmp_path: Path) -> None:
    """A tick sees the file as it is now, and no run is started that could only fail."""
    home = tmp_path / "home"
    with dg.DagsterInstance.ephemeral() as instance:
        fed = Fed.of(home, instance)
        for text in (FILE, BROKEN, BROKEN, FILE, FILE, BROKEN):
            (home / "sources.toml").write_text(text)
            if text == FILE:
                assert isinstance(fed.tick(), dg.RunRequest)
            else:
                with pytest.raises(dg.Failure, match=WORDS):
                    fed.tick()
    told = [alert["error"].partition(":")[0] for alert in fed.feeds.rounds.alerts.read()]
    assert told == ["no feed is asked", "the file of feeds is well again", "no feed is asked"]


def test_a_file_with_more_faults_than_an_alert_holds_is_told_once(tmp_path: Path) -> None:
    faults = "".join(f'[feed.sky-{number}]\nkind = "sdo-latest"\ncolour = 1\n' for number in range(40))
    with dg.DagsterInstance.ephemeral() as instance:
        fed = Fed.of(tmp_path / "home", instance, faults)
        for _ in range(3):
            with pytest.raises(dg.Failure):
                fed.tick()
    [alert] = fed.feeds.rounds.alerts.read()
    assert len(alert["error"]) == LONGEST_ERROR, "else this test says nothing"


def test_a_table_that_is_added_while_the_definitions_stay_is_due(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        fed = Fed.of(tmp_path / "home", instance, "")
        (tmp_path / "home" / "sources.toml").write_text(FILE)
        assert isinstance(fed.tick(), dg.RunRequest)


def test_the_hosts_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "sources.toml").write_text(FILE)
    feeds = ImageFeeds.of(Settings(home=tmp_path))
    assert feeds.hosts == {"sdo.gsfc.nasa.gov": ["sun"], "frames.example.org": ["sea", "sky"]}
    assert feeds.due() == (["sun", "sea", "sky"], [])


def test_what_is_shown_of_them_holds_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASA_API_KEY", "a-secret")
    (tmp_path / "sources.toml").write_text('[feed.apod]\nkind = "apod"\nkey_env = "NASA_API_KEY"\n')
    feeds = ImageFeeds.of(Settings(home=tmp_path))
    assert [feed.name for feed in feeds.opened(feeds.configuration, ["apod"])] == ["apod"]
    assert "a-secret" not in repr(feeds)


def test_without_a_file_nothing_is_configured(tmp_path: Path) -> None:
    feeds = ImageFeeds.of(Settings(home=tmp_path))
    assert not feeds.is_configured
    feeds.refuse_if_unusable()


def test_a_folder_that_has_nothing_new_costs_no_run(tmp_path: Path) -> None:
    """It is looked into each minute: a run for each look filled Dagster's disk with 200 MB a day."""
    folder, home = tmp_path / "telescope", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    (home / "sources.toml").write_text(
        f'[feed.telescope]\nkind = "folder"\npath = "{folder}"\nclaim = "raw-ccd"\nsettle_seconds = 0\n'
        "from_the_oldest = true\ncadence_seconds = 60\n"
    )
    feeds = ImageFeeds.of(Settings(home=home, settle_seconds=0.0))
    clock = Clock(time.time())
    feeds = replace(feeds, rounds=replace(feeds.rounds, now=clock))
    assert feeds.due() == (["telescope"], []), "who was never asked has a turn of its own"
    feeds.ask(["telescope"])
    for _ in range(3):
        assert feeds.due()[1][0].startswith("telescope: asked again in ")
        clock.now += 61
        assert feeds.due() == ([], ["telescope: nothing new"])
    clock.now += 61
    (folder / "frame.fits").write_bytes(b"SIMPLE  =")
    assert feeds.due() == (["telescope"], [])
    assert feeds.due() == (["telescope"], []), "a look takes nothing from the run"
    [look] = feeds.ask(["telescope"])
    assert look.brought.images == 1
    clock.now += 61
    assert feeds.due() == ([], ["telescope: nothing new"])
    clock.now += 61
    folder.rename(tmp_path / "away")
    assert feeds.due() == (["telescope"], []), "its run says what is wrong"
