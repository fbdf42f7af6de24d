"""The thread that leases ahead: what it says when the pool is lost, and when it is back."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from entropy_assets.errors import PoolEpochChanged, PoolError, PoolUnavailable
from entropy_assets.serving.reservoir.filler import telling
from entropy_assets.stores.pool.blocks import PoolDepth, SealedLease

NOTHING = SealedLease((), 0.0, 0.0, PoolDepth(0, 0))


def test_a_lost_pool_is_told_once_and_its_return_once(lines: Callable[[], list[dict[str, Any]]]) -> None:
    away, changed = PoolUnavailable("away"), PoolEpochChanged("changed")
    outcomes: Iterator[PoolError | None] = iter([None, away, away, changed, changed, None, None, away])

    def lease(_: int) -> SealedLease:
        if (problem := next(outcomes)) is not None:
            raise problem
        return NOTHING

    told_lease = telling(lease)
    for _ in range(8):
        with contextlib.suppress(PoolError):
            assert told_lease(1) == NOTHING
    assert [line["event"] for line in lines()] == ["pool-lost", "pool-epoch-changed", "pool-back", "pool-lost"]
    assert lines()[2]["after_s"] >= 0
