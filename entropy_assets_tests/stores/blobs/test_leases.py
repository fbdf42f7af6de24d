"""One holder at a time, on all machines, and none for ever."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from entropy_assets.stores.blobs.interface import Blobs
from entropy_assets.stores.blobs.leases import leased

SECONDS = 900.0


class Clock:
    """A clock that stands until it is set."""

    now = 1e9

    def __call__(self) -> float:
        return self.now


def test_one_has_it_until_it_ends(blobs: Blobs) -> None:
    clock = Clock()
    for _ in range(3):
        with leased(blobs, "a", SECONDS, clock) as mine, leased(blobs, "a", SECONDS, clock) as others:
            assert (mine, others) == (True, False)
            with leased(blobs, "b", SECONDS, clock) as another:
                assert another
    assert len(blobs.list("a").blobs) == 1, "nothing grows"


def test_a_holder_that_is_killed_keeps_it_no_longer_than_it_said(blobs: Blobs) -> None:
    clock, killed = Clock(), ExitStack()
    assert killed.enter_context(leased(blobs, "a", SECONDS, clock))
    clock.now += SECONDS - 1
    with leased(blobs, "a", SECONDS, clock) as early:
        assert not early
    clock.now += 1
    with leased(blobs, "a", SECONDS, clock) as mine:
        assert mine
        killed.close()  # it was only slow, and ends what is no longer its own
        with leased(blobs, "a", SECONDS, clock) as others:
            assert not others
    with leased(blobs, "a", SECONDS, clock) as again:
        assert again


def test_of_many_who_find_it_free_one_gets_it(blobs: Blobs) -> None:
    def takes(_: int) -> bool:
        return stack.enter_context(leased(blobs, "a", SECONDS, Clock()))

    for _ in range(3):
        with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(takes, range(8))) == 1


def test_who_fails_gives_it_back(blobs: Blobs) -> None:
    with pytest.raises(ZeroDivisionError), leased(blobs, "a", SECONDS, Clock()):
        raise ZeroDivisionError
    with leased(blobs, "a", SECONDS, Clock()) as mine:
        assert mine
