"""Units that one subject has at hand in a worker: spent by subtraction, all or nothing, and what the client is told."""

import asyncio
import re
from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from entropy_assets.errors import QuotaExceeded
from entropy_assets.serving.access.accounts import Accounts
from entropy_assets.serving.access.allowances import Account, Admission, Allowance, Limits
from entropy_assets.stores.buckets import Ask, Grant, SharedBuckets

BOTH = Limits(requests_per_s=0.5, bytes_per_s=100)


def account_with(limits: Limits, *, at_hand: bool = True, asked: list[Allowance] | None = None) -> Account:
    """Return an account, with all of a burst at hand or nothing; what it asks for more of stands in `asked`."""
    wanted = [] if asked is None else asked
    account = Account("key:a", limits, trusted=True, fill=lambda _, allowance: wanted.append(allowance))
    if at_hand:
        for allowance in account.allowances:
            allowance.receive(Grant(allowance.burst, 0, 0), 1, 0.0, local=False)
        account.show()
    return account


def field_of(admission: Admission | None) -> bytes:
    assert admission is not None
    return dict(admission.headers)[b"ratelimit"]


def test_the_fields_are_those_of_the_draft() -> None:
    """draft-ietf-httpapi-ratelimit-headers: lists of strings with integer parameters, in the form of RFC 9651."""
    admission = account_with(BOTH).take_at_once(1, 500)
    assert admission is not None
    policy = dict(admission.headers)[b"ratelimit-policy"]
    assert policy == b'"requests";q=5;w=10, "bytes";q=1000;w=10;qu="content-bytes"'
    assert field_of(admission) == b'"requests";r=4;t=2, "bytes";r=500;t=5'


def test_the_field_follows_what_is_left() -> None:
    """It is made anew at every hundredth of a burst, so it is at most that much above what is left, and never below."""
    account = account_with(Limits(requests_per_s=100))
    for left in reversed(range(1000)):
        shown = int(field_of(account.take_at_once(1, 0)).split(b"r=")[1].split(b";")[0])
        assert left <= shown < left + 10


@pytest.mark.parametrize("requests, n_bytes", [(6, 10), (1, 1001)])
def test_too_little_of_one_kind_spends_nothing_of_the_other(requests: int, n_bytes: int) -> None:
    account = account_with(BOTH)
    assert account.take_at_once(requests, n_bytes) is None
    assert [allowance.held for allowance in account.allowances] == [5, 1000]
    assert len(account.short_of(requests, n_bytes)) == 1
    assert account.take_at_once(5, 1000) is not None
    assert [allowance.held for allowance in account.allowances] == [0, 0]


def test_more_is_asked_for_before_the_units_at_hand_run_out() -> None:
    asked: list[Allowance] = []
    account = account_with(Limits(bytes_per_s=100), asked=asked)
    [allowance] = account.allowances
    assert allowance.full_grant == 50
    account.take_at_once(0, 975)
    assert asked == []
    account.take_at_once(0, 1)
    assert asked == [allowance]


def test_a_refusal_is_remembered_until_what_was_refused_can_be_had() -> None:
    """For as many units or more, and longer for more; fewer were not asked for, so nobody knows."""
    [allowance] = account_with(Limits(bytes_per_s=100), at_hand=False).allowances
    allowance.receive(Grant(0, 20, 300_000), 50, 7.0, local=False)
    assert [allowance.refused_for_s(units, 7.1) for units in (49, 50, 60)] == pytest.approx([0.0, 0.2, 0.3])
    assert allowance.refused_for_s(50, 7.3) == 0.0


def test_units_of_the_workers_own_making_are_told_from_the_shared_ones_until_they_are_spent() -> None:
    [allowance] = account_with(Limits(bytes_per_s=100), at_hand=False).allowances
    allowance.receive(Grant(10, 0, 0), 1, 0.0, local=True)
    allowance.receive(Grant(10, 0, 0), 1, 0.0, local=False)
    assert (allowance.local, allowance.held) == (True, 20)
    allowance.held = 0
    allowance.receive(Grant(10, 0, 0), 1, 0.0, local=False)
    assert not allowance.local


WHOLE: Final = re.compile(r'"\w+";(?:q|r)=\d{1,15};(?:w|t)=\d{1,15}(?:;qu="content-bytes")?')
"""A member of either field; an integer of a structured field has 15 digits at most (RFC 9651, section 3.3.1)."""
rates = st.floats(min_value=5e-324, allow_nan=False, allow_infinity=False)
ages_s = st.floats(0, 1e12)
"""From none to 30,000 years."""


class Granting:
    """Buckets that answer every ask alike."""

    def __init__(self, units: int, left: int, wait_us: int) -> None:
        self._grant = Grant(units, left, wait_us)

    def grant(self, asks: Sequence[Ask]) -> list[Grant]:
        """Grant what a full bucket may at most."""
        return [self._grant._replace(units=min(self._grant.units, ask.want)) for ask in asks]

    def close(self) -> None:
        """Have nothing to close."""


@settings(max_examples=200, deadline=None)
@given(
    rates,
    st.integers(1, 10**320),
    st.integers(0, 2**40),
    st.tuples(ages_s, ages_s),
    st.tuples(st.integers(0, 2**50), st.integers(0, 2**50), st.integers(1, 2**62)),
)
@example(5e-324, 1, 2**16, (0, 86_400.0), (0, 0, 2**62))
@example(1.7e308, 10**320, 0, (0, 0), (0, 0, 1))
def test_every_limit_that_a_key_may_have_gives_fields_and_waits_that_can_be_sent(
    requests_per_s: float, bytes_per_s: int, longest: int, ages: tuple[float, float], granted: tuple[int, int, int]
) -> None:
    """However seldom or often, and however long after the last grant somebody asks again."""
    now = [ages[0]]
    limits = Limits(requests_per_s, bytes_per_s, longest)
    waits: list[int] = []

    async def ask_twice() -> None:
        accounts = Accounts(Granting(*granted), clock=lambda: now[0])
        account = accounts.of("key:a", limits, trusted=True)
        for age_s in (0.0, ages[1]):
            now[0] += age_s
            try:
                await accounts.take(account, 1, 2**41)
            except QuotaExceeded as error:
                waits.append(error.data["retry_after_s"])
            for value in dict(account.admission.headers).values():
                assert all(WHOLE.fullmatch(member) for member in value.decode().split(", ")), value
        await accounts.stop()

    asyncio.run(ask_twice())
    assert all(isinstance(wait_s, int) and wait_s >= 1 for wait_s in waits)


@pytest.mark.parametrize("per_s", [5e-324, 1e-9, 1.7e308])
def test_the_server_counts_the_most_extreme_limits(per_s: float, valkey_url: str, pool_prefix: str) -> None:
    """A unit is there at the beginning, and the next one when its time has come, if it ever does."""
    buckets = SharedBuckets.from_url(valkey_url, prefix=pool_prefix)
    ask = Allowance("key:a", per_s, 1, of_bytes=False).ask
    first, second = (buckets.grant([ask])[0] for _ in range(2))
    buckets.close()
    assert first.units >= 1
    assert (second.units >= 1) == (per_s > 1)
    assert (second.wait_us > 0) == (per_s < 1)
