"""A host is asked by one at a time, with rests, and not before it said; the others are not held up by it."""

import os
import threading
from pathlib import Path

import pytest

from entropy_assets.sources.feeds.web import pacing as pacing_room
from entropy_assets.sources.feeds.web.limits import Clock
from entropy_assets.sources.feeds.web.pacing import LONGEST_KEPT_S, MOST_HOSTS, HostResting, KeptRests, Pacing
from entropy_assets.stores.blobs.folder import FolderBlobs
from entropy_assets_tests.sources.feeds.fault_server import FakeClock


def paced(clock: FakeClock) -> Pacing:
    return Pacing(Clock(clock.monotonic, clock.now, clock.sleep, lambda: 0.5))


def turn(pacing: Pacing, name: str = "feed.test", longest_wait_s: float = 30) -> None:
    with pacing.turn(name, least_interval_s=1, longest_wait_s=longest_wait_s):
        pass


def test_rests_are_counted_from_the_end_of_an_answer() -> None:
    clock = FakeClock()
    pacing = paced(clock)
    with pacing.turn("feed.test", least_interval_s=5, longest_wait_s=30):
        clock.turn(100)
    turn(pacing)
    clock.turn(0.5)
    turn(pacing)
    assert clock.slept == [5, 0.5]


def test_a_rest_is_kept_after_a_failure_too() -> None:
    clock = FakeClock()
    pacing = paced(clock)
    with pytest.raises(OSError, match="gone"), pacing.turn("feed.test", least_interval_s=5, longest_wait_s=30):
        raise OSError("gone")
    turn(pacing)
    assert clock.slept == [5]


def test_a_long_rest_is_told_and_not_slept() -> None:
    """Only the longest rest counts, and it is over when it is."""
    clock = FakeClock()
    pacing = paced(clock)
    pacing.rest("feed.test", 100)
    pacing.rest("feed.test", 50)
    with pytest.raises(HostResting) as caught:
        turn(pacing)
    assert caught.value.wait_s == 100
    turn(pacing, "other.test")
    clock.turn(70)
    turn(pacing)
    assert clock.slept == [30]


def test_two_at_once_ask_one_after_the_other() -> None:
    clock = FakeClock()
    pacing, inside, most = paced(clock), [0], [0]

    def ask() -> None:
        with pacing.turn("feed.test", least_interval_s=1, longest_wait_s=1000):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            threading.Event().wait(0.001)
            inside[0] -= 1

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert clock.slept == [1] * 7


def test_another_host_is_not_held_up() -> None:
    clock = FakeClock()
    pacing = paced(clock)
    with pacing.turn("feed.test", least_interval_s=1, longest_wait_s=30):
        turn(pacing, "other.test")
    assert clock.slept == []


def test_hosts_without_end_take_no_memory_without_end() -> None:
    """Those in use and those that rest the longest are remembered."""
    pacing = paced(FakeClock())
    pacing.rest("resting.test", 1000)
    with pacing.turn("used.test", least_interval_s=1, longest_wait_s=30):
        for number in range(MOST_HOSTS + 100):
            pacing.rest(f"{number}.test", 1 + number % 7)
        assert len(pacing._hosts) <= MOST_HOSTS
    with pytest.raises(HostResting):
        turn(pacing, "resting.test")
    with pytest.raises(HostResting):
        turn(pacing, "used.test", longest_wait_s=0.5)


def kept(clock: FakeClock, folder: Path) -> Pacing:
    """Return what another process would have, whose monotonic clock began at another time."""
    return Pacing(
        Clock(lambda: clock.monotonic() + 1e6, clock.now, clock.sleep, lambda: 0.5), KeptRests(FolderBlobs(folder))
    )


def test_what_a_host_asked_one_process_for_holds_for_all(tmp_path: Path) -> None:
    clock = FakeClock()
    for name in ("feed.test", "2001:db8::1"):
        kept(clock, tmp_path / "hosts").rest(name, 3600)
        kept(clock, tmp_path / "hosts").rest(name, 60)
        kept(clock, tmp_path / "hosts").rest(name, 0)
        with pytest.raises(HostResting) as caught:
            turn(kept(clock, tmp_path / "hosts"), name)
        assert caught.value.wait_s == 3600
    turn(kept(clock, tmp_path / "hosts"), "other.test")
    assert clock.slept == []
    clock.turn(3590)
    turn(kept(clock, tmp_path / "hosts"))
    assert clock.slept == [10]
    turn(kept(clock, tmp_path / "hosts"))
    assert clock.slept == [10], "it is over"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[1]",
        b'{"host": "feed.test"}',
        b'{"host": "feed.test", "until_s": 1e300}',
        b'{"host": "feed.test", "until_s": NaN}',
        b'{"host": "other.test", "until_s": %d}',
        b'{"host": "feed.test", "until_s": ' + b"1" * 5000,
    ],
)
def test_what_is_kept_of_a_host_and_can_not_be_is_nothing(tmp_path: Path, data: bytes) -> None:
    clock = FakeClock()
    kept(clock, tmp_path).rest("feed.test", 3600)
    [file] = tmp_path.iterdir()
    file.write_bytes(data.replace(b"%d", b"%d" % (clock.now() + 3600)))
    turn(kept(clock, tmp_path))
    assert clock.slept == []


def test_hosts_without_end_take_no_files_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing_room, "MOST_HOSTS", 8)
    clock = FakeClock()
    for number in range(20):
        kept(clock, tmp_path).rest(f"{number}{'.long' * 40}.test", 3600)
    assert len(list(tmp_path.iterdir())) <= 8
    for file in tmp_path.iterdir():
        os.utime(file, (clock.now() - LONGEST_KEPT_S - 1,) * 2)
    kept(clock, tmp_path).rest("feed.test", 3600)
    assert [file.name for file in tmp_path.iterdir()] == ["feed.test.json"]


def test_a_place_that_can_not_be_written_to_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_bytes(b"")
    pacing = kept(FakeClock(), tmp_path / "hosts")
    pacing.rest("feed.test", 3600)
    with pytest.raises(HostResting):
        turn(pacing)
