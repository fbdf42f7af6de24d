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


NO_NUMBERS = ("a/readme.txt", "a/000000000001.json", "a/+1", "a/1", "a/0000000000009", "a/" + "\u0661" * 12)
"""Names in the place of a lease that no holder makes; the last is of twelve digits that are not those of ASCII."""


@pytest.mark.parametrize("name", NO_NUMBERS)
def test_what_no_holder_made_is_passed_over_and_stays(
    blobs: Blobs, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    blobs.create(name, b"somebody's")
    for _ in range(2):
        with leased(blobs, "a", SECONDS, Clock()) as mine, leased(blobs, "a", SECONDS, Clock()) as others:
            assert (mine, others) == (True, False)
    assert repr(name) in caplog.text
    assert blobs.read(name) == b"somebody's"
    assert len(blobs.list("a").blobs) == 2


@pytest.mark.parametrize(
    "told",
    [b"", b"{", b"[]", b"{}", b'{"until_s": null}', b'{"until_s": "soon"}', b'{"until_s": [1]}', b"[" * 100_000],
)
def test_a_lease_that_cannot_be_read_is_over(blobs: Blobs, told: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody could tell when it ends, and what it guards stays true with two at work."""
    blobs.create("a/000000000007", told)
    with leased(blobs, "a", SECONDS, Clock()) as mine:
        assert mine
    assert "a/000000000007" in caplog.text


@pytest.mark.parametrize("until", ["1e999", "NaN", str(Clock.now + 3 * SECONDS)])
def test_a_lease_that_lasts_longer_than_any_was_given_by_another_clock_and_is_over(blobs: Blobs, until: str) -> None:
    blobs.create("a/000000000001", b'{"until_s": %s}' % until.encode())
    with leased(blobs, "a", SECONDS, Clock()) as mine:
        assert mine


@pytest.mark.parametrize("number", ["000000000009", "9" * 18])
def test_a_file_of_a_higher_number_does_not_hide_who_holds_it(blobs: Blobs, number: str) -> None:
    with leased(blobs, "a", SECONDS, Clock()) as mine:
        blobs.create(f"a/{number}", b'{"until_s": 0}')
        with leased(blobs, "a", SECONDS, Clock()) as others:
            assert (mine, others) == (True, False)
    with leased(blobs, "a", SECONDS, Clock()) as again:
        assert again


def test_the_number_after_the_last_of_twelve_digits_is_the_next(blobs: Blobs) -> None:
    """It sorts before it by its letters: without that every holder would make the same name, and none get it."""
    blobs.create("a/999999999999", b'{"until_s": 0}')
    for _ in range(3):
        with leased(blobs, "a", SECONDS, Clock()) as mine:
            assert mine
    assert [blob.name for blob in blobs.list("a").blobs] == ["a/1000000000002"]
