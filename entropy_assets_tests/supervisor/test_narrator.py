"""What ``entropy-assets up`` tells of batches and runs, and when it takes everything for done."""

import json
import os
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from entropy_assets.cli.shell import waiting_in
from entropy_assets.settings import Settings
from entropy_assets.stages import ingest
from entropy_assets.stages.assessments import outcomes
from entropy_assets.stores.batches import RECORDS, VERDICTS
from entropy_assets.stores.blobs import asking
from entropy_assets.stores.home import Home
from entropy_assets.stores.inboxes.folder import DropFolder
from entropy_assets.stores.ledger.rows import BURNED, LedgerBlock
from entropy_assets.stores.ledger.storage import LedgerServer
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.supervisor.narrator import Narrator, settled
from entropy_assets_tests.pool_blocks import pool_blocks
from entropy_assets_tests.stages.batches_made import TIME_NS, Place, frame
from entropy_assets_tests.stores.blobs.servers import FaultyProxy


def publish(place: Place, batch, run_id: str = "") -> None:
    """Put the released blocks of `batch` into the ledger."""
    released = set(batch.read_json(VERDICTS)["released"])
    rows = batch.read_json(RECORDS)["rows"]
    blocks = [
        LedgerBlock(row["block_id"], row["index"], row["block_sha256"], row["link"])
        for row in rows
        if row["block_id"] in released
    ]
    place.ledger().append_publication(batch.key, rows[-1]["link"], blocks, run_id=run_id, time_us=1)


def alert(settings: Settings, batch: str) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    with Home(settings.home).alerts_file.open("a") as file:
        file.write(
            json.dumps({"time": 1.0, "run_id": "r", "job": "process_images", "batch": batch, "error": "why"}) + "\n"
        )


class TestNarrator:
    def test_it_tells_one_line_per_stage_and_each_once(self, place: Place) -> None:
        narrator = Narrator(place)
        batch = place.validated([("a.fits", frame(1)), ("text.fits", b"no image")])
        lines = [line.split(f"{batch.key}  ")[1] for line in narrator.news()]
        assert [line.split()[0] for line in lines] == ["taken", "read", "extracted", "validated"]
        assert lines[0] == "taken      2 files from raw-ccd"
        assert lines[1] == "read       1 of 2 images"
        assert list(narrator.news()) == []
        publish(place, batch)
        [line] = narrator.news()
        assert line.endswith(" KiB")

    def test_it_lists_what_was_rejected_at_reading_and_at_the_noise(self, place: Place, samples: Path) -> None:
        dark = (samples / "earth_dark_2048.jpg").read_bytes()
        narrator = Narrator(place)
        place.hashed([("text.fits", b"no image"), ("dark.jpg", dark)])
        line = list(narrator.news())[-1]
        assert "rejected text.fits: " in line
        assert "dark.jpg: constant" in line

    def test_of_a_heap_that_was_rejected_it_names_the_first_and_counts_the_others(self, place: Place) -> None:
        narrator = Narrator(place)
        place.hashed([(f"{number}.fits", b"no image") for number in range(10)])
        line = list(narrator.news())[-1]
        assert line.count(".fits: ") == 8
        assert "and 2 more, each with its reason in `rejected` of its inbox" in line

    def test_a_batch_that_is_assessed_for_long_is_told_of_once_more(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """On a new machine nothing else is seen for minutes."""
        narrator = Narrator(place)
        batch = place.open([("a.fits", frame(1))])
        ingest.read_images(batch, place.images(), batch.intake.limits)
        taken, read = narrator.news()
        assert taken.endswith("taken      1 file from raw-ccd")
        assert read.endswith("read       1 of 1 images")
        assert list(narrator.news()) == []
        monkeypatch.setattr("entropy_assets.supervisor.narrator.PATIENCE_S", 0.0)
        [line] = narrator.news()
        assert "not assessed yet: a new machine compiles its loops" in line
        assert list(narrator.news()) == []

    def test_a_batch_with_too_little_credit_for_a_block_says_so_and_what_to_do(self, place: Place) -> None:
        narrator = Narrator(place)
        batch = place.validated([("text.fits", b"no image"), ("small.fits", frame(1, side=160))])
        assert [row.accepted for row in outcomes(batch)] == [False, True]
        line = list(narrator.news())[-1]
        assert line.endswith(
            "validated  no block: too little credit for one, which takes 40,960 bits; drop more at once, or let files"
            " wait for others: ENTROPY_LINGER_SECONDS"
        )

    def test_a_batch_of_which_no_image_is_left_says_so_and_not_that_more_should_come(self, place: Place) -> None:
        """More of the same would be refused for the same reasons."""
        place.validated([("a.fits", frame(1))])
        narrator = Narrator(place)
        place.validated(
            [("again.fits", frame(1)), ("text.fits", b"no image"), ("more.fits", b"text")], time_ns=TIME_NS + 1
        )
        line = list(narrator.news())[-1]
        assert line.endswith(
            "validated  no block: no image was accepted (replayed_file, unknown_format 2). unknown_format: open it and"
            " look; export FITS or 16-bit TIFF; replayed_file: take a new exposure"
        )

    def test_it_tells_what_nobody_will_take_from_the_inbox_and_once(self, settings: Settings, place: Place) -> None:
        (place.inbox_folder / "raw-cdd").mkdir(parents=True)
        narrator = Narrator(place, waiting_in(settings))
        [line] = narrator.news()
        assert "an entry of the inbox will not be taken: raw-cdd" in line
        assert "perhaps raw-ccd was meant" in line
        assert list(narrator.news()) == []

    def test_a_burned_batch_is_not_called_published(self, place: Place) -> None:
        batch = place.validated([("a.fits", frame(1))])
        narrator = Narrator(place)
        publish(place, batch, BURNED)
        [line] = narrator.news()
        assert line.split(f"{batch.key}  ")[1].startswith("burned ")

    def test_it_tells_at_the_start_what_stands_still(self, place: Place) -> None:
        batch = place.open([("a.fits", frame(1))])
        os.utime(batch.root, (1, 1))
        narrator = Narrator(place)
        [line] = narrator.news()
        assert f"batch {batch.key} is not validated" in line
        assert list(narrator.news()) == []

    def test_after_a_restart_it_goes_on_where_the_batch_stood(self, place: Place) -> None:
        place.hashed([("a.fits", frame(1))])
        narrator = Narrator(place)
        assert list(narrator.news()) == []
        place.validated([("a.fits", frame(1))])
        [line] = narrator.news()
        assert "  validated  " in line

    def test_it_tells_of_failed_runs_that_are_new(self, settings: Settings, place: Place) -> None:
        alert(settings, "old")
        narrator = Narrator(place)
        alert(settings, "drop-1")
        [line] = narrator.news()
        assert line.endswith("drop-1  failed     process_images: why")

    def test_it_misses_none_when_the_alerts_before_are_put_aside(self, place: Place) -> None:
        alerts = place.alerts()
        for number in range(3):
            alerts.append(run_id=f"old {number}", job="j", batch="b", error="why")
        narrator = Narrator(place)
        alerts.path.rename(alerts.older)
        alerts.append(run_id="new", job="j", batch="b", error="at last")
        assert [line.rpartition(": ")[2] for line in narrator.news()] == ["at last"]
        alerts.older.unlink()
        assert list(narrator.news()) == []

    def test_it_tells_of_a_feed_in_trouble_and_out_of_it(self, settings: Settings, place: Place) -> None:
        narrator = Narrator(place)
        place.alerts().append_once(run_id="feed:sky", job="feeds", error="sky is well again", time_s=1.0)
        [line] = narrator.news()
        assert line.endswith("-  feed       sky is well again")


class TestSettled:
    def test_an_empty_home_is_settled(self, settings: Settings) -> None:
        assert settled(settings, "")

    def test_a_file_in_the_inbox_is_work_even_while_it_settles(self, settings: Settings) -> None:
        waiting = settings.model_copy(update={"settle_seconds": 60.0})
        DropFolder(Home(settings.home).inbox_folder).deposit("a.fits", b"x")
        assert not settled(waiting, "")

    def test_a_taken_file_is_work_unless_its_run_failed(self, settings: Settings) -> None:
        inbox = DropFolder(Home(settings.home).inbox_folder, settle_seconds=0)
        inbox.deposit("a.fits", b"x")
        inbox.take(inbox.ready(time.time() + 1), "drop-1")
        assert not settled(settings, "")
        alert(settings, "drop-1")
        assert settled(settings, "")

    def test_a_batch_is_work_until_it_is_published_or_failed(self, settings: Settings, place: Place) -> None:
        batch = place.hashed([("a.fits", frame(1))])
        assert not settled(settings, ""), "no verdicts"
        finished = place.validated([("a.fits", frame(1))])
        assert finished.key == batch.key
        assert not settled(settings, ""), "not published"
        publish(place, batch)
        assert settled(settings, "")

    def test_a_batch_without_released_blocks_is_finished_with_its_verdicts(
        self, settings: Settings, place: Place
    ) -> None:
        place.validated([("text.fits", b"no image")])
        assert settled(settings, "")

    def test_with_the_camera_the_pool_must_be_over_its_low_water_mark(
        self, settings: Settings, valkey_url: str, pool: PoolClient, pool_prefix: str
    ) -> None:
        changes = {"simulated_camera": True, "low_water_bytes": 3 * 4096, "pool_prefix": pool_prefix}
        camera = settings.model_copy(update=changes)
        pool.push(pool_blocks(2))
        assert not settled(camera, valkey_url)
        pool.push(pool_blocks(1, first=2))
        assert settled(camera, valkey_url)
        assert not settled(camera, "unix:///absent"), "a pool that does not answer is not filled"


def test_a_store_that_went_away_is_told_once_and_ends_nothing(
    tmp_path: Path, s3_address: str, object_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "FIRST_PAUSE_S", 0.001)
    proxy = FaultyProxy(s3_address)
    with proxy.running() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        narrator = Narrator(Home(tmp_path, object_store))
        proxy.refuses = 10**9
        [line] = narrator.news()
        assert "gave no answer in 6 tries (HTTP 503)" in line
        assert list(narrator.news()) == []
        assert not settled(Settings(home=tmp_path, store_url=object_store), "")
        proxy.refuses = 0
        assert list(narrator.news()) == []


def test_a_ledgers_server_that_is_away_is_told_once_and_ends_nothing(tmp_path: Path) -> None:
    Place(tmp_path).validated([("a.fits", frame(1))])
    server = LedgerServer(f"postgresql+psycopg://u:secret@/db?host={tmp_path}")
    narrator = Narrator(Home(tmp_path, ledger_server=server))
    [line] = narrator.news()
    assert "can't be used" in line
    assert "secret" not in line
    assert list(narrator.news()) == []
    away = {"home": tmp_path, "ledger_url": SecretStr(server.url)}
    assert not settled(Settings(**away), "")
