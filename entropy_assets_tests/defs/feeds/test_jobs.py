"""The job asks who is due, tells what came of each, and no feed fails it; the schedule says why it does nothing."""

import time
from pathlib import Path

import dagster as dg
import pytest

from entropy_assets.defs.build import build_defs
from entropy_assets.defs.feeds.asking import ImageFeeds
from entropy_assets.defs.feeds.jobs import cron_of, request_of
from entropy_assets.settings import Settings
from entropy_assets.sources.feeds.interface import FeedLies
from entropy_assets_tests.defs.feeds.fed import Fed
from entropy_assets_tests.sources.feeds.scripted import frames
from entropy_assets_tests.stages.batches_made import Place
from entropy_assets_tests.stages.reports.test_feed_credit import brought


@pytest.fixture
def fed(tmp_path: Path) -> Fed:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Fed.of(tmp_path / "home", instance)


def test_a_run_asks_each_host_in_a_step_of_its_pool_and_tells_of_each_feed(fed: Fed) -> None:
    """One feed lies: its neighbour at the same host and the other host go on, and the run succeeds."""
    fed.scripted["sea"].images = frames(3)
    place = Place(fed.settings.home)
    place.hashed(brought(place, "sea", b"no image"), time_ns=time.time_ns())
    fed.scripted["sun"].images = frames(2, first=5)
    fed.scripted["sky"].error = FeedLies("a page came for a listing", feed="sky")
    result = fed.run()
    assert result.success
    job = fed.defs.resolve_job_def("ingest_feeds")
    assert {step.definition.pool for step in job.nodes} == {"host/sdo.gsfc.nasa.gov", "host/frames.example.org"}
    [sea], [sky] = fed.observed("sea"), fed.observed("sky")
    assert (sea["images"], sea["state"], sea["in_trouble"]) == (3.0, "well", 0.0)
    assert (sky["images"], sky["state"], sky["trouble"]) == (0.0, "quarantine", "feed-lies")
    numbers = [value for value in (*sea.values(), *sky.values()) if isinstance(value, int)]
    assert numbers == [], "Dagster plots floats"
    made = fed.instance.get_latest_materialization_event(dg.AssetKey(["feeds", "sea"]))
    assert "data:image/webp" in made.asset_materialization.metadata["yield_by_day"].value
    assert made.asset_materialization.metadata["days"].value.records[0].data["without credit"] == 1.0
    assert fed.instance.get_latest_materialization_event(dg.AssetKey(["feeds", "sky"])) is None
    assert len(list((fed.settings.home / "inbox" / "raw-ccd").iterdir())) == 3


def test_a_tick_asks_for_a_run_when_a_feed_is_due_and_says_else_why_not(fed: Fed) -> None:
    assert isinstance(fed.tick(), dg.RunRequest)
    fed.scripted["sky"].error = FeedLies("a page came for a listing", feed="sky")
    fed.run()
    skipped = fed.tick()
    assert isinstance(skipped, dg.SkipReason)
    for words in ("sun: asked again in", "sky: a page came for a listing; asked again in"):
        assert words in skipped.skip_message
    fed.run()
    assert fed.scripted["sun"].listed == 1, "a run that nobody needed asks nobody"
    assert len(fed.observed("sun")) == 1


def test_the_schedule_runs_from_the_start_as_often_as_the_most_frequent_feed(fed: Fed) -> None:
    schedule = next(each for each in fed.defs.schedules or [] if each.name == "ingest_feeds")
    assert (schedule.cron_schedule, schedule.default_status) == ("*/1 * * * *", dg.DefaultScheduleStatus.RUNNING)


def test_without_a_file_of_feeds_the_schedule_idles_and_finds_the_first_one(tmp_path: Path) -> None:
    """Nobody has to start the pipeline again. The run loads the definitions anew, and so has the steps of the file."""
    settings = Settings(home=tmp_path)
    before = build_defs(settings)
    schedule = next(each for each in before.schedules or [] if each.name == "ingest_feeds")
    assert (schedule.cron_schedule, schedule.default_status) == ("*/5 * * * *", dg.DefaultScheduleStatus.RUNNING)
    with dg.DagsterInstance.ephemeral() as instance:
        feeds = ImageFeeds.of(settings)
        assert request_of(instance, feeds) == dg.SkipReason("no feed is enabled: entropy-assets sources add KIND")
        assert before.resolve_job_def("ingest_feeds").execute_in_process(instance=instance).success
        assert list(tmp_path.iterdir()) == [], "who has no feeds finds no trace of them"
        assert instance.all_asset_keys() == []
        (tmp_path / "sources.toml").write_text('[feed.eye]\nkind = "simulated"\nmax_files = 1\n')
        request = request_of(instance, feeds)
        assert isinstance(request, dg.RunRequest)
        assert build_defs(settings).resolve_job_def(request.job_name).execute_in_process(instance=instance).success
        assert len(list((tmp_path / "inbox" / "simulated").iterdir())) == 1


def test_a_tick_waits_for_the_run_under_way(fed: Fed) -> None:
    fed.instance.create_run_for_job(fed.defs.resolve_job_def("ingest_feeds"))
    assert fed.tick() == dg.SkipReason("1 runs ask them already")


@pytest.mark.parametrize("cadence_s, cron", [(1, "*/1"), (900, "*/1"), (1800, "*/3"), (3600, "*/5"), (86_400, "*/30")])
def test_the_schedule_looks_ten_times_in_the_shortest_cadence(cadence_s: float, cron: str) -> None:
    assert cron_of(cadence_s) == f"{cron} * * * *"
