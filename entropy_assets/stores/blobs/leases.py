"""What one holder at a time may do, on all machines that share a store: a lease, which ends by itself.

Trusted for keeping two from the same work while machines tell the same time, within a few seconds. Who holds a lease
beyond its end holds it no more: what it guards must stay true with two at work, and only be done twice for nothing. So
what is damaged, or was never a lease, stops nobody: it is over, and a warning names it.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from entropy_assets.stores.blobs.interface import Blobs
from entropy_assets.stores.blobs.refusals import BlobMissing

_DIGITS: Final = 12
_NUMBER: Final = re.compile(rf"[0-9]{{{_DIGITS}}}|[1-9][0-9]{{{_DIGITS},}}", re.ASCII)
"""A number as a holder writes it: in one way, so no two names are of one number."""
_LONGEST: Final = 2
"""Of a lease, in those that are asked for: one that ends later was given by a clock that lies far ahead."""


@contextmanager
def leased(blobs: Blobs, name: str, seconds: float, now: Callable[[], float]) -> Iterator[bool]:
    """Yield whether the lease `name` is this caller's; false if somebody else holds it.

    Every holder creates the next number under the name, and a name is created once, so of several who find a lease
    free one gets it. A holder that is killed keeps it until its `seconds` are over.

    Parameters
    ----------
    name
        A folder of `blobs` that nothing else is kept in.
    seconds
        After how long it ends by itself.
    now
        Tells the present, seconds since 1970.
    """
    given = _given(blobs, name)
    last = max(given, default=0)
    mine = f"{name}/{last + 1:0{_DIGITS}}"
    # All are looked at: a file of a higher number that no holder made must not hide who holds it.
    is_held = any(0 < _end_of(blobs, former) - now() <= _LONGEST * seconds for former in given.values())
    if is_held or not blobs.create(mine, _told(now() + seconds)):
        yield False
        return
    for number, former in _given(blobs, name).items():
        if number <= last:
            blobs.delete(former)
    try:
        yield True
    finally:
        blobs.replace(mine, _told(0.0))


def _given(blobs: Blobs, name: str) -> dict[int, str]:
    """Return the names of the leases that were given, by their numbers; what no holder made is not touched."""
    found = blobs.list(name).blobs
    if others := [blob.name for blob in found if not _NUMBER.fullmatch(blob.last)]:
        logging.getLogger(__name__).warning("%r is no lease, and is passed over: remove it", others[0])
    return {int(blob.last): blob.name for blob in found if _NUMBER.fullmatch(blob.last)}


def _told(end_s: float) -> bytes:
    return json.dumps({"until_s": end_s}).encode("ascii")


def _end_of(blobs: Blobs, name: str) -> float:
    """Return when a lease ends; of one that is gone meanwhile that it is over: somebody has the next number then."""
    try:
        return float(json.loads(blobs.read(name))["until_s"])
    except BlobMissing:
        return 0.0
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        logging.getLogger(__name__).warning("the lease %r is damaged (%s), so it is over", name, type(error).__name__)
        return 0.0
