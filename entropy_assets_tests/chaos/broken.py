"""The product with one guard taken out: a suite that stays green on it would prove nothing.

As a program it is ``entropy-assets`` with the break that ``CHAOS_BREAK`` names, if it names one; the workers that it
starts have it too. Its private answers are the pool's bytes as they are, so that the checker can tell a repeated one.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import redis
from pytest import MonkeyPatch  # noqa: PT013 - used as a type, and pytest itself nowhere

from entropy_assets.serving.answers import mixing
from entropy_assets.serving.reservoir.stock import Stock
from entropy_assets.stores import redis_server
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.pool import client, scripts

SCRIPTS = ("PUSH", "LEASE", "CLOSE", "FATE", "SURVEY")
EPOCH = "local epoch = redis.call('HGET', meta, 'epoch')"
TOMBSTONE = "elseif redis.call('ZSCORE', tomb, id) then"


def _replace(patch: MonkeyPatch, old: str, new: str) -> None:
    count = 0
    for name in SCRIPTS:
        script = getattr(scripts, name)
        count += script.count(old)
        patch.setattr(scripts, name, script.replace(old, new))
    assert count, f"the scripts do not say {old!r} any more: this break breaks nothing"


def without_epoch(patch: MonkeyPatch) -> None:
    """Believe that whatever the server holds was pushed to this very process."""
    _replace(patch, EPOCH, EPOCH + "\nif epoch then epoch = run_id end")


def without_tombstones(patch: MonkeyPatch) -> None:
    """Take an id in that was here before."""
    _replace(patch, TOMBSTONE, "elseif false then")


def without_ledger(patch: MonkeyPatch) -> None:
    """Publish what was published."""
    assert callable(Ledger.append_publication)
    patch.setattr(Ledger, "append_publication", lambda *_, **__: True)
    patch.setattr(Ledger, "is_published", lambda *_: False)


def without_promotion(patch: MonkeyPatch) -> None:
    """Write to whatever server took over."""
    from entropy_assets.stores.ledger.postgres import database

    assert callable(database.refuse_promoted)
    patch.setattr(database, "refuse_promoted", lambda *_: None)


def with_retries(patch: MonkeyPatch) -> None:
    """Leave the client's own retries on, as whoever takes redis-py as it comes would."""
    theirs = redis.Redis().get_retry()
    assert theirs.get_retries() > 0
    for module in (client, redis_server):
        patch.setattr(module, "Retry", lambda *_: theirs)


def without_expiry(patch: MonkeyPatch) -> None:
    """Hold blocks for ever."""
    assert callable(Stock.drop_expired)
    patch.setattr(Stock, "drop_expired", lambda *_: 0)


BREAKS: dict[str, Callable[[MonkeyPatch], None]] = {
    "epoch": without_epoch,
    "tombstones": without_tombstones,
    "ledger": without_ledger,
    "promotion": without_promotion,
    "retries": with_retries,
    "expiry": without_expiry,
}


@contextmanager
def breaking(name: str) -> Iterator[None]:
    """Break this process meanwhile; with an empty name, break nothing."""
    with MonkeyPatch.context() as patch:
        if name:
            BREAKS[name](patch)
        yield


def unmixed(patch: MonkeyPatch) -> None:
    """Mix zeros into private answers."""
    assert mixing.mixed(bytes(64)) != bytes(64)
    patch.setattr(mixing, "os", SimpleNamespace(urandom=bytes))
    assert mixing.mixed(b"a" * 64) == b"a" * 64


# also in a worker, which imports the program under another name
if __name__ in ("__main__", "__mp_main__"):
    unmixed(MonkeyPatch())
    if name := os.environ["CHAOS_BREAK"]:
        BREAKS[name](MonkeyPatch())

if __name__ == "__main__":
    from entropy_assets.cli import main

    main()
