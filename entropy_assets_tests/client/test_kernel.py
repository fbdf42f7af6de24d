"""``entropy-assets feed``: what reaches the kernel's generator, and what never does. And the keys of the commands."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from entropy_assets.cli import main
from entropy_assets.client import RandomClient
from entropy_assets.client.kernel import feed_always, feed_once
from entropy_assets.errors import FeedRefused
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.settings import Settings
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.supervisor.children import child_environment
from entropy_assets_tests.client.scripted import ScriptedServer, answering, good, status
from entropy_assets_tests.serving.running import RunningService

KEY = "ea_secret-of-mine"
Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run ``entropy-assets`` as a user who set nothing, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("ENTROPY_HOME", "ENTROPY_REDIS_URL", "ENTROPY_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def service(valkey_url: str, pool_prefix: str, pool: PoolClient) -> Iterator[RunningService]:
    """Run a service on a pool that is still empty."""
    with RunningService(ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix)) as running:
        yield running


@pytest.fixture
def zeros() -> Iterator[ScriptedServer]:
    """Run a service that gives zeros."""
    with ScriptedServer(lambda connection, n: connection.sendall(good(n))) as server:
        yield server


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    return file


def read_fifo(path: Path, into: list[bytes]) -> threading.Thread:
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: into.append(path.read_bytes()))
    reader.start()
    return reader


@pytest.mark.parametrize("n", [1, 64, 65_536])
def test_a_device_gets_exactly_the_bytes_that_were_drawn(n: int, tmp_path: Path, zeros: ScriptedServer) -> None:
    got: list[bytes] = []
    reader = read_fifo(tmp_path / "fifo", got)
    with RandomClient([zeros.url], mix=False) as client:
        feed_once(client, tmp_path / "fifo", n)
    reader.join(10)
    assert got == [bytes(n)]


def test_the_bytes_are_mixed_with_this_machines_before_they_are_fed(
    run: Run, tmp_path: Path, zeros: ScriptedServer
) -> None:
    got: list[bytes] = []
    reader = read_fifo(tmp_path / "fifo", got)
    result = run("feed", "--once", "--device", tmp_path / "fifo", "--url", zeros.url)
    reader.join(10)
    assert (result.exit_code, result.output) == (0, "")
    assert len(got[0]) == 64
    assert len(set(got[0])) > 16


def test_the_kernel_takes_them_and_is_told_of_no_entropy(zeros: ScriptedServer) -> None:
    """The real device, written as any user may; the interpreter reports every ioctl, and RNDADDENTROPY is one."""
    script = f"""
import sys
events = []
sys.addaudithook(lambda name, arguments: events.append((name, arguments)) if name in ("open", "fcntl.ioctl") else None)
from entropy_assets.cli import main
main(["feed", "--once", "--url", "{zeros.url}"], standalone_mode=False)
print(any(name == "open" and arguments[0] == "/dev/random" for name, arguments in events))
print(any(name == "fcntl.ioctl" for name, _ in events))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.split() == ["True", "False"], done.stderr
    assert len(zeros.requests) == 1


def test_a_file_is_neither_written_nor_made(run: Run, tmp_path: Path, zeros: ScriptedServer) -> None:
    (tmp_path / "thesis.txt").write_text("my thesis")
    for name in ("thesis.txt", "absent", "."):
        result = run("feed", "--once", "--device", tmp_path / name, "--url", zeros.url)
        assert result.exit_code == 1
        assert result.stderr.startswith("error: ")
    assert (tmp_path / "thesis.txt").read_text() == "my thesis"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert zeros.requests == []


def test_a_reader_that_leaves_is_an_error_of_ours(tmp_path: Path) -> None:
    class Leaving:
        def random_bytes(self, n: int) -> bytes:
            """Give bytes when nobody reads any more."""
            os.close(reader)
            return bytes(n)

    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(FeedRefused, match="Broken pipe"):
        feed_once(Leaving(), tmp_path / "fifo", 8)


def test_once_without_bytes_is_exit_code_4(run: Run, service: RunningService) -> None:
    result = run("feed", "--once", "--device", os.devnull, "--url", service.url)
    assert (result.exit_code, result.stdout) == (4, "")
    assert "ask again" in result.stderr


def test_a_time_without_bytes_is_said_and_passed_over(tmp_path: Path) -> None:
    said: list[str] = []
    slept: list[float] = []

    class Enough(Exception):
        """The test has seen enough."""

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise Enough
        time.sleep(0.1)  # longer than the service asks to be left alone

    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    dry = status("503 Service Unavailable", "retry-after: 0")
    with (
        ScriptedServer(dry, answering(good(64))) as server,
        RandomClient([server.url]) as client,
        pytest.raises(Enough),
    ):
        feed_always(client, fifo, 64, 5.0, said.append, sleep)
    assert len(os.read(reader, 1000)) == 128
    os.close(reader)
    assert len(said) == 1
    assert slept == [5.0, 5.0, 5.0]


def test_a_refused_key_ends_the_feeding(run: Run) -> None:
    with ScriptedServer(status("401 Unauthorized")) as server:
        result = run("feed", "--device", os.devnull, "--url", server.url)
    assert result.exit_code == 1
    assert "status 401" in result.stderr


class TestKeys:
    @pytest.mark.parametrize("words", [("feed", "--once", "--device", os.devnull), ("draw", "8")], ids=" ".join)
    def test_a_key_is_read_from_a_file_or_from_the_settings(
        self, run: Run, words, key_file: Path, zeros: ScriptedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert run(*words, "--url", zeros.url).exit_code == 0
        assert run(*words, "--url", zeros.url, "--key-file", key_file).exit_code == 0
        monkeypatch.setenv("ENTROPY_API_KEY", "ea_another")
        assert run(*words, "--url", zeros.url).exit_code == 0
        shown = [[line for line in request.split("\r\n") if line.startswith("Auth")] for request in zeros.requests]
        assert shown == [[], [f"Authorization: Bearer {KEY}"], ["Authorization: Bearer ea_another"]]

    @pytest.mark.parametrize("words", [("feed", "--once"), ("draw", "8")], ids=" ".join)
    def test_a_key_goes_in_clear_to_no_other_machine(self, run: Run, words, key_file: Path) -> None:
        result = run(*words, "--url", "http://service.invalid", "--key-file", key_file)
        assert result.exit_code == 1
        assert "in clear" in result.stderr
        assert KEY not in result.output

    def test_a_redirect_does_not_take_the_key_along(self, run: Run, key_file: Path) -> None:
        with ScriptedServer(answering(good(8))) as other:
            moved = status("302 Found", f"location: {other.url}/random/8")
            with ScriptedServer(moved) as service:
                run("draw", 8, "--url", service.url, "--key-file", key_file)
        assert KEY in service.requests[0]
        assert KEY not in "".join(other.requests)

    def test_a_file_that_holds_no_key_is_refused_without_being_shown(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "key").write_bytes(b"two words\xff")
        for words in (("feed", "--once"), ("draw", "8")):
            result = run(*words, "--key-file", tmp_path / "key")
            assert result.exit_code == 1
            assert "two words" not in result.output

    def test_a_key_is_neither_shown_by_the_settings_nor_handed_to_children(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("ENTROPY_API_KEY", KEY)
        settings = Settings(home=tmp_path)
        assert settings.api_key is not None
        assert settings.api_key.get_secret_value() == KEY
        assert KEY not in repr(settings)
        environment = child_environment(settings, "redis://h", "http://127.0.0.1:8000")
        assert "ENTROPY_API_KEY" not in environment
        assert KEY not in environment.values()
