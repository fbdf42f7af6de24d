"""What one holder at a time may do, on all machines that share a store: a lease, which ends by itself.

Trusted for keeping two from the same work while machines tell the same time, within a few seconds. Who holds a lease
beyond its end holds it no more: what it guards must stay true with two at work, and only be done twice for nothing.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from entropy_assets.stores.blobs.interface import Blobs
from entropy_assets.stores.blobs.refusals import BlobMissing

_DIGITS: Final = 12


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
    last = max((blob.name for blob in blobs.list(name).blobs), default="")
    mine = f"{name}/{int(last.rpartition('/')[2] or 0) + 1:0{_DIGITS}}"
    if (last and _end_of(blobs, last) > now()) or not blobs.create(mine, _told(now() + seconds)):
        yield False
        return
    for blob in blobs.list(name).blobs:
        if blob.name < mine:
            blobs.delete(blob.name)
    try:
        yield True
    finally:
        blobs.replace(mine, _told(0.0))


def _told(end_s: float) -> bytes:
    return json.dumps({"until_s": end_s}).encode("ascii")


def _end_of(blobs: Blobs, name: str) -> float:
    """Return when a lease ends; of one that is gone meanwhile that it is over: somebody has the next number then."""
    try:
        return float(json.loads(blobs.read(name))["until_s"])
    except BlobMissing:
        return 0.0
