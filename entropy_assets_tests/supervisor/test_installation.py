"""What ``entropy-assets up`` does around its children; the children themselves run in e2e/."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from entropy_assets.errors import PoolUnavailable, StartFailed
from entropy_assets.settings import Settings
from entropy_assets.stores.ledger.rows import LedgerBlock
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.processes import OwnedProcess
from entropy_assets.supervisor import children, installation
from entropy_assets.supervisor.children import Child, PoolAddresses, free_port
from entropy_assets.supervisor.installation import Installation, drop_samples
from entropy_assets.supervisor.narrator import Narrator, settled
from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.pool_blocks import pool_blocks
from entropy_assets_tests.stages.batches_made import Place, frame


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", settle_seconds=0)


@pytest.fixture
def place(settings: Settings) -> Place:
    return Place.at(settings.home)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def publish(place: Place, batch, run_id: str = "") -> None:
    """Put the released blocks of `batch` into the ledger."""
    released = set(batch.read_json("verdicts.json", made_by="test")["released"])
    rows = batch.read_json("records.json", made_by="test")["rows"]
    blocks = [
        LedgerBlock(row["block_id"], row["index"], row["block_sha256"], row["link"])
        for row in rows
        if row["block_id"] in released
    ]
    place.ledger.append_publication(batch.key, rows[-1]["link"], blocks, run_id=run_id, time_us=1)


def alert(settings: Settings, batch: str) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    with settings.alerts_path.open("a") as file:
        file.write(
            json.dumps({"time": 1.0, "run_id": "r", "job": "process_images", "batch": batch, "error": "why"}) + "\n"
        )


class TestPorts:
    def test_zero_gives_a_free_one(self) -> None:
        assert free_port("127.0.0.1", 0) > 0

    def test_a_taken_one_is_refused_with_the_way_out(self, taken_port: int) -> None:
        with pytest.raises(StartFailed, match="--http-port") as caught:
            free_port("127.0.0.1", taken_port)
        assert caught.value.data["port"] == taken_port

    def test_up_refuses_a_taken_port_before_it_starts_anything(self, taken_port: int, tmp_path: Path) -> None:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "entropy_assets.cli", "up", "--home", str(tmp_path / "home")),
                *("--http-port", str(taken_port), "--dagster-port", "0"),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"error: can't listen on 127.0.0.1:{taken_port}")
        assert not (tmp_path / "home").exists()


class TestHome:
    def test_only_one_may_hold_it_and_the_next_one_after_it_may(self, tmp_path: Path) -> None:
        with (
            installation.sole_owner(tmp_path),
            pytest.raises(StartFailed, match="another 'entropy-assets up' runs on"),
            installation.sole_owner(tmp_path),
        ):
            pass
        with installation.sole_owner(tmp_path):
            pass

    def test_it_gets_dagsters_configuration_and_the_code_servers_socket(self, settings: Settings) -> None:
        installation.prepare_home(settings, Path("/private/s"))
        workspace = yaml.safe_load((settings.dagster_home / "workspace.yaml").read_text())
        assert workspace["load_from"] == [{"grpc_server": {"socket": "/private/s", "location_name": "entropy_assets"}}]
        assert (settings.dagster_home / "dagster.yaml").is_file()
        assert settings.inbox.is_dir()

    def test_outside_a_checkout_it_is_the_packages_own(self, tmp_path: Path) -> None:
        """An installed package has no file beside it, and runs all the same."""
        package = tmp_path / "site-packages" / "entropy_assets"
        package.mkdir(parents=True)
        assert installation.dagster_configuration(package) == package / "supervisor" / "dagster.yaml"

    def test_the_packages_own_is_that_of_the_checkout(self) -> None:
        """What the wheel carries and what a reader finds at the top are the same file."""
        own = installation.PACKAGE / "supervisor" / "dagster.yaml"
        assert own.read_bytes() == (PROJECT / "dagster.yaml").read_bytes()
        assert installation.dagster_configuration() == PROJECT / "dagster.yaml"

    def test_its_code_location_has_the_name_of_the_one_in_workspace_yaml(self) -> None:
        workspace = yaml.safe_load((PROJECT / "workspace.yaml").read_text())
        assert workspace["load_from"][0]["python_module"]["location_name"] == installation.LOCATION


class TestChildren:
    def test_they_get_the_settings_in_force_and_no_address_but_the_pools(self, settings: Settings) -> None:
        environment = children.child_environment(settings, "unix:///pool", "http://127.0.0.1:4321")
        assert environment["ENTROPY_HOME"] == str(settings.home)
        assert environment["ENTROPY_SETTLE_SECONDS"] == "0.0"
        assert environment["ENTROPY_REDIS_URL"] == "unix:///pool"
        assert environment["ENTROPY_HTTP_PORT"] == "4321"
        assert environment["TZ"] == "UTC"
        given = {name: value for name, value in environment.items() if name.startswith("ENTROPY_")}
        code = "import sys; from entropy_assets.settings import Settings; print(Settings().model_dump_json())"
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **given}, capture_output=True, text=True, check=True
        )
        expected = settings.model_dump(mode="json", exclude={"redis_url", "http_port"})
        assert expected.items() <= json.loads(done.stdout).items()

    def test_only_the_service_can_lease_and_only_dagsters_processes_can_push(self, settings: Settings) -> None:
        with installation.pool_server(settings, lambda _: None) as addresses:
            service, publisher, observer = (
                PoolClient.from_url(url) for url in (addresses.service, addresses.publisher, addresses.observer)
            )
            publisher.push(pool_blocks(2))
            assert observer.depth().blocks == 2
            for pool in (publisher, observer):
                with pytest.raises(PoolUnavailable):
                    pool.lease(1)
            with pytest.raises(PoolUnavailable):
                service.push(pool_blocks(1, first=9))
            assert len(service.lease(9).blocks) == 2
            assert "observer" not in repr(addresses)

    def test_they_do_not_repeat_the_warnings_that_are_known(self, settings: Settings) -> None:
        """Loading the definitions warns of the preview feature that the version is pinned for, and of nothing else."""
        environment = children.child_environment(settings, "unix:///pool", "http://127.0.0.1:1")
        load = [sys.executable, "-c", "import entropy_assets.definitions"]
        loud = subprocess.run(
            load, env={**environment, "PYTHONWARNINGS": ""}, capture_output=True, text=True, timeout=120, check=True
        )
        quiet = subprocess.run(load, env=dict(environment), capture_output=True, text=True, timeout=120, check=True)
        assert "partitions_def on an AssetCheckSpec" in loud.stderr
        assert quiet.stderr == ""

    def test_one_that_ended_is_an_error_with_the_end_of_its_log(self, tmp_path: Path) -> None:
        log = tmp_path / "http.log"
        process = OwnedProcess(["sh", "-c", "echo the reason >&2; exit 3"], log=log)
        while process.exit_code is None:
            time.sleep(0.01)
        with pytest.raises(StartFailed, match=r"http ended with exit code 3[\s\S]*the reason"):
            Child("http", process, log).require_alive()
        process.stop(1)

    def test_one_that_never_answers_is_an_error_in_the_end(self, settings: Settings, tmp_path: Path) -> None:
        late = time.monotonic() - installation.START_SECONDS - 1
        here = Installation(
            settings, PoolAddresses("", "", ""), "http://127.0.0.1:1", "http://127.0.0.1:1", tmp_path / "s", late
        )
        with pytest.raises(StartFailed, match="code, http, dagster, daemon did not answer within 120 s"):
            list(here.advance())


class TestAsking:
    @pytest.fixture
    def answering(self) -> Iterator[tuple[str, dict[str, object]]]:
        """Answer every POST with what the test puts into the object, and every GET with 200."""
        data: dict[str, object] = {}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()
                self.wfile.write(json.dumps({"data": data}).encode())

            def log_message(self, *_: object) -> None:
                pass

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}", data
            server.shutdown()
            thread.join()

    def here(self, settings: Settings, url: str, *ready: str) -> Installation:
        return Installation(
            settings, PoolAddresses("", "", ""), url, url, Path("absent"), time.monotonic(), [], list(ready)
        )

    @pytest.mark.parametrize("age_s, beats", [(-1.0, True), (100.0, False), (None, False)])
    def test_the_heartbeat_of_an_earlier_daemon_does_not_count(
        self, settings: Settings, answering: tuple[str, dict[str, object]], age_s: float | None, beats: bool
    ) -> None:
        url, data = answering
        beat = None if age_s is None else time.time() - age_s
        status = {"healthy": beat is not None, "lastHeartbeatTime": beat}
        data["instance"] = {"daemonHealth": {"daemonStatus": status}}
        lines = list(self.here(settings, url, "code", "http", "dagster", "ready").advance())
        assert [line[:8].strip() for line in lines] == ["daemon"] * beats

    def test_what_answers_is_told_once_with_its_time(
        self, settings: Settings, answering: tuple[str, dict[str, object]]
    ) -> None:
        url, _ = answering
        here = self.here(settings, url, "code", "dagster", "daemon")
        lines = list(here.advance())
        assert [line.split()[0] for line in lines] == ["http", "ready"]
        assert all(line.endswith(" 0 s after start") for line in lines)
        assert f"curl {url}/random/32 answers" in lines[1]
        assert list(here.advance()) == []

    @pytest.mark.parametrize("count, idle", [(0, True), (2, False)])
    def test_it_is_idle_when_no_run_is_left(
        self, settings: Settings, answering: tuple[str, dict[str, object]], count: int, idle: bool
    ) -> None:
        url, data = answering
        data["runsOrError"] = {"count": count}
        assert self.here(settings, url, "daemon").idle() is idle
        assert not self.here(settings, url).idle(), "before the daemon is there, a run may still come"

    def test_a_webserver_that_does_not_answer_is_neither_beating_nor_idle(self, settings: Settings) -> None:
        here = self.here(settings, "http://127.0.0.1:1", "code", "http", "dagster", "ready", "daemon")
        assert not here.idle()
        here.ready.remove("daemon")
        assert list(here.advance()) == []


class TestSamples:
    def test_dropping_them_twice_drops_them_once(self, settings: Settings) -> None:
        count = drop_samples(settings)
        assert count == 9
        assert drop_samples(settings) == 0
        assert len(list((settings.inbox / "samples").iterdir())) == count

    def test_an_interrupted_drop_is_completed(self, settings: Settings) -> None:
        drop_samples(settings)
        next((settings.inbox / "samples").iterdir()).unlink()
        assert drop_samples(settings) == 1

    def test_an_installation_with_a_batch_gets_none(self, settings: Settings, place: Place) -> None:
        place.open([("a.fits", frame(1))])
        assert drop_samples(settings) == 0


class TestNarrator:
    def test_it_tells_one_line_per_stage_and_each_once(self, settings: Settings, place: Place) -> None:
        narrator = Narrator(settings)
        batch = place.validated([("a.fits", frame(1)), ("text.fits", b"no image")])
        told = [line.split(f"{batch.key}  ")[1] for line in narrator.news()]
        assert [line.split()[0] for line in told] == ["taken", "read", "extracted", "validated"]
        assert told[0] == "taken      2 files from raw-ccd"
        assert told[1] == "read       1 of 2 images"
        assert list(narrator.news()) == []
        publish(place, batch)
        [line] = narrator.news()
        assert line.endswith(" KiB")

    def test_it_lists_what_was_rejected_at_reading_and_at_the_noise(
        self, settings: Settings, place: Place, samples: Path
    ) -> None:
        dark = (samples / "earth_dark_2048.jpg").read_bytes()
        narrator = Narrator(settings)
        place.hashed([("text.fits", b"no image"), ("dark.jpg", dark)])
        line = list(narrator.news())[-1]
        assert "rejected text.fits: " in line
        assert "dark.jpg: constant" in line

    def test_after_a_restart_it_goes_on_where_the_batch_stood(self, settings: Settings, place: Place) -> None:
        place.hashed([("a.fits", frame(1))])
        narrator = Narrator(settings)
        assert list(narrator.news()) == []
        place.validated([("a.fits", frame(1))])
        [line] = narrator.news()
        assert "  validated  " in line

    def test_it_tells_of_failed_runs_that_are_new(self, settings: Settings) -> None:
        alert(settings, "old")
        narrator = Narrator(settings)
        alert(settings, "drop-1")
        [line] = narrator.news()
        assert line.endswith("drop-1  failed     process_images: why")


class TestSettled:
    def test_an_empty_home_is_settled(self, settings: Settings) -> None:
        assert settled(settings, "")

    def test_a_file_in_the_inbox_is_work_even_while_it_settles(self, settings: Settings) -> None:
        waiting = settings.model_copy(update={"settle_seconds": 60.0})
        installation.DropFolder(settings.inbox).deposit("a.fits", b"x")
        assert not settled(waiting, "")

    def test_a_taken_file_is_work_unless_its_run_failed(self, settings: Settings) -> None:
        inbox = installation.DropFolder(settings.inbox, settle_seconds=0)
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
