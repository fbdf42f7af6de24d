"""The children of an installation: their ports, what they are told, and how their end is noticed."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from entropy_assets.errors import PoolUnavailable, StartFailed
from entropy_assets.settings import Settings
from entropy_assets.stores.home import Home
from entropy_assets.stores.owned.folders import listens
from entropy_assets.stores.owned.processes import OwnedProcess
from entropy_assets.supervisor import children
from entropy_assets.supervisor.children import Child, held_port
from entropy_assets.supervisor.installation import CODE_SERVER
from entropy_assets_tests.e2e.running import eventually
from entropy_assets_tests.pids import alive
from entropy_assets_tests.untraced import untraced


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


class TestPorts:
    def test_zero_gives_a_free_one(self) -> None:
        with held_port("127.0.0.1", 0) as port, socket.create_server(("127.0.0.1", port)):
            pass

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a port that is held is nobody's")
    def test_it_is_kept_for_the_child_that_will_listen(self) -> None:
        """Other programs ask for any free port in the seconds before, and while the child is started again."""
        with held_port("127.0.0.1", 0) as port:
            for _ in range(2):
                with socket.socket() as other, pytest.raises(OSError, match="in use"):
                    other.bind(("127.0.0.1", port))
                socket.create_server(("127.0.0.1", port)).close()

    def test_one_of_ipv6_is_kept_too(self) -> None:
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("this machine does not speak IPv6")
        with held_port("::1", 0) as port, socket.create_server(("::1", port), family=socket.AF_INET6):
            pass

    def test_a_host_that_is_none_here_is_not_taken_for_a_taken_port(self) -> None:
        with pytest.raises(StartFailed, match="name an address of this machine"), held_port("nosuch.invalid", 8000):
            pass

    def test_a_taken_one_is_refused_with_the_way_out(self, taken_port: int) -> None:
        with pytest.raises(StartFailed, match="--http-port") as caught, held_port("127.0.0.1", taken_port):
            pass
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


class TestChildren:
    def test_a_key_of_the_settings_is_neither_shown_nor_handed_to_them(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("ENTROPY_API_KEY", "ea_secret-of-mine")
        settings = Settings(home=tmp_path)
        assert settings.api_key is not None
        assert settings.api_key.get_secret_value() == "ea_secret-of-mine"
        assert "ea_secret-of-mine" not in repr(settings)
        environment = children.child_environment(settings, "redis://h", "http://127.0.0.1:8000")
        assert "ENTROPY_API_KEY" not in environment
        assert "ea_secret-of-mine" not in environment.values()

    def test_one_that_does_not_need_the_pool_is_not_told_where_it_is(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither by `up`, nor by what `up` was started with."""
        monkeypatch.setenv("ENTROPY_REDIS_URL", "redis://publisher:password@h")
        environment = children.child_environment(settings, None, "http://127.0.0.1:8000")
        assert "ENTROPY_REDIS_URL" not in environment
        assert "redis://publisher:password@h" not in environment.values()

    def test_the_ledgers_address_is_told_to_those_who_need_the_pool_and_shown_to_nobody(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        url = "postgresql+psycopg://publisher:password@h/db"
        monkeypatch.setenv("ENTROPY_LEDGER_URL", url)
        settings = Settings(home=tmp_path, ledger_single_server=True)
        assert "password" not in repr(settings)
        assert "password" not in repr(Home.of(settings))
        environment = children.child_environment(settings, "unix:///pool", "http://127.0.0.1:8000")
        assert (environment["ENTROPY_LEDGER_URL"], environment["ENTROPY_LEDGER_SINGLE_SERVER"]) == (url, "True")
        environment = children.child_environment(settings, None, "http://127.0.0.1:8000")
        assert [name for name, value in environment.items() if "password" in value] == []

    def test_what_libpq_reads_is_told_to_no_child_without_the_pool(
        self, monkeypatch: pytest.MonkeyPatch, settings: Settings
    ) -> None:
        told = {"PGPASSWORD": "made-up", "PGPASSFILE": "/made/up"}
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        environment = children.child_environment(settings, "unix:///pool", "http://127.0.0.1:8000")
        assert told.items() <= environment.items()
        assert not told.keys() & children.child_environment(settings, None, "http://127.0.0.1:8000").keys()

    def test_several_pools_are_named_as_several(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ENTROPY_REDIS_URLS", "redis://:p@h  unix:///pool\nredis+sentinel://a:1,b:2/name")
        settings = Settings(home=tmp_path)
        address = "redis://:p@h\nunix:///pool\nredis+sentinel://a:1,b:2/name"
        assert settings.pool_address == address
        assert "redis" not in repr(settings).replace("redis_url", "")
        environment = children.child_environment(settings, address, "http://127.0.0.1:8000")
        assert (environment["ENTROPY_REDIS_URLS"], "ENTROPY_REDIS_URL" in environment) == (address, False)
        monkeypatch.setenv("ENTROPY_REDIS_URLS", environment["ENTROPY_REDIS_URLS"])
        assert Settings(home=tmp_path).pool_address == address
        assert "unix:///pool" not in str(children.child_environment(settings, None, "http://127.0.0.1:8000"))
        monkeypatch.setenv("ENTROPY_REDIS_URL", "redis://h")
        with pytest.raises(ValueError, match="not both"):
            Settings(home=tmp_path)
        monkeypatch.delenv("ENTROPY_REDIS_URL")
        monkeypatch.setenv("ENTROPY_REDIS_URLS", " ")
        with pytest.raises(ValueError, match="names no pool"):
            Settings(home=tmp_path)

    def test_products_take_one_thread_unless_somebody_wants_more(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
        for wanted in ("1", "4"):
            environment = children.child_environment(settings, None, "http://127.0.0.1:4321")
            assert environment["OPENBLAS_NUM_THREADS"] == wanted
            monkeypatch.setenv("OPENBLAS_NUM_THREADS", "4")

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

    @pytest.mark.parametrize("name", ["code", "webserver"])
    def test_a_module_in_the_folder_where_they_are_started_is_not_loaded(
        self, settings: Settings, tmp_path: Path, name: str
    ) -> None:
        """People start it among scripts of theirs, whose names are those of packages, and in folders of everybody."""
        folder, code_server, log = tmp_path / "scripts", tmp_path / "s", tmp_path / "log"
        folder.mkdir()
        for module in ("gql", "scipy", "PIL", "redis"):
            (folder / f"{module}.py").write_text("raise SystemExit('a stranger')")
        settings.home.mkdir(exist_ok=True)
        environment = untraced(children.child_environment(settings, "unix:///pool", "http://127.0.0.1:1"))
        Path(environment["DAGSTER_HOME"]).mkdir(parents=True)
        server, web = [*CODE_SERVER, "-s", str(code_server)], ["entropy_assets.supervisor.webserver", "--help"]
        command = [sys.executable, "-m", *(server if name == "code" else web)]
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        try:
            eventually("its start", lambda: process.poll() is not None or listens(code_server))
            assert process.poll() == (None if name == "code" else 0), log.read_text()
        finally:
            process.terminate()
            process.wait(60)

    def test_they_do_not_repeat_the_warnings_that_are_known(self, settings: Settings) -> None:
        """Loading the definitions warns of the preview feature that the version is pinned for, and of nothing else."""
        environment = untraced(children.child_environment(settings, "unix:///pool", "http://127.0.0.1:1"))
        load = [sys.executable, "-c", "import entropy_assets.definitions"]
        loud = subprocess.run(
            load, env={**environment, "PYTHONWARNINGS": ""}, capture_output=True, text=True, timeout=120, check=True
        )
        quiet = subprocess.run(load, env=environment, capture_output=True, text=True, timeout=120, check=True)
        assert "partitions_def on an AssetCheckSpec" in loud.stderr
        assert quiet.stderr == ""


class TestRestarts:
    """A clock that the test sets, and processes that do end."""

    def child(self, tmp_path: Path, *scripts: str, answered: bool = True) -> Child:
        """Give a child that runs these scripts one after the other, and ended its first one."""
        log = tmp_path / "child.log"
        left = iter(scripts)

        def start() -> OwnedProcess:
            return OwnedProcess(["sh", "-c", next(left)], log=log)

        child = Child("child", start(), start, log, 0.0, answered)
        self.wait(child)
        return child

    @staticmethod
    def wait(child: Child) -> None:
        while child.process.exit_code is None:
            time.sleep(0.005)

    def test_one_that_ended_is_started_again_after_a_pause(self, tmp_path: Path) -> None:
        child = self.child(tmp_path, "exit 3", "sleep 60")
        line = child.look(100.0)
        assert line == f"child    ended with exit code 3, and is started again in 0.5 s; its log is {child.log}"
        assert child.waits
        assert child.look(100.4) is None
        assert child.process.exit_code == 3
        assert child.look(100.5) is None
        assert (child.process.exit_code, child.began, child.waits) == (None, 100.5, False)
        child.process.stop(1)

    def test_the_pauses_grow_and_in_the_end_it_is_an_error_with_the_end_of_its_log(self, tmp_path: Path) -> None:
        child = self.child(tmp_path, *["echo the reason >&2; exit 3"] * (children.RESTARTS + 1))
        now = 0.0
        for ends in range(1, children.RESTARTS + 1):
            line = child.look(now)
            assert line is not None
            assert f"started again in {children.pause_s(ends):g} s" in line
            now += children.pause_s(ends)
            assert child.look(now) is None
            self.wait(child)
        with pytest.raises(StartFailed, match=r"child ended with exit code 3, 7 times in a row[\s\S]*the reason"):
            child.look(now)
        assert [children.pause_s(ends) for ends in range(1, 7)] == [0.5, 2, 8, 30, 30, 30]

    def test_one_that_ran_for_a_while_has_a_new_row_of_ends(self, tmp_path: Path) -> None:
        child = self.child(tmp_path, *["exit 3"] * 20)
        now = 0.0
        for _ in range(15):
            now += children.STEADY_SECONDS
            assert "again in 0.5 s" in str(child.look(now))
            now += 0.5
            child.look(now)
            self.wait(child)
        child.process.stop(0)

    def test_one_that_never_answered_is_an_error_at_once(self, tmp_path: Path) -> None:
        """What it was told is wrong, and would be wrong again."""
        child = self.child(tmp_path, "echo the reason >&2; exit 3", answered=False)
        with pytest.raises(StartFailed, match=r"child ended with exit code 3; its log [\s\S]*the reason"):
            child.look(0.0)

    def test_one_that_can_not_be_started_is_tried_again_too(self, tmp_path: Path) -> None:
        child = self.child(tmp_path, "exit 3", "sleep 60")
        started, failures = child.start, iter([PoolUnavailable("no place"), OSError("no memory")])

        def start() -> OwnedProcess:
            for failure in failures:
                raise failure
            return started()

        child.start = start
        lines = [child.look(now) for now in (0.0, 1.0, 4.0, 20.0)]
        assert ["no place" in str(lines[1]), "no memory" in str(lines[2]), lines[3]] == [True, True, None]
        assert child.process.exit_code is None
        child.process.stop(1)

    def test_what_it_had_started_ends_before_it_is_started_again(self, tmp_path: Path) -> None:
        """A run that goes on behind a code server that died would write the files of the run that takes its place."""
        child = self.child(tmp_path, f"sleep 60 & echo $! > {tmp_path}/pid; exit 3")
        pid = int((tmp_path / "pid").read_text())
        child.look(0.0)
        eventually("its end", lambda: not alive(pid), 10)
