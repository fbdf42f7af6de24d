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

from entropy_assets.errors import StartFailed
from entropy_assets.settings import Settings
from entropy_assets.stores.processes import OwnedProcess
from entropy_assets.supervisor import children
from entropy_assets.supervisor.children import Child, free_port


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


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
