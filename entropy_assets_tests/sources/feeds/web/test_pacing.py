"""A host is asked by one at a time, with rests, and not before it said; the others are not held up by it."""

import threading

import pytest

from entropy_assets.sources.feeds.web.limits import Clock
from entropy_assets.sources.feeds.web.pacing import MOST_HOSTS, HostResting, Pacing
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
