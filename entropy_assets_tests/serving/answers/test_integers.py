"""Integers by rejection: counted exactly, recomputed from what is named, and bounded."""

import itertools
import random
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from entropy_assets.errors import PoolExhausted, RejectedTooOften
from entropy_assets.serving.answers.integers import (
    GREATEST_INTEGER,
    LEAST_INTEGER,
    ROUND,
    IntegerDraw,
    Integers,
    integers_named,
)
from entropy_assets.serving.reservoir.stock import Cut, Draw

LIMITS = st.integers(LEAST_INTEGER, GREATEST_INTEGER)


class Source:
    """Gives `data` in order, from blocks of 100 bytes; raises when it is used up."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    async def __call__(self, n: int) -> Draw:
        start, self.position = self.position, self.position + n
        if self.position > len(self.data):
            raise PoolExhausted("nothing is left", ready=0)
        edges = [start, *range(start // 100 * 100 + 100, self.position, 100), self.position]
        cuts = [Cut(str(one // 100), one % 100, other - one // 100 * 100) for one, other in itertools.pairwise(edges)]
        return Draw(self.data[start : self.position], tuple(cuts), False)

    def named(self, cuts: list[Cut]) -> bytes:
        """Return the bytes of these cuts."""
        return b"".join(self.data[int(cut.block_id) * 100 :][cut.start : cut.end] for cut in cuts)


def _by_the_rule(data: bytes, low: int, high: int) -> list[int]:
    """Read `data` as the documentation tells an auditor to, in other words than the code's."""
    bits = (high - low).bit_length()
    width = max(1, -(-bits // 8))
    assert len(data) % width == 0, "a candidate was named in part"
    integers = []
    for start in range(0, len(data), width):
        number = int.from_bytes(data[start : start + width], "big") % 2**bits
        if number <= high - low:
            integers.append(low + number)
    return integers


@pytest.mark.parametrize("span", [*range(0, 300, 7), 1, 2, 3, 254, 255, 256, 257])
def test_every_integer_is_made_by_as_many_byte_strings_as_every_other(span: int) -> None:
    """Not a sample but a count: all 256 or 65,536 candidates there are."""
    wanted = Integers("int", -5, span - 5)
    every = b"".join(word.to_bytes(wanted.width, "big") for word in range(256**wanted.width))
    counts = Counter(wanted.accepted(every))
    assert sorted(counts) == list(range(-5, span - 4))
    assert len(set(counts.values())) == 1


@given(LIMITS, LIMITS, st.binary(min_size=64, max_size=400))
@example(LEAST_INTEGER, GREATEST_INTEGER, bytes(64))
@example(0, 2**32, b"\xff" * 64)
def test_what_is_accepted_is_within_the_limits_and_follows_the_rule(one: int, other: int, data: bytes) -> None:
    wanted = Integers("int", min(one, other), max(one, other))
    data = data[: len(data) // wanted.width * wanted.width]
    accepted = wanted.accepted(data)
    assert accepted == _by_the_rule(data, wanted.low, wanted.high)
    assert all(wanted.low <= value <= wanted.high for value in accepted)


@given(st.integers(0, 2**64 - 1))
@example(2**64 - 1)
@example(128)
def test_a_candidate_is_kept_at_least_every_other_time(span: int) -> None:
    wanted = Integers("int", 0, span)
    assert wanted.mask < 2 * (span + 1)
    assert span <= wanted.mask < 256**wanted.width


@given(st.integers(0, 2**64 - 1), st.integers(1, 70_000))
def test_the_bound_on_n_is_exact(span: int, n_bytes: int) -> None:
    wanted = Integers("int", 0, span)
    bytes_each = Fraction(wanted.width * (wanted.mask + 1), span + 1)  # on average
    most = wanted.most(n_bytes)
    assert most * bytes_each <= n_bytes < (most + 1) * bytes_each


@given(st.integers(-1000, 70_000), st.integers(0, 70_000), st.integers(1, 60), st.integers(0, 2**32))
async def test_an_answer_names_exactly_the_bytes_that_recompute_it(low: int, span: int, n: int, seed: int) -> None:
    source = Source(random.Random(seed).randbytes(5000))
    making = IntegerDraw(Integers("int", low, low + span), True, source, 65_536)
    await making.fill(n)
    named = source.named(making.cuts)
    assert len(making.values) == n
    assert _by_the_rule(named, low, low + span) == making.values
    assert named == source.data[: making.consumed], "in order, rejected candidates included"
    assert making.values[-1:] == _by_the_rule(named[-making.wanted.width :], low, low + span), "nothing beyond the last"


async def test_cuts_of_one_block_that_meet_are_named_as_one() -> None:
    making = IntegerDraw(Integers("int", 0, 128), True, Source(b"\xff\x01" * 40), 65_536)
    await making.fill(10)
    assert making.cuts == [Cut("0", 0, 20)]


async def test_others_are_served_between_rounds() -> None:
    asked: list[int] = []
    source = Source(bytes(20_000))

    async def draw(n: int) -> Draw:
        asked.append(n)
        return await source(n)

    await IntegerDraw(Integers("uint16", 0, 65_535), True, draw, 65_536).fill(10_000)
    assert asked == [2 * ROUND, 2 * ROUND, 2 * (10_000 - 2 * ROUND)]


async def test_running_dry_in_the_middle_says_what_is_lost() -> None:
    making = IntegerDraw(Integers("int", 0, 128), True, Source(b"\xff" * 6 + bytes(2)), 65_536)
    with pytest.raises(PoolExhausted, match="6 bytes were consumed") as caught:
        await making.fill(6)
    assert making.consumed == 6
    assert caught.value.data == {"ready": 0}


async def test_bytes_that_are_never_accepted_are_given_up_and_not_read_for_ever() -> None:
    making = IntegerDraw(Integers("int", 0, 128), True, Source(b"\xff" * 300_000), 1000)
    with pytest.raises(RejectedTooOften):
        await making.fill(500)
    assert 4000 < making.consumed < 5000


async def test_private_integers_are_made_of_mixed_bytes() -> None:
    making = IntegerDraw(Integers("uint8", 0, 255), False, Source(bytes(100)), 65_536)
    await making.fill(32)
    assert any(making.values)


@pytest.mark.parametrize(
    "name, low, high",
    [("int", None, None), ("int", 0, None), ("int", None, 1), ("int", 2, 1), ("uint8", 0, 1), ("uint16", None, 9)],
)
def test_limits_that_do_not_fit_are_refused(name: str, low: int | None, high: int | None) -> None:
    with pytest.raises(ValueError, match=r"min|max"):
        integers_named(name, low, high)  # type: ignore[arg-type]


def test_uint16_is_two_bytes_with_the_greater_first() -> None:
    assert integers_named("uint16", None, None).accepted(b"\x01\x02\xff\xff") == [258, 65_535]
