"""What ``entropy-assets up`` does around its children; the children themselves run in e2e/."""

import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from entropy_assets.errors import PoolUnavailable, StartFailed
from entropy_assets.settings import Settings
from entropy_assets.stores.blobs.refusals import StoreUnsafe
from entropy_assets.stores.home import Home
from entropy_assets.stores.lanes import LANES
from entropy_assets.stores.owned.folders import PrivateFolder
from entropy_assets.stores.owned.processes import OwnedProcess
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.supervisor import installation
from entropy_assets.supervisor.children import Child, PoolAddresses
from entropy_assets.supervisor.installation import Installation, drop_samples
from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.pool_blocks import pool_blocks
from entropy_assets_tests.stages.batches_made import Place, frame
from entropy_assets_tests.stores.blobs.servers import FaultyProxy

Standing = Callable[..., Installation]


class TestHome:
    def test_only_one_may_hold_it_and_the_next_one_after_it_may(self, tmp_path: Path) -> None:
        with (
            installation.sole_owner(Home(tmp_path)),
            pytest.raises(StartFailed, match="another 'entropy-assets up' runs on"),
            installation.sole_owner(Home(tmp_path)),
        ):
            pass
        with installation.sole_owner(Home(tmp_path)):
            pass

    def test_one_that_can_not_be_written_is_told_in_a_sentence(self, tmp_path: Path) -> None:
        """Mounted read-only, or on a full disk; here its lock can't be opened for the same kind of reason."""
        Home(tmp_path).lock_file.mkdir()
        with (
            pytest.raises(StartFailed, match=r"nothing can be written in .*: "),
            installation.sole_owner(Home(tmp_path)),
        ):
            pass

    def test_it_gets_dagsters_configuration_and_the_code_servers_socket(self, place: Place) -> None:
        installation.prepare_home(place, Path("/private/s"), print)
        workspace = yaml.safe_load((place.dagster_folder / "workspace.yaml").read_text())
        assert workspace["load_from"] == [{"grpc_server": {"socket": "/private/s", "location_name": "entropy_assets"}}]
        assert (place.dagster_folder / "dagster.yaml").is_file()
        assert place.inbox_folder.is_dir()

    def test_there_is_no_folder_to_drop_into_where_the_inbox_is_in_a_bucket(self, tmp_path: Path) -> None:
        """Nobody would ever read it."""
        home = Home(tmp_path, inbox_url="s3://bucket/inbox")
        installation.prepare_home(home, Path("/private/s"), print)
        assert not home.inbox_folder.exists()

    def test_its_code_location_has_the_name_of_the_one_in_workspace_yaml(self, place: Place) -> None:
        """Who runs Dagster from a checkout, by the file at its top, sees the location that ``up`` writes down."""
        installation.prepare_home(place, Path("/private/s"), print)
        [written] = yaml.safe_load((place.dagster_folder / "workspace.yaml").read_text())["load_from"]
        [at_the_top] = yaml.safe_load((PROJECT / "workspace.yaml").read_text())["load_from"]
        assert written["grpc_server"]["location_name"] == at_the_top["python_module"]["location_name"]


class TestPool:
    def test_only_the_service_can_lease_and_only_dagsters_processes_can_push(self, settings: Settings) -> None:
        with installation.pool_server(settings, lambda _: None) as (addresses, _):
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

    def test_an_embedded_server_that_died_comes_back_at_its_address_with_another_epoch(
        self, settings: Settings
    ) -> None:
        """No child needs to be told anything, and what was in the pool is not served again."""
        with installation.pool_server(settings, lambda _: None) as (addresses, server):
            service, publisher = PoolClient.from_url(addresses.service), PoolClient.from_url(addresses.publisher)
            assert server is not None
            child = installation._watched(server)
            publisher.push(pool_blocks(3))
            epoch = publisher.stats().epoch
            leased = [item.block.index for item in service.lease(1).blocks]
            os.kill(child.process.pid, signal.SIGKILL)
            while child.process.exit_code is None:
                time.sleep(0.005)
            shutil.rmtree(server.socket_path.parent)  # as the next owner of such a folder does, that finds no listener
            assert "pool     ended with exit code -9" in str(child.look(time.monotonic()))
            assert child.look(time.monotonic() + 1) is None
            assert server.pid == child.process.pid
            deadline = time.monotonic() + 30
            while (stats := service.health().stats) is None:  # a server that was away is left alone for a moment
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert stats.blocks == 0
            while publisher.health().stats is None:
                time.sleep(0.05)
            publisher.push(pool_blocks(1, first=7))
            assert publisher.stats().epoch != epoch
            assert leased + [item.block.index for item in service.lease(9).blocks] == [leased[0], 7]
            for client in (service, publisher):  # errors hold them: they'd be closed, with a warning, in another test
                client.close()


class TestSteps:
    @pytest.fixture
    def answering(self) -> Iterator[tuple[str, dict[str, object]]]:
        """Answer every POST with what the test puts into the object, and every GET with 200 and the same health."""
        data: dict[str, object] = {}
        lanes = {lane: {"buffered_bytes": 4096, "ready_bytes": 0} for lane in LANES}
        health = json.dumps({"reservoir": {"lanes": lanes}, "pool": {"lanes": lanes}}).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(health)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(json.dumps({"data": data}).encode())

            def answer(self, body: bytes) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}", data
            server.shutdown()
            thread.join()

    @pytest.fixture
    def code_folder(self) -> Iterator[PrivateFolder]:
        with PrivateFolder("ea-code-") as folder:
            yield folder

    @pytest.fixture
    def standing(self, settings: Settings, code_folder: PrivateFolder) -> Standing:
        """Give what makes an installation whose parts are at one address."""
        pool = PoolAddresses("", "", "")

        def make(url: str, *ready: str, began: float | None = None) -> Installation:
            began = time.monotonic() if began is None else began
            return Installation(settings, pool, url, url, code_folder, began, [], list(ready))

        return make

    @pytest.mark.parametrize("age_s, beats", [(-1.0, True), (100.0, False), (None, False)])
    def test_the_heartbeat_of_an_earlier_daemon_does_not_count(
        self, standing: Standing, answering: tuple[str, dict[str, object]], age_s: float | None, beats: bool
    ) -> None:
        url, data = answering
        beat = None if age_s is None else time.time() - age_s
        status = {"healthy": beat is not None, "lastHeartbeatTime": beat}
        data["instance"] = {"daemonHealth": {"daemonStatus": status}}
        lines = list(standing(url, "code", "http", "dagster", "ready").advance())
        assert [line[:8].strip() for line in lines] == ["daemon"] * beats

    def test_what_answers_is_told_once_with_its_time(
        self, standing: Standing, answering: tuple[str, dict[str, object]]
    ) -> None:
        url, _ = answering
        up = standing(url, "code", "dagster", "daemon")
        lines = list(up.advance())
        assert [line.split()[0] for line in lines] == ["http", "ready"]
        assert all(re.search(r", \d s after start$", line) for line in lines)
        assert f"curl {url}/random/32 answers" in lines[1]
        assert list(up.advance()) == []

    @pytest.mark.parametrize("count, idle", [(0, True), (2, False)])
    def test_it_is_idle_when_no_run_is_left(
        self, standing: Standing, answering: tuple[str, dict[str, object]], count: int, idle: bool
    ) -> None:
        url, data = answering
        data["runsOrError"] = {"count": count}
        assert standing(url, "daemon").idle() is idle
        assert not standing(url).idle(), "before the daemon is there, a run may still come"

    def test_a_webserver_that_does_not_answer_is_neither_beating_nor_idle(self, standing: Standing) -> None:
        up = standing("http://127.0.0.1:1", "code", "http", "dagster", "ready", "daemon")
        assert not up.idle()
        up.ready.remove("daemon")
        assert list(up.advance()) == []

    def test_a_child_that_comes_back_is_told_and_awaited_again(
        self, standing: Standing, answering: tuple[str, dict[str, object]], tmp_path: Path
    ) -> None:
        url, _ = answering
        up = standing(url, "code", "http", "dagster", "daemon", "ready")
        log = tmp_path / "log"

        def start() -> OwnedProcess:
            return OwnedProcess(["sleep", "60"], log=log)

        child = Child("http", start(), start, log, time.monotonic(), answered=True)
        up.children.append(child)
        assert list(up.advance()) == []
        os.kill(child.process.pid, signal.SIGKILL)
        lines: list[str] = []
        deadline = time.monotonic() + 10
        while len(lines) < 3 and time.monotonic() < deadline:
            lines += up.advance()
        assert [line.split()[:2] for line in lines] == [["http", "ended"], ["http", "page"], ["ready", "curl"]]
        child.process.stop(1)

    def test_the_daemon_ends_with_the_code_server_and_waits_for_the_next_one(
        self, standing: Standing, answering: tuple[str, dict[str, object]], tmp_path: Path
    ) -> None:
        """As it begins it fails the runs that the server took with it."""
        url, data = answering
        data["instance"] = {"daemonHealth": {"daemonStatus": {"healthy": False, "lastHeartbeatTime": None}}}
        up = standing(url, "code", "http", "dagster", "daemon", "ready")
        log = tmp_path / "log"

        def start() -> OwnedProcess:
            return OwnedProcess(["sleep", "60"], log=log)

        code, daemon = (
            Child(name, start(), start, log, time.monotonic(), answered=True) for name in ("code", "daemon")
        )
        up.children += [code, daemon]
        os.kill(code.process.pid, signal.SIGKILL)
        while code.process.exit_code is None:
            time.sleep(0.005)
        lines = list(up.advance())
        assert [line.split()[:2] for line in lines] == [["code", "ended"], ["daemon", "ends"]]
        assert daemon.process.exit_code is not None
        time.sleep(0.6)
        assert list(up.advance()) == []
        assert (code.waits, daemon.waits) == (False, True), "until the code server answers"
        for child in (code, daemon):
            child.process.stop(1)

    def test_one_that_came_back_and_does_not_answer_is_ended_and_tried_again(
        self, standing: Standing, tmp_path: Path
    ) -> None:
        up = standing("http://127.0.0.1:1", "code", "dagster", "daemon")
        log = tmp_path / "log"

        def start() -> OwnedProcess:
            return OwnedProcess(["sleep", "60"], log=log)

        child = Child("http", start(), start, log, time.monotonic(), answered=True)
        up.children.append(child)
        assert list(up.advance()) == []
        child.began -= installation.START_SECONDS + 1
        [line] = up.advance()
        assert line.startswith("http     did not answer within 120 s, and is started again in 0.5 s")
        assert child.process.exit_code is not None

    def test_one_that_never_answers_is_an_error_in_the_end(self, standing: Standing) -> None:
        up = standing("http://127.0.0.1:1", began=time.monotonic() - installation.START_SECONDS - 1)
        with pytest.raises(StartFailed, match="code, http, dagster, daemon did not answer within 120 s"):
            list(up.advance())


class TestSamples:
    def test_dropping_them_twice_drops_them_once(self, place: Place) -> None:
        count = drop_samples(place)
        assert count == len([path for path in installation.SAMPLES.iterdir() if path.suffix != ".csv"]) > 10
        assert drop_samples(place) == 0
        assert len(list((place.inbox_folder / "samples").iterdir())) == count

    def test_an_interrupted_drop_is_completed(self, place: Place) -> None:
        drop_samples(place)
        next((place.inbox_folder / "samples").iterdir()).unlink()
        assert drop_samples(place) == 1

    def test_an_installation_with_a_batch_gets_none(self, place: Place) -> None:
        place.open([("a.fits", frame(1))])
        assert drop_samples(place) == 0


def test_nothing_is_started_on_a_store_that_lets_a_name_be_created_twice(
    tmp_path: Path, s3_address: str, object_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = FaultyProxy(s3_address)
    proxy.ignores_condition = True
    settings = Settings(home=tmp_path, store_url=object_store, http_port=0, dagster_port=0)
    with proxy.running() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(StoreUnsafe), Installation.running(settings, str, 0.0):
            pytest.fail("it was started")
    assert list(tmp_path.rglob("*.log")) == []
