"""Units that one subject has at hand in a worker: spent by subtraction, all or nothing, and what the client is told."""

import pytest

from entropy_assets.serving.access.allowances import Account, Admission, Allowance, Limits
from entropy_assets.stores.buckets import Grant

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
