"""Bytes for the kernel's generator: exactly those that were drawn, and never into a file."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from entropy_assets.client import RandomClient
from entropy_assets.client.kernel import feed_always, feed_once
from entropy_assets.errors import FeedRefused
from entropy_assets_tests.client.scripted import ScriptedServer, answering, good, status


@pytest.fixture
def zeros() -> Iterator[ScriptedServer]:
    """Run a service that gives zeros."""
    with ScriptedServer(lambda connection, n: connection.sendall(good(n))) as server:
        yield server


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
